"""The cells of a run without a Ray: where rows go, when cells are replaced, when a run is given up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from given_cell import GivenCell
from rumiai_ray.engine.cell import supply
from rumiai_ray.engine.cell.dispatcher import Done, WorkRow
from rumiai_ray.engine.cell.messages import Failure, Index, Outcome
from rumiai_ray.engine.cell.pool import CellPool, LostModels
from rumiai_ray.engine.warm.borrowed_cell import BorrowedCell
from rumiai_ray.errors import ModelError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


@dataclass(eq=False)
class Room:
    """What a cell is to run on; `free` where it has found it."""

    free: bool = True
    given_back: bool = False
    id: bytes = b"room"


@dataclass(eq=False)
class FakeCell:
    room: Room
    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass(eq=False)
class Desk:
    """A dispatcher that answers when a test says so."""

    taken: list[WorkRow] = field(default_factory=list)
    ended: list[Done] = field(default_factory=list)
    broken: ModelError | None = None
    last_news_s: float = 0.0
    activity: Any = None
    room: int = 2

    @property
    def open(self) -> int:
        return len(self.taken) + len(self.ended)

    @property
    def wants_more(self) -> bool:
        return len(self.taken) < self.room

    def submit(self, row: WorkRow) -> None:
        self.taken.append(row)

    def rows(self) -> list[WorkRow]:
        return list(self.taken)

    def waits(self) -> list[Any]:
        return []

    def ready(self, references: Collection[Any]) -> list[Done]:
        del references
        if self.broken is not None:
            raise self.broken
        return self.finished()

    def finished(self) -> list[Done]:
        came, self.ended = self.ended, []
        return came

    def answer(self, *lost: str) -> None:
        """The first row comes back; `lost` names models that the cell has given up."""
        row = self.taken.pop(0)
        outcomes = {name: Outcome(1, None, 0, (), 0.0, (), Failure("SIGKILL", "it died", given_up=True)) for name in lost}
        self.ended.append(Done(row, Index(str(row.block), "v", 0, 1, outcomes), None, None))


@dataclass
class Ground:
    """A pool, and what it has asked for."""

    pool: CellPool
    rooms: list[Room]
    cells: list[FakeCell]
    desks: list[Desk]

    def collect(self) -> list[str]:
        return [str(done.row.block) for done in self.pool.collect(0)]


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ground]:
    def laid(*, room: bool = True, attempts: int = 2, place_timeout_s: float = 60.0) -> Ground:
        def ask(spec: Any, without: Collection[str]) -> Room:
            del spec
            assert not without
            made.rooms.append(Room(room))
            return made.rooms[-1]

        def start(spec: Any, place: Room) -> FakeCell:
            del spec
            made.cells.append(FakeCell(place))
            return made.cells[-1]

        def dispatch(cell: Any) -> Any:
            del cell
            made.desks.append(Desk())
            return made.desks[-1]

        def give_back(place: Room) -> None:
            place.given_back = True

        monkeypatch.setattr(supply, "ask", ask)
        monkeypatch.setattr(supply, "node_of", lambda place: "here" if place.free else None)
        monkeypatch.setattr(supply, "start", start)
        monkeypatch.setattr(supply, "remove_placement_group", give_back)
        monkeypatch.setattr(supply, "_LOOK_S", 0.0)
        spec: Any = type("Spec", (), {"shape": type("Shape", (), {"bundle": {"CPU": 2}})})
        made = Ground(CellPool(supply.OwnCells(spec, place_timeout_s), dispatch, attempts), [], [], [])
        return made

    return laid


def test_a_row_without_a_cell_asks_for_one_and_goes_to_it(ground: Callable[..., Ground]) -> None:
    here = ground()
    here.pool.submit(WorkRow("a"))
    assert (len(here.rooms), here.pool.open, here.pool.wants_more) == (1, 1, False)
    assert here.collect() == []
    assert [row.block for row in here.desks[0].taken] == ["a"]


def test_work_begins_with_the_first_cell_that_has_found_room(ground: Callable[..., Ground]) -> None:
    here = ground(room=False)
    here.pool.want(3)
    here.pool.submit(WorkRow("a"))
    assert (here.collect(), here.pool.cells, here.pool.wanted) == ([], [], 3)
    here.rooms[1].free = True
    here.collect()
    assert (len(here.pool.cells), here.pool.wanted) == (1, 3)
    assert [row.block for row in here.desks[0].taken] == ["a"]


def test_a_row_goes_to_the_cell_with_least_to_do(ground: Callable[..., Ground]) -> None:
    here = ground()
    here.pool.want(2)
    here.collect()
    for name in "abcd":
        here.pool.submit(WorkRow(name))
    assert [len(desk.taken) for desk in here.desks] == [2, 2]


def test_without_room_for_a_single_cell_the_run_says_what_is_missing(ground: Callable[..., Ground]) -> None:
    here = ground(room=False, place_timeout_s=0.0)
    here.pool.submit(WorkRow("a"))
    with pytest.raises(TransientError, match=r"no node had \{'CPU': 2\} free"):
        here.collect()


def test_a_cell_that_dies_is_replaced_and_its_rows_go_to_another(ground: Callable[..., Ground]) -> None:
    here = ground()
    here.pool.want(2)
    here.collect()
    for name in "ab":
        here.pool.submit(WorkRow(name))
    here.desks[0].broken = ModelError("gone", "cell", "see")
    assert here.collect() == []
    assert here.cells[0].closed
    assert sorted(row.block for row in here.desks[1].taken) == ["a", "b"]
    here.collect()
    assert (len(here.rooms), len(here.pool.cells)) == (3, 2)


def test_a_cell_that_ray_has_moved_to_another_node_is_replaced_and_keeps_what_it_had_answered(
    ground: Callable[..., Ground], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ground()
    here.pool.want(2)
    here.collect()
    for name in "abc":
        here.pool.submit(WorkRow(name))
    here.desks[0].answer()
    monkeypatch.setattr(supply.OwnCells, "moved", lambda _: [here.cells[0]] if not here.cells[0].closed else [])
    assert here.collect() == ["a"]
    assert here.cells[0].closed
    assert sorted(row.block for row in here.desks[1].taken) == ["b", "c"]
    here.collect()
    assert (len(here.rooms), len(here.pool.cells)) == (3, 2)


def test_what_a_cell_had_answered_before_it_died_is_not_lost(ground: Callable[..., Ground]) -> None:
    here = ground()
    here.pool.submit(WorkRow("a"))
    here.collect()
    here.desks[0].answer()
    here.desks[0].broken = ModelError("gone", "cell", "see")
    assert here.collect() == ["a"]


def test_cells_that_die_without_an_answer_in_between_end_the_run_and_an_answer_starts_the_count_anew(
    ground: Callable[..., Ground],
) -> None:
    here = ground()
    here.pool.submit(WorkRow("a"))

    def die(times: int) -> None:
        for _ in range(times):
            here.collect()
            here.desks[-1].broken = ModelError("gone", "cell", "see")
            here.collect()

    die(5)
    here.collect()
    here.desks[-1].answer()
    assert here.collect() == ["a"]
    here.pool.submit(WorkRow("b"))
    die(5)
    with pytest.raises(ModelError, match="gone"):
        die(1)


def test_a_row_whose_cell_has_lost_a_model_is_tried_on_another_cell(ground: Callable[..., Ground]) -> None:
    here = ground()
    here.pool.submit(WorkRow("a"))
    here.collect()
    here.desks[0].answer("yolo")
    assert here.collect() == []
    assert here.cells[0].closed
    here.collect()
    assert [row.block for row in here.desks[1].taken] == ["a"]
    here.desks[1].answer()
    assert here.collect() == ["a"]


def test_a_row_that_has_lost_its_model_on_every_attempt_comes_back_as_it_is(ground: Callable[..., Ground]) -> None:
    here = ground(attempts=1)
    here.pool.submit(WorkRow("a"))
    here.collect()
    here.desks[0].answer("yolo")
    assert here.collect() == ["a"]


def test_a_model_that_three_cells_have_lost_ends_the_run(ground: Callable[..., Ground]) -> None:
    here = ground(attempts=9)
    here.pool.submit(WorkRow("a"))
    for _ in range(2):
        here.collect()
        here.desks[-1].answer("yolo")
        here.collect()
    here.collect()
    here.desks[-1].answer("yolo")
    with pytest.raises(ModelError, match="it died"):
        here.collect()


def test_every_model_that_a_cell_has_lost_counts_not_the_first_alone(ground: Callable[..., Ground]) -> None:
    here = ground(attempts=9)
    here.pool.submit(WorkRow("a"))
    for lost in (("ocr", "yolo"), ("mediapipe", "yolo")):
        here.collect()
        here.desks[-1].answer(*lost)
        assert here.collect() == []
    here.collect()
    here.desks[-1].answer("whisper", "yolo")
    with pytest.raises(ModelError, match="yolo: SIGKILL"):
        here.collect()


def test_a_cell_that_answers_without_a_model_has_answered(ground: Callable[..., Ground]) -> None:
    here = ground(attempts=9)
    here.pool.submit(WorkRow("a"))
    for _ in range(3):
        here.collect()
        here.desks[-1].broken = ModelError("gone", "cell", "see")
        here.collect()
    here.collect()
    here.desks[-1].answer("yolo")
    assert here.collect() == []
    for _ in range(3):
        here.collect()
        here.desks[-1].broken = ModelError("gone", "cell", "see")
        here.collect()
    assert here.pool.open == 1, "three deaths before the answer and three after it are no six in a row"


def test_idle_cells_and_those_still_waited_for_are_given_back_and_busy_ones_are_kept(ground: Callable[..., Ground]) -> None:
    here = ground()
    here.pool.want(2)
    here.collect()
    here.pool.submit(WorkRow("a"))
    here.pool.want(3)
    here.pool.release()
    assert here.rooms[2].given_back
    assert [cell.closed for cell in here.cells] == [False, True]
    here.desks[0].answer()
    assert here.collect() == ["a"]
    here.pool.release()
    assert here.cells[0].closed


def test_closing_ends_every_cell_and_every_wait(ground: Callable[..., Ground]) -> None:
    here = ground()
    here.pool.want(1)
    here.collect()
    here.pool.want(2)
    here.pool.close()
    assert here.cells[0].closed
    assert here.rooms[1].given_back
    assert (here.pool.cells, here.pool.wanted) == ([], 0)


def _one_cell(supply_of_one: Any, **how: Any) -> tuple[CellPool, list[Desk]]:
    """A pool on such a supply, and the desks of the cells it has had."""
    desks: list[Desk] = []

    def dispatch(_: Any) -> Any:
        desks.append(Desk())
        return desks[-1]

    return CellPool(supply_of_one, dispatch, 9, keeps=True, **how), desks


def _blocks(pool: CellPool) -> list[str]:
    return [str(done.row.block) for done in pool.ready(())]


def test_a_cell_that_was_given_to_the_run_is_used_and_left_as_it_is() -> None:
    given: Any = FakeCell(Room())
    pool, desks = _one_cell(GivenCell(given))
    pool.submit(WorkRow("a"))
    assert (_blocks(pool), pool.cells, pool.wanted) == ([], [given], 1)
    desks[0].answer()
    assert _blocks(pool) == ["a"]
    pool.release()
    assert pool.cells == [given], "a further row may come"
    pool.close()
    assert not given.closed


def test_a_given_cell_that_dies_ends_the_run_for_no_other_can_be_had() -> None:
    given: Any = FakeCell(Room())
    pool, desks = _one_cell(GivenCell(given))
    pool.submit(WorkRow("a"))
    _blocks(pool)
    desks[0].broken = ModelError("gone", "cell", "see")
    with pytest.raises(ModelError, match="no other cell can be had"):
        _blocks(pool)


def test_where_a_lost_model_is_not_fatal_its_rows_come_back_failed_once_the_cells_allowed_have_lost_it(
    ground: Callable[..., Ground],
) -> None:
    here = ground()
    told: list[str] = []
    own: Any = here.pool._supply
    pool, desks = _one_cell(own, policy=LostModels(2, fatal=False), lost_model=lambda index: told.append(index.entry_id))
    for name in "ab":
        pool.submit(WorkRow(name))
    _blocks(pool)
    desks[0].answer("yolo")
    assert _blocks(pool) == []
    assert here.cells[0].closed
    _blocks(pool)
    assert sorted(str(row.block) for row in desks[1].taken) == ["a", "b"]
    for _ in range(2):
        desks[1].answer("yolo")
        assert len(_blocks(pool)) == 1
    assert (told, here.cells[1].closed, len(desks)) == (["a"], False, 2), "the second cell is kept for what the other models find"


class FakeLease:
    """A turn with a warm cell whose server gives another one when a test says so."""

    def __init__(self) -> None:
        self.cell: Any = FakeCell(Room())
        self.lost_because = ""
        self.replaced = 0
        self.next: Any = None

    def replace(self) -> None:
        self.replaced += 1

    def poll(self) -> Any:
        return self.next


def test_a_borrowed_cell_that_dies_is_replaced_by_its_server_without_waiting_and_its_rows_go_to_the_new_one() -> None:
    lease: Any = FakeLease()
    pool, desks = _one_cell(BorrowedCell(lease))
    pool.submit(WorkRow("a"))
    _blocks(pool)
    desks[0].broken = ModelError("gone", "cell", "see")
    assert (_blocks(pool), lease.replaced, pool.cells, pool.open) == ([], 1, [], 1)
    assert (_blocks(pool), pool.cells) == ([], [])
    lease.next = FakeCell(Room())
    _blocks(pool)
    assert (pool.cells, [row.block for row in desks[1].taken]) == ([lease.next], ["a"])
    desks[1].answer()
    assert _blocks(pool) == ["a"]
    pool.close()
    assert not lease.next.closed, "it is the server's"


def test_a_borrowed_cell_that_was_taken_away_ends_the_run_with_the_reason() -> None:
    lease: Any = FakeLease()
    pool, _ = _one_cell(BorrowedCell(lease))
    pool.submit(WorkRow("a"))
    _blocks(pool)
    lease.lost_because = "the server took this command for dead"
    with pytest.raises(TransientError, match="took this command for dead"):
        _blocks(pool)


def test_a_request_for_a_borrowed_cell_that_was_withdrawn_costs_no_sound_cell() -> None:
    lease: Any = FakeLease()
    supply_of_one = BorrowedCell(lease)
    for _ in range(2):
        supply_of_one.ask()
        supply_of_one.withdraw()
    supply_of_one.ask()
    assert (supply_of_one.arrived(urgent=True), lease.replaced) == ([lease.cell], 0)
    for _ in range(2):
        supply_of_one.ask()
        supply_of_one.withdraw()
    supply_of_one.ask()
    assert lease.replaced == 1, "the cell that replaces the broken one is not replaced before it was there"

"""The driver's loop without a Ray: a list of rows as source, a pool that answers as a test says, a list as sink."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import ray
from ray.exceptions import ObjectLostError

from fake_ray import Promise, fake_ray
from fakes import SAMPLED
from rumiai_ray.engine.cell.dispatcher import Done, WorkRow
from rumiai_ray.engine.cell.messages import Activity, Failure, Index, Outcome
from rumiai_ray.engine.drive import loop as under_test
from rumiai_ray.engine.drive.endings import HostsRefuse, StalledError, Stopped
from rumiai_ray.engine.drive.loop import Drive
from rumiai_ray.engine.drive.parts import DriveLimits, Observer
from rumiai_ray.engine.results.entry_tracker import Ended, Settled
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.engine.work.item import Header, VideoPlan, Work, decode, encode
from rumiai_ray.engine.work.source import SourceRow
from rumiai_ray.errors import ModelError, StorageError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.manners import Paused
from rumiai_ray.models.base import AudioChunk
from rumiai_ray.runs.failure_log import FailureLog, read_failures
from rumiai_ray.runs.history_log import HistoryLog, read_history
from rumiai_ray.runs.writer import RunLogs
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from rumiai_ray.engine.results.drive_state import DriveState

LOST = ObjectLostError("00", None, "")


@dataclass
class Clock:
    """Time that passes where something waits, and nowhere else."""

    now_s: float = 1000.0
    waits: list[float] = field(default_factory=list)
    at: dict[float, Callable[[], object]] = field(default_factory=dict)
    """What happens at a time."""

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds
        assert self.now_s < 100_000, "it never ends"
        for when in sorted(when for when in self.at if when <= self.now_s):
            self.at.pop(when)()


def work(entry_id: str, number: int = 0, count: int = 1, key: str = "", *, asks: bool = True, repeats: bool = False) -> Work:
    """A row of an entry; the first has its header. One that asks no model and repeats nothing is of a video that no model wants."""
    key = key or f"video of {entry_id}"
    plan = VideoPlan(key, {}, (), {}, (), (), count if asks else 0, SAMPLED)
    header = Header(Entry(entry_id, f"{entry_id}.mp4"), pack(pa.table({})), plan, repeats) if number == 0 else None
    audio = AudioChunk(np.zeros(4, np.int16), 0.0) if asks else None
    return Work(entry_id, key, number, count, {"ears": ()} if asks else {}, header, audio=audio)


class ListSource:
    """Makes the rows of its entries one by one, each when the clock has got as far as `made_at_s` says."""

    def __init__(self, place: Place, entries: Iterable[Entry], begun: Callable[[Sequence[Entry]], object]) -> None:
        self._place = place
        self._rows = deque((entry, row) for entry in entries for row in place.rows[entry.entry_id])
        self._begun = begun
        self.ended = False
        self.stopped = self.told_to_end = False
        self.last_news_s = place.clock.now_s

    def take(self, timeout_s: float) -> list[SourceRow]:
        if not self._rows:
            self.ended = True
            return []
        entry, row = self._rows[0]
        if self._place.made_at_s.get(entry.entry_id, 0.0) > self._place.clock.now_s:
            if timeout_s:
                self._place.clock.sleep(timeout_s)
            return []
        self._rows.popleft()
        self._begun([entry])
        self.last_news_s = self._place.clock.now_s
        if row.kind == "none":
            return [SourceRow(row)]
        return [SourceRow(row)] if self._place.in_this_process else [SourceRow(block=self._place.put([row]))]

    def end(self) -> None:
        self.told_to_end = True

    def stop(self) -> None:
        self.stopped = True


@dataclass
class ScriptedPool:
    """Answers every row at once, unless a test says otherwise."""

    place: Place
    room: int = 2
    has_cell: bool = True
    """Whether a cell comes as soon as one is asked for."""
    silent: set[str] = field(default_factory=set)
    """Entries whose rows are never answered."""
    failing: Counter[str] = field(default_factory=Counter)
    """How many more times the rows of an entry come back with an error."""
    lost_model: str = ""
    cells: list[str] = field(default_factory=list)
    wanted: int = 0
    open_rows: dict[Promise, tuple[WorkRow, Work]] = field(default_factory=dict)
    homeless: list[WorkRow] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    released: int = 0
    last_news_s: float = 0.0
    activity: Sequence[Activity] = ()

    @property
    def open(self) -> int:
        return len(self.open_rows) + len(self.homeless)

    @property
    def wants_more(self) -> bool:
        return bool(self.cells) and len(self.open_rows) < self.room

    def want(self, count: int) -> None:
        self.wanted = max(self.wanted, count)

    def release(self) -> None:
        self.released += 1

    def submit(self, row: WorkRow) -> None:
        if not self.cells:
            self.homeless.append(row)
            return
        asked = decode(row.block.arguments[0], row.row)
        self.submitted.append(asked.entry_id)
        self.open_rows[Promise(kept=asked.entry_id not in self.silent)] = (row, asked)

    def answer_all(self) -> None:
        for promise in self.open_rows:
            promise.kept = True

    def waits(self) -> list[Any]:
        return list(self.open_rows)

    def ready(self, references: Collection[Any]) -> list[Done]:
        if self.wanted and self.has_cell and not self.cells:
            self.cells.append("cell")
            homeless, self.homeless = self.homeless, []
            for row in homeless:
                self.submit(row)
        return [self._done(*self.open_rows.pop(one)) for one in [one for one in self.open_rows if one in references]]

    def _done(self, row: WorkRow, asked: Work) -> Done:
        if self.failing[asked.entry_id] > 0:
            self.failing[asked.entry_id] -= 1
            return Done(row, None, None, ModelError("the front died of it", "cell"))
        failure = Failure("Crash", "signal 11", given_up=True) if self.lost_model else None
        outcomes = {self.lost_model: Outcome(1, None, 0, (), 0.0, (), failure)} if failure else {}
        return Done(
            row, Index(asked.entry_id, asked.video_key, asked.batch_index, asked.batch_count, outcomes, header=asked.header), "p", None
        )


@dataclass
class ListSink:
    """Commits every entry when it is asked whether anything has ended."""

    losing: Counter[str] = field(default_factory=Counter)
    """How many more times the payloads of an entry are lost."""
    hangs: bool = False
    full: bool = False
    waiting: list[Settled] = field(default_factory=list)
    committed: list[str] = field(default_factory=list)
    dead: dict[str, str] = field(default_factory=dict)
    broken: Exception | None = None
    tally: Tally = field(default_factory=Tally)

    @property
    def open(self) -> int:
        return len(self.waiting)

    def add(self, settled: Sequence[Settled]) -> None:
        self.waiting += settled

    def waits(self) -> list[Any]:
        return [Promise()] if self.hangs and self.waiting else []

    def ready(self, references: Collection[Any], *, everything: bool) -> list[Ended]:
        del references, everything
        if self.broken is not None and self.waiting:
            raise self.broken
        if self.hangs:
            return []
        taken, self.waiting = self.waiting, []
        return [self._ended(one) for one in taken]

    def _ended(self, one: Settled) -> Ended:
        name = one.header.entry.entry_id
        if self.losing[name] > 0:
            self.losing[name] -= 1
            return Ended(one, lost=True)
        dead = one.error is not None or one.header.plan is None
        self.tally.entries["dead_letter" if dead else "committed"] += 1
        if dead:
            self.dead[name] = str(one.error or one.header.row["error_message"][0])
        else:
            self.committed.append(name)
        return Ended(one, one.error, tables={"videos": pa.table({})})


class Seen(Observer):
    """An observer that remembers."""

    def __init__(self) -> None:
        self.planned_ids: list[str] = []
        self.ended_ids: list[str] = []
        self.states: list[DriveState] = []
        self.again_ids: list[list[str]] = []
        self.answers = 0

    def planned(self, entry: Entry, plan: VideoPlan) -> None:
        assert plan
        self.planned_ids.append(entry.entry_id)

    def answered(self, index: Index) -> None:
        assert index
        self.answers += 1

    def ended(self, entry: Entry, tables: Any) -> None:
        assert tables
        self.ended_ids.append(entry.entry_id)

    def again(self, entry_ids: Collection[str]) -> None:
        self.again_ids.append(sorted(entry_ids))

    def tick(self, state: DriveState) -> None:
        self.states.append(state)


class Place:
    """A loop and all that it is given."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.rows: dict[str, list[Work]] = {}
        self.made_at_s: dict[str, float] = {}
        self.in_this_process = True
        """Whether the source's rows are known in this process, as a thread's are, or lie in blocks, as Ray Data's do."""
        self.lost_blocks: Counter[str] = Counter()
        """How many more times a block that the driver looks at is lost, by entry."""
        self.pool = ScriptedPool(self)
        self.sink = ListSink()
        self.seen = Seen()
        self.sources: list[ListSource] = []
        self.run = Store.at(folder)
        self.limits = DriveLimits(rounds=3, stall_s=50.0, drain_s=6.0, cells=4, hint="go on")
        self.drive: Drive

    def put(self, works: list[Work]) -> Promise:
        promise = Promise((encode(works),), kept=True)
        name = works[0].entry_id
        if self.lost_blocks[name] > 0:
            self.lost_blocks[name] -= 1
            promise.fail(LOST)
        promise.value = promise.arguments[0]
        return promise

    def source(self, entries: Iterable[Entry], begun: Callable[[Sequence[Entry]], object]) -> Any:
        self.sources.append(ListSource(self, entries, begun))
        return self.sources[-1]

    def go(self, *rows: Work, analysed: Sequence[str] = ()) -> str:
        for row in rows:
            self.rows.setdefault(row.entry_id, []).append(row)
        entries = [Entry(name, f"{name}.mp4") for name in self.rows]
        self.drive = Drive("r", RunLogs(FailureLog(self.run), HistoryLog(self.run)), self.seen, self.limits)
        return self.drive.run(self.source, self.pool, self.sink, entries, len(entries), analysed)

    def stop_at(self, at_s: float) -> None:
        def stop() -> None:
            self.drive.stop()

        self.clock.at[at_s] = stop


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    fake_ray(monkeypatch)
    made = Place(tmp_path)

    def wait(references: Sequence[Promise], timeout_s: float) -> set[Promise]:
        ready = {one for one in references if one.kept}
        if not ready and timeout_s:
            made.clock.sleep(timeout_s)
        elif ready:
            made.clock.waits.append(0.0)
        return ready

    monkeypatch.setattr(under_test, "arrived", wait)
    monkeypatch.setattr(under_test, "time", SimpleNamespace(monotonic=made.clock.monotonic, sleep=made.clock.sleep))
    monkeypatch.setattr(ray, "put", lambda table: Promise((table,), table, kept=True))
    return made


# --- what always held ---


def test_every_entry_ends_once_and_the_run_is_complete(place: Place) -> None:
    rows = [work(name, number, 3) for name in "abc" for number in range(3)]
    assert place.go(*rows) == "complete"
    assert sorted(place.sink.committed) == ["a", "b", "c"] == sorted(place.seen.ended_ids)
    assert place.seen.planned_ids == ["a", "b", "c"]
    assert (place.seen.answers, place.pool.released > 0) == (9, True)
    assert all(source.stopped for source in place.sources)
    assert place.seen.states[-1].last


def test_rows_that_only_ray_knows_are_driven_alike(place: Place) -> None:
    place.in_this_process = False
    assert place.go(*(work(name, number, 2) for name in "abc" for number in range(2))) == "complete"
    assert sorted(place.sink.committed) == ["a", "b", "c"]


def test_entries_without_model_work_are_settled_without_a_cell(place: Place) -> None:
    place.limits = DriveLimits(3, 50.0, 6.0, 4, "go on", start_after_s=1.5)
    place.pool.has_cell = False
    assert place.go(work("dull", asks=False), work("dull too", asks=False)) == "complete"
    assert (sorted(place.sink.committed), place.pool.wanted, place.pool.submitted) == (["dull", "dull too"], 0, [])


def test_a_row_without_model_work_does_not_wait_for_a_cell_that_has_no_room(place: Place) -> None:
    place.pool.has_cell = False
    place.clock.at[1010.0] = lambda: setattr(place.pool, "has_cell", True)
    seen: list[float] = []
    place.seen.ended = lambda *_: seen.append(place.clock.now_s)  # type: ignore[method-assign]
    place.go(work("dull", asks=False), work("a"))
    assert seen[0] < 1001
    assert seen[1] >= 1010


def test_a_copy_ends_with_the_entry_it_is_a_copy_of(place: Place) -> None:
    place.go(work("copy", key="v", asks=False, repeats=True), work("first", key="v"))
    assert place.sink.committed == ["first", "copy"]


def test_what_is_in_the_run_already_is_not_analysed_again(place: Place) -> None:
    place.go(work("late copy", key="v", asks=False, repeats=True), analysed=["v"])
    assert (place.sink.committed, place.pool.submitted) == (["late copy"], [])


def test_cells_are_asked_for_before_the_first_row_and_no_more_than_there_are_entries(place: Place) -> None:
    place.made_at_s["a"] = 1005.0
    place.clock.at[1002.0] = lambda: wanted.append(place.pool.wanted)
    wanted: list[int] = []
    place.go(work("a"), work("b"))
    assert wanted == [2]


def test_a_source_that_may_need_no_cell_is_given_a_moment_before_one_is_asked_for(place: Place) -> None:
    place.limits = DriveLimits(3, 50.0, 6.0, 1, "go on", start_after_s=1.5)
    place.made_at_s["a"] = 1005.0
    wanted: list[int] = []
    for when in (1001.0, 1002.0):
        place.clock.at[when] = lambda: wanted.append(place.pool.wanted)
    place.go(work("a"))
    assert wanted == [0, 1]


def test_nothing_is_waited_for_while_an_answer_is_ready(place: Place) -> None:
    place.go(*(work(f"e{number}") for number in range(50)))
    assert sum(place.clock.waits) <= 2 * under_test._SHORT_TICK_S, "for the first cell, and no longer"


def test_while_a_cell_could_take_a_row_that_is_not_made_yet_the_wait_is_short(place: Place) -> None:
    place.pool.silent = {"busy"}
    place.made_at_s["late"] = 1010.0
    place.limits = DriveLimits(1, 20.0, 6.0, 1, "go on")
    with pytest.raises(StalledError):
        place.go(work("busy"), work("late"))
    before = [wait for wait in place.clock.waits if wait][: int(8 / under_test._SHORT_TICK_S)]
    assert set(before) == {under_test._SHORT_TICK_S}


def test_while_writing_has_fallen_behind_the_cells_get_nothing_new(place: Place) -> None:
    place.sink.full = True
    place.clock.at[1003.0] = lambda: setattr(place.sink, "full", False)
    place.clock.at[1002.0] = lambda: taken.append(len(place.pool.submitted))
    taken: list[int] = []
    place.go(work("a"))
    assert (taken, place.sink.committed) == ([0], ["a"])


def test_storage_that_fails_ends_the_run_lets_the_source_go_and_is_logged(place: Place) -> None:
    place.sink.broken = StorageError("no space left", "/runs", "make room")
    with pytest.raises(StorageError):
        place.go(work("a"))
    assert place.sources[0].stopped
    assert [failure.where for failure in read_failures(place.run)] == ["run"]


def test_the_observer_is_told_what_is_still_to_be_read_and_what_the_cells_say(place: Place) -> None:
    place.made_at_s["late"] = 1005.0
    said = Activity("front", {})
    place.pool.activity = [said]
    place.go(work("a"), work("late"))
    reading = [state.reading for state in place.seen.states[:-1]]
    assert reading == sorted(reading, reverse=True)
    assert set(reading) == {True, False}
    assert all(state.activity == [said] for state in place.seen.states[:-1])


# --- what the interactive engine did differently before both had one loop; the numbers are those of the table in the design ---


def test_a_lost_payload_sends_its_entry_and_its_copies_round_again(place: Place) -> None:  # 8
    place.sink.losing["a"] = 1
    assert place.go(work("a", key="v"), work("copy", key="v", asks=False, repeats=True), work("b")) == "complete"
    assert place.sink.committed == ["b", "a", "copy"]
    assert place.pool.submitted == ["a", "b", "a"]
    assert place.seen.again_ids == [["a", "copy"]]


def test_rows_that_are_lost_in_every_round_end_as_a_dead_letter_that_says_so(place: Place) -> None:  # 8
    place.sink.losing["a"] = 3
    assert place.go(work("a"), work("b")) == "partial"
    assert list(place.sink.dead) == ["a"]
    assert "lost in every round" in place.sink.dead["a"]
    assert (len(place.sources), place.seen.ended_ids) == (3, ["b", "a"])


def test_a_lost_block_of_rows_sends_its_entries_round_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:  # 9
    del monkeypatch
    place.in_this_process = False
    place.pool.failing["a"] = 1
    place.lost_blocks["a"] = 1
    assert place.go(work("a"), work("b")) == "complete"
    assert sorted(place.sink.committed) == ["a", "b"]
    assert len(place.sources) == 2


def test_a_row_that_no_front_can_answer_makes_its_entry_a_dead_letter_with_its_error(place: Place) -> None:
    place.pool.failing["a"] = 99
    assert place.go(work("a"), work("b")) == "partial"
    assert place.sink.dead == {"a": "cell: the front died of it"}
    (failure,) = read_failures(place.run)
    assert (failure.where, failure.entry_id) == ("assemble", "a")


def test_a_model_that_its_cell_has_lost_is_in_the_failure_log_with_the_entry_it_failed_on(place: Place) -> None:  # 7
    place.pool.lost_model = "ears"
    place.go(work("a"))
    (failure,) = read_failures(place.run)
    assert (failure.where, failure.model, failure.entry_id, failure.input) == ("model", "ears", "a", "a.mp4")


def test_cells_from_which_nothing_comes_end_the_run_after_the_limit(place: Place) -> None:  # 10
    place.pool.silent = {"a"}
    with pytest.raises(StalledError, match="no result has come back for 50 s") as caught:
        place.go(work("a"), work("b"))
    assert place.sink.committed == ["b"]
    assert caught.value.hint == "go on"
    assert 50 <= place.clock.now_s - 1000 < 52


def test_a_source_from_which_nothing_comes_ends_the_run_and_one_that_shows_signs_of_life_does_not(place: Place) -> None:  # 10
    place.made_at_s["a"] = 1120.0
    for when in range(1010, 1120, 10):
        place.clock.at[float(when)] = lambda: setattr(place.sources[-1], "last_news_s", place.clock.now_s)
    assert place.go(work("a")) == "complete"
    place.made_at_s["b"] = 9999.0
    with pytest.raises(StalledError):
        place.go(work("b"))


def test_a_stopped_run_finishes_what_is_in_hand_and_takes_nothing_new(place: Place) -> None:  # 11
    place.pool.silent = {"slow"}
    place.stop_at(1002.0)
    place.clock.at[1003.0] = place.pool.answer_all
    place.made_at_s["late"] = 1002.5
    with pytest.raises(Stopped):
        place.go(work("slow"), work("late"))
    assert place.sink.committed == ["slow"]
    assert place.pool.submitted == ["slow"]
    assert place.sources[0].told_to_end


def test_a_drain_takes_no_longer_than_it_may_whether_a_cell_or_a_writer_hangs(place: Place) -> None:  # 11
    place.pool.silent = {"slow"}
    place.sink.hangs = True
    place.stop_at(1002.0)
    with pytest.raises(Stopped):
        place.go(work("slow"), work("quick"))
    assert 1007 <= place.clock.now_s <= 1009


def test_a_stop_while_there_is_no_room_for_a_cell_is_heard_within_a_tick(place: Place) -> None:  # 12
    place.pool.has_cell = False
    place.stop_at(1010.0)
    with pytest.raises(Stopped):
        place.go(work("a"))
    assert place.clock.now_s <= 1010 + under_test._TICK_S
    assert place.sources[0].stopped


def test_a_stop_while_the_first_video_is_read_is_heard_within_a_tick(place: Place) -> None:  # 12
    place.made_at_s["a"] = 2000.0
    place.stop_at(1010.0)
    with pytest.raises(Stopped):
        place.go(work("a"))
    assert place.clock.now_s <= 1010 + under_test._TICK_S


def test_what_waits_on_the_runs_behalf_outside_of_the_loop_hears_a_stop_too(place: Place) -> None:  # 12
    place.go(work("a"))
    place.drive.raise_if_stopped()
    place.drive.stop()
    with pytest.raises(Stopped):
        place.drive.raise_if_stopped()


def test_an_observer_is_told_the_tables_of_an_entry_when_it_has_ended_and_only_then(place: Place) -> None:  # 13
    place.sink.losing["a"] = 1
    place.go(work("a"), work("b"))
    assert place.seen.ended_ids == ["b", "a"]


# --- hosts that refuse ---


def put_off(entry_id: str, host: str) -> Work:
    header = Header(Entry(entry_id, f"https://{host}/{entry_id}"), b"", None, put_off=Paused(host, "HTTP 429", 4000.0))
    return Work(entry_id, "", 0, 1, {}, header)


def test_entries_of_a_host_that_refuses_are_left_undone_and_all_others_are_committed(place: Place) -> None:
    with pytest.raises(HostsRefuse) as caught:
        place.go(put_off("x", "h"), work("a"), put_off("y", "h"), work("b", asks=False), put_off("z", "other"))
    assert sorted(place.sink.committed) == ["a", "b"]
    assert place.sink.dead == {}
    assert len(place.sources) == 1, "they are not read again"
    assert ([host.host for host in caught.value.hosts], caught.value.entries) == (["h", "other"], 3)
    assert str(caught.value.until) == "1970-01-01 01:06:40+00:00"


def test_an_entry_left_undone_whose_block_went_to_a_cell_is_booked_alike(place: Place) -> None:
    place.in_this_process = False
    place.rows["x"] = [put_off("x", "h")]
    header = place.rows["x"][0].header
    place.rows["x"] = [Work("x", "", 0, 1, {"ears": ()}, header, audio=AudioChunk(np.zeros(4, np.int16), 0.0))]
    with pytest.raises(HostsRefuse):
        place.go(work("a"))
    assert (place.sink.committed, place.sink.dead) == (["a"], {})


def test_an_entry_that_waited_for_one_that_was_put_off_since_is_analysed_without_it(place: Place) -> None:
    place.limits = replace(place.limits, rounds=1)
    seen: list[str] = []

    def source(entries: Iterable[Entry], begun: Callable[[Sequence[Entry]], object]) -> Any:
        if seen:  # its owner has released the bytes
            place.rows["y"] = [work("y", key="shared")]
        seen.append("round")
        return ListSource(place, entries, begun)

    place.source = source  # type: ignore[method-assign]
    with pytest.raises(HostsRefuse) as caught:
        place.go(work("y", key="shared", asks=False, repeats=True), put_off("x", "h"))
    assert (place.sink.committed, place.sink.dead) == (["y"], {})
    assert (len(seen), caught.value.entries) == (2, 1)


def test_the_history_says_of_every_entry_how_it_ended_and_of_every_session_how(place: Place) -> None:
    place.sink.losing["b"] = 1
    place.go(work("a", 0, 2), work("a", 1, 2), work("b"), work("copy", key="video of a", asks=False, repeats=True))
    lines = [line for _, line in read_history(place.run)]
    assert [(line.event, line.entry) for line in lines if line.event.startswith("session")] == [
        ("session_begins", None),
        ("session_ends", None),
    ]
    assert {line.entry: line.outcome for line in lines if line.event == "ended"} == {"a": "committed", "b": "committed", "copy": "copy"}
    assert {line.entry for line in lines if line.event == "lost"} >= {"b"}
    assert lines[-1].detail == "the driver has done all it could"


def test_the_history_of_a_run_that_is_stopped_says_so(place: Place) -> None:
    place.pool.silent.add("a")
    place.stop_at(1010.0)
    with pytest.raises(Stopped):
        place.go(work("a"))
    assert [line.detail for _, line in read_history(place.run)][-1] == "the driver was told to stop"

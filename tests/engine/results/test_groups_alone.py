"""Groups without a Ray: when one is written, what an error of its task costs, what is told of every entry."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import ray
from ray.exceptions import RayTaskError, WorkerCrashedError

from fake_ray import Call, Promise, fake_ray
from fakes import SAMPLED
from poison import UnreadableError
from rumiai_ray.config import Engine
from rumiai_ray.engine.cell.dispatcher import arrived
from rumiai_ray.engine.cell.messages import Index
from rumiai_ray.engine.results import commit_groups as under_test
from rumiai_ray.engine.results.commit_groups import Groups
from rumiai_ray.engine.results.commit_task import Written
from rumiai_ray.engine.results.entry_tracker import Ended, Settled
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.engine.work.item import Header, VideoPlan
from rumiai_ray.errors import ModelError, StorageError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.tracebacks import traceback_of

if TYPE_CHECKING:
    from collections.abc import Callable

OLD_S = 5.0


class Log:
    """A run's writer that keeps what is committed."""

    def __init__(self) -> None:
        self.run: Any = None
        self.tables: dict[str, Any] = {}
        self.next_sequence = 0
        self.committed: list[tuple[str, ...]] = []
        self.dead: list[tuple[str, ...]] = []

    def commit_files(self, files: tuple[Any, ...], committed: tuple[str, ...], dead_lettered: tuple[str, ...]) -> None:
        del files
        self.committed.append(committed)
        self.dead.append(dead_lettered)


class Place:
    """Groups whose tasks a test ends, and a clock that it moves."""

    def __init__(self) -> None:
        self.tasks = Call()
        self.log = Log()
        self.now_s = 1000.0
        stage: Any = SimpleNamespace(run_id="r", models=(), thresholds=None)
        log: Any = self.log
        self.groups = Groups(log, stage, Engine(group_age_s=OLD_S, group_mb=1))

    def remote(self, **options: Any) -> Callable[[Any], Call]:
        assert options["num_cpus"] == 0, "extraction may hold every CPU"
        return lambda _: self.tasks

    def written(self) -> list[list[str]]:
        """Entries of the groups that are being written."""
        return [[one.header.entry.entry_id for one in call.arguments[1]] for call in self.tasks.open]

    def end(self, task: Promise | None = None, **left: Any) -> None:
        """A task ends well; every entry of its group is committed but for those that `left` names otherwise."""
        task = task or self.tasks.open[0]
        names = [one.header.entry.entry_id for one in task.arguments[1]]
        elsewhere = {*left.get("dead_lettered", ()), *left.get("lost", ())}
        fields: dict[str, Any] = {"files": (), "dead_lettered": (), "tally": Tally(), "errors": {}, **left}
        task.give(Written(committed=tuple(name for name in names if name not in elsewhere), **fields))

    def step(self, *, everything: bool = False) -> list[Ended]:
        """One turn of the driver's loop."""
        return self.groups.ready(arrived(self.groups.waits(), 0), everything=everything)

    def fail(self, error: Exception) -> None:
        self.tasks.open[0].fail(error)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    fake_ray(monkeypatch)
    made = Place()
    monkeypatch.setattr(ray, "remote", made.remote)
    monkeypatch.setattr(under_test, "time", SimpleNamespace(monotonic=lambda: made.now_s))
    return made


def _settled(name: str, payload_bytes: int = 0, **how: Any) -> Settled:
    header = Header(Entry(name, f"{name}.mp4"), pack(pa.table({})), VideoPlan("v", {}, (), {}, (), (), 1, SAMPLED), repeats=False)
    answers = ((Index(name, "v", 0, 1, {}, payload_bytes=payload_bytes), None),)
    return Settled(header, answers, **how)


def _raised(cause: Exception) -> Exception:
    made: Any = RayTaskError
    error: Exception = made("write_group", "traceback", cause)
    return error


def test_a_small_group_waits_for_others_until_it_is_old(place: Place) -> None:
    place.groups.add([_settled("a")])
    place.step()
    assert place.written() == []
    place.now_s += OLD_S - 1
    place.groups.add([_settled("b")])
    place.step()
    assert (place.written(), place.groups.open) == ([], 2)
    place.now_s += 1
    place.step()
    assert (place.written(), place.groups.open) == ([["a", "b"]], 2)


def test_a_large_group_is_written_at_once_and_a_small_one_when_everything_is_due(place: Place) -> None:
    place.groups.add([_settled("large", payload_bytes=1_000_000)])
    place.step()
    place.groups.add([_settled("small")])
    place.step()
    assert place.written() == [["large"]]
    place.step(everything=True)
    assert place.written() == [["large"], ["small"]]


def test_an_entry_is_told_to_be_in_the_run_when_its_record_is_written_and_not_before(place: Place) -> None:
    place.groups.add([_settled("a"), _settled("b")])
    assert place.step(everything=True) == []
    assert place.step() == []
    place.end()
    ended = place.step()
    assert [(one.settled.header.entry.entry_id, one.error, one.lost) for one in ended] == [("a", None, False), ("b", None, False)]
    assert (place.log.committed, place.groups.open) == ([("a", "b")], 0)


def test_what_could_not_be_assembled_and_what_was_lost_is_told_apart(place: Place) -> None:
    place.groups.add([_settled("good"), _settled("bad"), _settled("gone")])
    place.step(everything=True)
    trouble = ModelError("cannot", "yolo", "do")
    place.end(dead_lettered=("bad",), errors={"bad": trouble}, lost=("gone",))
    told = {one.settled.header.entry.entry_id: (one.error, one.lost) for one in place.step()}
    assert told == {"good": (None, False), "bad": (trouble, False), "gone": (None, True)}
    assert (place.log.committed, place.log.dead) == ([("good",)], [("bad",)])


def test_while_four_groups_are_being_written_no_further_one_is_begun(place: Place) -> None:
    for name in "abcde":
        place.groups.add([_settled(name)])
        place.step(everything=True)
    assert (place.written(), place.groups.full) == ([["a"], ["b"], ["c"], ["d"]], True)
    place.end(place.tasks.open[2])
    place.step(everything=True)
    assert place.written() == [["a"], ["b"], ["d"], ["e"]]


def test_storage_that_fails_ends_the_run_with_its_own_error(place: Place) -> None:
    place.groups.add([_settled("a"), _settled("b")])
    place.step(everything=True)
    full = StorageError("no space left", "/runs", "make room")
    place.fail(_raised(full))
    with pytest.raises(StorageError) as caught:
        place.step()
    assert caught.value is full


def test_a_group_whose_task_crashes_is_written_entry_by_entry_and_only_the_culprit_is_buried(place: Place) -> None:
    place.groups.add([_settled("a"), _settled("deadly"), _settled("c")])
    place.step(everything=True)
    place.fail(WorkerCrashedError())
    place.step()
    assert place.written() == [["a"], ["deadly"], ["c"]]
    for task in list(place.tasks.open):
        if task.arguments[1][0].header.entry.entry_id == "deadly":
            task.fail(WorkerCrashedError())
        else:
            place.end(task)
    ended = [one for _ in range(3) for one in place.step()]
    assert [one.settled.header.entry.entry_id for one in ended] == ["a", "c"]
    assert place.written() == [["deadly"]]
    (buried,) = place.tasks.open[0].arguments[1]
    assert buried.answers == ()
    assert "assembling the video's tables crashed the task" in str(buried.error)
    place.end(dead_lettered=("deadly",))
    (last,) = place.step()
    assert last.error is buried.error


def test_a_task_that_raises_is_tried_three_times_before_its_entry_is_buried(place: Place) -> None:
    place.groups.add([_settled("a")])
    place.step(everything=True)
    for _ in range(3):
        assert place.tasks.open[0].arguments[1][0].error is None
        place.fail(_raised(MemoryError("short of memory")))
        place.step()
    (buried,) = place.tasks.open[0].arguments[1]
    assert isinstance(buried.error, ModelError)
    assert buried.error.attempts == 3


@pytest.mark.parametrize(
    ("died", "said"),
    [
        (WorkerCrashedError(), "WorkerCrashedError: The worker died unexpectedly"),
        (_raised(MemoryError("short of memory\nand a second line")), "MemoryError: short of memory"),
        (_raised(MemoryError()), "MemoryError"),
        (_raised(UnreadableError()), "UnreadableError: (this error has no readable message: its __str__ raised ValueError)"),
    ],
)
def test_a_dead_letter_that_cannot_be_written_either_ends_the_run_in_one_line(place: Place, died: Exception, said: str) -> None:
    place.groups.add([_settled("a", error=ModelError("cannot", "yolo", "do"))])
    place.step(everything=True)
    with pytest.raises(ModelError, match="not even a dead letter can be written") as caught:  # noqa: PT012 -- at which try, is not the point
        for _ in range(3):
            place.fail(died)
            place.step()
    assert f"not even a dead letter can be written: {said}" in str(caught.value)
    assert "traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_entry_buried_for_a_task_that_raised_has_its_traceback_apart_from_its_message(place: Place) -> None:
    place.groups.add([_settled("a")])
    place.step(everything=True)
    for _ in range(3):
        place.fail(_raised(MemoryError("short of memory")))
        place.step()
    (buried,) = place.tasks.open[0].arguments[1]
    assert buried.error.what == "assembling the video's tables crashed the task: MemoryError: short of memory"
    assert "traceback" in traceback_of(buried.error)

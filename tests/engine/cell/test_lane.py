"""A lane without Ray: what happens at the same time elsewhere happens here in the order that is worst for the lane."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import deque
from concurrent.futures import Future, wait
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from rumiai_ray.engine.cell import model_lane as lane_module
from rumiai_ray.engine.cell import startup as start_module
from rumiai_ray.engine.cell.call_journal import NoteBook
from rumiai_ray.engine.cell.lane_group import Lanes
from rumiai_ray.engine.cell.lane_policy import LanePolicy
from rumiai_ray.engine.cell.messages import Answer, Failure, ModelActivity
from rumiai_ray.engine.cell.model_lane import Call, Lane

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = LanePolicy(outstanding=2, attempts=1, call_timeout_s=0.1, start_timeout_s=2.0, memory_bytes=1000)
SMALL, LARGE = (Answer({}, 0, (), 0.0, memory_bytes, 0.0) for memory_bytes in (10, 2000))
ANSWERS = {"well": SMALL, "leaks": LARGE, "just in time": LARGE}
"""`just in time` answers while it is being killed."""


class FakeActor:
    """An actor's process and its successors; the calling thread does the work. A call does what its argument says.

    The next process has written its note before anybody learns of the death of the one before; calls fail until it is asked whether
    it is ready.
    """

    def __init__(self, note: Path) -> None:
        self.begun: list[str] = []
        self.kills = 0
        self.load: Callable[[], object] = lambda: None
        """What `ready` answers or raises; `die` may be part of it."""
        self.absences: list[Exception] = []
        """Raised, one each time, where it is looked for by its name."""
        self.predict_frames = SimpleNamespace(remote=self._predict)
        self.ready = SimpleNamespace(remote=self._ready)
        self._note = note
        self._book = NoteBook(note)
        self._hand: deque[tuple[str, str, Future[Any]]] = deque()
        self._away = False

    def found(self) -> FakeActor:
        if self.absences:
            raise self.absences.pop(0)
        return self

    def die(self) -> None:
        lost, self._hand = self._hand, deque()
        self._away = True
        os.close(self._book._file)
        self._book = NoteBook(self._note)
        for _, _, reply in lost:
            reply.set_exception(ActorUnavailableError("it died", None))

    def kill(self) -> None:
        self.kills += 1
        if self._hand and self._hand[0][1] == "just in time":
            self._answer()
            self._begin()
        self.die()

    def _predict(self, number: str, deed: str) -> Future[Any]:
        if not self._away:
            return self._take(number, deed)
        lost: Future[Any] = Future()
        lost.set_exception(ActorUnavailableError("it is starting", None))
        return lost

    def _ready(self) -> Future[Any]:
        self._away = False
        return self._take("", "load")

    def _take(self, number: str, deed: str) -> Future[Any]:
        reply: Future[Any] = Future()
        self._hand.append((number, deed, reply))
        if len(self._hand) == 1:
            self._work()
        return reply

    def _work(self) -> None:
        while self._hand:
            deed = self._begin()
            if deed == "crash":
                self.die()
            elif deed == "load":
                self._load()
            elif deed in {"hang", "just in time"}:
                return
            else:
                self._answer()

    def _begin(self) -> str:
        if not self._hand:
            return ""
        number, deed, _ = self._hand[0]
        if number:
            self._book.begin(number)
            self.begun.append(deed)
        return deed

    def _answer(self) -> None:
        _, deed, reply = self._hand.popleft()
        self._book.done()
        reply.set_result(ANSWERS[deed])

    def _load(self) -> None:
        _, _, reply = self._hand[0]
        try:
            loaded = self.load()
        except Exception as error:  # noqa: BLE001 -- whatever the test has it raise
            reply.set_exception(error)
        else:
            if not reply.done():
                reply.set_result(loaded)
        if self._hand:
            self._hand.popleft()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "note"


@pytest.fixture
def actor(note: Path, monkeypatch: pytest.MonkeyPatch) -> FakeActor:
    """The only actor of a Ray that is none."""
    actor = FakeActor(note)

    def fake_wait(references: list[Future[Any]], *, timeout: float, fetch_local: bool = True) -> tuple[list[Any], list[Any]]:
        assert fetch_local
        done, rest = wait(references, timeout)
        return list(done), list(rest)

    fake_ray = SimpleNamespace(
        wait=fake_wait,
        get=lambda reference: reference.result(),
        kill=lambda killed, *, no_restart: None if no_restart else killed.kill(),
        get_actor=lambda _: actor.found(),
    )
    for module in (lane_module, start_module):
        monkeypatch.setattr(module, "ray", fake_ray)
    return actor


def results(note: Path, *deeds: str, policy: LanePolicy = QUICK) -> list[tuple[Answer | Failure, int]]:
    """(answer or failure, attempts) of calls that a new lane is given at once, each of a video of its own."""
    lane = Lane("model", "actor", note, policy)
    return answers(lane, *deeds)


def answers(lane: Lane, *deeds: str) -> list[tuple[Answer | Failure, int]]:
    replies = [lane.submit(Call(("run", f"video {at} {deed}"), "predict_frames", (deed,))) for at, deed in enumerate(deeds)]
    return [reply.result(timeout=30) for reply in replies]


def failure_of(result: tuple[Answer | Failure, int]) -> str:
    failure, _ = result
    assert isinstance(failure, Failure)
    return failure.error_class


def test_a_restart_that_is_over_before_the_kill_is_known_is_not_waited_for_again(note: Path, actor: FakeActor) -> None:
    hung, innocent = results(note, "hang", "well")
    assert failure_of(hung) == "Hang"
    assert innocent == (SMALL, 1)
    assert actor.kills == 1


def test_a_call_that_answers_while_it_is_killed_costs_nobody_anything(note: Path, actor: FakeActor) -> None:
    assert results(note, "just in time", "well") == [(LARGE, 1), (SMALL, 1)]
    assert actor.kills == 1, "what has just been restarted needs no recycling"


def test_a_crash_after_a_call_that_answered_while_it_was_killed_is_charged(note: Path, actor: FakeActor) -> None:
    lane = Lane("model", "actor", note, QUICK)
    assert answers(lane, "just in time") == [(LARGE, 1)]
    (crash,) = answers(lane, "crash")
    assert failure_of(crash) == "Crash"
    assert actor.begun == ["just in time", "crash"]


def test_a_crash_is_charged_to_the_call_that_was_executing_and_to_no_other(note: Path, actor: FakeActor) -> None:
    policy = dataclasses.replace(QUICK, attempts=3, outstanding=3)
    crash, *innocents = results(note, "crash", "well", "well", policy=policy)
    assert (failure_of(crash), crash[1]) == ("Crash", 3)
    assert innocents == [(SMALL, 1), (SMALL, 1)]
    assert actor.kills == 0


def test_a_recycled_actor_is_used_again_as_soon_as_it_has_restarted(note: Path, actor: FakeActor) -> None:
    assert results(note, "leaks", "leaks", "well") == [(LARGE, 1), (LARGE, 1), (SMALL, 1)]
    assert actor.kills == 1, "the calls in flight are answered first"


def test_what_a_front_that_is_gone_left_hanging_is_ended_and_the_model_goes_on(note: Path, actor: FakeActor) -> None:
    actor.predict_frames.remote("gone-front:7", "hang")
    assert results(note, "well") == [(SMALL, 1)]
    assert actor.kills == 1


def test_what_a_front_that_is_gone_left_working_is_waited_for(note: Path, actor: FakeActor) -> None:
    actor.predict_frames.remote("gone-front:7", "hang")
    policy = dataclasses.replace(QUICK, call_timeout_s=60.0, start_timeout_s=1.0)
    lane = Lane("model", "actor", note, policy)
    time.sleep(2 * policy.start_timeout_s)
    actor.kill()
    assert answers(lane, "well") == [(SMALL, 1)]
    assert actor.kills == 1, "only the test's own"


def test_a_process_that_always_dies_while_it_loads_is_given_up_after_some_starts(note: Path, actor: FakeActor) -> None:
    actor.load = actor.die
    (result,) = results(note, "well", policy=dataclasses.replace(QUICK, start_timeout_s=60.0))
    assert result == (Failure("Crash", "model died 4 times in a row while it loaded", given_up=True), 1)


def test_an_actor_that_is_not_registered_yet_is_looked_for_again(note: Path, actor: FakeActor) -> None:
    actor.absences = [ValueError("no such actor"), ActorUnavailableError("it is starting", None)]
    assert results(note, "well") == [(SMALL, 1)]
    assert actor.absences == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RayTaskError("load", "traceback", ValueError("no weights")), Failure("ValueError", "no weights", given_up=True)),  # type: ignore[no-untyped-call]
        (
            ActorDiedError(),
            Failure("StartFailed", "model could not be started: The actor died unexpectedly before finishing this task.", given_up=True),
        ),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why_to_every_video_and_to_the_next_front(
    note: Path, actor: FakeActor, error: Exception, expected: Failure
) -> None:
    def load() -> None:
        raise error

    actor.load = load
    assert results(note, "well", "well") == [(expected, 1), (expected, 1)]
    actor.load = lambda: None
    assert results(note, "well") == [(expected, 1)]


def test_a_model_that_takes_too_long_to_load_is_given_up(note: Path, actor: FakeActor) -> None:
    actor.ready.remote = Future
    (result,) = results(note, "well", policy=dataclasses.replace(QUICK, start_timeout_s=0.3))
    assert result == (Failure("StartTimeout", "model did not load within 0.3 s", given_up=True), 1)


def test_the_traceback_of_a_model_that_cannot_be_loaded_is_kept_for_every_video_and_for_the_next_front(
    note: Path, actor: FakeActor
) -> None:
    def load() -> None:
        raise RayTaskError("load", "in load: no weights", ValueError("no weights"))  # type: ignore[no-untyped-call]

    actor.load = load
    for _ in range(2):
        ((failure, _attempts),) = results(note, "well")
        assert isinstance(failure, Failure)
        assert failure.traceback == "in load: no weights"


def test_every_charged_attempt_of_a_call_is_kept_with_its_reason(note: Path, actor: FakeActor) -> None:
    lane = Lane("model", "actor", note, dataclasses.replace(QUICK, attempts=3))
    call = Call(("run", "video"), "predict_frames", ("crash",))
    _, attempts = lane.submit(call).result(timeout=30)
    assert (attempts, [failure.error_class for failure in call.charged]) == (3, ["Crash"] * 3)
    assert actor.kills == 0


def test_a_lane_that_breaks_says_where(note: Path, actor: FakeActor) -> None:
    lane = Lane("model", "actor", note, QUICK)
    assert answers(lane, "well") == [(SMALL, 1)]
    actor.predict_frames = SimpleNamespace(remote=lambda *_: 1 / 0)
    ((failure, _),) = answers(lane, "well")
    assert isinstance(failure, Failure)
    assert failure.error_class == "ZeroDivisionError"
    assert "in _fill" in failure.traceback


def until(true: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 30
    while not true():
        assert time.monotonic() < ends_s, "it never comes"
        time.sleep(0.01)


def test_a_model_is_loading_and_then_loaded_and_a_call_under_way_counts_as_busy_time(note: Path, actor: FakeActor) -> None:
    gate = threading.Event()
    actor.load = gate.wait
    lanes = Lanes("model", [note.name], note.parent, dataclasses.replace(QUICK, call_timeout_s=60.0, start_timeout_s=60.0))
    assert lanes.activity() == ModelActivity(actors=1, loaded=0, lost=0, ready_s=0.0, busy_s=0.0)
    assert not lanes.activity().settled
    gate.set()
    until(lambda: lanes.activity().loaded == 1)
    idle = lanes.activity()
    assert (idle.ready_s > 0, idle.busy_s, idle.settled) == (True, 0.0, True)
    lanes.submit(Call(("run", "video"), "predict_frames", ("hang",), "the entry"))
    until(lambda: actor.begun == ["hang"])
    during, later = lanes.activity(), lanes.activity()
    assert 0 < during.busy_s < later.busy_s < later.ready_s
    assert (idle.calls, idle.queued, during.queued) == ((), 0, 1)
    ((at_first,), (at_last,)) = during.calls, later.calls
    assert at_first.entry_id == at_last.entry_id == "the entry"
    assert 0 <= at_first.for_s < at_last.for_s


def test_a_model_that_is_given_up_keeps_nobody_waiting_and_its_time_stands_still(note: Path, actor: FakeActor) -> None:
    lanes = Lanes("model", [note.name], note.parent, QUICK)
    assert lanes.submit(Call(("run", "a"), "predict_frames", ("well",))).result(timeout=30) == (SMALL, 1)
    actor.load = lambda: 1 / 0
    actor.ready = SimpleNamespace(remote=lambda: _raising(RayTaskError("load", "traceback", ValueError("no weights"))))  # type: ignore[no-untyped-call]
    actor.kill()
    lanes.submit(Call(("run", "b"), "predict_frames", ("well",))).result(timeout=30)
    before = lanes.activity()
    assert (before.lost, before.loaded, before.settled) == (1, 0, True)
    assert lanes.activity() == before


def _raising(error: Exception) -> Future[Any]:
    reply: Future[Any] = Future()
    reply.set_exception(error)
    return reply

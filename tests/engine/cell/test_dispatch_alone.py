"""The driver's side of a cell without a Ray: what is sent when, who is charged for a death, what comes back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, ObjectLostError, RayTaskError

from fake_ray import FakeFront, FakeRay, fake_ray
from rumiai_ray.engine.cell import dispatcher as dispatch
from rumiai_ray.engine.cell.dispatcher import Dispatcher, WorkRow
from rumiai_ray.engine.cell.messages import Activity, Index
from rumiai_ray.engine.work import poll
from rumiai_ray.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

DIED = ActorUnavailableError("its process is gone", None)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    return fake_ray(monkeypatch)


@pytest.fixture
def front(here: FakeRay) -> FakeFront:
    del here
    return FakeFront()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the dispatcher's clock on; sleeping moves it too."""
    now = [1000.0]

    def move(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=move))
    return move


def _dispatcher(front: FakeFront, *names: str, in_flight: int = 2, attempts: int = 2, patience_s: float = 100.0) -> Dispatcher:
    dispatcher = Dispatcher(front, in_flight=in_flight, attempts=attempts, patience_s=patience_s)
    for name in names:
        dispatcher.submit(WorkRow(name))
    return dispatcher


def _answer(name: str) -> Index:
    return Index(name, name, 0, 1, {})


def _come_back(dispatcher: Dispatcher, front: FakeFront) -> None:
    """The front is restarted and says that it is ready."""
    front.ready.calls[-1].give(None)
    assert dispatcher.collect(0) == []


def test_no_more_rows_are_sent_than_may_be_in_flight_and_each_answer_makes_room(front: FakeFront) -> None:
    dispatcher = _dispatcher(front, "a", "b", "c")
    assert front.rows() == ["a", "b"]
    assert (dispatcher.open, dispatcher.wants_more) == (3, False)
    front.analyze.calls[1].give(_answer("b"))
    (done,) = dispatcher.collect(0)
    assert (done.row.block, done.error) == ("b", None)
    assert front.rows() == ["a", "c"]
    assert (dispatcher.open, dispatcher.wants_more) == (2, False)


def test_a_row_that_raises_is_sent_again_and_comes_back_with_its_error_after_its_last_attempt(front: FakeFront) -> None:
    dispatcher = _dispatcher(front, "bad")
    cause = ModelError("cannot", "yolo", "do")
    for attempt in (1, 2):
        raised: Any = RayTaskError
        front.analyze.open[0].fail(raised("analyze", "traceback", cause))
        done = dispatcher.collect(0)
        assert len(done) == attempt - 1
    (last,) = done
    assert last.error is cause
    assert cause.attempts == 2
    assert (dispatcher.open, len(front.analyze.calls)) == (0, 2)


def test_a_lost_answer_is_charged_and_asked_for_again(front: FakeFront) -> None:
    dispatcher = _dispatcher(front, "a")
    front.analyze.open[0].fail(ObjectLostError("00", None, ""))
    assert dispatcher.collect(0) == []
    assert front.rows() == ["a"]
    front.analyze.open[0].give(_answer("a"))
    (done,) = dispatcher.collect(0)
    assert (done.error, done.row.attempts) == (None, 1)


def test_after_a_death_all_that_was_in_flight_travels_alone_and_only_the_culprit_is_charged(front: FakeFront) -> None:
    dispatcher = _dispatcher(front, "innocent", "deadly", "waiting")
    front.die(DIED)
    assert dispatcher.collect(0) == []
    assert front.rows() == [], "nothing is sent to a front that is being restarted"
    _come_back(dispatcher, front)
    sent = []
    came = []
    while dispatcher.open:
        (name,) = front.rows()
        sent.append(name)
        if name == "deadly":
            front.die(DIED)
            came += dispatcher.collect(0)
            _come_back(dispatcher, front) if dispatcher.open else None
        else:
            front.analyze.open[0].give(_answer(name))
            came += dispatcher.collect(0)
    assert sorted(sent) == ["deadly", "deadly", "innocent", "waiting"]
    charged = {done.row.block: (done.row.attempts, type(done.error)) for done in came}
    assert charged == {"innocent": (0, type(None)), "waiting": (0, type(None)), "deadly": (2, ModelError)}


def test_rows_are_sent_side_by_side_again_once_no_suspect_is_left(front: FakeFront) -> None:
    dispatcher = _dispatcher(front, "a", "b", "c", "d")
    front.die(DIED)
    dispatcher.collect(0)
    _come_back(dispatcher, front)
    for name in ("a", "b"):
        assert front.rows() == [name]
        front.analyze.open[0].give(_answer(name))
        dispatcher.collect(0)
    assert front.rows() == ["c", "d"]


def test_a_front_that_is_dead_for_good_gives_its_rows_back_to_whoever_asks(front: FakeFront) -> None:
    dispatcher = _dispatcher(front, "a", "b", "c")
    front.die(DIED)
    dispatcher.collect(0)
    front.ready.calls[-1].fail(ActorDiedError())
    with pytest.raises(ModelError, match="the cell's front process did not restart"):
        dispatcher.collect(0)
    assert sorted(row.block for row in dispatcher.rows()) == ["a", "b", "c"]
    assert [row.attempts for row in dispatcher.rows()] == [0, 0, 0]


def test_a_front_that_does_not_come_back_in_time_is_given_up(front: FakeFront, clock: Callable[[float], None]) -> None:
    dispatcher = _dispatcher(front, "a")
    front.die(DIED)
    dispatcher.collect(0)
    front.ready.calls[-1].fail(DIED)
    assert dispatcher.collect(0) == [], "its name may answer before its process is there"
    assert len(front.ready.calls) == 2
    clock(61)
    with pytest.raises(ModelError, match="the cell's front process did not restart: no answer"):
        dispatcher.collect(0)


def test_a_front_that_is_silent_for_too_long_is_killed_to_be_restarted(
    front: FakeFront, here: FakeRay, clock: Callable[[float], None]
) -> None:
    dispatcher = _dispatcher(front, "a", patience_s=100)
    clock(99)
    dispatcher.collect(0)
    assert here.killed == []
    clock(2)
    dispatcher.collect(0)
    assert here.killed == [(front, False)]
    clock(50)
    dispatcher.collect(0)
    assert len(here.killed) == 1, "the kill itself gets the same patience"


def test_a_front_without_work_is_never_too_silent(front: FakeFront, here: FakeRay, clock: Callable[[float], None]) -> None:
    dispatcher = _dispatcher(front, patience_s=100)
    clock(1000)
    dispatcher.collect(0)
    dispatcher.submit(WorkRow("a"))
    clock(99)
    dispatcher.collect(0)
    assert here.killed == []


def test_what_the_front_says_of_its_models_is_known_until_it_says_something_else(
    here: FakeRay, front: FakeFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    del here
    now = [0.0]
    monkeypatch.setattr(poll, "time", SimpleNamespace(monotonic=lambda: now[0]))
    dispatcher = _dispatcher(front)
    for at_s, said in ((0.0, "first"), (1.0, None), (2.0, "third")):
        now[0] = at_s
        dispatcher.ready(())
        dispatcher.ready(())
        (asked,) = front.activity.open
        asked.give(Activity(said, {})) if said else asked.fail(DIED)
        dispatcher.ready(())
        assert dispatcher.activity == Activity(said or "first", {})
    assert len(front.activity.calls) == 3, "one question at a time, and one a second"
    assert dispatcher.waits() == [], "what it says is no news of the work"

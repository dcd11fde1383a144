"""Who has a warm cell and who waits, without Ray; and what makes two cells different ones."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ray.exceptions import ActorDiedError, GetTimeoutError

import fakes
from rumiai_ray.config import load_config
from rumiai_ray.engine.ray_session.folder import logs_are_wanted
from rumiai_ray.engine.ray_session.local_head import Head
from rumiai_ray.engine.ray_session.process_id import ProcessId
from rumiai_ray.engine.warm import answers as keeper_answers
from rumiai_ray.engine.warm import client as warm
from rumiai_ray.engine.warm import queue_place
from rumiai_ray.engine.warm.answers import PROTOCOL
from rumiai_ray.engine.warm.server import FORGOTTEN_S, Keeper
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODULE = "rumiai_ray.engine.warm.server"
PLAN = fakes.plan("reader", "Reader")


class _Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


class _Method:
    def __init__(self, answer: object) -> None:
        self._answer = answer

    def remote(self) -> object:
        return self._answer


class _Front:
    """Answers at once; `lost_models` is what it has lost."""

    def __init__(self) -> None:
        self.lost_models: tuple[str, ...] = ()
        self.ready, self.node = _Method(()), _Method("127.0.0.1")

    @property
    def lost(self) -> _Method:
        return _Method(self.lost_models)


class _Cell:
    def __init__(self) -> None:
        self.front = _Front()
        self.closed = False

    def close(self) -> None:
        self.closed = True


class _AtOnce:
    """A thread that runs when it is started, except the keeper's own watch."""

    def __init__(self, target: Callable[[], None], name: str, *, daemon: bool) -> None:
        assert daemon
        self._target = target if name == "cell" else lambda: None

    def start(self) -> None:
        self._target()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(f"{MODULE}.time", clock)
    return clock


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The cells that a keeper has started."""
    cells: list[Any] = []

    def start(*_: object, timeout_s: float) -> Any:
        assert timeout_s
        cells.append(_Cell())
        return cells[-1]

    monkeypatch.setattr(f"{MODULE}.cells.start", start)
    monkeypatch.setattr(f"{MODULE}.ray.get", lambda answer, **_: answer)
    monkeypatch.setattr(f"{MODULE}.threading.Thread", _AtOnce)
    return cells


def _keeper(head: Head | None = None) -> Keeper:
    spec: Any = None
    return Keeper("key", {}, spec, idle_s=60, place_timeout_s=1, head=head)


def test_commands_have_the_cell_one_after_another_in_the_order_they_came(clock: _Clock, started: list[Any]) -> None:
    del clock
    keeper = _keeper()
    assert keeper.ask("a", "one")["cell"] is started[0]
    assert keeper.ask("b", "two")["behind"] == keeper.ask("c", "three")["behind"] == "one"
    keeper.leave("a")
    assert keeper.ask("c", "three")["behind"] == "two"
    assert keeper.ask("b", "two")["cell"] is started[0]
    keeper.leave("b")
    assert keeper.ask("c", "three")["cell"] is started[0]
    assert len(started) == 1


def test_a_command_that_is_silent_for_long_has_the_cell_no_more_and_one_that_speaks_has(clock: _Clock, started: list[Any]) -> None:
    keeper = _keeper()
    for ticket in ("dead", "alive"):
        keeper.ask(ticket, ticket)
    clock.now_s += FORGOTTEN_S - 1
    keeper.here("alive")
    assert keeper.ask("next", "next")["behind"] == "dead"
    clock.now_s += 2
    assert keeper.ask("next", "next")["behind"] == "alive"
    keeper.leave("alive")
    keeper.here("alive")  # a late word of one that has left
    assert keeper.ask("next", "next")["cell"] is started[0]


def test_a_cell_that_has_lost_a_model_is_not_lent_again(clock: _Clock, started: list[Any]) -> None:
    del clock
    keeper = _keeper()
    keeper.ask("a", "one")
    keeper.leave("a")
    started[0].front.lost_models = ("ocr",)
    keeper.ask("b", "two")
    assert started[0].closed
    assert keeper.ask("b", "two")["cell"] is started[1]


def test_a_broken_cell_is_replaced_within_the_turn_of_the_command_that_has_it(clock: _Clock, started: list[Any]) -> None:
    del clock
    keeper = _keeper()
    keeper.ask("a", "one")
    keeper.ask("b", "two")
    keeper.replace("b")
    assert not started[0].closed, "it is not the other's turn"
    keeper.replace("a")
    assert started[0].closed
    assert keeper.ask("b", "two")["behind"] == "one"
    assert keeper.ask("a", "one")["cell"] is started[1]
    keeper.leave("a")
    keeper.replace("a")
    assert not started[1].closed, "its turn is over"


def test_the_command_whose_turn_it_is_is_told_why_there_is_no_cell(clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    del clock

    def no_room(*_: object, timeout_s: float) -> None:
        raise ConfigError("no node has room", "cell", f"{timeout_s} s")

    monkeypatch.setattr(f"{MODULE}.cells.start", no_room)
    monkeypatch.setattr(f"{MODULE}.threading.Thread", _AtOnce)
    keeper = _keeper()
    assert keeper.ask("a", "one")["cell"] is None
    assert keeper.ask("a", "one")["error"][:2] == ("ConfigError", "no node has room")


def test_code_weights_and_configuration_make_another_cell_and_what_concerns_the_command_alone_does_not() -> None:
    config = load_config()
    same = warm.WantedCell(load_config(flags={"out": "elsewhere", "sampling": {"fps": 9}}), [PLAN], "code").key
    assert warm.WantedCell(config, [PLAN], "code").key == same
    others = {
        "code": warm.WantedCell(config, [PLAN], "other code"),
        "weights": warm.WantedCell(config, [replace(PLAN, digests={"net": "1"})], "code"),
        "device": warm.WantedCell(config, [replace(PLAN, device="cuda:0")], "code"),
        "model settings": warm.WantedCell(config, [fakes.plan("reader", "Reader", threads=3)], "code"),
        "engine": warm.WantedCell(load_config(flags={"engine": {"call_timeout_s": 5}}), [PLAN], "code"),
        "models": warm.WantedCell(config, [PLAN, fakes.plan("other")], "code"),
    }
    keys = {name: wanted.key for name, wanted in others.items()}
    assert len({same, *keys.values()}) == len(keys) + 1


def test_a_cell_outlives_an_update_of_yt_dlp_and_of_no_package_that_reads_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(**versions: str) -> str:
        monkeypatch.setattr(warm, "package_versions", lambda _: {"numpy": "2.0", "yt-dlp": "2026.10.26"} | versions)
        return warm.WantedCell(load_config(), [PLAN], "code").key

    assert key(**{"yt-dlp": "2026.11.20"}) == key() != key(numpy="2.1")


def test_an_unexpected_exception_while_a_cell_starts_is_told_and_the_next_command_tries_again(
    clock: _Clock, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del clock
    keeper = _keeper()
    with monkeypatch.context() as broken:

        def typo(*_: object, timeout_s: float) -> None:
            raise TypeError(f"{timeout_s} is no time")

        broken.setattr(f"{MODULE}.cells.start", typo)
        assert keeper.ask("a", "one")["cell"] is None
    told = keeper.ask("a", "one")["error"]
    assert told[:2] == ("RumiaiError", "it could not be started: TypeError: 1 is no time")
    keeper.ask("a", "one")
    assert keeper.ask("a", "one")["cell"] is started[0]


def test_a_cell_that_cannot_be_started_says_where_the_logs_are_and_has_them_kept(
    clock: _Clock, started: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del clock, started
    head = Head("127.0.0.1:1", ProcessId.of(os.getpid()), str(tmp_path))

    def died(*_: object, timeout_s: float) -> None:
        raise ActorDiedError(f"after {timeout_s} s")

    monkeypatch.setattr(f"{MODULE}.cells.start", died)
    for where, hint in ((head, f"see Ray's logs in {head.logs}"), (None, "see Ray's logs on the cluster's nodes, in ")):
        keeper = _keeper(where)
        assert not logs_are_wanted(tmp_path) or where is None
        keeper.ask("a", "one")
        assert keeper.ask("a", "one")["error"][3].startswith(hint)
    assert logs_are_wanted(tmp_path)


@pytest.mark.parametrize("how", ["lost a model", "replaced by its command"])
def test_the_logs_of_a_broken_cell_are_kept_and_those_of_a_good_one_are_not(
    clock: _Clock, started: list[Any], tmp_path: Path, how: str
) -> None:
    del clock
    keeper = _keeper(Head("127.0.0.1:1", ProcessId.of(os.getpid()), str(tmp_path)))
    keeper.ask("a", "one")
    if how == "lost a model":
        keeper.leave("a")
        keeper.ask("b", "two")
        keeper.leave("b")
        assert not logs_are_wanted(tmp_path)
        started[0].front.lost_models = ("ocr",)
        keeper.ask("c", "three")
    else:
        assert not logs_are_wanted(tmp_path)
        keeper.replace("a")
    assert logs_are_wanted(tmp_path)


def test_a_front_that_does_not_answer_ends_its_cell_and_not_the_keeper(
    clock: _Clock, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del clock
    keeper = _keeper()
    with monkeypatch.context() as broken:

        def get(*_: object, **__: object) -> None:
            raise KeyError("front")

        broken.setattr(f"{MODULE}.ray.get", get)
        keeper.ask("a", "one")
    assert started[0].closed
    assert keeper.ask("a", "one")["error"] is not None


def test_the_watch_goes_on_after_an_exception_and_status_says_so(
    clock: _Clock, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = _keeper()
    keeper.ask("a", "one")
    keeper.leave("a")
    naps: list[float] = []
    good, looks = keeper._look, 0

    def sleep(nap_s: float) -> None:
        naps.append(nap_s)
        if len(naps) == 3:
            raise KeyboardInterrupt  # the test's way out of the thread's loop

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("an odd moment")
        good()

    monkeypatch.setattr(keeper, "_look", look)
    monkeypatch.setattr(clock, "sleep", sleep, raising=False)
    clock.now_s += 61
    with pytest.raises(KeyboardInterrupt):
        keeper._watch()
    assert started[0].closed, "the look after the bad one has closed the idle cell"
    spec: Any = SimpleNamespace(shape=SimpleNamespace(bundle={}), plans=[])
    keeper._spec = spec
    assert keeper.held()["trouble"] == "RuntimeError: an odd moment"


def test_a_command_that_was_taken_for_dead_is_told_who_has_the_cell(clock: _Clock, started: list[Any]) -> None:
    del started
    keeper = _keeper()
    keeper.ask("a", "one")
    clock.now_s += FORGOTTEN_S + 1
    keeper.ask("b", "two")
    assert keeper.here("a", "one") == {"protocol": PROTOCOL, "place": False, "user": "two", "closed": False}
    keeper.leave("b")
    assert not keeper.here("a", "one")["place"], "another command has used the cell since"


def test_a_command_that_slept_gets_its_place_back_where_nobody_came(clock: _Clock, started: list[Any]) -> None:
    keeper = _keeper()
    keeper.ask("a", "one")
    clock.now_s += FORGOTTEN_S + 1
    keeper._look()
    assert keeper.here("a", "one")["place"]
    assert keeper.ask("b", "two")["behind"] == "one"
    keeper.leave("b")
    clock.now_s += 2 * 60
    keeper._look()
    keeper._look()
    clock.now_s += 61
    keeper._look()
    assert started[0].closed
    assert keeper.here("a", "one") == {"protocol": PROTOCOL, "place": False, "user": "", "closed": True}


def test_what_a_keeper_answers_needs_none_of_this_packages_classes(clock: _Clock, started: list[Any]) -> None:
    del clock, started
    keeper = _keeper()
    spec: Any = SimpleNamespace(shape=SimpleNamespace(bundle={"CPU": 2.0}), plans=[])
    first = keeper.ask("a", "one")
    keeper._spec = spec
    keeper._cell = None
    answers = [keeper.ask("b", "two"), keeper.ask("b", "two", start=False), keeper.here("b", "two"), keeper.held(), keeper.parts()]
    keeper._error = ConfigError("no room", "cell", "add a node")
    answers.append(keeper.ask("a", "one"))
    assert first["protocol"] == PROTOCOL
    for one in answers:
        json.dumps(one)
        assert one["protocol"] == PROTOCOL


def test_who_is_about_to_replace_a_cell_is_not_given_it(clock: _Clock, started: list[Any]) -> None:
    del clock
    keeper = _keeper()
    keeper.ask("a", "one")
    keeper.leave("a")
    told = keeper.ask("b", "two", start=False)
    assert (told["cell"], told["behind"], len(started)) == (None, "", 1)


class _Silent:
    """A keeper that answers `here` with what it is given, one after another."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.here = SimpleNamespace(remote=lambda *_: self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])
        self.ask = SimpleNamespace(remote=lambda *_, **__: {"protocol": PROTOCOL, "cell": None, "behind": "", "error": None})
        self.leave = SimpleNamespace(remote=lambda *_: None)


def _get(answer: Any, **_: object) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


HERE = {"protocol": PROTOCOL, "place": True, "user": "one", "closed": False}


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (
            HERE | {"place": False, "user": "process 7 on there"},
            "lost contact with this command and dropped it from the queue; the cell is used by process 7 on there",
        ),
        (HERE | {"place": False, "user": "", "closed": True}, "the cell is closed"),
        (HERE | {"place": False, "user": ""}, "the cell has been used by another command since"),
        (ActorDiedError(), "the warm cell was stopped"),
    ],
)
def test_a_command_learns_that_it_has_lost_the_cell(monkeypatch: pytest.MonkeyPatch, last: Any, why: str) -> None:
    for module in (keeper_answers, queue_place):
        monkeypatch.setattr(module, "ray", SimpleNamespace(get=_get))
    monkeypatch.setattr(queue_place, "_SPEAK_S", 0.01)
    told: list[str] = []
    learned = threading.Event()

    def evicted(text: str) -> None:
        told.append(text)
        learned.set()

    keeper = _Silent(HERE, GetTimeoutError("busy"), HERE, last)
    with queue_place.queued(keeper, lambda _: None, evicted):
        assert learned.wait(30)
    assert len(told) == 1
    assert why in told[0]


def test_a_stop_while_another_command_has_the_cell_is_heard_and_gives_the_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (keeper_answers, queue_place):
        monkeypatch.setattr(module, "ray", SimpleNamespace(get=_get))
    left: list[str] = []
    busy: Any = _Silent(HERE)
    busy.ask = SimpleNamespace(remote=lambda *_, **__: {"protocol": PROTOCOL, "cell": None, "behind": "process 7", "error": None})
    busy.leave = SimpleNamespace(remote=left.append)
    monkeypatch.setattr(warm, "_keeper", lambda _: busy)
    said: list[str] = []
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise KeyboardInterrupt

    wanted: Any = None
    with pytest.raises(KeyboardInterrupt), warm._turn(wanted, said.append, check):
        pytest.fail("it had the cell")
    assert said == ["waiting for the warm cell, which is used by process 7"]
    assert len(left) == 1

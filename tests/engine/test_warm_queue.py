"""Who has a warm cell and who waits, without Ray; and what makes two cells different ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import fakes
from rumiai_ray.config import load_config
from rumiai_ray.engine import warm
from rumiai_ray.engine.keeper import FORGOTTEN_S, Keeper
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE = "rumiai_ray.engine.keeper"
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


def _keeper() -> Keeper:
    spec: Any = None
    return Keeper("key", {}, spec, idle_s=60, place_timeout_s=1)


def test_commands_have_the_cell_one_after_another_in_the_order_they_came(clock: _Clock, started: list[Any]) -> None:
    del clock
    keeper = _keeper()
    assert keeper.ask("a", "one").cell is started[0]
    assert keeper.ask("b", "two").behind == keeper.ask("c", "three").behind == "one"
    keeper.leave("a")
    assert keeper.ask("c", "three").behind == "two"
    assert keeper.ask("b", "two").cell is started[0]
    keeper.leave("b")
    assert keeper.ask("c", "three").cell is started[0]
    assert len(started) == 1


def test_a_command_that_is_silent_for_long_has_the_cell_no_more_and_one_that_speaks_has(clock: _Clock, started: list[Any]) -> None:
    keeper = _keeper()
    for ticket in ("dead", "alive"):
        keeper.ask(ticket, ticket)
    clock.now_s += FORGOTTEN_S - 1
    keeper.here("alive")
    assert keeper.ask("next", "next").behind == "dead"
    clock.now_s += 2
    assert keeper.ask("next", "next").behind == "alive"
    keeper.leave("alive")
    keeper.here("alive")  # a late word of one that has left
    assert keeper.ask("next", "next").cell is started[0]


def test_a_cell_that_has_lost_a_model_is_not_lent_again(clock: _Clock, started: list[Any]) -> None:
    del clock
    keeper = _keeper()
    keeper.ask("a", "one")
    keeper.leave("a")
    started[0].front.lost_models = ("ocr",)
    keeper.ask("b", "two")
    assert started[0].closed
    assert keeper.ask("b", "two").cell is started[1]


def test_the_command_whose_turn_it_is_is_told_why_there_is_no_cell(clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    del clock

    def no_room(*_: object, timeout_s: float) -> None:
        raise ConfigError("no node has room", "cell", f"{timeout_s} s")

    monkeypatch.setattr(f"{MODULE}.cells.start", no_room)
    monkeypatch.setattr(f"{MODULE}.threading.Thread", _AtOnce)
    keeper = _keeper()
    assert keeper.ask("a", "one").cell is None
    assert isinstance(keeper.ask("a", "one").error, ConfigError)


def test_code_weights_and_configuration_make_another_cell_and_what_concerns_the_command_alone_does_not() -> None:
    config = load_config()
    same = warm.Wanted(load_config(flags={"out": "elsewhere", "sampling": {"fps": 9}}), [PLAN], "code").key
    assert warm.Wanted(config, [PLAN], "code").key == same
    others = {
        "code": warm.Wanted(config, [PLAN], "other code"),
        "weights": warm.Wanted(config, [replace(PLAN, digests={"net": "1"})], "code"),
        "device": warm.Wanted(config, [replace(PLAN, device="cuda:0")], "code"),
        "model settings": warm.Wanted(config, [fakes.plan("reader", "Reader", threads=3)], "code"),
        "engine": warm.Wanted(load_config(flags={"engine": {"call_timeout_s": 5}}), [PLAN], "code"),
        "models": warm.Wanted(config, [PLAN, fakes.plan("other")], "code"),
    }
    keys = {name: wanted.key for name, wanted in others.items()}
    assert len({same, *keys.values()}) == len(keys) + 1

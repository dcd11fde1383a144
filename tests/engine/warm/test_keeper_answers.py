"""Answers of a warm cell's keeper that another version of the package has made."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ray.exceptions import ActorDiedError, GetTimeoutError, RaySystemError, RayTaskError

from rumiai_ray.engine.warm import answers as keeper_answers
from rumiai_ray.engine.warm import client as warm
from rumiai_ray.engine.warm import queue_place
from rumiai_ray.engine.warm.answers import OTHER_VERSION, PROTOCOL, OtherVersionError, answer, error_of
from rumiai_ray.errors import ConfigError, RumiaiError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN = RaySystemError(ModuleNotFoundError("No module named 'rumiai_ray.engine.warm.server'"), "Traceback …")  # type: ignore[no-untyped-call]
"""What Ray makes of an answer whose classes are not there."""


def told(monkeypatch: pytest.MonkeyPatch, get: Callable[..., Any]) -> None:
    """What comes from a keeper."""
    monkeypatch.setattr(keeper_answers, "ray", SimpleNamespace(get=get))


def fails(error: Exception) -> Callable[..., Any]:
    def get(*_: object, **__: object) -> Any:
        logging.getLogger("ray._private.serialization").error("Traceback …")  # as Ray does where it cannot decode
        raise error

    return get


@pytest.mark.parametrize(
    "get",
    [
        fails(UNKNOWN),
        fails(RayTaskError("held", "Traceback …", TypeError("unexpected keyword argument"))),  # type: ignore[no-untyped-call]
        lambda *_, **__: SimpleNamespace(state="warm"),
        lambda *_, **__: None,
        lambda *_, **__: {"state": "warm"},
        lambda *_, **__: {"protocol": PROTOCOL + 1, "state": "warm"},
    ],
)
def test_what_this_version_has_not_written_is_another_versions_and_no_traceback_is_printed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, get: Callable[..., Any]
) -> None:
    told(monkeypatch, get)
    with pytest.raises(OtherVersionError):
        answer("reference")
    assert caplog.messages == []


@pytest.mark.parametrize(("error", "kind"), [(ActorDiedError(), ActorDiedError), (GetTimeoutError("late"), TransientError)])
def test_a_keeper_that_has_ended_or_is_slow_is_of_no_other_version(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    told(monkeypatch, fails(error))
    with pytest.raises(kind):
        answer("reference")


def test_other_threads_may_go_on_saying_what_they_cannot_decode(caplog: pytest.LogCaptureFixture) -> None:
    decoder = logging.getLogger("ray._private.serialization")
    with keeper_answers._quiet_decoder():
        decoder.error("mine")
        record = decoder.makeRecord(decoder.name, logging.ERROR, "f", 1, "another's", (), None)
        record.thread = -1
        decoder.handle(record)
    decoder.error("later")
    assert caplog.messages == ["another's", "later"]


def test_an_error_is_told_in_words_and_raised_as_what_it_was() -> None:
    error = error_of(("ConfigError", "no room", "cell", "add a node"))
    assert isinstance(error, ConfigError)
    assert str(error) == "cell: no room (add a node)"
    assert type(error_of(("OfALaterVersion", "no", "", ""))) is RumiaiError
    assert type(error_of(("annotations", "no", "", ""))) is RumiaiError


def test_status_names_a_cell_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, fails(UNKNOWN))
    monkeypatch.setattr(warm, "keepers", lambda: ["warm-me-0123456789ab"])
    keeper = SimpleNamespace(held=SimpleNamespace(remote=lambda: "reference"))
    monkeypatch.setattr(warm, "ray", SimpleNamespace(get_actor=lambda _: keeper))
    (held,) = warm.all_held()
    assert (held.key, held.state, held.models) == ("0123456789ab", OTHER_VERSION, ())


def test_a_cell_of_another_version_is_replaced_and_the_user_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[object] = []
    said: list[str] = []
    told(monkeypatch, fails(UNKNOWN))
    method = SimpleNamespace(remote=lambda *_, **__: "reference")
    keeper = SimpleNamespace(ask=method, leave=method, here=method, close=method, parts=method)
    monkeypatch.setattr(warm, "keepers", lambda: ["warm-me-other"])
    monkeypatch.setattr(warm, "_name", lambda _: "warm-me-own")
    there = SimpleNamespace(get_actor=lambda _: keeper, kill=killed.append, get=fails(UNKNOWN))
    for module in (warm, queue_place):
        monkeypatch.setattr(module, "ray", there)
    wanted: Any = None
    warm._replace_others(wanted, said.append)
    assert killed == [keeper]
    assert said == ["replacing a warm cell of another version of this program"]

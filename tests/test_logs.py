"""How much the program says of its own work."""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import TYPE_CHECKING

import pytest

from rumiai_ray import logs
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = logging.getLogger("rumiai_ray.engine.some_module")


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging as a new process has it; afterwards as it was."""
    monkeypatch.setenv(logs.VARIABLE, "")
    root, package = logging.getLogger(), logging.getLogger("rumiai_ray")
    before = root.handlers[:], package.level
    yield
    root.handlers[:] = before[0]
    package.setLevel(before[1])


def said(verbose: int) -> list[str]:
    """Levels of what is said, of one message each."""
    logs.configure(verbose)
    stream, before = io.StringIO(), sys.stderr
    sys.stderr = stream  # as a progress display does
    try:
        for level in logs.LEVELS:
            LOG.log(getattr(logging, level.upper()), level)
        logging.getLogger("urllib3").debug("noise of a library")
    finally:
        sys.stderr = before
    return [line.rpartition(" ")[2] for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("verbose", "variable", "expected"),
    [
        (0, "", ["warning", "error"]),
        (1, "", ["info", "warning", "error"]),
        (2, "", ["debug", "info", "warning", "error"]),
        (9, "", ["debug", "info", "warning", "error"]),
        (0, "debug", ["debug", "info", "warning", "error"]),
        (0, " INFO ", ["info", "warning", "error"]),
        (0, "error", ["error"]),
        (1, "debug", ["debug", "info", "warning", "error"]),
        (1, "error", ["info", "warning", "error"]),
    ],
)
def test_as_much_is_said_as_is_asked_for(monkeypatch: pytest.MonkeyPatch, verbose: int, variable: str, expected: list[str]) -> None:
    monkeypatch.setenv(logs.VARIABLE, variable)
    assert said(verbose) == expected


def test_processes_that_are_started_say_as_much() -> None:
    logs.configure(2)
    assert logs.variables() == {logs.VARIABLE: "debug"}
    assert os.environ[logs.VARIABLE] == "debug"


def test_a_level_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.VARIABLE, "loud")
    with pytest.raises(ConfigError, match=r"RUMIAI_LOG: no such level: 'loud' \(one of debug, info, warning, error\)"):
        logs.configure()
    logs.configure_worker()  # a worker does not end for it


def test_what_is_swallowed_is_said_with_its_ids_and_anything_else_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, LOG.name):
        with logs.swallowed(LOG, "killing actor 12", ValueError, KeyError):
            raise ValueError("never created")
        with pytest.raises(TypeError), logs.swallowed(LOG, "killing actor 12", ValueError):
            raise TypeError
    assert caplog.messages == ["killing actor 12: ValueError: never created"]

"""What the program says of its own work: standard logging to stderr, as much as `--verbose` or RUMIAI_LOG ask for.

`warning` is the default. `info` says what the engine does, `debug` also every exception that was handled and not raised. Workers of Ray
inherit the variable; what they say is in Ray's own logs.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rumiai_ray.errors import ConfigError
from rumiai_ray.shown import shown, terminal_safe

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "RUMIAI_LOG"
LEVELS = ("debug", "info", "warning", "error")
_PACKAGE = "rumiai_ray"
_FORMAT = "%(levelname)s %(name)s: %(message)s"
_TIMED = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Shown(logging.Formatter):
    """Formats a record, traceback included, without secrets and with nothing in it that a terminal obeys."""

    def format(self, record: logging.LogRecord) -> str:
        """As `logging.Formatter`."""
        return terminal_safe(shown(super().format(record)))


class _ToStderr(logging.StreamHandler[Any]):
    """Writes to what `sys.stderr` is at that moment: a progress display puts itself there, and lines must go above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        """Standard error of now."""
        return sys.stderr


def configure(verbose: int = 0) -> None:
    """Log to stderr. Called again, it only changes how much is said.

    Args:
        verbose: how often `--verbose` was given: once for `info`, more for `debug`. RUMIAI_LOG counts where it asks for more.

    Raises:
        ConfigError: RUMIAI_LOG names no level.
    """
    level = _level(verbose)
    root = logging.getLogger()
    ours = next((handler for handler in root.handlers if isinstance(handler, _ToStderr)), None)
    if ours is None:
        ours = _ToStderr()
        root.addHandler(ours)
    ours.setFormatter(_Shown(_FORMAT if level >= logging.WARNING else _TIMED))
    # Only this package: at `debug` the libraries say thousands of lines of theirs.
    logging.getLogger(_PACKAGE).setLevel(level)
    if verbose:
        os.environ[VARIABLE] = logging.getLevelName(level).lower()  # for the processes that this one starts


def configure_worker() -> None:
    """As `configure`, in a process that Ray has started: its standard error is a file among Ray's logs, which somebody keeps."""
    if os.environ.get(VARIABLE, "").strip().lower() in {"", *LEVELS}:
        configure()


def variables() -> dict[str, str]:
    """What the environment of a started process needs, so that it says as much as this one."""
    return {name: value for name, value in os.environ.items() if name == VARIABLE and value.strip()}


@contextmanager
def swallowed(log: logging.Logger, what: str, *errors: type[BaseException]) -> Iterator[None]:
    """`contextlib.suppress` that says so at debug level.

    Args:
        log: the module's logger.
        what: what was being done, and to what, with its ids.
        errors: what may happen and changes nothing.
    """
    try:
        yield
    except errors as error:
        log.debug("%s: %s: %s", what, type(error).__name__, error)


def _level(verbose: int) -> int:
    name = os.environ.get(VARIABLE, "").strip().lower() or "warning"
    if name not in LEVELS:
        raise ConfigError(f"no such level: {name!r}", f"environment variable {VARIABLE}", f"one of {', '.join(LEVELS)}")
    asked = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    given = int(getattr(logging, name.upper()))
    return min(asked, given) if verbose else given

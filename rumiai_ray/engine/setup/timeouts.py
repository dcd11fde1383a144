"""Outer timeouts must exceed inner ones, or the outer one fires first and hides the cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rumiai_ray.config import Engine

_MARGIN = 1.2


def answer_timeout_s(engine: Engine) -> float:
    """The longest a cell can go without an answer and yet be well: one call that hangs at every attempt, restarts included.

    After so long it is the front that hangs, for the lanes end every call themselves.
    """
    return _MARGIN * engine.attempts * (engine.call_timeout_s + engine.start_timeout_s)


def stall_timeout_s(engine: Engine) -> float:
    """The longest a run can go without news and yet be well, unless the user has set a limit."""
    reading_s = _MARGIN * engine.attempts * engine.entry_timeout_s
    writing_s = _MARGIN * engine.attempts * engine.write_timeout_s
    return engine.stall_timeout_s or _MARGIN * max(answer_timeout_s(engine), reading_s, writing_s)

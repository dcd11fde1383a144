"""Limits of the thread that calls one model actor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LanePolicy:
    """Limits of one lane."""

    outstanding: int
    """Calls in flight to the actor, the executing one included: 2 keep it busy 97 % of the time (measured)."""
    attempts: int
    call_timeout_s: float
    start_timeout_s: float
    memory_bytes: int
    """Past this the actor is recycled between calls."""
    fruitless_starts: int = 4
    """Starts in a row that ended before the model was loaded, after which it is given up."""

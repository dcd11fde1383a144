"""Exit codes of every verb."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the process ends with."""

    COMPLETE = 0
    TROUBLED = 1
    """Some video or model failed; the run says which."""
    USAGE = 2
    """Wrong usage, or the preflight found something missing; nothing was started."""
    ABORTED = 3
    """Interrupted, stopped by an error of the machine (a disk or standard output takes no more), or incomplete because hosts refuse.

    The run holds what was committed before.
    """

"""A last resort against hangs in Ray tasks, which have no time limit: the process ends, and Ray sees a worker that crashed."""

from __future__ import annotations

import faulthandler
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def ended_after(limit_s: float) -> Iterator[None]:
    """End this process, with its threads' tracebacks in Ray's log of it, if the block takes longer than `limit_s`.

    The clock is a thread without Python: it works too where native code hangs with the interpreter's lock held.
    """
    faulthandler.dump_traceback_later(limit_s, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()

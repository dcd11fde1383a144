"""What a run of the suite makes once, though its tests run in several processes: the first that wants it makes it, the others wait."""

from __future__ import annotations

import fcntl
import os
import pickle
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

T = TypeVar("T")


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A temporary directory of this run of the suite, the same for all its processes."""
    here = factory.getbasetemp()
    # With pytest-xdist each process has a directory of its own in the run's.
    return here.parent if "PYTEST_XDIST_WORKER" in os.environ else here


def once(note: Path, make: Callable[[], T]) -> T:
    """What `make` returns, called by one process only; `note` is where the others read it. An error is raised and nothing is kept."""
    with note.with_name(note.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            made = make()
            part = note.with_name(note.name + ".part")
            part.write_bytes(pickle.dumps(made))
            part.replace(note)
            return made
        known: T = pickle.loads(note.read_bytes())  # noqa: S301 -- written by this run of the suite
        return known

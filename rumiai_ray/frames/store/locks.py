"""One lock file per entry: readers of the entry share the lock, a process that makes or removes the entry holds it alone.

The kernel drops a `flock` when its holder dies, so a killed extraction leaves no lock behind.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_POLL_S = 0.02


class FileLock:
    """A held lock; `release` (or dropping it) lets go."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    @classmethod
    def acquire(cls, path: Path, *, exclusive: bool, timeout_s: float = 0.0) -> Self | None:
        """Take the lock, creating its file.

        Args:
            path: the lock file; its directory is created.
            exclusive: alone, or shared with other readers.
            timeout_s: wait at most this long; 0 tries once.

        Returns:
            The held lock, or None where others kept it for too long.
        """
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        deadline = time.monotonic() + timeout_s
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open("ab")
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
                if _is_still(path, file):
                    return cls(path, file)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.close()
                    return None
                time.sleep(_POLL_S)
            file.close()

    def release(self) -> None:
        """Let go of the lock. Letting go twice does no harm."""
        self._file.close()

    def remove(self) -> None:
        """Let go and remove the lock's file. Only for who holds it alone; others notice that theirs is gone and take a new one."""
        self._path.unlink(missing_ok=True)
        self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _is_still(path: Path, file: BinaryIO) -> bool:
    """Whether the locked file is the one others would find by its name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(file.fileno())
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

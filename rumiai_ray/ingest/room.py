"""Room on disk for downloads: many at once must not fill a disk that others use too."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.errors import StorageError, TransientError

if TYPE_CHECKING:
    from rumiai_ray.ingest.limits import FetchLimits

SCRATCH_PREFIX = "fetch-"
"""Folders of downloads in the work directory begin so. One that is found there was left by a killed process; nothing reads it."""

_STEP_BYTES = 16 * 2**20
"""How much one download takes between two looks at the disk. Downloads at once may overshoot by so much each."""


class Room:
    """Watches the disk of one download. Every download of a work directory looks at all of them, in whatever process they run.

    Args:
        workdir: the directory that the folders of all downloads of a node lie in.
        limits: how much they may take together, and how much must stay free.
    """

    def __init__(self, workdir: Path, limits: FetchLimits) -> None:
        self._workdir = workdir
        self._limits = limits
        self._lock = threading.Lock()
        self._unlooked_bytes = _STEP_BYTES

    def take(self, count: int, subject: str) -> None:
        """Count bytes that are about to be written; look at the disk every 16 MiB, and before the first byte.

        Raises:
            TransientError: all downloads together are too large, or the disk is nearly full while some are under way. Downloads end, so
                another attempt may find room.
            StorageError: the disk is nearly full, and no download is to blame.
        """
        with self._lock:
            self._unlooked_bytes += count
            if self._unlooked_bytes < _STEP_BYTES:
                return
            self._unlooked_bytes = 0
        self.look(subject)

    def look(self, subject: str) -> None:
        """Look at the disk now. Raises as `take` does."""
        used_bytes = self.used_bytes()
        free_bytes = shutil.disk_usage(self._workdir).free
        if free_bytes < self._limits.reserve_bytes:
            what = f"{free_bytes / 2**20:,.0f} MB are free, {self._limits.reserve_bytes / 2**20:,.0f} MB must stay free (disk_reserve_mb)"
            hint = "free space there, or lower --limits-disk-reserve-mb"
            if used_bytes:
                raise TransientError(what, subject, hint)
            raise StorageError(what, str(self._workdir), hint)
        if used_bytes > self._limits.scratch_bytes:
            what = f"all downloads under way hold {used_bytes / 2**20:,.0f} MB, more than --limits-scratch-max-mb"
            raise TransientError(what, subject, "read fewer videos at a time (--engine-extract-tasks), or raise the limit")

    def used_bytes(self) -> int:
        """Bytes on disk of all downloads in the work directory."""
        return sum(held_in(folder)[1] for folder in self._workdir.glob(f"{SCRATCH_PREFIX}*"))


def held_in(folder: Path) -> tuple[int, int]:
    """Files in a directory tree, and their bytes."""
    files, total_bytes = 0, 0
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                total_bytes += (Path(directory) / name).lstat().st_size
            except FileNotFoundError:
                continue  # done or given up meanwhile
            files += 1
    return files, total_bytes

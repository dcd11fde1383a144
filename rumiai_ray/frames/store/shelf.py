"""Where entries lie, how they appear and go: directories, locks, renames. Knows nothing of what is in an entry."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from typing import TYPE_CHECKING, NamedTuple

from rumiai_ray.disk import remove_tree
from rumiai_ray.errors import StorageError
from rumiai_ray.frames.store.entry import COMPLETE
from rumiai_ray.frames.store.files import sync_directory
from rumiai_ray.frames.store.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PRUNE = "prune"
"""Name of the lock that pruning takes; the one name of a lock that is no entry's key."""

_KEY = re.compile(r"[0-9a-f]{64}")


class Listed(NamedTuple):
    """An entry as a directory listing shows it. Sorts by last use."""

    last_used_ns: int
    """0 for one without a completion record: it goes first."""
    key: str
    bytes: int


class Shelf:
    """The directories of one store.

    Args:
        root: `<root>/<key[:2]>/<key>/` is an entry, `.locks/` and `.partial/` are beside them, on the same file system. Created, and
            created again where it is missing: a shelf travels to nodes that have none.
        shared: create the root for whom the umask lets; else for its owner alone, which closes all that is in it.
        patience_s: how long to wait for a lock before calling its holder stuck.
    """

    def __init__(self, root: Path, patience_s: float, *, shared: bool = False) -> None:
        self.root = root
        self._patience_s = patience_s
        self._root_mode = 0o777 if shared else 0o700
        self._partial = root / ".partial"
        self._make()

    def directory(self, key: str) -> Path:
        """Where a complete entry lies, if it does.

        Raises:
            StorageError: `key` is none. It may come from a run that a stranger has made, and must not lead out of the store.
        """
        check_key(key)
        return self.root / key[:2] / key

    def new_partial(self, key: str) -> Path:
        """A path for what is being made or thrown away: its directory is there, nothing lies at it yet."""
        self._make()
        return self._partial / f"{key}.{secrets.token_hex(8)}"

    def try_lock(self, key: str, *, exclusive: bool) -> FileLock | None:
        """An entry's lock, if it can be had at once."""
        self._make()
        return FileLock.acquire(self._lock_file(key), exclusive=exclusive)

    def lock(self, key: str, *, exclusive: bool) -> FileLock:
        """An entry's lock.

        Raises:
            StorageError: somebody holds it for longer than an extraction can take.
        """
        self._make()
        lock = FileLock.acquire(self._lock_file(key), exclusive=exclusive, timeout_s=self._patience_s)
        if lock is None:
            what = f"another process has held this lock for {self._patience_s:g} s"
            raise StorageError(what, str(self._lock_file(key)), "look for a stuck process of this project")
        return lock

    def commit(self, partial: Path, key: str) -> None:
        """Make a finished directory the entry, in one step, in place of any damaged one. The caller holds the lock alone."""
        directory, replaced = self.directory(key), self.new_partial(key)
        directory.parent.mkdir(exist_ok=True)
        if directory.exists():
            directory.rename(replaced)
        partial.rename(directory)
        sync_directory(directory.parent)
        sync_directory(self.root)
        remove_tree(replaced)

    def evict(self, key: str) -> bool:
        """Remove an entry unless it is in use; True where it was removed."""
        lock = self.try_lock(key, exclusive=True)
        if lock is None:
            return False
        with lock:
            directory, doomed = self.directory(key), self.new_partial(key)
            is_there = directory.exists()
            if is_there:
                directory.rename(doomed)
                shutil.rmtree(doomed)
            lock.remove()
        return is_there

    def clear_partials(self, key: str) -> None:
        """Remove what killed extractions of one entry left behind. The caller holds the lock alone."""
        for leftover in self._partial.glob(f"{key}.*"):
            shutil.rmtree(leftover)

    def sweep(self) -> None:
        """Remove what killed extractions and evictions left behind: the partials of entries whose lock nobody holds."""
        for leftover in self._partial.glob("*"):  # none where the directory is missing
            key = leftover.name.partition(".")[0]
            if not _KEY.fullmatch(key):
                continue  # not this store's
            lock = self.try_lock(key, exclusive=True)
            if lock is not None:
                with lock:
                    remove_tree(leftover)
                    if not self.directory(key).exists():
                        lock.remove()

    def listing(self) -> Iterator[Listed]:
        """Every entry, complete or not, in no order."""
        for shard in self.root.glob("[0-9a-f][0-9a-f]"):
            for directory in shard.iterdir():
                if not _KEY.fullmatch(directory.name):
                    continue  # not this store's
                try:
                    found = {file.name: file.stat() for file in os.scandir(directory)}
                except FileNotFoundError:
                    continue  # evicted meanwhile
                last_used_ns = found[COMPLETE].st_mtime_ns if COMPLETE in found else 0
                yield Listed(last_used_ns, directory.name, sum(file.st_size for file in found.values()))

    def _make(self) -> None:
        self.root.mkdir(self._root_mode, parents=True, exist_ok=True)
        self._partial.mkdir(exist_ok=True)

    def _lock_file(self, key: str) -> Path:
        if key != PRUNE:
            check_key(key)
        return self.root / ".locks" / key[:2] / f"{key}.lock"


def check_key(key: str) -> None:
    """Raises `StorageError` for what is no key of an entry: 64 hexadecimal digits."""
    if not _KEY.fullmatch(key):
        raise StorageError("not the key of a stored video", repr(key[:80]), "a key is 64 hexadecimal digits; `rumiai-ray frames ls`")

"""The private directory of a Ray that this package starts, and of what a driver brings to a cluster.

The directory holds Ray's token, logs and sockets and the frozen code. Its owner is the process that removes it, and holds a lock on a file
inside while it lives: the kernel releases the lock however the owner dies. `rumiai-ray doctor` finds what killed runs left behind by that
lock, never by the directory's name or age.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from rumiai_ray.disk import remove_tree
from rumiai_ray.engine.ray_session.settings import ENVIRONMENT
from rumiai_ray.errors import StorageError
from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger(__name__)

PREFIX = "rr-"
LOGS_BYTES = 16 * 2**20
"""Most that the kept logs of one Ray take. A long run's workers write one file each, thousands in all."""
LOG_FILE_BYTES = 2**20
"""Kept of one log file: its end."""
_KEPT = 10
"""Kept directories of logs of one user; the oldest go first."""
_OWNER = "owner"
_LOGS = "logs"
_WANTED = "logs-are-wanted"
_SHORT = Path("/tmp")  # noqa: S108 -- mkdtemp makes the directory private
"""A UNIX socket's path holds 107 bytes and Ray's session directory takes most of them."""


class RayFolder:
    """A directory of this process, mode 0700, locked until `remove`, `keep_logs` or the end of the process.

    Args:
        path: the directory, which exists.
        lock: file descriptor that holds the lock.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock

    @classmethod
    def make(cls) -> Self:
        """A new one, below `/tmp` where there is one.

        Raises:
            StorageError: the directory, or the file that is locked in it, cannot be written. Nothing is left of it.
        """
        place = _SHORT if _SHORT.is_dir() else Path(tempfile.gettempdir())
        try:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        except OSError as error:
            raise _unwritable(error, place) from error
        lock = -1
        # Locked before the file has its name: a `doctor --clear` in between would take the directory for a dead owner's.
        part = path / f"{_OWNER}.part"
        try:
            lock = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.write(lock, json.dumps({"pid": os.getpid()}).encode())
            part.rename(path / _OWNER)
        except OSError as error:
            cls(path, lock).remove()
            raise _unwritable(error, path) from error
        return cls(path, lock)

    @property
    def token_path(self) -> Path:
        """File of the token, mode 0600; see `write_token`."""
        return self.path / "token"

    def write_token(self) -> None:
        """Make up the token: every process that can talk to a Ray can run code on it, and on loopback every user can talk."""
        with os.fdopen(os.open(self.token_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))

    def remove(self) -> None:
        """Remove the directory and release the lock."""
        remove_tree(self.path)
        self.release()

    def release(self) -> None:
        """Release the lock of this process; a process that has inherited the descriptor holds it on."""
        if self.lock >= 0:  # a second close could close another file that has the number by then
            os.close(self.lock)
        self.lock = -1

    def keep_logs(self) -> Path | None:
        """Remove everything but the ends of Ray's log files, and release the lock.

        Returns:
            Where the logs are; None where Ray has written none.
        """
        kept = keep_logs(self.path)
        self.release()
        return kept


def _unwritable(error: OSError, path: Path) -> StorageError:
    return StorageError(f"cannot write Ray's directory: {error.strerror}", str(path), "free space there, or make the directory writable")


def environment_of(folder: Path) -> dict[str, str]:
    """What a process needs that starts the Ray of `folder` or talks to it."""
    return {**ENVIRONMENT, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}


def want_logs(folder: Path) -> None:
    """Have the logs of the Ray of `folder` kept when it is ended, whoever ends it: something in it has failed. See `logs_are_wanted`."""
    with swallowed(_LOG, f"marking that the logs in {folder} are wanted", OSError):  # a full disk: the failure itself is told anyway
        (folder / _WANTED).touch()


def logs_are_wanted(folder: Path) -> bool:
    """Whether `want_logs` was called."""
    return (folder / _WANTED).exists()


def keep_logs(folder: Path) -> Path | None:
    """See `RayFolder.keep_logs`; for a folder whose Ray has ended."""
    kept = folder / _LOGS
    sources = [*folder.glob("head.log"), *folder.glob("**/session_*/logs/**/*")]
    files = [path for path in sources if path.is_file() and not path.is_symlink() and "session_latest" not in path.parts]
    room = LOGS_BYTES
    kept.mkdir(mode=0o700, exist_ok=True)
    for path in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True):
        size = min(path.stat().st_size, LOG_FILE_BYTES, room)
        if size:
            with path.open("rb") as file, (kept / path.name).open("xb" if not (kept / path.name).exists() else "ab") as end:
                file.seek(-size, os.SEEK_END)
                end.write(file.read(size))
            room -= size
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path != kept:
                remove_tree(path)
        elif path.name != _OWNER:
            path.unlink(missing_ok=True)
    if not any(kept.iterdir()):
        remove_tree(folder)
        return None
    earlier = sorted((left for left in left_behind() if left.kind == "logs" and left.path != folder), key=lambda left: left.since_s)
    for left in earlier[: -_KEPT + 1]:
        left.clear()
    return kept


@dataclass(frozen=True)
class LeftBehind:
    """A directory whose owner has ended."""

    path: Path
    kind: Literal["logs", "killed"]
    """`logs` were kept on purpose; the rest is a killed command's."""
    size_bytes: int
    since_s: float
    """When the directory was changed last, in seconds since 1970."""

    def clear(self) -> bool:
        """Remove the directory, unless somebody has taken the lock meanwhile; returns whether it was removed."""
        with _unowned(self.path) as unowned:
            if unowned:
                remove_tree(self.path)
            return unowned


def left_behind() -> list[LeftBehind]:
    """What this user's commands on this machine have left: their directories whose owner does not live."""
    found = []
    for path in sorted({path for place in (_SHORT, Path(tempfile.gettempdir())) for path in place.glob(f"{PREFIX}*")}):
        with contextlib.suppress(FileNotFoundError), _unowned(path) as unowned:  # another process may clear at the same time
            if unowned:
                kind: Literal["logs", "killed"] = "logs" if {one.name for one in path.iterdir()} == {_LOGS, _OWNER} else "killed"
                found.append(LeftBehind(path, kind, _size_bytes(path), path.stat().st_mtime))
    return found


@contextlib.contextmanager
def _unowned(path: Path) -> Iterator[bool]:
    """Whether the directory is one of this user's and nobody holds its lock; the lock is held meanwhile."""
    lock = _lock_of(path)
    if lock is None:
        yield False
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unowned = True
        except BlockingIOError:
            unowned = False
        yield unowned
    finally:
        os.close(lock)


def _lock_of(path: Path) -> int | None:
    """Descriptor of the lock's file; None where the directory is another user's, or was not made by this package, or is being made."""
    with swallowed(_LOG, f"looking at {path}, which may be another user's", OSError):
        seen = path.lstat()
        if stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid():
            return os.open(path / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    return None


def _size_bytes(folder: Path) -> int:
    """Bytes on disk of all files below `folder`."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(root) / name).lstat().st_blocks * 512
    return total

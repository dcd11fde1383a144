"""Files on a disk of this machine: created exclusively, with their directory's mode, and on the platter when the call returns."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader
    from pathlib import Path

_LOG = logging.getLogger(__name__)


def read(path: Path, *, most: int | None = None, follow: bool = True) -> bytes:
    """Content of a regular file. A pipe, which nobody might ever write to, or a device without an end is not read.

    Args:
        path: the file.
        most: bytes, above which the file is refused; no more than that is read.
        follow: whether a link of that name is followed. One on the way to it is.

    Raises:
        OSError: as `opened`; EFBIG: the file has more than `most` bytes.
    """
    with opened(path, follow=follow) as file:
        data = file.read(-1 if most is None else most + 1)
    if most is not None and len(data) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    return data


@contextmanager
def opened(path: Path, *, follow: bool = True) -> Iterator[BufferedReader]:
    """A regular file, open for reading; see `read`.

    Raises:
        OSError: the file cannot be opened (EISDIR: a directory, EINVAL: no regular file either, ELOOP: a link).
    """
    flags = os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    # An opener and not `os.fdopen`, which leaves the descriptor of a directory open and calls the directory by its number.
    with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        yield file


def create(path: Path, data: bytes) -> None:
    """Create a file that must not exist yet, with the directories it needs; those who may read its directory may read it."""
    make_directories(path.parent)
    _create(path, data, _mode_in(path.parent))


def create_private(path: Path, data: bytes) -> None:
    """As `create`, for its owner alone, as is its directory."""
    make_directories(path.parent, 0o700)
    path.parent.chmod(0o700)
    _create(path, data, 0o600)


def replace(path: Path, data: bytes) -> None:
    """Write a file whether or not it exists; a crash leaves the old one or the new one, whole."""
    part = _part_of(path)
    try:
        create(part, data)
        part.replace(path)  # a link of that name is replaced, and what it leads to stays
        sync_directory(path.parent)
    finally:
        part.unlink(missing_ok=True)


def replace_private(path: Path, data: bytes) -> None:
    """As `replace`, for its owner alone and without a sync: for what is written again every few seconds."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = _part_of(path)
    try:
        with open(part, "xb", opener=_with_mode(0o600)) as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def append_private(path: Path, data: bytes) -> None:
    """Add to the end of a file of its owner alone, made where there is none. A link of that name is refused."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)


def make_directories(directory: Path, mode: int | None = None) -> None:
    """Create a directory and its missing parents so that they survive a power cut.

    Args:
        directory: what is wanted.
        mode: of what is created, less the umask; where it is None, that of the nearest directory that is there.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(stat.S_IMODE(path.parent.stat().st_mode) & 0o777 if mode is None else mode, exist_ok=True)
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory reach the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a directory; the file's own sync has been done.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


def _create(path: Path, data: bytes, mode: int) -> None:
    with open(path, "xb", opener=_with_mode(mode)) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            sync_directory(path.parent)
        except OSError:
            # Our own creation, so nobody else's file; left there, it would look like a record torn by a crash, or be one that counts.
            path.unlink(missing_ok=True)
            raise


def _with_mode(mode: int) -> Callable[[str, int], int]:
    return lambda path, flags: os.open(path, flags, mode)


def _mode_in(directory: Path) -> int:
    """The mode of a new file in a directory: for whom the directory is open. The umask takes from it what it takes."""
    return stat.S_IMODE(directory.stat().st_mode) & 0o666


def _part_of(path: Path) -> Path:
    """Where a file is written before it takes the name of `path`."""
    return path.with_name(f"{path.name}.{uuid4().hex}.part")


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, as far as possible: what cannot be removed stays, and is logged at debug level.

    For what nobody reads any more. A directory that is not there, or that another process removes at the same time, is no news.
    """

    def stays(_: object, at: str, caught: tuple[type[BaseException], BaseException, object]) -> None:
        error = caught[1]
        if not isinstance(error, FileNotFoundError):
            _LOG.debug("%s is not removed with %s: %s: %s", at, path, type(error).__name__, error)

    shutil.rmtree(path, onerror=stays)

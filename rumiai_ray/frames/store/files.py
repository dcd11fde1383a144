"""Writing to the store's disk: files that know their own checksum, and failures said in words."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rumiai_ray.errors import MediaError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import ReadableBuffer as Buffer

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MUCH = 8
"""An entry that has written an eighth of the reserve, 128 MB by default, is larger than those of most videos."""
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def storage_errors(what: str, path: Path) -> Iterator[None]:
    """Turn any `OSError` inside into a `StorageError` with a hint.

    Args:
        what: what is being done ("writing an entry").
        path: to what.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            hint = "the disk is full or a size limit was reached: free space, or set a smaller --store-max-gb"
        elif error.errno in _REFUSED:
            hint = "no permission to write there: choose another directory with --store"
        else:
            hint = "choose another directory with --store, or check the disk"
        raise StorageError(f"{what} failed: {error.strerror or error}", str(path), hint) from error


def leave_room(root: Path, written_bytes: int, reserve_bytes: int, subject: str) -> None:
    """Keep `reserve_bytes` of the store's disk free.

    A small file can hold hours of pictures that take gigabytes as JPEG. Where one entry has filled the disk, that entry ends, not the run.

    Args:
        root: of the store.
        written_bytes: what the entry that is being made has written.
        reserve_bytes: what must stay free.
        subject: the video.

    Raises:
        MediaError: the disk is nearly full, and this entry has written much of what fills it.
        StorageError: the disk is nearly full, and this entry is not to blame.
    """
    free_bytes = shutil.disk_usage(root).free
    if free_bytes >= reserve_bytes:
        return
    what = f"{free_bytes / 2**20:,.0f} MB are free, {reserve_bytes / 2**20:,.0f} MB must stay free (disk_reserve_mb)"
    hint = "free space on the disk of the frame store, or lower --limits-disk-reserve-mb"
    if written_bytes * _MUCH >= reserve_bytes:
        raise MediaError(f"the video's frames and sound fill the frame store with {written_bytes / 2**20:,.0f} MB: {what}", subject, hint)
    raise StorageError(what, str(root), hint)


class ChecksummedFile(io.RawIOBase):
    """A new file, written front to back, that digests what it is *told* to write; a torn write therefore shows later.

    Args:
        path: must not exist.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._sha256 = hashlib.sha256()
        self._abandoned = False
        self.bytes_written = 0

    def writable(self) -> bool:
        """True: it is for writing."""
        return True

    def write(self, data: Buffer) -> int:
        """Append bytes."""
        view = memoryview(data).cast("B")
        if not self._abandoned:
            self._file.write(view)
            self._sha256.update(view)
            self.bytes_written += len(view)
        return len(view)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.bytes_written

    def abandon(self) -> None:
        """Swallow all further writes: a Parquet writer that has failed still writes its footer when it is closed."""
        self._abandoned = True

    def close(self) -> None:
        """Write everything through to the disk, unless abandoned."""
        if self.closed:
            return
        try:
            if not self._abandoned:
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._close_file()
            super().close()

    def _close_file(self) -> None:
        try:
            self._file.close()
        except OSError:
            if not self._abandoned:
                raise

    @property
    def sha256(self) -> str:
        """Hex digest of everything written so far."""
        return self._sha256.hexdigest()


def sha256_of(path: Path) -> str:
    """Hex digest of a file as it lies on the disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_directory(path: Path) -> None:
    """Make new and renamed names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

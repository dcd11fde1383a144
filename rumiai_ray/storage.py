"""Where runs and shared frame stores lie: a directory or an object store, through fsspec. What commits rest on: exclusive creation.

A file is created exclusively: on a disk by the kernel (mode `xb`), on S3 by a conditional put; nothing relies on rename. On a
disk a file is on the platter (file and directory fsynced) when `create` returns. Of any other file system `prove_exclusive` finds out
whether it keeps to that.
"""

from __future__ import annotations

import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from rumiai_ray import disk
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.shown import shown_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedReader

T = TypeVar("T")
R = TypeVar("R")

_PARALLEL_READS = 8
"""Object stores answer in tens of milliseconds: one at a time, the records of a large run would take half a minute."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What a file system without hard links says to one (FAT: EPERM)."""

_PLACES = "write to a local directory or to S3 (s3://, with s3fs)"
"""Where exclusive creation is known to hold."""

_WHY = {
    errno.ENOSPC: ("no space left", "free some space or choose another output directory; what is committed stays readable"),
    errno.EDQUOT: ("the quota is used up", "free some space or choose another output directory; what is committed stays readable"),
    errno.EFBIG: ("the file would be larger than allowed", "raise the limit (ulimit -f); what is committed stays readable"),
    errno.EROFS: ("the file system is read-only", "choose another output directory"),
    errno.EACCES: ("no permission", "change the permissions or choose another output directory"),
    errno.EPERM: ("no permission", "change the permissions or choose another output directory"),
}


@dataclass(frozen=True)
class Store:
    """A directory of a file system that fsspec knows; paths given to methods are relative to it. Can be pickled."""

    fs: Any
    """An fsspec file system."""
    root: str
    """Path without protocol and without a slash at the end."""

    @classmethod
    def at(cls, location: str | os.PathLike[str]) -> Store:
        """The store at a local path or a URI such as `s3://bucket/runs`. Nothing is opened or created.

        Raises:
            ConfigError: no file system is installed for the URI's protocol.
        """
        text = os.fspath(location)
        if "://" not in text:
            try:
                return cls(LocalFileSystem(), str(Path(text).expanduser().absolute()))
            except RuntimeError as error:
                raise ConfigError("no such home directory", text, "give the full path") from error
        try:
            # A run that another process is writing must not be answered from an old listing.
            fs, path = fsspec.core.url_to_fs(text, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise ConfigError(str(error), text, "install the file system's package or use a local directory") from error
        return cls(fs, str(path).rstrip("/"))

    def below(self, name: str) -> Store:
        """The store of a directory inside this one."""
        return Store(self.fs, self._full(name))

    def uri(self, path: str = "") -> str:
        """Address of a file for people and for other tools: a plain path on a disk, else with its protocol."""
        full = self._full(path)
        return full if self._local else str(self.fs.unstrip_protocol(full))

    @property
    def name(self) -> str:
        """The last part of its address, without what only the one who gave the address may know."""
        return os.path.basename(os.path.normpath(shown_input(self.uri())))  # noqa: PTH119 -- also of an object store

    def create(self, path: str, data: bytes) -> None:
        """Create a file that must not exist yet, durably, with the directories it needs.

        An object that is there with exactly this content counts as created: a client sends a put again whose answer was lost, and
        then finds its own. So path or content must hold something that nobody else has, a random name for instance.

        Raises:
            FileExistsError: the file exists already; it is left as it is.
            ConfigError: the file system has no exclusive creation.
            StorageError: it cannot be written. On a disk nothing is left behind; on an object store it may be there all the same.
        """
        with self._failing("write the file", path):
            if self._local:
                self._refuse_links(path)
                disk.create(Path(self._full(path)), data)
            else:
                self._create_remote(path, data)

    def make(self, *, shared: bool) -> None:
        """Create this directory on a disk, with the parents it needs, for its owner alone; an existing one is left as it is.

        What is created in it later has the directory's mode, without the right to execute: so all processes of a run, on any node and
        under any umask, keep to what was chosen once. An object store has neither directories nor modes.

        Args:
            shared: let the umask say who may read it.

        Raises:
            StorageError: it cannot be created.
        """
        if self._local:
            with self._failing("make the directory", ""):
                disk.make_directories(Path(self.root), 0o777 if shared else 0o700)

    def create_private(self, path: str, data: bytes) -> None:
        """As `create`, and on a disk only the owner may read the file and open its directory, even where others may read the rest."""
        if not self._local:
            self.create(path, data)
            return
        with self._failing("write the file", path):
            disk.create_private(Path(self._full(path)), data)

    def publish(self, path: str, data: bytes) -> None:
        """As `create`, and a crash leaves the file whole or not at all (on a disk without hard links: as `create` does).

        Beside it a file `<path>.<random>.part` may be left. Raises as `create` does.
        """
        if not self._local:
            self.create(path, data)
            return
        part = f"{path}.{uuid4().hex}.part"
        self.create(part, data)
        whole = Path(self._full(path))
        try:
            with self._failing("write the file", path):
                os.link(self._full(part), whole)
                disk.sync_directory(whole.parent)
        except StorageError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in _NO_LINKS:
                raise
            self.create(path, data)
        finally:
            self.remove(part)

    def prove_exclusive(self, path: str, data: bytes) -> None:
        """See that this file, which was created with this content, is not created again. On a disk there is nothing to prove.

        Some file systems take the mode and write over what is there, as do some servers that are like S3.

        Raises:
            ConfigError: it was created again.
            StorageError: it cannot be tried.
        """
        if self._local:
            return
        with self._failing("write the file", path):
            try:
                self._put_new(path, data)
            except self._failures as error:
                if _is_refusal(error):
                    return
                raise
        raise ConfigError("the file system overwrites a file although it was told to create a new one", self.uri(path), _PLACES)

    def replace(self, path: str, data: bytes) -> None:
        """Write a file whether or not it exists: for views, and to say less in place of what others may have read already.

        A crash leaves the old file or the new one, whole.

        Raises:
            StorageError: it cannot be written.
        """
        with self._failing("write the file", path):
            if not self._local:
                self.fs.pipe_file(self._full(path), data)
                return
            self._refuse_links(path)
            disk.replace(Path(self._full(path)), data)

    def replace_private(self, path: str, data: bytes) -> None:
        """As `replace`, and on a disk only the owner may read the file. For what is written again every few seconds: it is not synced.

        Raises:
            StorageError: it cannot be written.
        """
        if not self._local:
            self.replace(path, data)
            return
        with self._failing("write the file", path):
            self._refuse_links(path)
            disk.replace_private(Path(self._full(path)), data)

    def append_private(self, path: str, data: bytes) -> None:
        """Add to the end of a file on a disk, which only its owner may read; made where there is none. For logs only.

        Raises:
            ConfigError: this is an object store, which cannot append.
            StorageError: it cannot be written.
        """
        if not self.on_disk:
            raise ConfigError("an object store cannot add to a file", self.uri(path), "write a file of its own")
        with self._failing("write the file", path):
            self._refuse_links(path)
            disk.append_private(Path(self._full(path)), data)

    def read(self, path: str) -> bytes:
        """Content of a file.

        Raises:
            FileNotFoundError: there is none.
            StorageError: it cannot be read.
        """
        with self._failing("read the file", path, passes=FileNotFoundError):
            try:
                return disk.read(Path(self._full(path))) if self._local else bytes(self.fs.cat_file(self._full(path)))
            except NotADirectoryError as error:
                raise FileNotFoundError(errno.ENOENT, "no such file", self._full(path)) from error

    def read_or_none(self, path: str) -> bytes | None:
        """Content of a file, None where there is none."""
        try:
            return self.read(path)
        except FileNotFoundError:
            return None

    def sha256_or_none(self, path: str) -> str | None:
        """SHA-256 of a file in hexadecimal, None where there is none. No more than a block of it is in memory at a time.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            with self._failing("read the file", path, passes=FileNotFoundError), self._open(path) as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            return None

    @contextmanager
    def _open(self, path: str) -> Iterator[BufferedReader]:
        try:
            with disk.opened(Path(self._full(path))) if self._local else self.fs.open(self._full(path), "rb") as stream:
                yield stream
        except NotADirectoryError as error:
            raise FileNotFoundError(errno.ENOENT, "no such file", self._full(path)) from error

    def exists(self, path: str = "") -> bool:
        """Whether there is such a file or directory."""
        with self._failing("look for the file", path):
            return bool(self.fs.exists(self._full(path)))

    def names(self, path: str = "") -> list[str]:
        """Names of the files and directories right under a directory, sorted; none where it does not exist."""
        with self._failing("list the directory", path, passes=FileNotFoundError), suppress(FileNotFoundError):
            self.fs.invalidate_cache(self._full(path))
            listed = self.fs.ls(self._full(path), detail=False)
            return sorted({str(found).rstrip("/").rpartition("/")[2] for found in listed} - {""})
        return []

    def remove(self, path: str) -> None:
        """Remove a file.

        Raises:
            FileNotFoundError: there is none; an object store does not say.
            StorageError: it cannot be removed.
        """
        with self._failing("remove the file", path, passes=FileNotFoundError):
            if self._local:
                self._refuse_links(path)
            self.fs.rm_file(self._full(path))

    @property
    def on_disk(self) -> bool:
        """Whether it is a directory of this machine, as opposed to an object store."""
        return self._local

    @property
    def protocol(self) -> str:
        """The file system's name, as it begins an address: `file`, `s3`."""
        protocols: str | tuple[str, ...] = self.fs.protocol
        return protocols if isinstance(protocols, str) else protocols[0]

    @cached_property
    def _local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def _refuse_links(self, path: str) -> None:
        """Raises `StorageError` where a directory between the root and a file is a symbolic link.

        A run may be a stranger's: a link in it would make a resume write somewhere else.
        """
        for parent in Path(path).parents:
            if str(parent) != "." and Path(self._full(str(parent))).is_symlink():
                hint = "replace the link by a directory, if you trust what it leads to"
                raise StorageError("cannot write through a symbolic link", self.uri(str(parent)), hint)

    def _create_remote(self, path: str, data: bytes) -> None:
        try:
            self._put_new(path, data)
        except self._failures as error:
            # s3fs gives a failed condition (412) as EINVAL, like any bad argument; and what failed may have arrived, only its answer not.
            try:
                held = self.read_or_none(path)
            except StorageError:
                raise error from None
            if held == data:
                return
            if held is not None:
                raise FileExistsError(errno.EEXIST, "exists already", self._full(path)) from error
            raise

    def _put_new(self, path: str, data: bytes) -> None:
        try:
            file = self.fs.open(self._full(path), "xb")
        except self._failures:
            raise
        except (ValueError, NotImplementedError) as error:  # what drivers say to a mode they do not know
            raise ConfigError(f"the file system cannot refuse to overwrite a file: {error}", self.uri(path), _PLACES) from error
        try:
            file.write(data)
        except BaseException:
            # Closing it, which its finaliser would do, would publish what was uploaded so far.
            file.discard()
            file.closed = True
            raise
        file.close()

    @cached_property
    def _failures(self) -> tuple[type[Exception], ...]:
        """What this file system raises for trouble outside this program."""
        protocols = self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,)
        if "s3" not in protocols:
            return (OSError,)
        # s3fs lets trouble before the request (no region, no connection) through as botocore's own.
        return (OSError, import_module("botocore.exceptions").BotoCoreError)

    @contextmanager
    def _failing(self, deed: str, path: str, passes: type[OSError] = FileExistsError) -> Iterator[None]:
        try:
            yield
        except passes:
            raise
        except self._failures as error:
            number = error.errno if isinstance(error, OSError) else None
            if number is None and isinstance(error, PermissionError):
                number = errno.EACCES
            why, hint = _WHY.get(number or 0, (str(error) or type(error).__name__, "check the address and that it can be reached"))
            raise StorageError(f"cannot {deed}: {why}", self.uri(path), hint) from error


def in_parallel(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`work` of every item, in order, several reads under way at a time."""
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        return list(pool.map(work, items))


def _is_refusal(error: Exception) -> bool:
    """Whether a creation failed because the file is there. s3fs says EINVAL where the server does not name the condition that failed."""
    answer = getattr(error.__cause__, "response", None) or {}
    return isinstance(error, FileExistsError) or answer.get("ResponseMetadata", {}).get("HTTPStatusCode") == HTTPStatus.PRECONDITION_FAILED

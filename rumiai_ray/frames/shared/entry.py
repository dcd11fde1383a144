"""How an entry lies in a store that nodes share, how it gets there and back.

`<root>/<key[:2]>/<key>/COMPLETE.json` makes an entry: the node's completion record (size and SHA-256 of each file) and the name of one
upload. `<root>/<key[:2]>/<key>/<upload>.<file>` are the files of that upload.

Why nothing is locked and nothing mixed: uploads have random names, so none ever writes into another's files. The completion object is
created last and exclusively: there is one, and it names the files of one upload. Of two nodes that upload an entry at once, the slower
finds the other's completion object and takes its own files away. A killed upload leaves files that nothing names. What was fetched is
compared with the record before it becomes an entry of the node. A damaged entry loses its completion object and is a miss for every
node, until the next upload. Checksums find damage, not malice: everyone with write access is trusted.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fsspec.implementations.local import LocalFileSystem

from rumiai_ray.disk import remove_tree
from rumiai_ray.frames.store.entry import (
    AUDIO,
    COMPLETE,
    FACTS,
    FRAMES,
    THUMBNAILS,
    CompletionRecord,
    DamagedEntryError,
    check_entry,
    read_facts,
)
from rumiai_ray.frames.store.files import ChecksummedFile, storage_errors, sync_directory
from rumiai_ray.frames.store.trouble import RemoteError, remote_errors
from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.frames.store.trouble import Deadline
    from rumiai_ray.storage import Store

_log = logging.getLogger(__name__)

_FILES = (FRAMES, AUDIO, THUMBNAILS, FACTS)
_BLOCK_BYTES = 8 * 2**20


class _Completion(NamedTuple):
    """The contents of a completion object."""

    upload: str
    """16 hex digits."""
    record: str
    """The node's `COMPLETE.json`, as text."""

    @classmethod
    def parse(cls, text: bytes) -> _Completion:
        try:
            body = json.loads(text)
            found = cls(body["upload"], body["record"])
            names_an_upload = re.fullmatch("[0-9a-f]{16}", found.upload) is not None  # it becomes part of a path
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedEntryError(f"{COMPLETE} is not readable") from error
        if not names_an_upload:
            raise DamagedEntryError(f"{COMPLETE} names no upload")
        return found

    def sizes(self, key: str, video_key: str) -> dict[str, int]:
        """Bytes of each of the entry's files, by name."""
        try:
            record = CompletionRecord.from_json(self.record)
            sizes = {name: int(stated["bytes"]) for name, stated in record.files.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedEntryError(f"{COMPLETE} is not readable") from error
        if (record.key, record.video_key) != (key, video_key):
            raise DamagedEntryError(f"{COMPLETE} belongs to another entry")
        if set(sizes) != set(_FILES):  # names become paths
            raise DamagedEntryError(f"{COMPLETE} names other files than an entry has")
        return sizes


def completion(store: Store, key: str) -> bytes | None:
    """An entry's completion object, None where there is no entry.

    Raises:
        RemoteError: the shared store gives trouble.
    """
    with remote_errors():
        # Without it, a disk that is not mounted would be an empty store, and the node's own disk would fill with uploads.
        if is_local(store) and not Path(store.root).is_dir():
            raise RemoteError("no such directory on this node; is it mounted?")
        return store.read_or_none(_object(key, COMPLETE))


def bring(store: Store, key: str, video_key: str, text: bytes, directory: Path, deadline: Deadline) -> None:
    """Download what a completion object names into `directory`, and compare it.

    Args:
        store: the shared store.
        key: of the entry.
        video_key: SHA-256 (hex) of the video it must be of.
        text: the completion object.
        directory: made anew.
        deadline: of the whole download.

    Raises:
        DamagedEntryError: it is not what was uploaded.
        RemoteError: the shared store gives trouble.
        StorageError: `directory` cannot be written.
    """
    found = _Completion.parse(text)
    with storage_errors("fetching an entry", directory):
        remove_tree(directory)  # of an earlier attempt
        directory.mkdir()
        for name, size in found.sizes(key, video_key).items():
            with ChecksummedFile(directory / name) as file:
                for block in _blocks(store, _object(key, f"{found.upload}.{name}")):
                    deadline.check()
                    file.write(block)
                    if file.bytes_written > size:
                        raise DamagedEntryError(f"{name} is larger than was written")
        with ChecksummedFile(directory / COMPLETE) as file:
            file.write(found.record.encode())
        sync_directory(directory)
        check_entry(directory, key)
        read_facts(directory)


def send(store: Store, key: str, directory: Path, deadline: Deadline) -> None:
    """Upload an entry's files under a name of their own, then create the completion object; nothing where there is one.

    Raises:
        RemoteError: the shared store gives trouble, or `directory` cannot be read.
    """
    if completion(store, key) is not None:
        return
    upload = secrets.token_hex(8)
    with remote_errors():
        body = {"upload": upload, "record": (directory / COMPLETE).read_text(encoding="utf-8")}
        if is_local(store):
            Path(_full(store, _object(key, COMPLETE))).parent.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            target = _full(store, _object(key, f"{upload}.{name}"))
            with (directory / name).open("rb") as source, store.fs.open(target, "wb", block_size=_BLOCK_BYTES) as file:
                while block := source.read(_BLOCK_BYTES):
                    deadline.check()
                    file.write(block)
        deadline.check()  # once the time is up, `directory` may be another entry's or gone
        with suppress(FileExistsError):
            store.publish(_object(key, COMPLETE), json.dumps(body).encode())
        # "Exists" may mean ours: a driver that misses the answer to its request sends it again.
        found = store.read_or_none(_object(key, COMPLETE))
        if found is not None and _Completion.parse(found).upload != upload:
            _remove_files(store, key, upload)


def withdraw(store: Store, key: str, text: bytes) -> None:
    """Remove a damaged entry, its completion object first, unless another one has taken its place.

    Raises:
        RemoteError: the shared store gives trouble.
    """
    with remote_errors():
        if store.read_or_none(_object(key, COMPLETE)) == text:
            store.remove(_object(key, COMPLETE))
            with swallowed(
                _log, f"removing the shared entry {key}", DamagedEntryError
            ):  # a completion object that cannot be read names nothing
                _remove_files(store, key, _Completion.parse(text).upload)


def is_local(store: Store) -> bool:
    """Whether the shared store is a directory."""
    return isinstance(store.fs, LocalFileSystem)


def _remove_files(store: Store, key: str, upload: str) -> None:
    for name in _FILES:
        with suppress(FileNotFoundError):
            store.remove(_object(key, f"{upload}.{name}"))


def _blocks(store: Store, path: str) -> Iterator[bytes]:
    with remote_errors():
        try:
            with store.fs.open(_full(store, path), "rb", block_size=_BLOCK_BYTES) as source:
                while block := source.read(_BLOCK_BYTES):
                    yield block
        except FileNotFoundError as error:
            raise DamagedEntryError(f"{path.rpartition('/')[2]} is missing") from error


def _object(key: str, name: str) -> str:
    return f"{key[:2]}/{key}/{name}"


def _full(store: Store, path: str) -> str:
    return f"{store.root}/{path}"

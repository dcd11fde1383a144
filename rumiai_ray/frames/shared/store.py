"""A frame store that nodes share, behind each node's own: a directory on a shared disk or an object store.

It is a cache of a cache. What is wrong with its address, its driver or its permissions is found before a run starts (`Remote.checked`);
whatever happens to it later is logged and costs a bounded wait (`store/trouble.py`), never a video. How entries lie there, and why nothing
is locked: `entry.py`.
"""

from __future__ import annotations

import errno
import logging
import secrets
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.frames.shared import entry as entries
from rumiai_ray.frames.store.entry import DamagedEntryError
from rumiai_ray.frames.store.trouble import RemoteError, insist, patience_with, remote_errors
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from rumiai_ray.frames.store.trouble import Deadline

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remote:
    """A shared store, as any process of any node can open it; holds no connection, so it can be pickled."""

    uri: str
    """Absolute path of a directory, or a URI that fsspec has a driver for."""
    writable: bool = True
    """False: nothing is uploaded or removed."""

    @classmethod
    def at(cls, location: str) -> Remote:
        """The shared store at a path or URI. Nothing is opened or created.

        Raises:
            ConfigError: no file system is installed for the URI's protocol.
        """
        store = _store(location)
        return cls(location if "://" in location else store.uri())

    def checked(self) -> Remote:
        """This store, after a file was written, read and removed there; read-only, with a warning, where writing is refused.

        Raises:
            ConfigError: a directory that does not exist, or no driver.
            StorageError: it cannot be reached or not be read, or there is no such bucket.
        """
        store = _store(self.uri)
        if entries.is_local(store) and not Path(store.root).is_dir():
            raise ConfigError("no such directory", self.uri, "mount or make the shared directory, or leave out --store-remote")
        try:
            writable = insist(lambda _: _probe(store))
        except RemoteError as error:
            hint = "check --store-remote, the bucket and the credentials, or leave it out"
            raise StorageError(f"the shared frame store cannot be used: {error}", store.uri(), hint) from error
        if not writable:
            _log.warning("shared frame store %s: writing is refused; frames are fetched from it, none are uploaded", store.uri())
        return replace(self, writable=writable)

    def fetch(self, key: str, video_key: str, directory: Path) -> bool:
        """Bring an entry to this node.

        Args:
            key: of the entry.
            video_key: SHA-256 (hex) of the video it must be of.
            directory: made here; to be removed by the caller where the answer is False.

        Returns:
            True where a whole entry lies in `directory`, compared with its checksums; False where there is none, it is damaged or there
            was trouble.

        Raises:
            StorageError: `directory` cannot be written.
        """

        def bring(deadline: Deadline) -> bool:
            store = _store(self.uri)
            text = entries.completion(store, key)
            if text is None:
                return False
            try:
                entries.bring(store, key, video_key, text, directory, deadline)
            except DamagedEntryError as error:
                _log.warning("shared frame store %s: entry %s is damaged (%s); the video is decoded", store.uri(), key, error)
                if self.writable:
                    entries.withdraw(store, key, text)
                return False
            return True

        return bool(patience_with(self.uri).ask(f"fetching entry {key}", bring))

    def upload(self, key: str, directory: Path) -> bool:
        """Upload an entry of this node unless there is one of that key.

        Args:
            key: of the entry.
            directory: holds the entry; it must not be evicted meanwhile.

        Returns:
            True where the shared store has the entry now, False where there was trouble or nothing may be written.
        """

        def send(deadline: Deadline) -> bool:
            entries.send(_store(self.uri), key, directory, deadline)
            return True

        return self.writable and bool(patience_with(self.uri).ask(f"uploading entry {key}", send))

    def remove(self, key: str) -> bool:
        """Remove an entry.

        Returns:
            True where there was one and it is gone; False where there was none, nothing may be written, or there was trouble.
        """

        def remove(_: Deadline) -> bool:
            store = _store(self.uri)
            text = entries.completion(store, key)
            if text is None:
                return False
            entries.withdraw(store, key, text)
            return True

        return self.writable and bool(patience_with(self.uri).ask(f"removing entry {key}", remove))


def _probe(store: Store) -> bool:
    """Write a file, read it back and remove it; False where writing is refused and reading is not."""
    name, said = f".probe-{secrets.token_hex(8)}", b"written by rumiai_ray to see whether it can"
    with remote_errors():
        store.read_or_none(name)  # S3 refuses it, instead of saying "no such key", to who may not list
        try:
            store.create(name, said)
            writable = True
        except StorageError as error:
            if not _is_refusal(error.__cause__):
                raise
            writable = False
        if store.read_or_none(name) != (said if writable else None):
            raise RemoteError("the shared store does not give back what was written")
        if writable:
            store.remove(name)
    return writable


def _is_refusal(error: BaseException | None) -> bool:
    return isinstance(error, PermissionError) or (isinstance(error, OSError) and error.errno == errno.EROFS)


@cache
def _store(location: str) -> Store:
    """One per process and place, so that a driver's connections are kept."""
    return Store.at(location)

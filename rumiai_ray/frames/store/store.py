"""The frame store: frames, audio and thumbnails of videos, in a directory of the node, keyed by content and sampling.

Layout: `<root>/<key[:2]>/<key>/` holds one complete entry (`entry.py`), `<root>/.locks/` one lock file per entry, and
`<root>/.partial/` what is being made or thrown away. An entry appears by one rename of a finished directory, so nobody ever sees
half of one. It is the only cache there is: model outputs are never kept here or anywhere else. A second store may stand behind it that
nodes share (`shared/store.py`): it is asked before a video is decoded, and given what was.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.disk import remove_tree
from rumiai_ray.errors import StorageError
from rumiai_ray.frames.decode.parent import DecodedFrame, DecodedSound, DecodedThumbnails, decode
from rumiai_ray.frames.store.entry import COMPLETE, CompletionRecord, DamagedEntryError, EntryWriter, check_entry, read_facts
from rumiai_ray.frames.store.files import leave_room, storage_errors
from rumiai_ray.frames.store.shelf import PRUNE, Shelf
from rumiai_ray.frames.store.stored import StoredVideo, StoreEntry
from rumiai_ray.frames.store.trouble import LIMIT_S
from rumiai_ray.frames.types import SourceFacts

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from rumiai_ray.frames.limits import DecodeLimits
    from rumiai_ray.frames.sampling import SamplingSpec
    from rumiai_ray.frames.shared.store import Remote
    from rumiai_ray.frames.store.stored import Origin

_log = logging.getLogger(__name__)

_GRACE_S = 60.0
"""How much longer than a whole extraction a process waits for another one's: beyond it something is stuck."""
_ATTEMPTS = 3
"""A fresh entry may be evicted before it is opened, but hardly twice in a row."""


@dataclass(frozen=True)
class Forgot:
    """What `FrameStore.forget` did."""

    removed: tuple[str, ...]
    """Keys of entries."""
    in_use: tuple[str, ...]
    """Keys of the videos of which entries were not removed, since a process reads them."""
    shared: tuple[str, ...]
    """Keys of entries that were removed from the store that nodes share."""


class FrameStore:
    """Keeps each video's sampled frames once. Safe to use from any number of threads and processes of one node.

    It can be pickled: on another node it is the store of the same path there, and creates it when it keeps its first video.

    Args:
        root: the store's directory on a local disk; created.
        spec: what is kept of a video.
        limits: what decoding one may cost.
        max_bytes: least recently used entries go when the store is larger; None for no limit.
        remote: a store that nodes share; None for none.
        shared: where the directory is created, let the umask say who may read it; else its owner alone may.

    Raises:
        StorageError: the directory cannot be created or written.
    """

    def __init__(
        self,
        root: Path,
        *,
        spec: SamplingSpec,
        limits: DecodeLimits,
        max_bytes: int | None = None,
        remote: Remote | None = None,
        shared: bool = False,
    ) -> None:
        self.root = root
        self.spec = spec
        self.limits = limits
        self.max_bytes = max_bytes
        self.remote = remote
        with storage_errors("opening the frame store", root):
            self._shelf = Shelf(root, limits.wall_s + _GRACE_S + (LIMIT_S if remote else 0.0), shared=shared)
            self._shelf.sweep()

    def key_of(self, video_key: str) -> str:
        """The entry's key: SHA-256 (hex) of content and sampling."""
        return hashlib.sha256(f"{video_key}\n{self.spec.digest()}".encode()).hexdigest()

    def ensure(self, path: Path, video_key: str) -> StoredVideo:
        """Open a video's entry; if there is none, or if it is damaged, fetch it from the remote store or decode the video first.

        However many processes of a node ask at once, one fetches or decodes and the others wait for it. Trouble with the remote
        store is logged, and costs at most `LIMIT_S`.

        Args:
            path: where the video's bytes lie; looked at only to decode them.
            video_key: SHA-256 (hex) of those bytes; on a miss, what was decoded is compared with it.

        Returns:
            The entry, to be closed by the caller (it is a context manager).

        Raises:
            InputError: `path` cannot be read.
            MediaError: it is no video that can be decoded within the limits, or not the bytes of `video_key` any more.
            StorageError: the store cannot be written.
        """
        key = self.key_of(video_key)
        origin: Origin = "hit"
        for _ in range(_ATTEMPTS):
            stored = self._try_open(key, origin)
            if stored is not None:
                try:
                    if origin == "miss":
                        self.share(stored)
                    if origin != "hit" and self.max_bytes is not None:
                        self.prune(self.max_bytes)
                except BaseException:
                    stored.close()
                    raise
                return stored
            made = self._make(key, path, video_key)
            if made != "hit":  # after a "hit" here, what this call itself fetched or decoded in an earlier round still counts
                origin = made
        raise StorageError("a finished entry vanishes or changes before it is read", str(self._shelf.directory(key)), "check the disk")

    def share(self, stored: StoredVideo) -> bool:
        """Upload an open entry to the remote store unless it is there; True where that store has it now."""
        return self.remote is not None and self.remote.upload(stored.key, self._shelf.directory(stored.key))

    def open(self, key: str) -> StoredVideo:
        """Open an entry by its key.

        Raises:
            StorageError: there is no such entry, or it is damaged.
        """
        if not self._shelf.directory(key).is_dir():
            raise StorageError("no such entry in the frame store", key)
        stored = self._try_open(key, "hit")
        if stored is None:
            raise StorageError("the entry is damaged", str(self._shelf.directory(key)), "analyse the video again to replace the entry")
        return stored

    def entries(self) -> list[StoreEntry]:
        """All readable entries, least recently used first. Checksums are not checked; see `verify`."""
        found = []
        with storage_errors("listing the frame store", self.root):
            for last_used_ns, key, size in sorted(self._shelf.listing()):
                directory = self._shelf.directory(key)
                try:
                    record = CompletionRecord.from_json((directory / COMPLETE).read_text(encoding="utf-8"))
                    facts = read_facts(directory)
                except (FileNotFoundError, DamagedEntryError, ValueError, TypeError, KeyError) as error:
                    _log.debug("entry %s is not listed: %s: %s", key, type(error).__name__, error)
                    continue  # evicted meanwhile, or damaged: `verify` says so
                found.append(StoreEntry(key, record.video_key, size, last_used_ns / 1e9, facts))
        return found

    def verify(self) -> list[tuple[str, str | None]]:
        """Read every entry through and compare it with its checksums.

        Returns:
            (key, what is wrong with it or None) by key; entries just being made are left out.
        """
        found = []
        with storage_errors("verifying the frame store", self.root):
            for key in sorted(entry.key for entry in self._shelf.listing()):
                lock = self._shelf.try_lock(key, exclusive=False)
                if lock is not None:
                    with lock:
                        if self._shelf.directory(key).exists():
                            found.append((key, self._damage(key)))
        return found

    def prune(self, max_bytes: int) -> list[str]:
        """Evict least recently used entries until the store is at most `max_bytes` large. Entries in use stay.

        Returns:
            Keys of the evicted entries, in order.
        """
        evicted: list[str] = []
        # One at a time: two that see the same excess would evict twice as much as needed.
        with storage_errors("pruning the frame store", self.root), self._shelf.lock(PRUNE, exclusive=True):
            self._shelf.sweep()
            listing = sorted(self._shelf.listing())
            excess = sum(entry.bytes for entry in listing) - max_bytes
            for entry in listing:
                if excess <= 0:
                    break
                if self._shelf.evict(entry.key):
                    evicted.append(entry.key)
                    excess -= entry.bytes
        return evicted

    def forget(self, video_keys: Collection[str]) -> Forgot:
        """Remove every entry of some videos, whatever their sampling; from the shared store those of this store's sampling alone.

        Args:
            video_keys: SHA-256 (hex) of the videos' bytes.
        """
        removed: list[str] = []
        in_use: set[str] = set()
        with storage_errors("forgetting videos", self.root):
            for entry in self.entries():
                if entry.video_key in video_keys:
                    if self._shelf.evict(entry.key):
                        removed.append(entry.key)
                    else:
                        in_use.add(entry.video_key)
        shared = [key for key in map(self.key_of, sorted(video_keys)) if self.remote is not None and self.remote.remove(key)]
        return Forgot(tuple(removed), tuple(sorted(in_use)), tuple(shared))

    def _damage(self, key: str) -> str | None:
        """What is wrong with an entry whose lock is held; None where all is well."""
        try:
            check_entry(self._shelf.directory(key), key)
            read_facts(self._shelf.directory(key))
        except DamagedEntryError as error:
            return str(error)
        return None

    def _try_open(self, key: str, origin: Origin) -> StoredVideo | None:
        """The entry, its lock shared, marked as used now; None where it is not there or damaged."""
        directory = self._shelf.directory(key)
        with storage_errors("opening an entry", directory):
            lock = self._shelf.lock(key, exclusive=False)
            try:
                record = check_entry(directory, key)
                now_ns = time.time_ns()  # the kernel's own idea of now is some milliseconds coarse
                os.utime(directory / COMPLETE, ns=(now_ns, now_ns))
                return StoredVideo(directory, lock, record.video_key, read_facts(directory), origin=origin)
            except DamagedEntryError as error:
                _log.debug("entry %s is not there or damaged: %s", key, error)
                lock.release()
                return None
            except BaseException:
                lock.release()
                raise

    def _make(self, key: str, path: Path, video_key: str) -> Origin:
        """Fetch or decode a video's entry; "hit" where somebody else has just done so."""
        directory = self._shelf.directory(key)
        with storage_errors("locking an entry", directory):
            lock = self._shelf.lock(key, exclusive=True)
        with lock:
            damage = self._damage(key)
            if damage is None:
                return "hit"
            if directory.exists():
                _log.warning("frame store: entry %s is damaged (%s); making it again, of %s", key, damage, path)
            partial = self._new_partial(key)
            try:
                if self._fetch(partial, key, video_key):
                    return "remote"
                # Another name: a fetch that was given up may still write a last block.
                partial = self._new_partial(key)
                self._extract(partial, key, path, video_key)
            except BaseException:
                remove_tree(partial)
                if not directory.exists():
                    lock.remove()
                raise
            return "miss"

    def _new_partial(self, key: str) -> Path:
        with storage_errors("making room for an entry", self.root):
            return self._shelf.new_partial(key)

    def _fetch(self, partial: Path, key: str, video_key: str) -> bool:
        if self.remote is None:
            return False
        with storage_errors("fetching an entry", partial):
            self._shelf.clear_partials(key)
        fetched = self.remote.fetch(key, video_key, partial)
        if fetched:
            with storage_errors("committing an entry", partial):
                self._shelf.commit(partial, key)
        return fetched

    def _extract(self, partial: Path, key: str, path: Path, video_key: str) -> None:
        with storage_errors("writing an entry", partial):
            self._shelf.clear_partials(key)
            partial.mkdir()
            writer = EntryWriter(partial, self.spec)
        try:
            with closing(decode(path, self.spec, self.limits, sha256=video_key)) as pieces:
                for piece in pieces:
                    with storage_errors("writing an entry", partial):
                        leave_room(self.root, writer.written_bytes, self.limits.reserve_bytes, str(path))
                        match piece:
                            case DecodedFrame():
                                writer.add_frame(piece.source_frame, piece.time_s, piece.shown_until_s, piece.jpeg)
                            case DecodedThumbnails():
                                writer.add_thumbnails(piece.time_s, piece.jpegs)
                            case DecodedSound():
                                writer.add_sound(piece.samples)
                            case SourceFacts():
                                writer.finish(key, video_key, piece)
        except BaseException:
            writer.abandon()
            raise
        with storage_errors("committing an entry", partial):
            self._shelf.commit(partial, key)

"""Which entries their hosts have refused, kept from one call of a program to the next where there is no run whose log would say so."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from typing import TYPE_CHECKING

from rumiai_ray import disk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rumiai_ray.ingest.entries import Entry

_LOG = logging.getLogger(__name__)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST = 10_000
"""Entries that are kept. Those whose pause ended first go: a program that forgets one leaves its host alone once more."""
_MOST_BYTES = 100 * _MOST
"""Longest file that is read; an entry takes less than 90 bytes."""


class RefusedEntries:
    """Entries that a host has refused, each with the time from which it may be asked again: a file of digests, for its owner alone.

    What the file says is only data: what is no digest with a time is passed over, and a file that cannot be read counts as empty. Of two
    programs at a time the later one's file stays, so that an entry may be left undone once more.

    Args:
        path: the file. It need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._until_s = _read(path)
        self._changed = False

    def over(self, entries: Iterable[Entry], now_s: float) -> frozenset[str]:
        """Ids of those among `entries` that were refused and whose pause is over: `HostBook.refused_before`."""
        return frozenset(entry.entry_id for entry in entries if self._until_s.get(_digest(entry), now_s + 1) <= now_s)

    def last(self, entries: Iterable[Entry], now_s: float) -> list[Entry]:
        """`entries`, those of `over` behind the others, so that however many of them are refused again nobody else has to wait for it.

        Among them the one comes first that has been refused least recently: a host that refuses `Manners.refusals` of them in a row is left
        alone, and those that have failed before that are the last ones the next time.
        """
        listed = list(entries)
        over = self.over(listed, now_s)
        return sorted(listed, key=lambda entry: self._until_s[_digest(entry)] if entry.entry_id in over else -1)

    def refused(self, entry: Entry, until_s: float) -> None:
        """Note that a host has refused an entry. One that is asked too early, and refused again, keeps its time."""
        digest = _digest(entry)
        self._until_s[digest] = min(int(until_s), self._until_s.get(digest, int(until_s)))
        self._changed = True

    def failed_again(self, entry: Entry, now_s: float) -> None:
        """Note that an entry of `over` has failed once more, without a word of its host about it."""
        self._until_s[_digest(entry)] = int(now_s)
        self._changed = True

    def answered(self, entry: Entry) -> None:
        """Note that a host has said something of an entry, good or bad: it refuses it no longer."""
        self._changed |= self._until_s.pop(_digest(entry), None) is not None

    def save(self) -> None:
        """Write the file, if anything has changed. One that cannot be written is warned of: it costs a pause, and no video."""
        if not self._changed:
            return
        latest = sorted(self._until_s.items(), key=lambda item: item[1])[-_MOST:]
        try:
            disk.replace_private(self._path, json.dumps(dict(latest)).encode())
        except OSError as error:
            _LOG.warning("which entries their hosts have refused cannot be kept: %s: %s", self._path, error.strerror)


def _digest(entry: Entry) -> str:
    """Of the address and the id: the file names nobody, and two manifests may give one id to different posts."""
    return hashlib.sha256(f"{entry.entry_id}\n{entry.location or entry.input}".encode(errors="surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, int]:
    try:
        found = json.loads(disk.read(path, most=_MOST_BYTES, follow=False))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _LOG.warning("which entries their hosts have refused before is not known: %s: %s", path, error)
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if _DIGEST.fullmatch(key) and type(value) is int and value >= 0}

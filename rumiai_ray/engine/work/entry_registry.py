"""What all that read entries in one run must agree on: owners of shared bytes, entries that kill workers, turns at hosts, lengths."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.ingest.limits import Manners
from rumiai_ray.ingest.manners import HostBook

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rumiai_ray.ingest.manners import Host, Paused

_MOST_READINGS = 10_000
"""Readings that are remembered until the driver asks, which it does once a second."""


@dataclass(frozen=True)
class ReadingBegun:
    """A node begins to read an entry."""

    entry_id: str
    node: str
    attempt: int
    """From 1; higher where the process that was reading it has died."""


@dataclass(frozen=True)
class UnderWay:
    """What a process is at, and for how long."""

    entry_id: str
    node: str
    for_s: float


@dataclass(frozen=True)
class ReadingNews:
    """What the readers have told since they were asked last."""

    lengths_s: Mapping[str, float]
    """Seconds of video to analyse, by entry."""
    begun: tuple[ReadingBegun, ...]
    under_way: tuple[UnderWay, ...]
    """What is being read now; in it, what a process that died was reading until a retry reads it again."""


class Claims:
    """A small Ray actor of a batch run; a plain object where one thread reads.

    After a restart the actor has only its constructor arguments; the entry tracker still prevents duplicates.

    Args:
        owners: claims known from before, by video key: those of a run that is being resumed.
        manners: what the readers keep to towards hosts.
        refused_before: see `HostBook`.
    """

    def __init__(self, owners: Mapping[str, str], manners: Manners | None = None, refused_before: Collection[str] = ()) -> None:
        self._hosts = HostBook(manners or Manners(), refused_before=refused_before)
        self._owners = dict(owners)
        self._claimed: dict[str, str] = {}
        """Videos by the entry that owns them; the reverse of what was claimed in this run."""
        self._begun: Counter[str] = Counter()
        self._lengths_s: dict[str, float] = {}
        self._readings: deque[ReadingBegun] = deque(maxlen=_MOST_READINGS)
        self._under_way: dict[str, tuple[str, float]] = {}
        """(node, when its reading began) by entry."""

    def begin(self, entry_id: str, before: str | None = None, node: str = "") -> int:
        """Note that a worker begins with an entry, and has ended with the one before.

        Returns how often it was begun and never ended. Ray repeats the task of a worker that died for ever, and all of the
        task's entries with it: only the one that was being read then is charged.
        """
        if before is not None:
            self.end(before)
        unended = self._begun[entry_id]
        self._begun[entry_id] += 1
        self._readings.append(ReadingBegun(entry_id, node, unended + 1))
        self._under_way[entry_id] = node, time.monotonic()
        return unended

    def end(self, entry_id: str) -> None:
        """Note that a worker is done with an entry, whatever came of it."""
        self._begun.pop(entry_id, None)
        self._under_way.pop(entry_id, None)

    def release(self, entry_id: str) -> None:
        """Note that an entry will not analyse what it claimed: a dead letter, or put off. An entry with the same bytes may claim them."""
        self._under_way.pop(entry_id, None)
        key = self._claimed.pop(entry_id, None)
        if key is not None:
            self._owners.pop(key, None)

    def claim(self, video_key: str, entry_id: str) -> bool:
        """Whether `entry_id` is the one that analyses `video_key`. Idempotent: a retried task gets its first attempt's answer."""
        if self._owners.setdefault(video_key, entry_id) != entry_id:
            return False
        self._claimed[entry_id] = video_key
        return True

    def ask_host(self, host: Host, entry_id: str) -> float | Paused:
        """As `HostBook.ask`."""
        return self._hosts.ask(host, entry_id)

    def host_refused(self, host: str, why: str, retry_after_s: float | None, entry_id: str) -> Paused | None:
        """As `HostBook.refused`."""
        return self._hosts.refused(host, why, retry_after_s, entry_id)

    def host_ended(self, host: str, entry_id: str, *, answered: bool) -> Paused | None:
        """As `HostBook.ended`."""
        return self._hosts.ended(host, entry_id, answered=answered)

    def has_length(self, entry_id: str, length_s: float) -> None:
        """Note how many seconds of video an entry is going to be analysed for: none where it is a dead letter, or analysed for another."""
        self._lengths_s[entry_id] = length_s

    def take_news(self) -> ReadingNews:
        """What was noted since the last call. For what is shown and logged: the answers to an entry's rows say lengths, too."""
        now_s = time.monotonic()
        news = ReadingNews(
            self._lengths_s,
            tuple(self._readings),
            tuple(UnderWay(entry_id, node, now_s - since_s) for entry_id, (node, since_s) in self._under_way.items()),
        )
        self._lengths_s = {}
        self._readings.clear()
        return news

"""What all that read entries in one run must agree on: owners of shared bytes, entries that kill workers, turns at hosts, lengths."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rumiai_ray.ingest.limits import Manners
from rumiai_ray.ingest.manners import HostBook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.ingest.manners import Host, Paused


class Claims:
    """A small Ray actor of a batch run; a plain object where one thread reads.

    Where the actor dies it starts with what it was made with: the ledger still lets nothing be done twice.

    Args:
        owners: claims known from before, by video key: those of a run that is being resumed.
        manners: what the readers keep to towards hosts.
    """

    def __init__(self, owners: Mapping[str, str], manners: Manners | None = None) -> None:
        self._hosts = HostBook(manners or Manners())
        self._owners = dict(owners)
        self._claimed: dict[str, str] = {}
        """Videos by the entry that owns them; the reverse of what was claimed in this run."""
        self._begun: Counter[str] = Counter()
        self._lengths_s: dict[str, float] = {}

    def begin(self, entry_id: str, before: str | None = None) -> int:
        """Note that a worker begins with an entry, and has ended with the one before.

        Returns how often it was begun and never ended. Ray repeats the task of a worker that died for ever, and all of the
        task's entries with it: only the one that was being read then is charged.
        """
        if before is not None:
            self.end(before)
        unended = self._begun[entry_id]
        self._begun[entry_id] += 1
        return unended

    def end(self, entry_id: str) -> None:
        """Note that a worker is done with an entry, whatever came of it."""
        self._begun.pop(entry_id, None)

    def release(self, entry_id: str) -> None:
        """Note that an entry will not analyse what it claimed: it is a dead letter. Whoever shares its bytes may claim them."""
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

    def host_refused(self, host: str, why: str, retry_after_s: float | None) -> Paused | None:
        """As `HostBook.refused`."""
        return self._hosts.refused(host, why, retry_after_s)

    def host_ended(self, host: str, entry_id: str, *, answered: bool) -> Paused | None:
        """As `HostBook.ended`."""
        return self._hosts.ended(host, entry_id, answered=answered)

    def has_length(self, entry_id: str, length_s: float) -> None:
        """Note how many seconds of video an entry is going to be analysed for: none where it is a dead letter, or analysed for another."""
        self._lengths_s[entry_id] = length_s

    def take_lengths_s(self) -> dict[str, float]:
        """The lengths noted since the last call, by entry. For the progress that is shown: the answers to an entry's rows say it, too."""
        taken, self._lengths_s = self._lengths_s, {}
        return taken

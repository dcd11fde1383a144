"""Seconds of video: how many of a run's are known by now, and how many of them the models have answered for."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMEMBERED = 100_000
"""Entries whose end is remembered, the last ones: what is told of an entry after its end is minutes late and no more. An id takes about
100 bytes, and a manifest may have millions."""


@dataclass
class _Entry:
    length_s: float | None = None
    """None until it is known."""
    rows: set[int] = field(default_factory=set)
    """Rows of work that are back."""
    count: int = 0
    """Rows of work in all; 0 while none is back."""

    @property
    def analysed_s(self) -> float:
        share = min(len(self.rows) / self.count, 1.0) if self.count else 0.0
        return share * (self.length_s or 0.0)


class VideoSeconds:
    """Adds up over the entries of a run. The share of an entry's rows of work that are back is the share of its seconds that are analysed.

    What is said twice counts once: a retried task tells a length again, and a row may be answered again, even after the entry's end.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Entry] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        """Entries that are in the run, the last `_REMEMBERED` of them in the order of their ends."""
        self.known_s = 0.0
        """Length of all videos that have been read."""
        self.analysed_s = 0.0
        self.entries = 0
        """Entries whose length is known; dead letters and copies of other entries have none, which is known, too."""

    def measured(self, entry_id: str, length_s: float) -> None:
        """An entry has been read: it has so many seconds to analyse."""
        if entry_id in self._ended:
            return
        entry = self._open.setdefault(entry_id, _Entry())
        before_s, self.entries = entry.analysed_s, self.entries + (entry.length_s is None)
        self.known_s += length_s - (entry.length_s or 0.0)
        entry.length_s = length_s
        self.analysed_s += entry.analysed_s - before_s

    def answered(self, entry_id: str, row: int, count: int) -> None:
        """Row `row` of the `count` rows of an entry is back."""
        if entry_id in self._ended:
            return
        entry = self._open.setdefault(entry_id, _Entry())
        before_s = entry.analysed_s
        entry.rows.add(row)
        entry.count = count
        self.analysed_s += entry.analysed_s - before_s

    def ended(self, entry_id: str) -> None:
        """An entry is in the run, so that nothing of it is left to analyse, whatever became of it."""
        if entry_id in self._ended:
            return
        entry = self._open.pop(entry_id, _Entry())
        length_s = entry.length_s or 0.0
        self.entries += entry.length_s is None
        self.analysed_s += length_s - entry.analysed_s
        self._ended[entry_id] = None
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    def again(self, entry_ids: Iterable[str]) -> None:
        """These entries, none of which is in the run, are read again from the start: what was answered for them does not count."""
        for entry in [self._open.pop(entry_id) for entry_id in entry_ids if entry_id in self._open]:
            self.entries -= entry.length_s is not None
            self.known_s -= entry.length_s or 0.0
            self.analysed_s -= entry.analysed_s

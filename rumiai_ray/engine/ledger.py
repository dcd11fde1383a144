"""The driver's book: which rows of which entry are back, and when an entry is complete and can be assembled or buried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rumiai_ray.engine.calls import Index
    from rumiai_ray.engine.work import Header


@dataclass(frozen=True)
class Settled:
    """An entry all of whose rows are back."""

    header: Header
    answers: tuple[tuple[Index, Any], ...]
    """(index, reference to the payload) of every row, in order; empty for dead letters and repeats."""
    error: Exception | None = None
    """Why its rows could not be had; the entry is to be dead-lettered."""


@dataclass
class _Open:
    header: Header | None = None
    count: int | None = None
    answers: dict[int, tuple[Index, Any]] = field(default_factory=dict)
    error: Exception | None = None


class Ledger:
    """Rows in, settled entries out. A row that comes twice counts once."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._waiting: dict[str, list[Header]] = {}
        self._analysed: dict[str, Exception | None] = {}

    @property
    def open(self) -> list[str]:
        """Ids of the entries with rows missing, and of those that wait for another entry's analysis."""
        return [*self._open, *(header.entry.entry_id for headers in self._waiting.values() for header in headers)]

    def add(self, index: Index, payload: Any) -> list[Settled]:
        """Book one answered row; returns what is settled by it."""
        opened = self._open.setdefault(index.entry_id, _Open())
        opened.header = opened.header or index.header
        opened.count = index.batch_count
        opened.answers[index.batch_index] = (index, payload)
        return self._settle(index.entry_id, opened)

    def fail(self, entry_id: str, batch_index: int, batch_count: int, header: Header | None, error: Exception) -> list[Settled]:
        """Book a row that no front could answer: its entry cannot be assembled. Settled once its other rows are back."""
        opened = self._open.setdefault(entry_id, _Open())
        opened.header = opened.header or header
        opened.count = batch_count
        opened.error = opened.error or error
        opened.answers.setdefault(batch_index, (None, None))  # type: ignore[arg-type]  # never read: the entry has an error
        return self._settle(entry_id, opened)

    def _settle(self, entry_id: str, opened: _Open) -> list[Settled]:
        header = opened.header
        if header is None or set(opened.answers) != set(range(opened.count or 0)):
            return []
        del self._open[entry_id]
        if header.plan is None:
            return [Settled(header, ())]
        key = header.plan.video_key
        if header.repeats or key in self._analysed:
            if key in self._analysed:
                return [Settled(header, (), self._analysed[key])]
            self._waiting.setdefault(key, []).append(header)
            return []
        self._analysed[key] = opened.error
        answers = () if opened.error else tuple(opened.answers[number] for number in sorted(opened.answers) if header.plan.batch_count)
        repeats = [Settled(repeat, (), opened.error) for repeat in self._waiting.pop(key, [])]
        return [Settled(header, answers, opened.error), *repeats]

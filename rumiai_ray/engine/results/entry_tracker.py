"""The driver's book: which rows of which entry are back, and when an entry is complete and can be assembled or buried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from rumiai_ray.engine.cell.messages import Index
    from rumiai_ray.engine.work.item import Header


@dataclass(frozen=True)
class Settled:
    """An entry all of whose rows are back."""

    header: Header
    answers: tuple[tuple[Index, Any], ...] = ()
    """(index, reference to the payload) of every row, in order; empty for dead letters and repeats."""
    repeat: bool = False
    """Its bytes were analysed for another entry of the run: only its own `videos` row is to be written."""
    error: Exception | None = None
    """Why its rows could not be had; the entry is to be dead-lettered."""


@dataclass(frozen=True)
class Ended:
    """What became of a settled entry in a sink."""

    settled: Settled
    error: Exception | None = None
    """Why it is a dead letter; None for one that is committed as it was settled."""
    lost: bool = False
    """Its rows were lost before they were written: nothing of it is in the run."""
    tables: Mapping[str, pa.Table] | None = None
    """The rows it left, by table; None where another process wrote them."""


@dataclass
class _Open:
    header: Header | None = None
    count: int | None = None
    answers: dict[int, tuple[Index, Any] | None] = field(default_factory=dict)
    """None for a row no front could answer."""
    error: Exception | None = None


class Ledger:
    """Rows in, settled entries out. A row that comes twice counts once, and so does an entry all of whose rows come twice.

    An entry:

        unknown ──a row──► open ──all rows are back, or it is a dead letter──► settled ──► done, and later rows of it count for nothing
           ▲                └──all rows of a repeat are back──► waiting ──the analysis of that video ends──► settled as `repeat` ──► done
           └──its rows were lost before they were written (`lost`), or a new round begins (`forget`, of open and waiting ones)

    A row that no front could answer counts as back; its entry is settled with `error`.

    Args:
        analysed: keys of videos whose analysis is in the run already.
    """

    def __init__(self, analysed: Iterable[str] = ()) -> None:
        self._open: dict[str, _Open] = {}
        self._done: set[str] = set()
        """Entries handed out as settled. Their later rows are not kept: payloads would stay in memory until the round ends."""
        self._waiting: dict[str, dict[str, Header]] = {}
        """Repeats by the video they wait for, then by entry."""
        self._owned: set[str] = set()
        """Videos handed out to be assembled and written."""
        self._ended: dict[str, Exception | None] = dict.fromkeys(analysed)

    def add(self, index: Index, payload: Any) -> list[Settled]:
        """Book one answered row; returns the entry if that settles it."""
        if index.entry_id in self._done:
            return []
        opened = self._opened(index.entry_id, index.batch_count, index.header)
        opened.answers[index.batch_index] = (index, payload)
        return self._settle(index.entry_id, opened)

    def fail(self, entry_id: str, batch_index: int, batch_count: int, header: Header | None, error: Exception) -> list[Settled]:
        """Book a row that no front could answer: its entry cannot be assembled. Settled once its other rows are back."""
        if entry_id in self._done:
            return []
        opened = self._opened(entry_id, batch_count, header)
        opened.error = opened.error or error
        opened.answers.setdefault(batch_index, None)
        return self._settle(entry_id, opened)

    def lost(self, entry_id: str, video_key: str) -> None:
        """Book that a settled video's rows were lost before they were written: its entry has to be read again."""
        self._done.discard(entry_id)
        self._owned.discard(video_key)

    def ended(self, video_key: str, error: Exception | None = None) -> list[Settled]:
        """Book that a video's analysis is committed, or that it never will be; returns the entries that waited for it."""
        self._owned.discard(video_key)
        self._ended[video_key] = error
        waiting = self._waiting.pop(video_key, {})
        self._done.update(waiting)
        return [Settled(header, repeat=True, error=error) for header in waiting.values()]

    def forget(self) -> set[str]:
        """Drop what is incomplete: a new round reads those entries again from the start. Returns those that only wait."""
        waited = {entry_id for waiting in self._waiting.values() for entry_id in waiting}
        self._open.clear()
        self._waiting.clear()
        self._owned.clear()
        return waited

    def _opened(self, entry_id: str, count: int, header: Header | None) -> _Open:
        opened = self._open.setdefault(entry_id, _Open())
        opened.count = count
        if header is not None and (opened.header is None or header.plan is None):
            opened.header = header  # a dead letter comes last, where reading the entry broke off after some of its rows
        return opened

    def _settle(self, entry_id: str, opened: _Open) -> list[Settled]:
        header = opened.header
        dead = header is not None and header.plan is None
        if header is None or not (dead or set(opened.answers) == set(range(opened.count or 0))):
            return []
        del self._open[entry_id]
        plan = header.plan
        if plan is not None and plan.video_key not in self._ended:
            # The claims actor may have died and forgotten: then two entries own the same bytes, and the second waits as well.
            if header.repeats or plan.video_key in self._owned:
                self._waiting.setdefault(plan.video_key, {})[entry_id] = header
                return []
            self._owned.add(plan.video_key)
        self._done.add(entry_id)
        return [self._settled(header, opened)]

    def _settled(self, header: Header, opened: _Open) -> Settled:
        if header.plan is None:
            return Settled(header)
        if header.plan.video_key in self._ended:
            return Settled(header, repeat=True, error=self._ended[header.plan.video_key])
        asked = header.plan.batch_count > 0 and opened.error is None
        answers = tuple(answer for _, answer in sorted(opened.answers.items()) if asked and answer is not None)
        return Settled(header, answers, error=opened.error)

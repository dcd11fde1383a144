"""The log of what became of each entry on its way: where it was read and analysed, how often, for how long, and at what cost.

Lines of JSON in `logs/`, two for an entry that goes well. They hold ids, nodes and figures; messages are in the log of failures, which
`rumiai-ray runs why` reads beside them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rumiai_ray.runs.line_log import LineLog, now, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.storage import Store

KIND = "history"
MOST_BYTES = 64 * 2**20
"""Of one session's log."""
_ORDINARY_SHARE = 0.75
"""Of these bytes, what entries that go well may take: about 80,000 of them. The rest is for those that do not."""
_DISK_AGE_S = 1.0
"""A line costs an opening of the file on a disk, which may be a shared one; so those of a second are written together."""

_LOG = logging.getLogger(__name__)


LAST_S = 253_402_300_799
"""The last second that a calendar has."""
_LoggedCount = Annotated[int, Field(ge=0, le=10**12)]
_Clock = Annotated[float, Field(ge=0, le=LAST_S)]
_Seconds = Annotated[float, Field(ge=0, le=LAST_S)]


class _Fact(BaseModel):
    """A run's directory may be a stranger's, so that what is read there is checked."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ReadingFact(_Fact):
    """How an entry was fetched and its frames were made or found."""

    node: str
    began: _Clock
    """Seconds since 1970, by the node's clock."""
    took_s: _Seconds
    """Until its rows of work were known, or it was clear that there will be none."""

    @model_validator(mode="after")
    def _ends_while_there_are_dates(self) -> Self:
        if self.began + self.took_s > LAST_S:
            raise ValueError("a reading that ends after the calendar does")
        return self


class ModelFact(_Fact):
    """What one model did for an entry, over all rows of work."""

    attempts: _LoggedCount
    """The most that any row took."""
    failed_rows: _LoggedCount
    """Rows it gave nothing for."""
    seconds: _Seconds
    """Time inside the model, of the attempts that were answered."""
    cpu_s: _Seconds
    """CPU time, all threads, of the same."""


class AnalysisFact(_Fact):
    """How an entry's rows of work were answered."""

    rows: _LoggedCount
    nodes: dict[str, _LoggedCount]
    """Rows of work by the node of the cell that answered them."""
    resent: _LoggedCount
    """Times a row was sent again, as its cell had died or had lost a model."""
    began: _Clock | None = None
    """When the first cell began with a row, in seconds since 1970 by the node's clock; None where no row was answered."""
    ended: _Clock | None = None
    """When the last row was answered, likewise."""
    models: dict[str, ModelFact]


class HistoryLine(_Fact):
    """One line of the log."""

    time: str
    """ISO 8601, UTC: when the driver learned of it."""
    event: Literal["session_begins", "session_ends", "reading", "lost", "put_off", "ended"]
    """A session of the driver begins or ends; a node begins to read an entry; the entry has lost rows and is read again;
    it is left undone, since its host is left alone; it has ended."""
    entry: str | None = None
    node: str | None = None
    """Of the driver, or where the entry is read."""
    attempt: int | None = None
    """Number of the reading, from 1: higher where the process that was reading it had died."""
    outcome: Literal["committed", "dead_letter", "copy"] | None = None
    """How the entry ended. `copy`: its bytes were analysed for another entry."""
    reading: ReadingFact | None = None
    analysis: AnalysisFact | None = None
    refused_until: _Clock | None = None
    """Of an entry that is left undone and that its host has refused itself: when it was to be asked again, in seconds since 1970. A run
    that is resumed after that believes a further refusal to be the entry's own trouble."""
    detail: str | None = None
    """How the session ended; why rows were lost, or the entry was left undone."""


class HistoryLog:
    """Writes one session's log; nothing is written before the first line. No method raises anything.

    Args:
        run: the run's directory.
        most_bytes: size at which it ends with a line that says so. Entries that go well are left out from three quarters of it on.
    """

    def __init__(self, run: Store, most_bytes: int = MOST_BYTES) -> None:
        self._ordinary_bytes = most_bytes * _ORDINARY_SHARE
        self._lines = LineLog(run, KIND, "the run's log of its entries' history", most_bytes, _DISK_AGE_S)

    def add(self, line: HistoryLine, *, ordinary: bool = False) -> None:
        """Log one line.

        Args:
            line: what happened.
            ordinary: it is of an entry that goes well, and may be left out where the log gets long.
        """
        if not ordinary or self._lines.size_bytes < self._ordinary_bytes:
            self._lines.add(line.model_dump(exclude_none=True))

    def begins(self, node: str) -> None:
        """A session of the driver begins."""
        self.add(HistoryLine(time=now(), event="session_begins", node=node))

    def ends(self, how: str) -> None:
        """A session of the driver ends; everything is written out."""
        self.add(HistoryLine(time=now(), event="session_ends", detail=how))
        self._lines.flush()

    def flush_if_due(self) -> None:
        """Write what has waited for long enough."""
        self._lines.flush_if_due()

    def close(self) -> None:
        """Write what waits, and log nothing more."""
        self._lines.close()


def read_history(run: Store) -> Iterator[tuple[str, HistoryLine]]:
    """(session, line) of a run's logs, in the order of their files. What is not a line of this log is left out.

    Raises:
        StorageError: a file cannot be read.
    """
    for session, record in read_lines(run, KIND):
        if record.get("event") == "full":
            continue
        try:
            yield session, HistoryLine.model_validate(record)
        except ValidationError as error:
            _LOG.debug("a line of %s is not of this log: %s", session, error)

"""The log of a run's failures, with their tracebacks: JSON lines in `logs/` beside `commits/`, for people who look for a cause.

The tables say how every entry and model ended; the log says why, as far as text can, also of attempts whose repetition went well.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError

from rumiai_ray.runs.line_log import LineLog, now, read_lines
from rumiai_ray.shown import shown
from rumiai_ray.tracebacks import bounded, traceback_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from rumiai_ray.storage import Store

_LOG = logging.getLogger(__name__)

KIND = "failures"
MOST_BYTES = 16 * 2**20
"""Of one session's log. A traceback that comes again takes one short line, so this holds thousands of causes."""
_LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class LoggedFailure:
    """One line of the log."""

    time: str
    """ISO 8601, UTC: when the driver learned of it."""
    where: str
    """`ingest`, `frames`, `model`, `assemble`, or `run` for what ended the run as a whole."""
    entry_id: str | None
    input: str | None
    """Of the entry, without user information and query."""
    video_key: str | None
    model: str | None
    attempt: int | None
    """Number of the attempt that failed, from 1; None where nothing was attempted."""
    node: str | None
    """Where it failed; None where nobody knows."""
    error: str
    """Class and message."""
    traceback: str | None
    """Text; None where there is none, as for a process that was killed."""


_LoggedText = InstanceOf[str]
"""As it is: pydantic's own text has no lone surrogates, which stand for what is no UTF-8 in the name of a file."""


class _FailureLine(BaseModel):
    """One line as it is written."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    time: _LoggedText = ""
    where: _LoggedText = ""
    entry: _LoggedText | None = None
    input: _LoggedText | None = None
    video: _LoggedText | None = None
    model: _LoggedText | None = None
    attempt: Annotated[int, Field(ge=0, le=2**31)] | None = None
    node: _LoggedText | None = None
    error: _LoggedText = ""
    traceback_id: _LoggedText | None = None
    traceback: _LoggedText | None = None


@dataclass(frozen=True)
class About:
    """What failed, as far as it is known."""

    entry_id: str | None = None
    source: str | None = None
    """The entry's input."""
    video_key: str | None = None
    model: str | None = None
    attempt: int | None = None
    """See `LoggedFailure`."""
    node: str | None = None


class FailureLog:
    """Writes one session's log. Nothing is written, and no directory made, before the first failure.

    Args:
        run: the run's directory.
        most_bytes: size at which it ends with a line that says so.
    """

    def __init__(self, run: Store, most_bytes: int = MOST_BYTES) -> None:
        self._lines = LineLog(run, KIND, "the run's log of failures", most_bytes)
        self._known: set[str] = set()
        """Tracebacks that are in the log."""
        self._once: set[Hashable] = set()

    def add(
        self,
        where: str,
        error: str,
        traceback: str,
        about: About | None = None,
        *,
        once: Hashable = None,
    ) -> None:
        """Log one failure. Raises nothing: a log that cannot be written is given up, and that is said once.

        Args:
            where: see `LoggedFailure`.
            error: class and message.
            traceback: text; empty where there is none.
            about: what failed.
            once: a key; of the failures that are given the same one only the first is logged.
        """
        about = about or About()
        if self._lines.over or (once is not None and once in self._once):
            return
        try:
            if once is not None:
                self._once.add(once)
            known = [about.source] if about.source else []
            text = shown(bounded(traceback), known) if traceback else ""
            digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16] if text else None
            record = {
                "time": now(),
                "where": where,
                "entry": about.entry_id,
                "input": shown(about.source, known) if about.source else None,
                "video": about.video_key or None,
                "model": about.model,
                "attempt": about.attempt,
                "node": about.node,
                "error": shown(_shortened(error), known),
                "traceback_id": digest,
                "traceback": text if digest not in self._known else None,
            }
            if digest is not None:
                self._known.add(digest)
            self._lines.add(record)
        except Exception as problem:  # noqa: BLE001 -- the log's boundary: nothing that goes wrong with it may end the run
            self._lines.give_up(problem)

    @contextmanager
    def of_the_run(self) -> Iterator[None]:
        """Log what ends the block, and write out what waits to be written."""
        try:
            yield
        except Exception as error:
            self.add("run", f"{type(error).__name__}: {error}", traceback_of(error))
            raise
        finally:
            self.flush()

    def flush_if_due(self) -> None:
        """On an object store, write what has waited for long enough."""
        self._lines.flush_if_due()

    def flush(self) -> None:
        """On an object store, write what waits as a file of its own."""
        self._lines.flush()

    def close(self) -> None:
        """Write what waits, and log nothing more."""
        self._lines.close()


def read_failures(run: Store) -> list[LoggedFailure]:
    """All failures in a run's logs, in the order of their files. What was cut short, as by a kill, or is not of this log is left out.

    Raises:
        StorageError: a file cannot be read.
    """
    texts: dict[str, str] = {}
    found: list[_FailureLine] = []
    for session, record in read_lines(run, KIND):
        try:
            line = _FailureLine.model_validate(record)
        except ValidationError as error:
            _LOG.debug("a line of %s is not of this log: %s", session, error)
            continue
        found.append(line)
        if line.traceback:
            texts[str(line.traceback_id)] = line.traceback
    return [
        LoggedFailure(
            time=line.time,
            where=line.where,
            entry_id=line.entry,
            input=line.input,
            video_key=line.video,
            model=line.model,
            attempt=line.attempt,
            node=line.node,
            error=line.error,
            traceback=line.traceback or texts.get(str(line.traceback_id)),
        )
        for line in found
    ]


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} … ({len(message)} characters)"

"""The log of a run's failures, with their tracebacks: JSON lines in `logs/` beside `commits/`, for people who look for a cause.

The tables say how every entry and model ended; the log says why, as far as text can, also of attempts whose repetition went well. Only the
driver writes. A session of the run (a resumed run has several) writes files of its own: one that grows, on a disk; whole ones, numbered,
on an object store, which cannot append. The run does not rest on them: where the log cannot be written, the run goes on without.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rumiai_ray.shown import shown
from rumiai_ray.tracebacks import bounded, traceback_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from rumiai_ray.storage import Store

DIRECTORY = "logs"
MOST_BYTES = 16 * 2**20
"""Of one session's log. A traceback that comes again takes one short line, so this holds thousands of causes."""
_FILE_BYTES = 2**20
_FILE_AGE_S = 30.0
"""When a whole file is written to an object store, at the latest. What a killed driver had not written yet is lost."""
_LONGEST_MESSAGE = 2000
_NAME = re.compile(r"failures-[0-9TZ]+-[0-9a-f]{8}(-\d{4})?\.jsonl")

_LOG = logging.getLogger(__name__)


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
    error: str
    """Class and message."""
    traceback: str | None
    """Text; None where there is none, as for a process that was killed."""


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


class FailureLog:
    """Writes one session's log. Nothing is written, and no directory made, before the first failure.

    Args:
        run: the run's directory.
        most_bytes: size at which it ends with a line that says so.
    """

    def __init__(self, run: Store, most_bytes: int = MOST_BYTES) -> None:
        self._run = run
        self._most_bytes = most_bytes
        self._name = f"failures-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
        self._lines: list[bytes] = []
        """On an object store: what the next file will hold."""
        self._since_s = 0.0
        self._files = 0
        self._bytes = 0
        self._known: set[str] = set()
        """Tracebacks that are in the log."""
        self._once: set[Hashable] = set()
        self._over = False

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
        if self._over or (once is not None and once in self._once):
            return
        try:
            if once is not None:
                self._once.add(once)
            known = [about.source] if about.source else []
            text = shown(bounded(traceback), known) if traceback else ""
            digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16] if text else None
            record = {
                "time": _now(),
                "where": where,
                "entry": about.entry_id,
                "input": shown(about.source, known) if about.source else None,
                "video": about.video_key or None,
                "model": about.model,
                "attempt": about.attempt,
                "error": shown(_shortened(error), known),
                "traceback_id": digest,
                "traceback": text if digest not in self._known else None,
            }
            if digest is not None:
                self._known.add(digest)
            self._append(record)
        except Exception as problem:  # noqa: BLE001 -- the log's boundary: nothing that goes wrong with it may end the run
            self._give_up(problem)

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
        if self._lines and time.monotonic() - self._since_s > _FILE_AGE_S:
            self.flush()

    def flush(self) -> None:
        """On an object store, write what waits as a file of its own."""
        if not self._lines or self._over:
            return
        lines, self._lines = self._lines, []
        try:
            self._run.replace(f"{DIRECTORY}/{self._name}-{self._files:04d}.jsonl", b"".join(lines))
        except Exception as problem:  # noqa: BLE001 -- see `add`
            self._give_up(problem)
        self._files += 1

    def _append(self, record: dict[str, Any]) -> None:
        line = _line(record)
        if self._bytes + len(line) > self._most_bytes:
            line = _line({"time": _now(), "where": "log", "error": f"the log has {self._bytes} bytes, which is enough: no more is logged"})
            self._write(line)
            self.flush()
            self._over = True
            _LOG.warning("the run's log of failures is full (%d bytes); the tables go on saying what failed", self._bytes)
            return
        self._write(line)

    def _write(self, line: bytes) -> None:
        self._bytes += len(line)
        if self._run.on_disk:
            self._run.append_private(f"{DIRECTORY}/{self._name}.jsonl", line)
            return
        if not self._lines:
            self._since_s = time.monotonic()
        self._lines.append(line)
        if sum(map(len, self._lines)) >= _FILE_BYTES:
            self.flush()

    def _give_up(self, problem: Exception) -> None:
        self._over = True
        self._lines.clear()
        _LOG.warning("the run's log of failures cannot be written, the run goes on without: %s: %s", type(problem).__name__, problem)


def read_failures(run: Store) -> list[LoggedFailure]:
    """All failures in a run's logs, in the order of their files. A line that was cut short, as by a kill, is left out.

    Raises:
        StorageError: a file cannot be read.
    """
    texts: dict[str, str] = {}
    found: list[dict[str, Any]] = []
    for name in run.names(DIRECTORY):
        if not _NAME.fullmatch(name):
            continue
        for line in run.read(f"{DIRECTORY}/{name}").splitlines(keepends=True):
            record = _record(line)
            if record is not None:
                found.append(record)
                if record.get("traceback"):
                    texts[str(record.get("traceback_id"))] = record["traceback"]
    return [
        LoggedFailure(
            time=str(record.get("time", "")),
            where=str(record.get("where", "")),
            entry_id=record.get("entry"),
            input=record.get("input"),
            video_key=record.get("video"),
            model=record.get("model"),
            attempt=record.get("attempt"),
            error=str(record.get("error", "")),
            traceback=record.get("traceback") or texts.get(str(record.get("traceback_id"))),
        )
        for record in found
    ]


def without_lines(run: Store, is_about: Callable[[Mapping[str, Any]], bool]) -> Iterator[tuple[str, bytes]]:
    """The files of a run's logs that have lines about something, each with its path and with what it holds without these lines.

    A traceback that only the line of a forgotten failure holds moves to the next line of the same failure; see `FailureLog`.

    Args:
        run: the run's directory.
        is_about: whether a line goes.

    Raises:
        StorageError: a file cannot be read.
    """
    orphans: dict[str, str] = {}
    for name in run.names(DIRECTORY):
        if not _NAME.fullmatch(name):
            continue
        data, kept = run.read(f"{DIRECTORY}/{name}"), []
        for line in data.splitlines(keepends=True):
            record = _record(line)
            if record is None:
                continue  # torn: nobody reads it, and nobody can tell what it is about
            digest, text = str(record.get("traceback_id")), record.get("traceback")
            if is_about(record):
                if text:
                    orphans[digest] = text
            elif not text and digest in orphans:
                kept.append(_line(record | {"traceback": orphans.pop(digest)}))
            else:
                orphans.pop(digest, None)
                kept.append(line)
        if (left := b"".join(kept)) != data:
            yield f"{DIRECTORY}/{name}", left


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError as error:
        _LOG.debug("a line of a run's log is no JSON: %s", error)
        return None
    return record if isinstance(record, dict) else None


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} … ({len(message)} characters)"

"""JSON lines in a run's directory `logs/`, written by the driver alone and bounded in size. The run does not rest on them.

A session of the run (a resumed run has several) writes files of its own: one that grows, on a disk; whole ones, numbered, on an object
store, which cannot append. Where a log cannot be written, the run goes on without.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rumiai_ray.storage import Store

DIRECTORY = "logs"
PICTURE = f"{DIRECTORY}/now.json"
"""What a running batch does at the moment; see `engine.results.picture`."""
LOG_NAME = r"[a-z]+-[0-9TZ]+-[0-9a-f]{8}(-\d{4,})?\.jsonl"
"""What the files of all kinds of logs are called."""
_ANY_NAME = re.compile(LOG_NAME)
_FILE_BYTES = 2**20
_FILE_AGE_S = 30.0
"""When a whole file is written to an object store, at the latest. What a killed driver had not written yet is lost."""

_LOG = logging.getLogger(__name__)


class LineLog:
    """Writes one session's lines. Nothing is written, and no directory made, before the first line. No method raises anything.

    Args:
        run: the run's directory.
        kind: what the files' names begin with.
        what: the log in words.
        most_bytes: size at which it ends with a line that says so.
        disk_age_s: how long a line may wait before it is written to a disk.
    """

    def __init__(self, run: Store, kind: str, what: str, most_bytes: int, disk_age_s: float = 0.0) -> None:
        self._run = run
        self._what = what
        self._most_bytes = most_bytes
        self._age_s = disk_age_s if run.on_disk else _FILE_AGE_S
        self._name = f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
        self._lock = threading.RLock()
        self._lines: list[bytes] = []
        """What waits to be written."""
        self._since_s = 0.0
        self._files = 0
        self.size_bytes = 0
        """Of all lines so far."""
        self.over = False
        """Nothing more is logged: the log is full, or cannot be written."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Log one record of JSON values."""
        with self._lock:
            if self.over:
                return
            line = _line(record)
            if self.size_bytes + len(line) > self._most_bytes:
                full = f"the log has {self.size_bytes} bytes, its limit: nothing more is logged"
                self._take(_line({"time": now(), "where": "log", "event": "full", "error": full}))
                self.flush()
                self.over = True
                _LOG.warning("%s is full (%d bytes); the tables go on saying what becomes of every entry", self._what, self.size_bytes)
                return
            self._take(line)
            if not self._age_s or sum(map(len, self._lines)) >= _FILE_BYTES:
                self.flush()

    def flush_if_due(self) -> None:
        """Write what has waited for long enough."""
        if self._lines and time.monotonic() - self._since_s > self._age_s:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            if not self._lines or self.over:
                return
            lines, self._lines = self._lines, []
            try:
                if self._run.on_disk:
                    self._run.append_private(f"{DIRECTORY}/{self._name}.jsonl", b"".join(lines))
                else:
                    self._run.replace(f"{DIRECTORY}/{self._name}-{self._files:04d}.jsonl", b"".join(lines))
            except Exception as problem:  # noqa: BLE001 -- the log's boundary: nothing that goes wrong with it may end the run
                self.give_up(problem)
            self._files += 1

    def close(self) -> None:
        """Write what waits, and log nothing more."""
        self.flush()
        self.over = True

    def give_up(self, problem: Exception) -> None:
        """Log nothing more, and say why."""
        self.over = True
        self._lines.clear()
        _LOG.warning("%s cannot be written, the run goes on without: %s: %s", self._what, type(problem).__name__, problem)

    def _take(self, line: bytes) -> None:
        if not self._lines:
            self._since_s = time.monotonic()
        self._lines.append(line)
        self.size_bytes += len(line)


def read_lines(run: Store, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(session, record) of every line of one kind of log, in the order of the files. A line that was cut short is left out.

    Raises:
        StorageError: a file cannot be read.
    """
    pattern = re.compile(rf"({kind}-[0-9TZ]+-[0-9a-f]{{8}})(-\d{{4,}})?\.jsonl")
    for name in run.names(DIRECTORY):
        matched = pattern.fullmatch(name)
        if matched is None:
            continue
        for line in run.read(f"{DIRECTORY}/{name}").splitlines(keepends=True):
            record = _record(line)
            if record is not None:
                yield matched[1], record


def without_lines(run: Store, is_about: Callable[[Mapping[str, Any]], bool]) -> Iterator[tuple[str, bytes]]:
    """The files of a run's logs that have lines about something, each with its path and with what it holds without these lines.

    A traceback that only the line of a forgotten failure holds moves to the next line of the same failure; see `failure_log.FailureLog`.

    Args:
        run: the run's directory.
        is_about: whether a line goes.

    Raises:
        StorageError: a file cannot be read.
    """
    orphans: dict[str, str] = {}
    for name in run.names(DIRECTORY):
        if not _ANY_NAME.fullmatch(name):
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


def now() -> str:
    """The time in the logs: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        _LOG.debug("a line of a run's log is no JSON: %s", error)
        return None
    return record if isinstance(record, dict) else None


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"

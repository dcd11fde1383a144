"""Settled entries on their way into the run: gathered into groups, written by tasks, committed by records."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RayTaskError

from rumiai_ray.engine.results.commit_task import Target, Written, endings, write_group
from rumiai_ray.engine.results.entry_tracker import Ended, Settled
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.engine.work.ray_logs import SEE_RAYS_LOGS
from rumiai_ray.errors import ModelError, StorageError
from rumiai_ray.ingest.cleaning import message_of
from rumiai_ray.tracebacks import keep_traceback, traceback_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rumiai_ray.config import Engine
    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.runs.writer import RunWriter

_LOG = logging.getLogger(__name__)

_AT_ONCE = 4
"""Groups that are being written at a time; while there are more, the cells get nothing new."""
_RETRIES = 2
"""Times a writing task is repeated: by Ray where its process died, by us where it raised."""


@dataclass
class _Group:
    """Entries that are being written, together."""

    settled: list[Settled]
    reference: Any
    attempt: int


class Groups:
    """Takes settled entries and says when they are in the run.

    Args:
        writer: the run's.
        stage: whose rows they are.
        engine: sizes, ages and limits.
    """

    def __init__(self, writer: RunWriter, stage: Stage, engine: Engine) -> None:
        self._writer = writer
        self._target = Target.of(writer, stage)
        self._engine = engine
        self._waiting: list[Settled] = []
        self._waiting_bytes = 0
        self._waiting_since = 0.0
        self._writing: list[_Group] = []
        self.tally = Tally()
        """Counts of all that is committed."""

    @property
    def open(self) -> int:
        """Entries added that are not in the run yet."""
        return len(self._waiting) + sum(len(group.settled) for group in self._writing)

    @property
    def full(self) -> bool:
        """Whether writing has fallen behind."""
        return len(self._writing) >= _AT_ONCE

    def add(self, settled: Sequence[Settled]) -> None:
        """Take entries all of whose rows are back."""
        if settled and not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting.extend(settled)
        self._waiting_bytes += sum(index.payload_bytes for one in settled for index, _ in one.answers)

    def waits(self) -> list[Any]:
        """References whose arrival is news: the tasks that are writing."""
        return [group.reference for group in self._writing]

    def ready(self, references: Collection[Any], *, everything: bool = False) -> list[Ended]:
        """Commit groups that are written, and begin a new one where one is due by size or age. Waits for nothing.

        Args:
            references: those of `waits` that are ready; others are ignored.
            everything: a group is due however small it is.

        Raises:
            StorageError: a file or a record cannot be written.
            ModelError: not even a dead letter can.
        """
        ended: list[Ended] = []
        for group in [group for group in self._writing if group.reference in references]:
            self._writing.remove(group)
            ended += self._commit(group)
        due = self._waiting_bytes >= self._engine.group_mb * 1e6 or time.monotonic() - self._waiting_since >= self._engine.group_age_s
        if self._waiting and (due or everything) and not self.full:
            self._write(self._waiting)
            self._waiting, self._waiting_bytes = [], 0
        return ended

    def _write(self, settled: list[Settled], attempt: int = 1) -> None:
        # No CPU: extraction that waits for the cells holds its own, and on a small machine nothing would ever be written.
        task = ray.remote(num_cpus=0, max_retries=_RETRIES)(write_group)
        reference = task.remote(self._target, settled, self._writer.next_sequence, self._engine.write_timeout_s)
        self._writing.append(_Group(settled, reference, attempt))

    def _commit(self, group: _Group) -> list[Ended]:
        try:
            written: Written = ray.get(group.reference)
        except RayError as error:
            if isinstance(error, RayTaskError) and isinstance(error.cause, StorageError):
                raise error.cause from error
            self._isolate(group, error)
            return []
        self._writer.commit_files(written.files, written.committed, written.dead_lettered)
        _LOG.info(
            "committed %d entries, %d of them dead letters, in %d files of %d bytes; %d lost their rows",
            len(written.committed) + len(written.dead_lettered),
            len(written.dead_lettered),
            len(written.files),
            written.tally.written_bytes,
            len(written.lost),
        )
        self.tally.add(written.tally)
        return endings(group.settled, written)

    def _isolate(self, group: _Group, error: RayError) -> None:
        """The writing task failed for good: write its entries one by one, and bury the one that fails alone.

        What raised, and did not crash, may have been short of memory for a moment: it is tried again.
        """
        entries = [one.header.entry.entry_id for one in group.settled]
        _LOG.warning("writing %d entries failed (%s, attempt %d): %s", len(entries), ", ".join(entries[:3]), group.attempt, _cause(error))
        if len(group.settled) > 1:
            for one in group.settled:
                self._write([one])
            return None
        (one,) = group.settled
        if isinstance(error, RayTaskError) and group.attempt <= _RETRIES:
            return self._write([one], group.attempt + 1)
        if one.error is not None:
            last = ModelError(f"not even a dead letter can be written: {_cause(error)}", one.header.entry.input, SEE_RAYS_LOGS)
            keep_traceback(last, traceback_of(error))
            raise last
        broken = ModelError(f"assembling the video's tables crashed the task: {_cause(error)}", one.header.entry.input, SEE_RAYS_LOGS)
        broken.attempts = _RETRIES + 1
        keep_traceback(broken, traceback_of(error))
        return self._write([Settled(one.header, repeat=one.repeat, error=broken)])


def _cause(error: RayError) -> str:
    """What went wrong in a task, in one line: Ray's own text of it holds the task's whole traceback."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    first = message_of(cause).strip().partition("\n")[0]
    return f"{type(cause).__name__}: {first}" if first else type(cause).__name__

"""Thousands of videos: one streaming Dataset feeds the cells, settled entries are written in groups, records commit them.

The driver holds references and counts, never pixels or rows. What it cannot finish in one round of the Dataset (a row was lost
with its node, a retried task shifted its rows) goes round again, a bounded number of times.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import ray
from ray.exceptions import RayError, RayTaskError

from rumiai_ray.engine.claims import Claims
from rumiai_ray.engine.dataset import ReadPolicy, WorkStream
from rumiai_ray.engine.dispatch import Done, Row
from rumiai_ray.engine.entries import dead_letter_row
from rumiai_ray.engine.interactive import Stopped, cell_spec, check_code, dispatcher_of
from rumiai_ray.engine.ledger import Ledger, Settled
from rumiai_ray.engine.packed import pack
from rumiai_ray.engine.pool import Pool
from rumiai_ray.engine.tally import Tally
from rumiai_ray.engine.work import Header, decode
from rumiai_ray.engine.writing import Target, Written, write_group
from rumiai_ray.errors import ModelError, StorageError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.local import LocalRay
    from rumiai_ray.engine.stage import Stage
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.runs.writer import RunWriter

_TICK_S = 0.25


class Watcher(Protocol):
    """Where a batch's progress goes, about four times a second."""

    def tick(self, done: int, total: int, tally: Tally) -> None:
        """So many entries of so many are committed."""


class StalledError(TransientError):
    """Nothing has come back for longer than the configured time. What was committed stays; the run can be resumed."""


@dataclass
class _Group:
    """Entries that are being written, together."""

    settled: list[Settled]
    reference: Any


class Batch:
    """One run over many entries."""

    def __init__(self, config: BaseConfig, stage: Stage, writer: RunWriter, here: LocalRay, watcher: Watcher) -> None:
        self._config = config
        self._stage = stage
        self._writer = writer
        self._here = here
        self._watcher = watcher
        self._ledger = Ledger()
        self._waiting: list[Settled] = []
        self._waiting_bytes = 0
        self._waiting_since = 0.0
        self._writing: list[_Group] = []
        self._left: dict[str, Entry] = {}
        self._total = 0
        self._stopped = threading.Event()
        self._last_news_s = time.monotonic()
        self.tally = Tally()
        """What has become of the entries so far."""

    def run(self, entries: Iterable[Entry], total: int, analysed: Sequence[str] = ()) -> Literal["complete", "partial"]:
        """Analyse `entries`; returns how the run as a whole has gone, counting only these entries.

        Args:
            entries: what is not in the run yet; taken as they are needed.
            total: how many there are.
            analysed: keys of the videos whose analysis is in the run already.

        Raises:
            Stopped: `stop` was called; what could be finished in time is committed.
            StalledError: nothing came back for `engine.stall_timeout_s`.
            StorageError: the run or the frame store cannot be written.
            ModelError: cells die again and again.
        """
        self._ledger = Ledger(analysed)
        self._left = {}
        self._total = total
        claims = ray.remote(num_cpus=0, max_restarts=-1)(Claims).remote(dict.fromkeys(analysed, ""))
        engine = self._config.engine
        check_code(self._writer, self._here)
        spec = cell_spec(self._config, self._stage.models, self._here)
        pool = Pool(engine.cells, spec, lambda cell: dispatcher_of(cell, self._config))
        with contextlib.closing(pool):
            self._round(pool, claims, entries)
            for _ in range(engine.rounds - 1):
                if self._left:
                    self._round(pool, claims, list(self._left.values()))
            for entry in list(self._left.values()):
                lost = TransientError("its rows were lost in every round", entry.input, "`rumiai-ray runs retry` tries again")
                row = dead_letter_row(self._stage.run_id, entry, None, "assemble", lost)
                self._settle([Settled(Header(entry, pack(row), None))])
            self._flush(everything=True)
        return "partial" if self.tally.troubled else "complete"

    def stop(self) -> None:
        """Take nothing new, finish what is in hand, then raise `Stopped` from `run`. Callable from a signal handler."""
        self._stopped.set()

    def _round(self, pool: Pool, claims: Any, entries: Iterable[Entry]) -> None:
        engine = self._config.engine
        policy = ReadPolicy(engine.extract_tasks, engine.cells, engine.attempts, engine.entry_timeout_s)
        stream = WorkStream(entries, self._stage, claims, policy, self._begun)
        rows: list[Row] = []
        self._news()
        try:
            while rows or not stream.ended or pool.open or self._writing:
                if self._stopped.is_set():
                    self._drain(pool)
                if not rows and not stream.ended and pool.wants_more:
                    rows = self._block(stream, busy=bool(pool.open))
                while rows and pool.wants_more:
                    pool.submit(rows.pop())
                for done in pool.collect(_TICK_S if pool.open else 0):
                    self._returned(done)
                self._flush(everything=stream.ended and not rows and not pool.open)
                self._watcher.tick(self.tally.entries.total(), self._total, self.tally)
                self._check_stall()
        finally:
            stream.stop()
        self._ledger.forget()

    def _begun(self, wave: Sequence[Entry]) -> None:
        """Open a wave of entries; called by the stream's thread."""
        self._left.update((entry.entry_id, entry) for entry in wave)

    def _block(self, stream: WorkStream, *, busy: bool) -> list[Row]:
        block = stream.take(0.001 if busy else _TICK_S)
        if block is None:
            return []
        self._news()
        reference, count = block
        return [Row(reference, number) for number in reversed(range(count))]

    def _returned(self, done: Done) -> None:
        self._news()
        if done.index is not None:
            self._settle(self._ledger.add(done.index, done.payload))
            return
        error = done.error or ModelError("a row came back with neither answer nor error", "cell")
        try:
            work = decode(ray.get(done.row.block), done.row.row)
        except RayError:
            return  # the block itself is lost: its entries stay open and go round again
        self._settle(self._ledger.fail(work.entry_id, work.batch_index, work.batch_count, work.header, error))

    def _settle(self, settled: Sequence[Settled]) -> None:
        for one in settled:
            if not self._waiting:
                self._waiting_since = time.monotonic()
            self._waiting.append(one)
            self._waiting_bytes += sum(index.payload_bytes for index, _ in one.answers)

    def _flush(self, *, everything: bool) -> None:
        """Take finished groups into the run, and begin a new group where one is due by size or age."""
        for group in list(self._writing):
            ready, _ = ray.wait([group.reference], timeout=_TICK_S if everything else 0)
            if ready:
                self._writing.remove(group)
                self._commit(group)
        engine = self._config.engine
        due = self._waiting_bytes >= engine.group_mb * 1e6 or time.monotonic() - self._waiting_since >= engine.group_age_s
        if self._waiting and (due or everything):
            self._write(self._waiting)
            self._waiting, self._waiting_bytes = [], 0
        if everything and (self._writing or self._waiting):
            self._flush(everything=True)

    def _write(self, settled: list[Settled]) -> None:
        target = Target(self._writer.run, self._stage.run_id, self._stage.models, self._writer.tables)
        task = ray.remote(num_cpus=0.1, max_retries=2)(write_group)
        self._writing.append(_Group(settled, task.remote(target, settled, self._writer.next_sequence, self._config.engine.write_timeout_s)))

    def _commit(self, group: _Group) -> None:
        self._news()
        try:
            written: Written = ray.get(group.reference)
        except RayError as error:
            if isinstance(error, RayTaskError) and isinstance(error.cause, StorageError):
                raise error.cause from error
            return self._isolate(group, error)
        self._writer.commit_files(written.files, written.committed, written.dead_lettered)
        self.tally.add(written.tally)
        for entry_id in (*written.committed, *written.dead_lettered):
            self._left.pop(entry_id, None)
        for one in group.settled:
            if one.header.plan is None or one.repeat:
                continue
            if one.header.entry.entry_id in written.lost:
                self._ledger.lost(one.header.entry.entry_id, one.header.plan.video_key)
            else:
                self._settle(self._ledger.ended(one.header.plan.video_key, one.error))
        return None

    def _isolate(self, group: _Group, error: RayError) -> None:
        """The writing task crashed for good: write its entries one by one, and bury the one that does it again alone."""
        if len(group.settled) > 1:
            for one in group.settled:
                self._write([one])
            return
        (one,) = group.settled
        if one.error is not None:
            raise ModelError(f"not even a dead letter can be written: {error}", one.header.entry.input, "see Ray's logs")
        broken = ModelError(f"assembling it crashed the task: {error}", one.header.entry.input, "see Ray's logs")
        self._write([Settled(one.header, error=broken)])

    def _drain(self, pool: Pool) -> None:
        """Finish the rows in hand as far as the time allows, commit, and stop."""
        deadline = time.monotonic() + self._config.engine.drain_s
        while pool.open and time.monotonic() < deadline:
            for done in pool.collect(_TICK_S):
                self._returned(done)
        self._flush(everything=True)
        raise Stopped

    def _news(self) -> None:
        self._last_news_s = time.monotonic()

    def _check_stall(self) -> None:
        limit_s = self._config.engine.stall_timeout_s
        if time.monotonic() - self._last_news_s > limit_s:
            raise StalledError(f"nothing has come back for {limit_s:g} s", f"run {self._stage.run_id}", "`rumiai-ray runs resume` goes on")

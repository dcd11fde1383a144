"""Thousands of videos: one streaming Dataset feeds the cells, settled entries are written in groups, records commit them.

The driver holds references and counts, never pixels or rows. What it cannot finish in one round of the Dataset (a row was lost
with its node, a retried task shifted its rows) goes round again, a bounded number of times.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import ray
from ray.exceptions import RayError

from rumiai_ray.engine.cell.dispatcher import Done, Row
from rumiai_ray.engine.cell.policy import cell_spec, dispatcher_of
from rumiai_ray.engine.cell.pool import Pool
from rumiai_ray.engine.interactive import Stopped
from rumiai_ray.engine.ray_session.code_snapshot import check_code
from rumiai_ray.engine.results.batch_metrics import BatchMetrics
from rumiai_ray.engine.results.commit_groups import Ended, Groups
from rumiai_ray.engine.results.entry_tracker import Ledger, Settled
from rumiai_ray.engine.results.failure_records import log_answer, log_dead_letter
from rumiai_ray.engine.setup.timeouts import stall_timeout_s
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.entry_registry import Claims
from rumiai_ray.engine.work.entry_rows import dead_letter_row
from rumiai_ray.engine.work.item import Header, decode
from rumiai_ray.engine.work.ray_data_source import ReadPolicy, WorkStream
from rumiai_ray.errors import ModelError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.cell.messages import Index
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.engine.setup.resource_plan import Plan
    from rumiai_ray.engine.work.counts import Tally
    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.runs.writer import RunWriter

_LOG = logging.getLogger(__name__)

_TICK_S = 0.25
_WRITING_SHARE = 1 / 3
"""Of the time a stopped run has: what it keeps for writing what has come back by then."""


class Watcher(Protocol):
    """Where a batch's progress goes, about four times a second."""

    def tick(self, done: int, total: int, tally: Tally) -> None:
        """So many entries of so many are committed."""


class StalledError(TransientError):
    """Nothing has come back for longer than the configured time. What was committed stays; the run can be resumed."""


class Batch:
    """One run over many entries."""

    def __init__(self, config: BaseConfig, stage: Stage, writer: RunWriter, here: LocalRay, plan: Plan, watcher: Watcher) -> None:
        self._config = config
        self._stage = stage
        self._writer = writer
        self._here = here
        self._plan = plan
        self._watcher = watcher
        self._ledger = Ledger()
        self._left: dict[str, Entry] = {}
        self._total = 0
        self._stopped = threading.Event()
        self._last_news_s = time.monotonic()
        self._metrics = BatchMetrics(stage.run_id, plan.actors)

    @cached_property
    def _groups(self) -> Groups:
        return Groups(self._writer, self._stage, self._config.engine)

    @property
    def tally(self) -> Tally:
        """What has become of the entries so far."""
        return self._groups.tally

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
            TransientError: no node had room for a cell in time.
            ModelError: cells die again and again, or a model of theirs.
        """
        self._ledger = Ledger(analysed)
        self._left = {}
        self._total = total
        # Its calls may be repeated: what a death makes it forget, the ledger does not.
        claims = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Claims).remote(dict.fromkeys(analysed, ""))
        engine = self._config.engine
        check_code(self._writer.manifest, self._here.code_sha256)
        spec = cell_spec(self._config, self._stage.models, self._plan.cell, self._here)
        plan = self._plan
        policy = ReadPolicy(plan.extract_tasks, plan.cells, engine.attempts, engine.entry_timeout_s)
        pool = Pool(spec, lambda cell: dispatcher_of(cell, self._config), engine.attempts, engine.place_timeout_s, self._log_answer)
        with self._writer.failures.of_the_run(), contextlib.closing(pool):
            self._round(pool, claims, policy, entries)
            for _ in range(engine.rounds - 1):
                if self._left:
                    self._round(pool, claims, policy, list(self._left.values()))
            for entry in list(self._left.values()):
                lost = TransientError("its rows were lost in every round", entry.input, "`rumiai-ray runs retry` tries again")
                lost.attempts = engine.rounds
                row = dead_letter_row(self._stage.run_id, entry, None, "assemble", lost)
                self._groups.add([Settled(Header(entry, pack(row), None))])
            while self._groups.open:
                self._commit(_TICK_S, everything=True)
                self._check()
        self._tell(None, 0.0, last=True)
        return "partial" if self.tally.troubled else "complete"

    def stop(self) -> None:
        """Take nothing new, finish what is in hand, then raise `Stopped` from `run`. Callable from a signal handler."""
        self._stopped.set()

    def _round(self, pool: Pool, claims: Any, policy: ReadPolicy, entries: Iterable[Entry]) -> None:
        _LOG.info("a round begins, %d of %d entries are not in the run", self._total - self.tally.entries.total(), self._total)
        stream = WorkStream(entries, self._stage, claims, policy, self._begun)
        pool.want(min(self._plan.cells, self._total - self.tally.entries.total()))
        rows: list[Row] = []
        self._news()
        try:
            while rows or not stream.ended or pool.open or self._groups.open:
                if self._stopped.is_set():
                    stream.end()
                    self._drain(pool)
                # A pool that nobody has asked anything of is empty until it gets a row: there may be none, where all is committed already.
                if not rows and not stream.ended and (pool.wants_more or not pool.wanted) and not self._groups.full:
                    rows = self._block(stream, busy=bool(pool.open))
                while rows and (pool.wants_more or not pool.wanted):
                    pool.submit(rows.pop())
                if stream.ended and not rows:
                    pool.release()
                last = stream.ended and not rows and not pool.open
                for done in pool.collect(0 if last else _TICK_S):
                    self._returned(done)
                self._commit(_TICK_S if last or self._groups.full else 0, everything=last)
                self._check(pool)
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
            self._metrics.answered(done.index)
            self._log_answer(done.index)
            self._groups.add(self._ledger.add(done.index, done.payload))
            return
        error = done.error or ModelError("a row came back with neither answer nor error", "cell")
        try:
            work = decode(ray.get(done.row.block), done.row.row)
        except RayError as lost:
            _LOG.info("a block of rows is lost, its entries go round again: %s", lost)
            return  # the block itself is lost: its entries stay open and go round again
        self._groups.add(self._ledger.fail(work.entry_id, work.batch_index, work.batch_count, work.header, error))

    def _log_answer(self, index: Index) -> None:
        entry = self._left.get(index.entry_id)
        log_answer(self._writer.failures, index, entry.input if entry else None)

    def _commit(self, timeout_s: float, *, everything: bool) -> None:
        for ended in self._groups.step(timeout_s, everything=everything):
            self._news()
            self._ended(ended)

    def _ended(self, ended: Ended) -> None:
        header = ended.settled.header
        if not ended.lost:
            log_dead_letter(self._writer.failures, header, ended.error)
            self._left.pop(header.entry.entry_id, None)
        if header.plan is None or ended.settled.repeat:
            return
        if ended.lost:
            self._ledger.lost(header.entry.entry_id, header.plan.video_key)
        else:
            self._groups.add(self._ledger.ended(header.plan.video_key, ended.error))

    def _drain(self, pool: Pool) -> None:
        """Finish the rows in hand as far as the time allows, commit, and stop."""
        limit_s = self._config.engine.drain_s
        began = time.monotonic()
        while pool.open and time.monotonic() - began < limit_s * (1 - _WRITING_SHARE):
            for done in pool.collect(_TICK_S):
                self._returned(done)
            self._commit(0, everything=False)
        while self._groups.open and time.monotonic() - began < limit_s:
            self._commit(_TICK_S, everything=True)
        self._watcher.tick(self.tally.entries.total(), self._total, self.tally)
        raise Stopped

    def _news(self) -> None:
        self._last_news_s = time.monotonic()

    def _check(self, pool: Pool | None = None) -> None:
        """Tell the watcher, and end a run that has stalled."""
        self._watcher.tick(self.tally.entries.total(), self._total, self.tally)
        self._writer.failures.flush_if_due()
        limit_s = stall_timeout_s(self._config.engine)
        last_s = max(self._last_news_s, pool.last_news_s if pool else 0.0)
        self._tell(pool, time.monotonic() - last_s)
        if time.monotonic() - last_s > limit_s:
            raise StalledError(f"nothing has come back for {limit_s:g} s", f"run {self._stage.run_id}", "`rumiai-ray runs resume` goes on")

    def _tell(self, pool: Pool | None, quiet_s: float, *, last: bool = False) -> None:
        self._metrics.tick(
            self.tally,
            self._total - self.tally.entries.total(),
            cells=(len(pool.cells), pool.wanted) if pool else (0, 0),
            rows=pool.open if pool else 0,
            writing=self._groups.open,
            quiet_s=quiet_s,
            last=last,
        )

"""The driver's one loop: rows of work from a source, through a pool of cells, into a sink. Batches and single videos both run here.

The driver holds references and counts, never pixels. What it cannot finish in one round of its source (a row was lost with its node, a
retried task shifted its rows, a payload was gone when it was to be written) goes round again, a bounded number of times.

```
source ──rows──► pool ──answers──► entry tracker ──settled entries──► sink ──ended entries──► failure log, observer
   ▲                                     ▲                              │
   └──── entries that are left ──────────┴──── rows lost, repeats ◄─────┘
```

What the two engines pass in differs, and how they behave differs only by that:

| | batch | interactive |
|---|---|---|
| source | `RayDataSource`, blocks of rows as references | `ThreadSource`, rows in this process |
| cells | as many as the plan has, asked for before the first row | one, borrowed or asked for with the first row |
| sink | `Groups`, written in tasks | `AtOnce`, written here |
| a front that is lost for good | another cell; the sixth in a row ends the run | the same, a warm cell by its server |
| a model that its cell has lost | other cells, the third loss ends the run | one other cell, then the model's rows say `failed` |
| a payload or a block of rows that is lost | the entry goes round again | the same |
| nothing comes back for `stall_timeout_s` | `StalledError` | the same |
| a stop | drained for `drain_s` | drained for at most five seconds: a person waits |
| a stop while no cell is there | heard within a tick, nothing to drain | the same, also while another command has the warm cell |
| a commit that cannot be written | its files are tried three times | the same |
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import ray
from ray.exceptions import RayError

from rumiai_ray.engine.cell.dispatcher import WorkRow, arrived
from rumiai_ray.engine.cell.messages import Index
from rumiai_ray.engine.drive.endings import HostsRefuse, StalledError, Stopped
from rumiai_ray.engine.results.drive_state import DriveState
from rumiai_ray.engine.results.entry_tracker import Ledger, Settled
from rumiai_ray.engine.results.failure_records import log_answer, log_dead_letter
from rumiai_ray.engine.results.history_records import log_ended, log_lost, log_put_off
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.entry_rows import dead_letter_row
from rumiai_ray.engine.work.item import Header, decode
from rumiai_ray.engine.work.node import node_here
from rumiai_ray.errors import ModelError, RumiaiError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from rumiai_ray.engine.cell.dispatcher import Done
    from rumiai_ray.engine.drive.parts import DriveLimits, Observer, RowPool, Sink
    from rumiai_ray.engine.results.entry_tracker import Ended
    from rumiai_ray.engine.work.item import Work
    from rumiai_ray.engine.work.source import Source, SourceRow
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.manners import Paused
    from rumiai_ray.runs.writer import RunLogs

    SourceOf = Callable[[Iterable[Entry], Callable[[Sequence[Entry]], object]], Source]
    """(entries, told of each entry before its rows come) to a source."""

_LOG = logging.getLogger(__name__)

_TICK_S = 0.25
"""Longest wait for an answer, so that a stop is heard and limits are looked at."""
_SHORT_TICK_S = 0.02
"""The same while a cell could take a row that the source has not made yet, or no cell has come: neither is among what Ray waits for."""
_WRITING_SHARE = 1 / 3
"""Of the time a stopped run has: what it keeps for writing what has come back by then."""


class Drive:
    """Drives one run.

    Args:
        run_id: the run's.
        logs: where the texts of its failures go, and its entries' history.
        observer: is told of its progress.
        limits: how long and how often.
    """

    def __init__(self, run_id: str, logs: RunLogs, observer: Observer, limits: DriveLimits) -> None:
        self._run_id = run_id
        self._failures = logs.failures
        self._history = logs.history
        self._observer = observer
        self._limits = limits
        self._stopped = threading.Event()
        self._ledger = Ledger()
        self._left: dict[str, Entry] = {}
        """Entries that were begun and are not in the run."""
        self._put_off: dict[str, Paused] = {}
        """Entries that are left undone, and the hosts that refuse them."""
        self._waited: set[str] = set()
        """Entries that waited, when the last round ended, for an analysis that did not come."""
        self._total = 0
        self._last_news_s = time.monotonic()
        self._rows: deque[SourceRow] = deque()
        """Taken from the source and not yet given to the pool."""
        self._source: Source
        self._pool: RowPool
        self._sink: Sink

    def stop(self) -> None:
        """Take nothing new, finish the rows in flight, then raise `Stopped` from `run`. Callable from a signal handler."""
        self._stopped.set()

    def raise_if_stopped(self) -> None:
        """For what waits on the run's behalf outside of its loop.

        Raises:
            Stopped: `stop` was called.
        """
        if self._stopped.is_set():
            raise Stopped

    def log_answer(self, index: Index) -> None:
        """Write into the run's log of failures which models failed on a row, and why."""
        entry = self._left.get(index.entry_id)
        log_answer(self._failures, index, entry.input if entry else None)

    def run(
        self, source_of: SourceOf, pool: RowPool, sink: Sink, entries: Iterable[Entry], total: int, analysed: Sequence[str] = ()
    ) -> Literal["complete", "partial"]:
        """Analyse `entries`; returns how the run has gone, counting only these.

        Args:
            source_of: makes a source of entries, once a round.
            pool: answers the rows; its owner closes it.
            sink: commits the entries.
            entries: what is not in the run yet; taken as they are needed.
            total: how many there are.
            analysed: keys of the videos whose analysis is in the run already.

        Raises:
            Stopped: `stop` was called; what could be finished in time is committed.
            HostsRefuse: entries are left undone, because their hosts refuse; all others are in the run.
            StalledError: there was no news for `DriveLimits.stall_s`.
            RumiaiError: the run as a whole cannot go on.
        """
        self._ledger, self._left, self._total = Ledger(analysed), {}, total
        self._put_off, self._waited = {}, set()
        self._pool, self._sink = pool, sink
        with self._failures.of_the_run(), self._session():
            self._round(source_of, entries)
            for _ in range(self._limits.rounds - 1):
                if self._left:
                    self._observer.again(tuple(self._left))
                    log_lost(self._history, self._left, "rows of it were lost on their way")
                    self._round(source_of, list(self._left.values()))
            if self._put_off and (waited := [entry for name, entry in self._left.items() if name in self._waited]):
                # Behind an entry that was put off since, and no longer owns the bytes that they share: they are analysed without it.
                self._observer.again([entry.entry_id for entry in waited])
                self._round(source_of, waited)
            self._bury_what_is_left()
            if self._put_off:
                self._observer.tick(self._state())
                raise HostsRefuse(list({host.host: host for host in self._put_off.values()}.values()), len(self._put_off))
        self._observer.tick(DriveState(self._done, self._total, sink.tally, last=True))
        return "partial" if sink.tally.troubled else "complete"

    @contextmanager
    def _session(self) -> Iterator[None]:
        """Note in the history when this driver begins and how it ends."""
        self._history.begins(node_here())
        how = "the driver has done all it could"
        try:
            yield
        except HostsRefuse:
            how = "hosts refuse, and entries of theirs are left undone"
            raise
        except Stopped:
            how = "the driver was told to stop"
            raise
        except BaseException as error:
            how = f"the driver was ended by {type(error).__name__}"
            raise
        finally:
            self._history.ends(how)

    @property
    def _done(self) -> int:
        return self._sink.tally.entries.total()

    def _round(self, source_of: SourceOf, entries: Iterable[Entry]) -> None:
        _LOG.info("a round begins, %d of %d entries are not in the run", self._total - self._done, self._total)
        self._rows.clear()
        self._source = source = source_of(entries, self._begun)
        start_at_s: float | None = time.monotonic() + self._limits.start_after_s
        self._news()
        try:
            while self._rows or not source.ended or self._pool.open or self._sink.open:
                if self._stopped.is_set():
                    source.end()
                    self._drain()
                    raise Stopped
                if start_at_s is not None and time.monotonic() >= start_at_s and not source.ended:
                    self._pool.want(min(self._limits.cells, self._total - self._done))
                    start_at_s = None
                    self._news()
                moved = self._feed()
                if source.ended and not self._rows:
                    self._pool.release()
                self._step(self._wait(0.0 if moved else self._tick_s()))
                self._check()
        finally:
            source.stop()
        self._waited = self._ledger.forget()

    def _begun(self, entries: Sequence[Entry]) -> None:
        """Open entries; called by the source's thread."""
        self._left.update((entry.entry_id, entry) for entry in entries)

    @property
    def _hungry(self) -> bool:
        """Whether a row of the source would be taken."""
        return not self._rows and not self._source.ended and not self._sink.full

    def _feed(self) -> bool:
        """Take rows and give on as many as the cells want; returns whether any was."""
        if self._hungry:
            self._rows.extend(self._source.take(0.0))
        moved = False
        while self._rows:
            row = self._rows[0]
            asks = row.work is None or row.work.kind != "none"
            if asks and self._pool.wanted and not self._pool.wants_more:
                break
            self._rows.popleft()
            moved = True
            self._news()
            if row.work is not None:
                self._announce(row.work)
            if asks:
                if not self._pool.wanted:
                    self._pool.want(1)  # before the row is placed, which needs a Ray
                    self._news()
                self._pool.submit(WorkRow(*row.placed()))
                self._observer.submitted()
            elif row.work is not None:
                # Nothing to ask a model: a dead letter, a repeat, an entry left undone, or a video that no model wants anything of.
                self._book(answer_without_models(row.work), None)
        return moved

    def _announce(self, work: Work) -> None:
        header = work.header
        if header is not None and header.plan is not None and not header.repeats:
            self._observer.planned(header.entry, header.plan)

    def _tick_s(self) -> float:
        placing = self._pool.wanted and not self._pool.cells
        wanting = self._hungry and (self._pool.wants_more or not self._pool.wanted)
        return _SHORT_TICK_S if placing or wanting else _TICK_S

    def _wait(self, timeout_s: float) -> set[Any]:
        """References that are ready, after a wait of up to `timeout_s` for whatever may come first."""
        references = [*self._pool.waits(), *self._sink.waits()]
        if references:
            return arrived(references, timeout_s)
        if timeout_s and self._hungry:
            self._rows.extend(self._source.take(timeout_s))
        elif timeout_s and not self._all_back:  # rows wait for a cell, or for a front's restart
            time.sleep(timeout_s)
        return set()

    @property
    def _all_back(self) -> bool:
        """Whether every row has been taken and answered: what is left is to write."""
        return self._source.ended and not self._rows and not self._pool.open

    def _step(self, references: Collection[Any]) -> None:
        """Book what has come back and commit what is due."""
        for done in self._pool.ready(references):
            self._returned(done)
        self._commit(references, everything=self._all_back)

    def _returned(self, done: Done) -> None:
        self._news()
        if done.index is not None:
            index = replace(done.index, sent=done.row.sent)
            self._observer.answered(index)
            self.log_answer(index)
            self._book(index, done.payload)
            return
        error = done.error or ModelError("a row came back with neither answer nor error", "cell")
        try:
            work = decode(ray.get(done.row.block), done.row.row)
        except RayError as lost:
            _LOG.info("a block of rows is lost, its entries go round again: %s", lost)
            return  # the block itself is lost: its entries stay open and go round again
        self._sink.add(self._ledger.fail(work.entry_id, work.batch_index, work.batch_count, work.header, error))

    def _book(self, index: Index, payload: Any) -> None:
        header = index.header
        if header is not None and header.put_off is not None:
            self._left.pop(header.entry.entry_id, None)
            self._put_off[header.entry.entry_id] = header.put_off
            log_put_off(self._history, header.entry.entry_id, header.put_off)
        else:
            self._sink.add(self._ledger.add(index, payload))

    def _commit(self, references: Collection[Any], *, everything: bool) -> None:
        # Again until nothing more ends: the end of a video settles the entries that waited for it.
        while ended := self._sink.ready(references, everything=everything):
            self._news()
            for one in ended:
                self._ended(one)

    def _ended(self, ended: Ended) -> None:
        header = ended.settled.header
        if not ended.lost:
            log_dead_letter(self._failures, header, ended.error)
            log_ended(self._history, ended)
            self._left.pop(header.entry.entry_id, None)
            self._observer.ended(header.entry, ended.tables)
        if header.plan is None or ended.settled.repeat:
            return
        if ended.lost:
            log_lost(self._history, [header.entry.entry_id], "the entry's rows were lost before they were written")
            self._ledger.lost(header.entry.entry_id, header.plan.video_key)
        else:
            self._sink.add(self._ledger.ended(header.plan.video_key, ended.error))

    def _drain(self) -> None:
        """Finish the rows in flight as far as the time allows, and commit."""
        ends_s = time.monotonic() + self._limits.drain_s
        try:
            while self._pool.cells and self._pool.open and time.monotonic() < ends_s - self._limits.drain_s * _WRITING_SHARE:
                self._step(self._wait(_TICK_S))
        except RumiaiError as error:  # what has come back is still committed
            _LOG.warning("the drain brings no more answers: %s", error)
        while self._sink.open and time.monotonic() < ends_s:
            self._write_out()
        self._observer.tick(self._state())

    def _write_out(self) -> None:
        """Commit all that the sink has, however little; waits a tick for what is being written."""
        self._commit((), everything=True)
        self._commit(arrived(self._sink.waits(), _TICK_S), everything=True)

    def _bury_what_is_left(self) -> None:
        for entry in list(self._left.values()):
            lost = TransientError("the entry's rows were lost in every round", entry.input, "`rumiai-ray runs retry` tries again")
            lost.attempts = self._limits.rounds
            row = dead_letter_row(self._run_id, entry, None, "assemble", lost)
            self._sink.add([Settled(Header(entry, pack(row), None))])
        while self._sink.open:
            self._write_out()
            self._check()

    def _news(self) -> None:
        self._last_news_s = time.monotonic()

    def _quiet_s(self) -> float:
        return time.monotonic() - max(self._last_news_s, self._pool.last_news_s, self._source.last_news_s)

    def _check(self) -> None:
        """Tell the observer, and end a run that has stalled."""
        state = self._state()
        self._observer.tick(state)
        self._failures.flush_if_due()
        self._history.flush_if_due()
        if state.quiet_s > self._limits.stall_s:
            raise StalledError(f"no result has come back for {self._limits.stall_s:g} s", f"run {self._run_id}", self._limits.hint)

    def _state(self) -> DriveState:
        pool = self._pool
        return DriveState(
            self._done,
            self._total,
            self._sink.tally,
            cells=len(pool.cells),
            cells_wanted=pool.wanted,
            rows=pool.open,
            writing=self._sink.open,
            quiet_s=self._quiet_s(),
            activity=pool.activity,
            reading=bool(self._rows) or not self._source.ended,
        )


def answer_without_models(work: Work) -> Index:
    """The index of a row that asks nothing of any model."""
    return Index(work.entry_id, work.video_key, work.batch_index, work.batch_count, {}, header=work.header)

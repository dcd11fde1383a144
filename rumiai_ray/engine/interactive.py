"""One video, or a few, without Ray Data: the same rows of work, cell, assembly and commit, driven from this process.

A Ray Data execution costs 2 to 12 s (measured), which a batch of thousands does not notice and a person does.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import ray

from rumiai_ray.engine import cell as cells
from rumiai_ray.engine.assemble import assemble
from rumiai_ray.engine.dispatch import Dispatcher, Done, Row
from rumiai_ray.engine.entries import dead_letter_row, video_row
from rumiai_ray.engine.feed import Dead, Ended, Event, Feed, Fetched, Planned
from rumiai_ray.engine.lane import LanePolicy
from rumiai_ray.engine.local import local_ray
from rumiai_ray.engine.work import Work, encode
from rumiai_ray.schema.run import ANALYSES, DEAD_LETTER, VIDEOS, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.calls import Index, Payload
    from rumiai_ray.engine.planning import VideoPlan
    from rumiai_ray.frames.store import FrameStore
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.fetch import FetchLimits
    from rumiai_ray.models.base import ModelPlan
    from rumiai_ray.runs.writer import RunWriter

_QUIET_S = 1.5
"""How long a first video may take to fail before Ray is started for it: most broken files are known by then."""
_TICK_S = 0.25


class Reporter(Protocol):
    """Where progress goes. All calls come from the driver's thread."""

    def stage(self, text: str) -> None:
        """What the run is doing now."""

    def planned(self, entry: Entry, plan: VideoPlan) -> None:
        """A video is about to be analysed."""

    def progress(self, video_key: str, model: str, answered: int) -> None:
        """A model has answered for so many frames (or stretches of audio) of a video so far."""

    def ended(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        """An entry was committed or dead-lettered; `tables` are the rows it left."""


class Stopped(Exception):  # noqa: N818 -- an order, not an error
    """The run was told to stop; everything committed stays."""


@dataclass
class _Pending:
    plan: VideoPlan
    owners: list[tuple[Entry, pa.Table]]
    """Entries with this content and their `videos` rows; the first one's analysis serves all."""
    answers: list[tuple[Index, Payload]] = field(default_factory=list)
    error: Exception | None = None
    returned: int = 0


class Interactive:
    """One run over a few entries."""

    def __init__(
        self,
        config: BaseConfig,
        models: Sequence[ModelPlan],
        store: FrameStore,
        limits: FetchLimits,
        workdir: Path,
        writer: RunWriter,
        reporter: Reporter,
    ) -> None:
        self._config = config
        self._models = models
        self._store = store
        self._limits = limits
        self._workdir = workdir
        self._writer = writer
        self._reporter = reporter
        self._run_id = writer.manifest.run_id
        self._cell: cells.Cell | None = None
        self._dispatcher: Dispatcher | None = None
        self._pending: dict[str, _Pending] = {}
        self._broken: dict[str, Exception] = {}
        self._stopped = threading.Event()
        self._troubled = False

    def run(self, entries: Sequence[Entry], cell: cells.Cell | None = None) -> Literal["complete", "partial"]:
        """Analyse `entries`, commit each as it ends; returns the run's status, `complete` or `partial`.

        Args:
            entries: what to analyse.
            cell: a warm cell to use; without one a Ray on loopback is started, if any video gets as far as needing it.
        """
        with ExitStack() as held:
            feed = Feed(entries, self._store, self._limits, self._workdir, self._models, self._config.engine.batch_frames)
            held.callback(feed.stop)
            if cell is not None:
                self._use(cell)
            self._loop(feed, held)
        return "partial" if self._troubled else "complete"

    def stop(self) -> None:
        """End the run before its next step; `run` then raises `Stopped`. Callable from a signal handler."""
        self._stopped.set()

    def _loop(self, feed: Feed, held: ExitStack) -> None:
        waiting_since: float | None = None
        ended = False
        while not ended or self._pending or (self._dispatcher and self._dispatcher.open):
            if self._stopped.is_set():
                raise Stopped
            event = None if ended or not self._has_room() else self._next(feed)
            if isinstance(event, Fetched):
                waiting_since = waiting_since or time.monotonic()
                self._reporter.stage(f"decoding {event.entry.input}")
            elif isinstance(event, Ended):
                ended = True
                if event.error is not None:
                    raise event.error
            elif event is not None:
                waiting_since = None
                self._take(event, held)
            elif waiting_since and self._cell is None and time.monotonic() - waiting_since > _QUIET_S:
                self._start(held)
            if self._dispatcher is not None:
                for done in self._dispatcher.collect(_TICK_S if event is None else 0):
                    self._returned(done)

    def _has_room(self) -> bool:
        return self._dispatcher is None or self._dispatcher.wants_more

    def _next(self, feed: Feed) -> Event | Work | None:
        busy = self._dispatcher is not None and self._dispatcher.open
        try:
            return feed.events.get(timeout=0.001 if busy else _TICK_S)
        except queue.Empty:
            return None

    def _take(self, event: Event | Work, held: ExitStack) -> None:
        if isinstance(event, Work):
            dispatcher = self._start(held)
            dispatcher.submit(Row(event.video_key, event.batch_index, ray.put(encode([event])), 0))
        elif isinstance(event, Planned):
            self._plan(event)
        elif isinstance(event, Dead):
            self._bury(event.entry, event.video_key, event.stage, event.error)

    def _start(self, held: ExitStack) -> Dispatcher:
        """The dispatcher of the cell, started now if there is none."""
        if self._dispatcher is None:
            self._reporter.stage("starting Ray and loading models")
            ours = held.enter_context(local_ray())
            spec = cells.CellSpec(
                plans=self._models,
                code_sha256=ours.code_sha256,
                notes=ours.scratch,
                policy=lane_policy(self._config),
                batches_in_flight=self._config.engine.batches_in_flight,
            )
            self._use(cells.start(spec))
        if self._dispatcher is None:
            raise RuntimeError("a started cell has a dispatcher")
        return self._dispatcher

    def _use(self, cell: cells.Cell) -> None:
        self._cell = cell
        engine = self._config.engine
        slowest_s = engine.start_timeout_s + engine.call_timeout_s
        self._dispatcher = Dispatcher(
            cell.front,
            in_flight=engine.batches_in_flight,
            attempts=engine.attempts,
            # The lanes end every call themselves; this is for a front that hangs with them.
            deadline_s=engine.batches_in_flight * engine.attempts * slowest_s,
        )

    def _plan(self, event: Planned) -> None:
        row = video_row(self._run_id, event.entry, event.video, event.stored)
        known = self._pending.get(event.plan.video_key)
        if event.plan.video_key in self._broken:
            return self._bury(event.entry, event.plan.video_key, "assemble", self._broken[event.plan.video_key])
        if event.repeated and known is None:
            return self._commit({VIDEOS.name: row}, event.entry)
        if known is not None:
            known.owners.append((event.entry, row))
            return None
        self._reporter.planned(event.entry, event.plan)
        self._pending[event.plan.video_key] = _Pending(event.plan, [(event.entry, row)])
        if not event.plan.batch_count:
            self._finish(event.plan.video_key)
        return None

    def _returned(self, done: Done) -> None:
        pending = self._pending[done.row.video_key]
        pending.returned += 1
        if done.index is None:
            pending.error = pending.error or done.error
        else:
            payload: Any = ray.get(done.payload)
            pending.answers.append((done.index, payload))
            self._report(pending)
        if pending.returned == pending.plan.batch_count:
            self._finish(done.row.video_key)

    def _report(self, pending: _Pending) -> None:
        for model in (*pending.plan.frames, *pending.plan.audio):
            outcomes = [index.outcomes[model] for index, _ in pending.answers if model in index.outcomes]
            self._reporter.progress(pending.plan.video_key, model, sum(len(outcome.frames) or 1 for outcome in outcomes))

    def _finish(self, video_key: str) -> None:
        pending = self._pending.pop(video_key)
        if pending.error is not None:
            self._broken[video_key] = pending.error
            for entry, _ in pending.owners:
                self._bury(entry, video_key, "assemble", pending.error)
            return
        tables = assemble(self._run_id, pending.plan, self._models, pending.answers)
        if Status.FAILED in tables[ANALYSES.name]["status"].to_pylist():
            self._troubled = True
        for entry, row in pending.owners:
            self._commit({VIDEOS.name: row, **tables}, entry)
            tables = {}

    def _bury(self, entry: Entry, video_key: str | None, stage: str, error: Exception) -> None:
        self._troubled = True
        row = {DEAD_LETTER.name: dead_letter_row(self._run_id, entry, video_key, stage, error)}
        self._writer.add(row)
        self._writer.commit([], [entry.entry_id])
        self._reporter.ended(entry, row)

    def _commit(self, tables: dict[str, pa.Table], entry: Entry) -> None:
        self._writer.add(tables)
        self._writer.commit([entry.entry_id])
        self._reporter.ended(entry, tables)


def lane_policy(config: BaseConfig) -> LanePolicy:
    """The lanes' limits under `config`."""
    engine = config.engine
    return LanePolicy(
        outstanding=engine.calls_outstanding,
        attempts=engine.attempts,
        call_timeout_s=engine.call_timeout_s,
        start_timeout_s=engine.start_timeout_s,
        memory_bytes=engine.memory_mb * 2**20,
    )

"""One video, or a few, without Ray Data: the same rows of work, cell, assembly and commit, driven from this process.

A Ray Data execution costs 2 to 12 s (measured), which a batch of thousands does not notice and a person does.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol

import ray

from rumiai_ray.engine.cell import cell as cells
from rumiai_ray.engine.cell.dispatcher import Dispatcher, Done, Row
from rumiai_ray.engine.cell.messages import Index
from rumiai_ray.engine.cell.policy import cell_spec, dispatcher_of
from rumiai_ray.engine.ray_session.code_snapshot import check_code
from rumiai_ray.engine.ray_session.session import connected
from rumiai_ray.engine.results.entry_tracker import Ledger, Settled
from rumiai_ray.engine.results.failure_records import log_answer, log_dead_letter
from rumiai_ray.engine.setup.machines import cluster_of_now, plan_of_ray
from rumiai_ray.engine.warm import client as warm
from rumiai_ray.engine.work.entry_rows import dead_letter_row
from rumiai_ray.engine.work.item import decode, encode
from rumiai_ray.engine.work.thread_source import Feed
from rumiai_ray.errors import TransientError
from rumiai_ray.schema.run import ANALYSES, DEAD_LETTER, VIDEOS, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.engine.work.item import Header, VideoPlan, Work
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.runs.writer import RunWriter

_QUIET_S = 1.5
"""How long a first video may take to fail before Ray is started for it: most broken files are known by then."""
_TICK_S = 0.25
_FOR_THE_END = ("ray.dag.compiled_dag_node", "supervision", "trackers", "rumiai_ray.engine.results.assemble")
"""Modules that a run needs when its models are done: they are imported while the models work."""


class Reporter(Protocol):
    """Where progress goes. All calls come from the driver's thread."""

    def stage(self, text: str) -> None:
        """What the run is doing now."""

    def planned(self, entry: Entry, plan: VideoPlan) -> None:
        """A video is about to be analysed."""

    def progress(self, video_key: str, model: str, answered: int) -> None:
        """A model has answered for that many more frames (or stretches of audio) of a video."""

    def ended(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        """An entry was committed or dead-lettered; `tables` are the rows it left."""


class Stopped(BaseException):
    """The run was told to stop; everything committed stays."""


class Interactive:
    """One run over a few entries."""

    def __init__(self, config: BaseConfig, stage: Stage, writer: RunWriter, reporter: Reporter) -> None:
        self._config = config
        self._stage = stage
        self._writer = writer
        self._reporter = reporter
        self._cell: cells.Cell | None = None
        self._dispatcher: Dispatcher | None = None
        self._ledger = Ledger()
        self._stopped = threading.Event()
        self._troubled = False
        self._importing = False
        self._inputs: dict[str, str] = {}
        """By entry."""
        self._here: LocalRay | None = None
        self.figures: dict[str, object] = {}
        """What the run's summary says of the machine it ran on."""

    def run(
        self, entries: Sequence[Entry], cell: cells.Cell | None = None, *, held: ExitStack | None = None
    ) -> Literal["complete", "partial"]:
        """Analyse `entries`, commit each as it ends; returns the run's status.

        Args:
            entries: what to analyse.
            cell: a cell to use; without one a warm one is borrowed, else a Ray and a cell are started, if any video gets as far as that.
            held: is given the cell and Ray, to let go of when its owner likes; they are let go at the end where not given.

        Raises:
            Stopped: `stop` was called.
            RumiaiError: the run as a whole cannot go on.
        """
        with self._writer.failures.of_the_run(), ExitStack() as own:
            self._inputs = {entry.entry_id: entry.input for entry in entries}
            feed = Feed(self._stage, entries)
            own.callback(feed.stop)
            if cell is not None:
                self._use(cell)
            self._loop(feed, own)
            if held is not None:
                held.enter_context(own.pop_all())
        return "partial" if self._troubled else "complete"

    def stop(self) -> None:
        """End the run before its next step; `run` then raises `Stopped`. Callable from a signal handler."""
        self._stopped.set()

    def keep_logs(self) -> None:
        """Keep the logs of the Ray that was started for this run, if one was: the run is not complete."""
        if self._here is not None:
            self._here.keep_logs()

    def _loop(self, feed: Feed, held: ExitStack) -> None:
        began = time.monotonic()
        self._reporter.stage("reading")
        while not feed.ended or (self._dispatcher and self._dispatcher.open):
            if self._stopped.is_set():
                raise Stopped
            if self._cell is not None and self._cell.lost_because:
                raise TransientError(self._cell.lost_because, "the warm cell", "run the command again")
            busy = self._dispatcher is not None and self._dispatcher.open > 0
            work = None
            if not feed.ended and (self._dispatcher is None or self._dispatcher.wants_more):
                work = feed.take(0.001 if busy else _TICK_S)
            if work is not None:
                self._take(work, held)
            elif self._dispatcher is None and not feed.ended and time.monotonic() - began > _QUIET_S:
                self._start(held)
            if self._dispatcher is not None:
                for done in self._dispatcher.collect(_TICK_S if work is None else 0):
                    self._returned(done)

    def _take(self, work: Work, held: ExitStack) -> None:
        if work.header is not None and work.header.plan is not None and not work.header.repeats:
            self._reporter.planned(work.header.entry, work.header.plan)
        if work.kind == "none":
            # Nothing to ask a model: a dead letter, a repeat, or a video no model wants anything of.
            self._settle(self._ledger.add(answer_without_models(work), None))
        else:
            self._start(held).submit(Row(ray.put(encode([work]))))
            self._import_for_the_end()

    def _start(self, held: ExitStack) -> Dispatcher:
        """The dispatcher of the cell, started now if there is none."""
        if self._dispatcher is not None:
            return self._dispatcher
        models = self._stage.models
        wanted = warm.Wanted(self._config, models, self._writer.manifest.source_sha256)
        cell = held.enter_context(warm.borrowed(wanted, self._reporter.stage))
        self.figures["cell"] = "warm" if cell else "of this run"
        if cell is None:
            self._reporter.stage("starting Ray and loading models")
            self._here = ours = held.enter_context(connected(self._config))
            check_code(self._writer.manifest, ours.code_sha256)
            spec = cell_spec(self._config, models, plan_of_ray(self._config, models, cells=1).cell, ours)
            cell = cells.start(spec, timeout_s=self._config.engine.place_timeout_s)
        self.figures["cluster"] = cluster_of_now().model_dump()
        return self._use(cell)

    def _use(self, cell: cells.Cell) -> Dispatcher:
        self._cell = cell  # its handles keep the model actors alive: Ray ends an actor nobody holds
        self._dispatcher = dispatcher_of(cell, self._config)
        return self._dispatcher

    def _import_for_the_end(self) -> None:
        """Import what assembly and `ray.shutdown` import at their first use, 0.7 s, while the models work."""
        if not self._importing:
            self._importing = True
            threading.Thread(target=lambda: [import_module(name) for name in _FOR_THE_END], name="imports", daemon=True).start()

    def _returned(self, done: Done) -> None:
        if done.index is None:
            work = decode(ray.get(done.row.block), done.row.row)
            error = done.error or RuntimeError("a row came back with neither answer nor error")
            self._settle(self._ledger.fail(work.entry_id, work.batch_index, work.batch_count, work.header, error))
            return
        log_answer(self._writer.failures, done.index, self._inputs.get(done.index.entry_id))
        for model, outcome in done.index.outcomes.items():
            self._reporter.progress(done.index.video_key, model, len(outcome.frames) or 1)
        self._settle(self._ledger.add(done.index, done.payload))

    def _settle(self, settled: Sequence[Settled]) -> None:
        for one in settled:
            header, plan = one.header, one.header.plan
            if plan is None:
                self._bury(header, header.row)
                continue
            error = one.error
            if error is not None:
                self._bury(header, dead_letter_row(self._stage.run_id, header.entry, plan.video_key, "assemble", error), error)
            elif one.repeat:
                self._commit(header.entry, {VIDEOS.name: header.row})
            else:
                error = self._assemble(one, plan)
            if not one.repeat:
                self._settle(self._ledger.ended(plan.video_key, error))

    def _assemble(self, settled: Settled, plan: VideoPlan) -> Exception | None:
        """Commit an entry, or bury it; returns why it had to be buried."""
        from rumiai_ray.engine.results.assemble import assemble  # noqa: PLC0415 -- see `_FOR_THE_END`

        entry = settled.header.entry
        try:
            answers = [(index, ray.get(payload)) for index, payload in settled.answers]
            tables = assemble(self._stage.run_id, plan, self._stage.models, answers, self._stage.thresholds)
        except Exception as error:  # noqa: BLE001 -- the boundary of assembly: a video that cannot be assembled is a dead letter
            self._bury(settled.header, dead_letter_row(self._stage.run_id, entry, plan.video_key, "assemble", error), error)
            return error
        if Status.FAILED in tables[ANALYSES.name]["status"].to_pylist():
            self._troubled = True
        self._commit(entry, {VIDEOS.name: settled.header.row, **tables})
        return None

    def _bury(self, header: Header, row: pa.Table, error: Exception | None = None) -> None:
        entry = header.entry
        self._troubled = True
        log_dead_letter(self._writer.failures, header, error)
        self._writer.add({DEAD_LETTER.name: row})
        self._writer.commit([], [entry.entry_id])
        self._reporter.ended(entry, {DEAD_LETTER.name: row})

    def _commit(self, entry: Entry, tables: dict[str, pa.Table]) -> None:
        self._writer.add(tables)
        self._writer.commit([entry.entry_id])
        self._reporter.ended(entry, tables)


def answer_without_models(work: Work) -> Index:
    """The index of a row that asks nothing of any model."""
    return Index(work.entry_id, work.video_key, work.batch_index, work.batch_count, {}, header=work.header)

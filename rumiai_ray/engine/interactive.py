"""One video, or a few, without Ray Data: the same loop, rows of work, cell, assembly and commit as a batch, fed from this process.

A Ray Data execution costs 2 to 12 s (measured), which a batch of thousands does not notice and a person does.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal, Protocol

from rumiai_ray.engine.cell.policy import cell_spec, dispatcher_of
from rumiai_ray.engine.cell.pool import CellPool, LostModels
from rumiai_ray.engine.cell.supply import OwnCells
from rumiai_ray.engine.drive.endings import Stopped
from rumiai_ray.engine.drive.loop import Drive
from rumiai_ray.engine.drive.parts import DriveLimits, Observer
from rumiai_ray.engine.ray_session.code_snapshot import check_code
from rumiai_ray.engine.ray_session.session import connected
from rumiai_ray.engine.results.commit_at_once import AtOnce
from rumiai_ray.engine.results.history_records import log_readings
from rumiai_ray.engine.results.progress import models_loaded
from rumiai_ray.engine.setup.machines import cluster_of_now, plan_of_ray
from rumiai_ray.engine.setup.timeouts import stall_timeout_s
from rumiai_ray.engine.warm import client as warm
from rumiai_ray.engine.warm.borrowed_cell import BorrowedCell
from rumiai_ray.engine.work.entry_registry import ReadingBegun
from rumiai_ray.engine.work.node import node_here
from rumiai_ray.engine.work.thread_source import ThreadSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.cell.cell import Cell
    from rumiai_ray.engine.cell.messages import Index
    from rumiai_ray.engine.cell.supply import CellSupply
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.engine.results.drive_state import DriveState
    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.engine.work.item import VideoPlan
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.runs.writer import RunWriter

__all__ = ["Interactive", "Reporter", "Stopped"]

_QUIET_S = 1.5
"""How long a first video may take to fail before Ray is started for it: most broken files are known by then."""
_DRAIN_S = 5.0
"""Most time that a stopped run has to finish the rows in flight: a person waits."""
_AGAIN = "run the command again"
_CELLS_LOST = 2
"""Cells that may lose the same model: a third would cost a person another start of all models, and hardly keeps what two have lost."""


class Reporter(Protocol):
    """Where progress goes. All calls come from the driver's thread; `stage` is also called by the thread that watches a warm cell."""

    def stage(self, text: str) -> None:
        """What the run is doing now."""

    def planned(self, entry: Entry, plan: VideoPlan) -> None:
        """A video is about to be analysed."""

    def progress(self, video_key: str, model: str, answered: int) -> None:
        """A model has answered for that many more frames (or stretches of audio) of a video."""

    def ended(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        """An entry was committed or dead-lettered; `tables` are the rows it left."""


class Interactive:
    """One run over a few entries."""

    def __init__(self, config: BaseConfig, stage: Stage, writer: RunWriter, reporter: Reporter) -> None:
        self._config = config
        self._stage = stage
        self._writer = writer
        self._sink = AtOnce(writer, stage)
        engine = config.engine
        limits = DriveLimits(
            engine.rounds, stall_timeout_s(engine), min(engine.drain_s, _DRAIN_S), cells=1, hint=_AGAIN, start_after_s=_QUIET_S
        )
        self._told = _Reported(reporter, self._sink, len(stage.models))
        self._drive = Drive(stage.run_id, writer.logs, self._told, limits)
        self._pool: CellPool | None = None
        """Its cells' handles keep the model actors alive: Ray ends an actor nobody holds."""
        self._here: LocalRay | None = None
        self.figures: dict[str, object] = {}
        """What the run's summary says of the machine it ran on."""

    def run(
        self, entries: Sequence[Entry], supply: CellSupply | None = None, *, held: ExitStack | None = None
    ) -> Literal["complete", "partial"]:
        """Analyse `entries`, commit each as it ends; returns the run's status.

        Args:
            entries: what to analyse.
            supply: where the cell comes from. By default a warm one is borrowed, else a Ray and a cell are started, if any video gets as
                far as that.
            held: is given the cell and Ray, to let go of when its owner likes; they are let go at the end where not given.

        Raises:
            Stopped: `stop` was called; what could be finished in time is committed.
            RumiaiError: the run as a whole cannot go on.
        """
        with ExitStack() as own:
            self._pool = CellPool(
                supply or _OneCell(lambda: self._supply(own)),
                lambda one: dispatcher_of(one, self._config),
                self._config.engine.attempts,
                lost_model=self._drive.log_answer,
                policy=LostModels(_CELLS_LOST, fatal=False),
                keeps=True,
            )
            self._told.stage("reading")
            status = self._drive.run(self._source, self._pool, self._sink, entries, len(entries))
            if held is not None:
                held.enter_context(own.pop_all())
        return status

    def stop(self) -> None:
        """Take nothing new, finish the rows in flight within seconds; `run` then raises `Stopped`. Callable from a signal handler."""
        self._drive.stop()

    def keep_logs(self) -> None:
        """Keep the logs of the Ray that was started for this run, if one was: the run is not complete."""
        if self._here is not None:
            self._here.keep_logs()

    def _source(self, entries: Iterable[Entry], begun: Callable[[Sequence[Entry]], object]) -> ThreadSource:
        def reading(of: Sequence[Entry]) -> None:
            node = node_here()
            log_readings(self._writer.logs.history, [ReadingBegun(entry.entry_id, node, 1) for entry in of])
            begun(of)

        return ThreadSource(self._stage, entries, reading)

    def _supply(self, held: ExitStack) -> CellSupply:
        """A warm cell where there is one, else a Ray with room for a cell of our own; `held` lets go of either."""
        models, engine = self._stage.models, self._config.engine
        wanted = warm.WantedCell(self._config, models, self._writer.manifest.source_sha256)
        lease = held.enter_context(warm.borrowed(wanted, self._told.stage, self._drive.raise_if_stopped))
        self.figures["cell"] = "warm" if lease else "of this run"
        supply: CellSupply
        if lease is not None:
            supply = BorrowedCell(lease)
        else:
            self._told.stage("starting Ray and loading models")
            self._here = ours = held.enter_context(connected(self._config))
            check_code(self._writer.manifest, ours.code_sha256)
            spec = cell_spec(self._config, models, plan_of_ray(self._config, models, cells=1).cell, ours)
            supply = OwnCells(spec, engine.place_timeout_s, _AGAIN)
        self.figures["cluster"] = cluster_of_now().model_dump()
        return supply


class _OneCell:
    """A `CellSupply` that is chosen when the first cell is asked for: until then no Ray is needed.

    Args:
        choose: connects to a Ray and says where cells come from there.
    """

    def __init__(self, choose: Callable[[], CellSupply]) -> None:
        self._choose = choose
        self._chosen: CellSupply | None = None

    @property
    def asked(self) -> int:
        return self._chosen.asked if self._chosen is not None else 0

    def ask(self) -> None:
        if self._chosen is None:
            self._chosen = self._choose()
        self._chosen.ask()

    def arrived(self, *, urgent: bool) -> list[Cell]:
        return self._chosen.arrived(urgent=urgent) if self._chosen is not None else []

    def moved(self) -> list[Cell]:
        """As the chosen supply."""
        return self._chosen.moved() if self._chosen is not None else []

    def withdraw(self) -> None:
        if self._chosen is not None:
            self._chosen.withdraw()

    def end(self, cell: Cell) -> None:
        if self._chosen is not None:
            self._chosen.end(cell)


class _Reported(Observer):
    """Tells the reporter, and has the end prepared while the models work."""

    def __init__(self, reporter: Reporter, sink: AtOnce, models: int) -> None:
        self._reporter = reporter
        self._sink = sink
        self._models = models
        self._analysing = ""
        """What is being analysed, in words, once its models are loaded."""
        self._stage = ""

    def stage(self, text: str) -> None:
        """What the run is doing now, where it is not told already."""
        if text != self._stage:
            self._stage = text
            self._reporter.stage(text)

    def planned(self, entry: Entry, plan: VideoPlan) -> None:
        self._stage = self._analysing = f"analysing {entry.input}"
        self._reporter.planned(entry, plan)

    def tick(self, state: DriveState) -> None:
        if state.rows and state.activity:
            loaded = models_loaded(state.activity)
            self.stage(self._analysing if loaded >= self._models else f"loading models, {loaded} of {self._models}")

    def submitted(self) -> None:
        self._sink.import_ahead()

    def answered(self, index: Index) -> None:
        for model, outcome in index.outcomes.items():
            self._reporter.progress(index.video_key, model, len(outcome.frames) or 1)

    def ended(self, entry: Entry, tables: Mapping[str, pa.Table] | None) -> None:
        self._reporter.ended(entry, tables or {})

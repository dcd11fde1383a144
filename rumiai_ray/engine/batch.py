"""Thousands of videos: one streaming Dataset feeds the cells, settled entries are written in groups, records commit them."""

from __future__ import annotations

import contextlib
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

import ray

from rumiai_ray.engine.cell.placement import Placement
from rumiai_ray.engine.cell.policy import cell_spec, dispatcher_of
from rumiai_ray.engine.cell.pool import CellPool
from rumiai_ray.engine.cell.supply import RESUME_HINT, OwnCells
from rumiai_ray.engine.drive.endings import HostsRefuse, StalledError, Stopped
from rumiai_ray.engine.drive.loop import Drive
from rumiai_ray.engine.drive.parts import DriveLimits, Observer
from rumiai_ray.engine.ray_session.code_snapshot import check_code
from rumiai_ray.engine.results.batch_metrics import BatchMetrics
from rumiai_ray.engine.results.commit_groups import Groups
from rumiai_ray.engine.results.history_records import log_readings, refused_before
from rumiai_ray.engine.results.picture import PictureWriter
from rumiai_ray.engine.results.progress import ProgressMeter
from rumiai_ray.engine.setup.autoscaler import autoscaler_news
from rumiai_ray.engine.setup.machines import nodes_of_ray
from rumiai_ray.engine.setup.run_setup import manners
from rumiai_ray.engine.setup.timeouts import stall_timeout_s
from rumiai_ray.engine.work.entry_registry import Claims
from rumiai_ray.engine.work.node import node_here
from rumiai_ray.engine.work.poll import Poll
from rumiai_ray.engine.work.ray_data_source import RayDataSource, ReadPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.cell.messages import Index
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.engine.results.drive_state import DriveState
    from rumiai_ray.engine.results.progress import Progress
    from rumiai_ray.engine.setup.cluster_plan import Plan
    from rumiai_ray.engine.work.counts import Tally
    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.engine.work.entry_registry import ReadingNews, UnderWay
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.runs.writer import RunWriter

__all__ = ["BatchRun", "StalledError", "Watcher"]

_LOOK_S = 0.25
"""Between two looks at the progress."""


class Watcher(Protocol):
    """Where a batch's progress goes."""

    def tick(self, progress: Progress) -> None:
        """How far the run is; four times a second, whenever entries were committed, and when the run is done."""


class BatchRun:
    """One run over many entries."""

    def __init__(self, config: BaseConfig, stage: Stage, writer: RunWriter, here: LocalRay, plan: Plan, watcher: Watcher) -> None:
        self._config = config
        self._stage = stage
        self._writer = writer
        self._here = here
        self._plan = plan
        engine = config.engine
        limits = DriveLimits(engine.rounds, stall_timeout_s(engine), engine.drain_s, plan.cells, RESUME_HINT)
        self._watched = _Watched(watcher, stage.run_id, plan.actors, writer)
        self._drive = Drive(stage.run_id, writer.logs, self._watched, limits)
        self._claims: Any = None
        """Handle of the run's `Claims` actor."""

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
            HostsRefuse: entries are left undone, because their hosts refuse.
            StalledError: nothing came back for `engine.stall_timeout_s`.
            StorageError: the run or the frame store cannot be written.
            TransientError: no node had room for a cell in time.
            ModelError: cells die again and again, or a model of theirs.
        """
        # Its calls may be repeated: what a death makes it forget, the entry tracker does not.
        self._claims = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Claims).remote(
            dict.fromkeys(analysed, ""), manners(self._config), refused_before(self._writer.run, time.time())
        )
        self._watched.readers = Poll(self._claims.take_news.remote)
        engine = self._config.engine
        check_code(self._writer.manifest, self._here.code_sha256)
        spec = cell_spec(self._config, self._stage.models, self._plan.cell, self._here)
        placement = Placement(self._plan.cell, lambda: nodes_of_ray(engine.gpu_memory_gb), autoscaler_news)
        supply = OwnCells(spec, engine.place_timeout_s, placement=placement)
        dispatch = partial(dispatcher_of, config=self._config)
        pool = CellPool(supply, dispatch, engine.attempts, lost_model=self._drive.log_answer)
        with contextlib.closing(pool), self._watched.session():
            return self._drive.run(self._source, pool, self._groups, entries, total, analysed)

    def stop(self) -> None:
        """Take nothing new, finish the rows in flight, then raise `Stopped` from `run`. Callable from a signal handler."""
        self._drive.stop()

    def _source(self, entries: Iterable[Entry], begun: Callable[[Sequence[Entry]], object]) -> RayDataSource:
        """One round over `entries`."""
        engine, plan = self._config.engine, self._plan
        policy = ReadPolicy(plan.extract_tasks, plan.cells, engine.attempts, engine.entry_timeout_s)
        return RayDataSource(entries, self._stage, self._claims, policy, begun)


class _Watched(Observer):
    """Computes the run's progress, and tells it to the watcher and to Prometheus."""

    def __init__(self, watcher: Watcher, run_id: str, actors: Mapping[str, int], writer: RunWriter) -> None:
        self.readers: Poll[ReadingNews] | None = None
        """Asks what is read where, and how long the videos are that have been read; the answers to their rows come later."""
        self._watcher = watcher
        self._meter = ProgressMeter(actors)
        self._metrics = BatchMetrics(run_id)
        self._history = writer.logs.history
        self._pictures = PictureWriter(writer.run, run_id, node_here())
        self._reading: tuple[UnderWay, ...] = ()
        """What is being read, as it was told last."""
        self._looked_s = float("-inf")
        self._told_done = 0

    def answered(self, index: Index) -> None:
        self._meter.answered(index)
        self._metrics.answered(index)

    def ended(self, entry: Entry, tables: Mapping[str, pa.Table] | None) -> None:
        del tables
        self._meter.ended(entry.entry_id)

    def again(self, entry_ids: Collection[str]) -> None:
        self._meter.again(entry_ids)

    def tick(self, state: DriveState) -> None:
        due = time.monotonic() - self._looked_s >= _LOOK_S
        if not (due or state.last or state.done != self._told_done):
            return
        self._looked_s, self._told_done = time.monotonic(), state.done
        news = self.readers.news() if self.readers is not None else None
        if news is not None:
            self._meter.measured(news.lengths_s)
            log_readings(self._history, news.begun)
            self._reading = news.under_way
        progress = self._meter.look(state)
        self._watcher.tick(progress)
        self._metrics.tick(progress)
        self._pictures.tick(progress, self._reading)

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Say in the last picture how the driver has ended."""
        how = "its driver was ended by an error"
        try:
            yield
            how = "its driver has done all it could"
        except HostsRefuse:
            how = "hosts refuse, and entries of theirs are left undone"
            raise
        except Stopped:
            how = "its driver was told to stop"
            raise
        finally:
            self._pictures.close(how)

"""Thousands of videos: one streaming Dataset feeds the cells, settled entries are written in groups, records commit them."""

from __future__ import annotations

import contextlib
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

import ray

from rumiai_ray.engine.cell.placement import Placement
from rumiai_ray.engine.cell.policy import cell_spec, dispatcher_of
from rumiai_ray.engine.cell.pool import Pool
from rumiai_ray.engine.cell.supply import RESUME_HINT
from rumiai_ray.engine.drive import Drive, DriveLimits, Observer, StalledError
from rumiai_ray.engine.ray_session.code_snapshot import check_code
from rumiai_ray.engine.results.batch_metrics import BatchMetrics
from rumiai_ray.engine.results.commit_groups import Groups
from rumiai_ray.engine.setup.autoscaler import autoscaler_news
from rumiai_ray.engine.setup.machines import nodes_of_ray
from rumiai_ray.engine.setup.timeouts import stall_timeout_s
from rumiai_ray.engine.work.entry_registry import Claims
from rumiai_ray.engine.work.ray_data_source import RayDataSource, ReadPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.cell.messages import Index
    from rumiai_ray.engine.drive import DriveState
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.engine.setup.cluster_plan import Plan
    from rumiai_ray.engine.work.counts import Tally
    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.runs.writer import RunWriter

__all__ = ["Batch", "StalledError", "Watcher"]


class Watcher(Protocol):
    """Where a batch's progress goes, about four times a second."""

    def tick(self, done: int, total: int, tally: Tally) -> None:
        """So many entries of so many are committed."""


class Batch:
    """One run over many entries."""

    def __init__(self, config: BaseConfig, stage: Stage, writer: RunWriter, here: LocalRay, plan: Plan, watcher: Watcher) -> None:
        self._config = config
        self._stage = stage
        self._writer = writer
        self._here = here
        self._plan = plan
        engine = config.engine
        limits = DriveLimits(engine.rounds, stall_timeout_s(engine), engine.drain_s, plan.cells, RESUME_HINT)
        self._drive = Drive(stage.run_id, writer.failures, _Watched(watcher, stage.run_id, plan.actors), limits)
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
            StalledError: nothing came back for `engine.stall_timeout_s`.
            StorageError: the run or the frame store cannot be written.
            TransientError: no node had room for a cell in time.
            ModelError: cells die again and again, or a model of theirs.
        """
        # Its calls may be repeated: what a death makes it forget, the entry tracker does not.
        self._claims = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Claims).remote(dict.fromkeys(analysed, ""))
        engine = self._config.engine
        check_code(self._writer.manifest, self._here.code_sha256)
        spec = cell_spec(self._config, self._stage.models, self._plan.cell, self._here)
        placement = Placement(self._plan.cell, lambda: nodes_of_ray(engine.gpu_memory_gb), autoscaler_news)
        dispatch = partial(dispatcher_of, config=self._config)
        with contextlib.closing(Pool(spec, dispatch, engine.attempts, engine.place_timeout_s, self._drive.log_answer, placement)) as pool:
            return self._drive.run(self._source, pool, self._groups, entries, total, analysed)

    def stop(self) -> None:
        """Take nothing new, finish what is in hand, then raise `Stopped` from `run`. Callable from a signal handler."""
        self._drive.stop()

    def _source(self, entries: Iterable[Entry], begun: Callable[[Sequence[Entry]], object]) -> RayDataSource:
        """One round over `entries`."""
        engine, plan = self._config.engine, self._plan
        policy = ReadPolicy(plan.extract_tasks, plan.cells, engine.attempts, engine.entry_timeout_s)
        return RayDataSource(entries, self._stage, self._claims, policy, begun)


class _Watched(Observer):
    """Tells the watcher and Prometheus."""

    def __init__(self, watcher: Watcher, run_id: str, actors: Mapping[str, int]) -> None:
        self._watcher = watcher
        self._metrics = BatchMetrics(run_id, actors)

    def answered(self, index: Index) -> None:
        self._metrics.answered(index)

    def tick(self, state: DriveState) -> None:
        if not state.last:
            self._watcher.tick(state.done, state.total, state.tally)
        self._metrics.tick(
            state.tally,
            state.total - state.done,
            cells=(state.cells, state.cells_wanted),
            rows=state.rows,
            writing=state.writing,
            quiet_s=state.quiet_s,
            last=state.last,
        )

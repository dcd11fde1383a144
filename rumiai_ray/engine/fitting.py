"""From settings to what the engine is made of: cells, dispatchers, lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.engine.cell import Cell, CellSpec
from rumiai_ray.engine.dispatch import Dispatcher
from rumiai_ray.engine.lane import LanePolicy
from rumiai_ray.engine.limits import answer_timeout_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.local import LocalRay
    from rumiai_ray.engine.resources import CellShape
    from rumiai_ray.models.base import ModelPlan


def cell_spec(config: BaseConfig, models: Sequence[ModelPlan], shape: CellShape, here: LocalRay) -> CellSpec:
    """What a cell is made of under `config`."""
    return CellSpec(
        plans=models,
        shape=shape,
        code_sha256=here.code_sha256,
        notes=here.scratch,
        policy=lane_policy(config),
        batches_in_flight=config.engine.batches_in_flight,
    )


def dispatcher_of(cell: Cell, config: BaseConfig) -> Dispatcher:
    """A dispatcher for one cell under `config`."""
    engine = config.engine
    return Dispatcher(cell.front, in_flight=cell.spec.batches_in_flight, attempts=engine.attempts, patience_s=answer_timeout_s(engine))


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

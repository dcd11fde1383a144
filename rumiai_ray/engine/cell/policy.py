"""From settings to what the engine is made of: cells, dispatchers, lanes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rumiai_ray.engine.cell.cell import Cell, CellSpec
from rumiai_ray.engine.cell.dispatcher import Dispatcher
from rumiai_ray.engine.cell.lane_policy import LanePolicy
from rumiai_ray.engine.setup.timeouts import answer_timeout_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.engine.setup.resource_plan import CellShape
    from rumiai_ray.models.base import ModelPlan

_FEWEST_IN_FLIGHT = 3
_IN_FLIGHT_EACH = 1.5
"""For each actor of the model that has most: one it works on, and for every second actor one that is on its way."""


def cell_spec(config: BaseConfig, models: Sequence[ModelPlan], shape: CellShape, here: LocalRay) -> CellSpec:
    """What a cell is made of under `config`."""
    return CellSpec(
        plans=models,
        shape=shape,
        code_sha256=here.code_sha256,
        notes=here.scratch,
        policy=lane_policy(config),
        batches_in_flight=config.engine.batches_in_flight or batches_in_flight(shape),
    )


def batches_in_flight(shape: CellShape) -> int:
    """As many as keep every actor of the cell busy. One with 8 MediaPipe actors did 1.67 videos/s with 3 in flight and 2.88 with 12."""
    return max(_FEWEST_IN_FLIGHT, math.ceil(_IN_FLIGHT_EACH * max(share.count for share in shape.shares)))


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

"""One Ray for the engine's tests, and cells of fake models on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chaos import ray_with_faults
from rumiai_ray.engine.cell import cell as cells
from rumiai_ray.engine.cell.lane_policy import LanePolicy
from rumiai_ray.engine.setup.resource_plan import Machine, plan_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.models.base import ModelPlan

FAST = LanePolicy(outstanding=2, attempts=3, call_timeout_s=120.0, start_timeout_s=120.0, memory_bytes=2**40)


@pytest.fixture(scope="session")
def ray_here() -> Iterator[LocalRay]:
    """A Ray on loopback whose workers can import the fakes, and where faults can be armed."""
    with ray_with_faults() as ours:
        yield ours


@pytest.fixture
def policy() -> LanePolicy:
    """Limits no healthy fake comes near."""
    return FAST


@pytest.fixture
def start_cell(ray_here: LocalRay) -> Iterator[Callable[..., cells.Cell]]:
    """Starts cells of the given plans; all are closed after the test."""
    started: list[cells.Cell] = []

    def start(*plans: ModelPlan, policy: LanePolicy = FAST) -> cells.Cell:
        shape = plan_machine(plans, Machine(cpus=2, memory_gb=24)).cell
        started.append(cells.start(cells.CellSpec(plans, ray_here.code_sha256, ray_here.scratch, policy, 3, shape)))
        return started[-1]

    yield start
    for cell in started:
        cell.close()

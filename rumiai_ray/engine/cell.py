"""A cell: one node-local set of warm model actors and their front, in one placement-group bundle; the unit of scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from rumiai_ray.engine.actor import ModelActor, worker_environment
from rumiai_ray.engine.front import Front
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rumiai_ray.engine.lane import LanePolicy
    from rumiai_ray.models.base import ModelPlan


@dataclass(frozen=True)
class CellSpec:
    """What a cell is made of."""

    plans: Sequence[ModelPlan]
    code_sha256: str
    """Source hash of the frozen package; an actor that imports anything else refuses to work."""
    notes: Path
    """Directory of the node for the actors' notes."""
    policy: LanePolicy
    batches_in_flight: int
    cpus: float = 1.0
    """CPUs of the bundle, shared in equal fractions: a cell fits a 2-core machine and leaves one core to extraction and Ray Data."""
    gpus: float = 0.0
    """GPUs of the bundle, shared by the models that use one."""

    @property
    def bundle(self) -> dict[str, float]:
        """What to ask Ray for."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})


@dataclass
class Cell:
    """A running cell. `front` answers `analyze`; the rest is for starting, watching and stopping."""

    spec: CellSpec
    front: Any
    models: dict[str, Any]
    group: PlacementGroup = field(repr=False)

    def close(self) -> None:
        """Kill the actors and give the resources back."""
        for actor in (self.front, *self.models.values()):
            ray.kill(actor, no_restart=True)
        remove_placement_group(self.group)


def ask(spec: CellSpec) -> PlacementGroup:
    """Ask Ray for a cell's resources."""
    group: PlacementGroup = placement_group([spec.bundle], strategy="STRICT_PACK")
    return group


def start(spec: CellSpec, group: PlacementGroup | None = None, *, timeout_s: float = 60.0) -> Cell:
    """Start all actors of a cell at the same time. Returns when the front lives; models go on loading.

    Args:
        spec: what it is made of.
        group: its resources, where they have been asked for already.
        timeout_s: longest wait for them.

    Raises:
        ConfigError: the cluster cannot place the bundle within `timeout_s`.
    """
    group = group or ask(spec)
    if not group.wait(timeout_s):
        remove_placement_group(group)
        raise ConfigError(f"no node of the cluster has {spec.bundle} free", "cell", "stop other work, add a node, or run fewer models")
    share = spec.cpus / (len(spec.plans) + 1)
    strategy = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=0)
    on_gpu = [plan.name for plan in spec.plans if plan.device.startswith("cuda")]
    models, names, notes = {}, {}, {}
    for plan in spec.plans:
        names[plan.name] = f"{plan.name}-{group.id.hex()[:12]}"
        notes[plan.name] = spec.notes / names[plan.name]
        gpus = spec.gpus / len(on_gpu) if plan.name in on_gpu else 0.0
        models[plan.name] = (
            ray.remote(ModelActor)
            .options(
                num_cpus=share,
                num_gpus=gpus,
                max_restarts=-1,
                max_task_retries=0,
                scheduling_strategy=strategy,
                runtime_env={"env_vars": worker_environment(plan.settings.threads, gpu=gpus > 0)},
                name=names[plan.name],
            )
            .remote(plan, notes[plan.name], spec.code_sha256)
        )
    front = (
        ray.remote(Front)
        .options(
            num_cpus=share,
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=spec.batches_in_flight + 1,
            scheduling_strategy=strategy,
            runtime_env={"env_vars": worker_environment(1, gpu=False)},
        )
        .remote(names, notes, spec.policy)
    )
    return Cell(spec, front, models, group)

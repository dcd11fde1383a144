"""A cell: one node-local set of warm model actors and their front, in one placement-group bundle; the unit of scale."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from rumiai_ray.engine.cell.frontend import Front
from rumiai_ray.engine.cell.model_actor import ModelActor, worker_environment
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from rumiai_ray.engine.cell.lane_policy import LanePolicy
    from rumiai_ray.engine.setup.resource_plan import CellShape
    from rumiai_ray.models.base import ModelPlan

_LOG = logging.getLogger(__name__)

_NODE_ID = "ray.io/node-id"
"""The label that Ray gives each node."""
_PLACED = "CREATED"
"""Ray's word for a placement group that has its resources."""


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
    shape: CellShape


@dataclass
class Cell:
    """A running cell. `front` answers `analyze`; the rest is for starting, watching and stopping."""

    spec: CellSpec
    front: Any
    actors: dict[str, list[Any]]
    """By model. These handles keep the actors alive: Ray ends an actor nobody holds."""
    group: PlacementGroup = field(repr=False)

    def close(self) -> None:
        """Kill the actors and give the resources back, each whatever becomes of the others. Raises nothing: what fails is logged."""
        for actor in (self.front, *chain.from_iterable(self.actors.values())):
            _in_spite_of_all(f"killing {actor}", partial(ray.kill, actor, no_restart=True))
        _in_spite_of_all(f"removing placement group {self.group.id.hex()}", partial(remove_placement_group, self.group))
        _LOG.info("cell %s is closed", self.group.id.hex()[:12])


def _in_spite_of_all(what: str, do: Callable[[], object]) -> None:
    try:
        do()
    except ValueError as error:  # an actor that was never created cannot be killed
        _LOG.debug("%s: %s", what, error)
    except Exception as error:  # noqa: BLE001 -- what remains must be ended all the same, or it keeps its memory
        _LOG.warning("%s: %s: %s", what, type(error).__name__, error)


def ask(spec: CellSpec, without: Collection[str] = ()) -> PlacementGroup:
    """Ask Ray for a cell's resources. Until it has them the request is what an autoscaler sees.

    Args:
        spec: what the cell is made of.
        without: ids of nodes that must not give them. Ray's autoscaler heeds that, too: it counts on none of their free CPUs.
    """
    selectors = [{_NODE_ID: f"!in({','.join(sorted(without))})"}] if without else None
    group: PlacementGroup = placement_group([spec.shape.bundle], strategy="STRICT_PACK", bundle_label_selector=selectors)
    return group


def node_of(group: PlacementGroup) -> str | None:
    """Id of the node on which a cell's resources have been found; None as long as they have not.

    `PlacementGroup.wait(0)` does not serve: its answer is often late for a timeout of 0 (seen: False for 2 s after the placement).
    """
    known: dict[str, Any] = placement_group_table(group)
    nodes: dict[int, str] = known.get("bundles_to_node_id", {})
    return (nodes.get(0) or None) if known.get("state") == _PLACED else None


def start(spec: CellSpec, group: PlacementGroup | None = None, *, timeout_s: float = 60.0) -> Cell:
    """Start all actors of a cell at the same time. Returns when the front lives; models go on loading.

    Args:
        spec: what it is made of.
        group: its resources, where they have been asked for already.
        timeout_s: longest wait for the resources.

    Raises:
        ConfigError: the cluster cannot place the bundle within `timeout_s`.
    """
    group = group or ask(spec)
    if not group.wait(timeout_s):
        remove_placement_group(group)
        raise ConfigError(
            f"no node of the cluster has {spec.shape.bundle} free", "cell", "stop other work, add a node, or run fewer models"
        )
    try:
        return _started(spec, group)
    except BaseException:
        remove_placement_group(group)  # and with it what has been started in it
        raise


def _started(spec: CellSpec, group: PlacementGroup) -> Cell:
    strategy = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=0)
    restarted = {"max_restarts": -1, "max_task_retries": 0, "scheduling_strategy": strategy}
    actors: dict[str, list[Any]] = {}
    names: dict[str, list[str]] = {}
    for plan, share in zip(spec.plans, spec.shape.shares, strict=True):
        names[plan.name] = [f"{plan.name}-{group.id.hex()[:12]}-{number}" for number in range(share.count)]
        environment = {"env_vars": worker_environment(plan.settings.threads, gpu=share.gpus > 0)}
        options = {**restarted, "num_cpus": share.cpus, "num_gpus": share.gpus, "runtime_env": environment}
        actors[plan.name] = [
            ray.remote(ModelActor).options(name=name, **options).remote(plan, spec.notes / name, spec.code_sha256)
            for name in names[plan.name]
        ]
    front = (
        ray.remote(Front)
        .options(
            **restarted,
            num_cpus=spec.shape.front_cpus,
            max_concurrency=spec.batches_in_flight + 1,
            runtime_env={"env_vars": worker_environment(1, gpu=False)},
        )
        .remote(names, spec.notes, spec.policy)
    )
    return Cell(spec, front, actors, group)

"""From machines, those that are there and those to come, to what all of them run: cells of one shape, and CPUs left to reading."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rumiai_ray.engine.setup.node_capacity import FREE_SHARE, reading_cpus_beside, smallest_node_cpus, takes_another
from rumiai_ray.engine.setup.resource_plan import USABLE_MEMORY, Machine, MachinePlan, Wishes, load_of, on_gpu, plan_machine
from rumiai_ray.errors import ConfigError
from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.engine.setup.resource_plan import CellShape
    from rumiai_ray.models.base import ModelPlan


_LOG = logging.getLogger(__name__)

NO_WISHES = Wishes()


@dataclass(frozen=True)
class Plan:
    """What all machines together are going to run: cells of one shape."""

    cell: CellShape
    cells: int
    """At most so many. More than there is room for is a request: they wait, and an autoscaler sees them wait."""
    extract_tasks: int
    machines: tuple[MachinePlan, ...]
    """Empty where none is there yet that could hold a cell."""
    without: tuple[str, ...] = ()
    """Machines that get no cell, and why."""
    to_come: MachinePlan | None = None
    """The smallest machine that could hold the cells which wait for one; None where all have room, and where GPUs decide."""

    @property
    def actors(self) -> dict[str, int]:
        """Of each model, in all cells."""
        return {share.model: share.count * self.cells for share in self.cell.shares}


def plan_cluster(models: Sequence[ModelPlan], machines: Sequence[Machine], wishes: Wishes = NO_WISHES) -> Plan:
    """Cells of one shape for machines that may differ: the shape of the smallest one that can hold a cell at all.

    Raises:
        ConfigError: no machine can; the message has the sum.
    """
    whole = _whole_cluster(models, machines, wishes)
    return replace(
        whole,
        cells=whole.cells if wishes.cells else _share_of(whole.cells, wishes.max_share),
        extract_tasks=wishes.extract_tasks or _share_of(whole.extract_tasks, wishes.max_share),
    )


def _share_of(count: int, share: float) -> int:
    """As many of `count` as a share of them is, one at least: shares that add up to 1 then have room beside each other."""
    return max(1, int(count * share + 1e-9))


def _whole_cluster(models: Sequence[ModelPlan], machines: Sequence[Machine], wishes: Wishes) -> Plan:
    if len(machines) == 1 and (machines[0].gpus or not any(on_gpu(model) for model in models)) and not _wait(models, machines[0], wishes):
        only = plan_machine(models, machines[0], wishes)
        return Plan(only.cell, only.cells, wishes.extract_tasks or max(1, int(only.free_cpus)), (only,))
    each = replace(wishes, cells=None, extract_tasks=None)
    uses_gpu = any(on_gpu(model) for model in models)
    if uses_gpu and not any(machine.gpus for machine in machines):
        expected = plan_machine(models, _expected(wishes), each)
        return Plan(expected.cell, wishes.cells or 1, wishes.extract_tasks or 1, ())
    plans, refused = [], []
    for machine in machines:
        try:
            plans.append(plan_machine(models, machine, each))
        except ConfigError as error:
            refused.append((machine, error))
    to_come = None if uses_gpu or not wishes.growing or wishes.cell_cpus is None else _cpu_node_to_come(models, wishes.cell_cpus, each)
    if plans:
        cell = min((plan.cell for plan in plans), key=lambda shape: shape.cpus)
    elif to_come is not None:
        cell = to_come.cell
    else:
        raise _nothing_fits([error for _, error in refused], growing=wishes.growing and not uses_gpu)
    plans = [_filled(plan, cell) for plan in plans]
    if wishes.growing and not uses_gpu:
        plans += _small_ones(plans, [machine for machine, _ in refused], cell)
    room = sum(plan.cells for plan in plans)
    cells = wishes.cells or room or 1
    to_come = to_come if cells > room else None
    readers = max(1, int(sum(plan.free_cpus for plan in plans)))
    if to_come is not None:
        readers = max(readers if plans else 1, reading_cpus_beside(cells * cell.cpus))
    held = [plan.machine for plan in plans]
    without = [f"{error.subject}: {error.what}" for machine, error in refused if not any(machine is one for one in held)]
    without += [f"{plan.machine.name}: its memory does not hold a cell of the common shape" for plan in plans if not plan.cells]
    return Plan(cell, cells, wishes.extract_tasks or readers, tuple(plan for plan in plans if plan.cells), tuple(without), to_come)


def _nothing_fits(refused: Sequence[ConfigError], *, growing: bool) -> ConfigError:
    if not growing:
        return refused[-1] if refused else ConfigError("there is no machine", "the cluster", "start one")
    why = "; ".join(f"{error.subject}: {error.what}" for error in refused) or "there is no node"
    return ConfigError(
        f"no node holds a cell ({why})",
        "the cluster",
        "say what new nodes are to hold: --engine-cell-cpus and --engine-cells; or start larger nodes",
    )


def _cpu_node_to_come(models: Sequence[ModelPlan], cell_cpus: float, wishes: Wishes) -> MachinePlan:
    """The smallest node without a GPU that holds a cell of `cell_cpus` and reads beside it."""
    memory_gb = math.ceil(sum((model.settings.actors or 1) * model.memory_gb for model in models) / USABLE_MEMORY)
    return plan_machine(models, Machine(smallest_node_cpus(cell_cpus), memory_gb, name="a node to come"), replace(wishes, cells=1))


def _small_ones(plans: Sequence[MachinePlan], small: Sequence[Machine], cell: CellShape) -> list[MachinePlan]:
    """What machines hold that have no room for a cell beside reading: cells only, as long as others read for them."""
    machines = [*(plan.machine for plan in plans), *small]
    loads = [load_of(machine, cell) for machine in machines]
    for number, plan in enumerate(plans):
        loads[number] = replace(loads[number], cells=plan.cells)
    for number in range(len(plans), len(machines)):
        while takes_another(loads, number, cell.cpus):
            loads[number] = replace(loads[number], cells=loads[number].cells + 1)
    return [
        MachinePlan(machine, cell, load.cells, load.left(cell.cpus))
        for machine, load in zip(machines[len(plans) :], loads[len(plans) :], strict=True)
        if load.cells
    ]


def _wait(models: Sequence[ModelPlan], machine: Machine, wishes: Wishes) -> bool:
    """Whether there are to be more cells, of a size the user has settled, than fit on the one machine there is: others are to come."""
    if not wishes.growing:
        return False
    with swallowed(_LOG, f"looking for room on {machine.name}", ConfigError):
        room = plan_machine(models, machine, replace(wishes, cells=None)).cells
        return wishes.cell_cpus is not None and room < (wishes.cells or 0)
    return not any(on_gpu(model) for model in models)


def _expected(wishes: Wishes) -> Machine:
    """The machine that an autoscaler is going to start, as far as the user has told."""
    if wishes.cell_cpus is None or wishes.gpu_memory_gb is None:
        raise ConfigError(
            "the models need GPUs, and no node has one yet",
            "the cluster",
            "say what new nodes can hold: --engine-cell-cpus and --engine-gpu-memory-gb; or `--device cpu`",
        )
    cpus = math.ceil(wishes.cell_cpus * wishes.cells_per_gpu / (1 - FREE_SHARE)) + 1
    return Machine(cpus, math.inf, 1, wishes.gpu_memory_gb, "a node to come")


def _filled(plan: MachinePlan, cell: CellShape) -> MachinePlan:
    """The same machine with as many cells of another shape as fit into what its own cells would take."""
    cpus = plan.cells * plan.cell.cpus
    parts = [int(cpus / cell.cpus + 1e-9), int(plan.machine.memory_gb * USABLE_MEMORY / max(cell.memory_gb, 1e-9))]
    cells = min(*parts, plan.cells) if cell.gpus else min(parts)
    return MachinePlan(plan.machine, cell, cells, plan.free_cpus + cpus - cells * cell.cpus)

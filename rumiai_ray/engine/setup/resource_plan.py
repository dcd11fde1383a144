"""From what a machine has to what runs on it: how many cells, what of a GPU each model gets, how many actors and CPUs.

`cluster_plan` divides several machines. Pure arithmetic, in GB of 10^9 bytes; `machines` finds out what there is, `cell` starts what
is planned here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.engine.setup.node_capacity import NodeLoad, reading_cpus
from rumiai_ray.errors import ConfigError
from rumiai_ray.shown import counted as count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.models.base import ModelPlan

USABLE_MEMORY = 0.9
"""Share of a machine's memory, and of a GPU's, that cells may take; drivers, allocators and the object store want theirs."""
CPUS_PER_CPU_CELL = 1.5
"""Where all models run on CPUs: their CPU-seconds a video over the slowest one's are 1.4 to 1.6 (7.54 / 5.33 and 5.13 / 3.12, `make bench`
on two machines)."""
FRONT_CPUS = 1.0
MOST_ACTORS = 16
"""Of one model in one cell, where the plan chooses."""
MOST_CELLS = 10_000
"""On one machine: a bound for a machine whose memory nobody knows."""
_GRANULE = 1e4
"""Ray counts resources in ten-thousandths."""


@dataclass(frozen=True)
class Machine:
    """What one node has."""

    cpus: float
    memory_gb: float
    gpus: int = 0
    gpu_memory_gb: float | None = None
    """Of each GPU; None where it is not known, or there is none."""
    name: str = "this machine"


@dataclass(frozen=True)
class Share:
    """What the actors of one model take of a cell."""

    model: str
    count: int
    """Actors."""
    cpus: float
    """Of each actor, as Ray counts them; its threads are the model's `threads`."""
    gpus: float
    """Of each actor: a fraction of the cell's one GPU."""
    memory_gb: float
    gpu_memory_gb: float


@dataclass(frozen=True)
class CellShape:
    """One cell: a placement-group bundle and how it is divided."""

    cpus: float
    gpus: float
    front_cpus: float
    shares: tuple[Share, ...]

    @property
    def bundle(self) -> dict[str, float]:
        """What to ask Ray for."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})

    @property
    def memory_gb(self) -> float:
        """Memory of all its actors."""
        return sum(share.count * share.memory_gb for share in self.shares)

    @property
    def gpu_memory_gb(self) -> float:
        """GPU memory of all its actors."""
        return sum(share.count * share.gpu_memory_gb for share in self.shares)


@dataclass(frozen=True)
class MachinePlan:
    """What one machine is going to run."""

    machine: Machine
    cell: CellShape
    cells: int
    free_cpus: float
    """Left to extraction, writing and Ray Data."""

    @property
    def sum(self) -> str:
        """Where its CPUs go."""
        return f"{self.cells} x {self.cell.cpus:g} + {self.free_cpus:g} = {self.cells * self.cell.cpus + self.free_cpus:g} CPUs"


@dataclass(frozen=True)
class Wishes:
    """What the user has settled; None leaves it to the plan."""

    cells: int | None = None
    """At most so many, on one machine."""
    cells_per_gpu: int = 1
    cell_cpus: float | None = None
    extract_tasks: int | None = None
    """Videos read and decoded at a time."""
    gpu_memory_gb: float | None = None
    """Of one GPU of machines that are not there yet."""
    growing: bool = False
    """Whether the machines are nodes of a cluster, to which others may be added: cells that do not fit then wait for them, and are
    refused otherwise."""
    max_share: float = 1.0
    """Of the cells and readers that there is room for, in (0, 1]; what is settled in numbers is not divided."""


def plan_machine(models: Sequence[ModelPlan], machine: Machine, wishes: Wishes = Wishes()) -> MachinePlan:
    """Divide `machine` among cells, and a cell among `models`.

    Raises:
        ConfigError: it does not fit; the message has the sum.
    """
    uses_gpu = any(on_gpu(model) for model in models)
    if machine.cpus < 1:
        raise ConfigError("has no CPU available", machine.name, "start Ray there with --num-cpus")
    if uses_gpu:
        _check_gpu_memory(models, machine, wishes.cells_per_gpu)
    free = float(max(reading_cpus(machine.cpus), wishes.extract_tasks or 1))
    if wishes.growing:  # a node counts with what its Ray was started with
        counted = machine.cpus
        free = min(free, max(1.0, counted - (wishes.cell_cpus or 1.0)))  # one cell takes part of what several would leave
        if counted <= free:
            raise ConfigError(f"the node's {counted:g} CPU is left to reading videos", machine.name, "nodes with more CPUs")
    else:
        counted = max(machine.cpus, free + 1)  # two at least: on a single core a cell and extraction take turns
    cpus = counted - free
    cells = machine.gpus * wishes.cells_per_gpu if uses_gpu else _cpu_cells(models, machine, cpus, wishes)
    cells = min(cells, wishes.cells or cells)
    cell_cpus = wishes.cell_cpus or _down(cpus / cells)
    if cells * cell_cpus > cpus:
        asked, need = f"{count_of(cells, 'cell')} of {count_of(cell_cpus, 'CPU')}", "needs" if cells == 1 else "need"
        raise ConfigError(
            f"{asked} {need} {cells * cell_cpus:g}; of {count_of(machine.cpus, 'CPU')} {cpus:g} may be taken",
            machine.name,
            "fewer --engine-cells or --engine-cell-cpus",
        )
    counts = _counts(models, cell_cpus, machine.memory_gb * USABLE_MEMORY / cells)
    wanted = FRONT_CPUS + sum(counts[model.name] * _cpus(model) for model in models)
    scale = min(1.0, cell_cpus / wanted)
    gpu_share = _fractions(models, counts, 1.0 / wishes.cells_per_gpu) if uses_gpu else {}
    shares = tuple(
        Share(
            model.name,
            counts[model.name],
            _down(scale * _cpus(model)),
            gpu_share.get(model.name, 0.0),
            model.memory_gb,
            model.gpu_memory_gb if on_gpu(model) else 0.0,
        )
        for model in models
    )
    shape = CellShape(cell_cpus, _down(1.0 / wishes.cells_per_gpu) if uses_gpu else 0.0, _down(scale * FRONT_CPUS), shares)
    _check_memory(shape, machine, cells)
    return MachinePlan(machine, shape, cells, counted - cells * cell_cpus)


def load_of(machine: Machine, cell: CellShape) -> NodeLoad:
    """The machine without a cell yet, as far as cells of this shape are concerned."""
    by_memory = machine.memory_gb * USABLE_MEMORY / max(cell.memory_gb, 1e-9)
    by_gpus = math.floor(machine.gpus / cell.gpus + 1e-6) if cell.gpus else math.inf
    return NodeLoad(machine.cpus, int(min(by_memory, by_gpus, MOST_CELLS) + 1e-6), by_gpus=by_gpus)


def _cpus(model: ModelPlan) -> float:
    """CPUs that one actor keeps busy."""
    return model.settings.threads * model.cpu_share


def on_gpu(model: ModelPlan) -> bool:
    """Whether the model is to run on a GPU."""
    return model.device.startswith("cuda")


def _cpu_cells(models: Sequence[ModelPlan], machine: Machine, cpus: float, wishes: Wishes) -> int:
    by_cpu = int(cpus / (wishes.cell_cpus or CPUS_PER_CPU_CELL))
    by_memory = int(machine.memory_gb * USABLE_MEMORY / max(sum(model.memory_gb for model in models), 1e-9))
    return wishes.cells or max(1, min(by_cpu, by_memory))


def _counts(models: Sequence[ModelPlan], cell_cpus: float, memory_gb: float) -> dict[str, int]:
    """Actors by model: one, or as the user says; models a GPU cell runs on CPUs get what CPUs and memory are left, in equal parts."""
    counts = {model.name: model.settings.actors or 1 for model in models}
    # One actor of a model that costs next to nothing keeps up with any number of the others.
    open_ = [model for model in models if not on_gpu(model) and model.settings.actors is None and model.cpu_share == 1]
    if not open_ or not any(on_gpu(model) for model in models):
        return counts
    spare_cpus = cell_cpus - FRONT_CPUS - sum(counts[model.name] * _cpus(model) for model in models)
    spare_gb = memory_gb - sum(counts[model.name] * model.memory_gb for model in models)
    for model in open_:
        more = min(spare_cpus / len(open_) / _cpus(model), spare_gb / len(open_) / model.memory_gb, MOST_ACTORS - 1)
        counts[model.name] += max(0, int(more))
    return counts


def _fractions(models: Sequence[ModelPlan], counts: dict[str, int], whole: float) -> dict[str, float]:
    """Of the cell's GPU for each actor, in proportion to its memory."""
    memory = {model.name: model.gpu_memory_gb for model in models if on_gpu(model)}
    total = sum(counts[name] * size for name, size in memory.items())
    return {name: _down(whole * size / total) for name, size in memory.items()}


def _check_gpu_memory(models: Sequence[ModelPlan], machine: Machine, cells_per_gpu: int) -> None:
    if not machine.gpus:
        raise ConfigError("the models need a GPU and the node has none", machine.name, "`--device cpu`, or a machine with a GPU")
    if machine.gpu_memory_gb is None:
        raise ConfigError("the memory of the node's GPUs is not known", machine.name, "give it with --engine-gpu-memory-gb")
    sizes = {model.name: (model.settings.actors or 1) * model.gpu_memory_gb for model in models if on_gpu(model)}
    needed, room = sum(sizes.values()), machine.gpu_memory_gb * USABLE_MEMORY / cells_per_gpu
    if needed > room:
        divided = f" / {cells_per_gpu} cells" if cells_per_gpu > 1 else ""
        raise ConfigError(
            f"a cell needs {_sum(sizes)} = {needed:.1f} GB of GPU memory, and may take "
            f"{USABLE_MEMORY:g} x {machine.gpu_memory_gb:g} GB{divided} = {room:.1f} GB",
            machine.name,
            "fewer --models or actors, a smaller --whisper-model, fewer --engine-cells-per-gpu, or a GPU with more memory",
        )


def _check_memory(cell: CellShape, machine: Machine, cells: int) -> None:
    needed, room = cells * cell.memory_gb, machine.memory_gb * USABLE_MEMORY
    if needed > room:
        sizes = {share.model: share.count * share.memory_gb for share in cell.shares}
        raise ConfigError(
            f"{cells} cell{'s' if cells > 1 else ''} of {_sum(sizes)} = {cell.memory_gb:.1f} GB need {needed:.1f} GB of memory, "
            f"and may take {USABLE_MEMORY:g} x {machine.memory_gb:.1f} GB = {room:.1f} GB",
            machine.name,
            "fewer --models, --engine-cells or actors, or a machine with more memory",
        )


def _sum(sizes: dict[str, float]) -> str:
    return " + ".join(f"{name} {size:.1f}" for name, size in sizes.items())


def _down(value: float) -> float:
    """Rounded down to what Ray can count, so that parts never exceed their whole."""
    return math.floor(value * _GRANULE + 1e-6) / _GRANULE

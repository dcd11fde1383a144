"""`rumiai-ray plan`: what this machine, a cluster, or a machine one thinks of buying would run, before anything is started."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from rumiai_ray.cli.options import PrintJson, with_settings
from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, counted, say, say_json
from rumiai_ray.config import BaseConfig  # noqa: TC001 -- typer reads the annotations

if TYPE_CHECKING:
    from rumiai_ray.engine.setup.cluster_plan import Plan
    from rumiai_ray.engine.setup.resource_plan import Machine, MachinePlan
    from rumiai_ray.models.base import ModelPlan

_GB_PER_CPU = 4.0
"""Assumed for a machine of which only the CPUs are given: what clouds put beside a GPU, or more."""
_NODE_CPUS = (2, 4, 8, 16, 32, 64)
"""Kinds of nodes that clouds let."""

Cpus = Annotated[int | None, typer.Option("--cpus", min=1, help="CPUs of a machine to plan for.", show_default=False)]
Gpus = Annotated[int | None, typer.Option("--gpus", min=0, help="GPUs of that machine.", show_default=False)]
GpuMemory = Annotated[float | None, typer.Option("--gpu-memory", min=1, help="Memory of each GPU, in GB.", show_default=False)]
Memory = Annotated[
    float | None, typer.Option("--memory", min=1, help="Memory of that machine, in GB; by default 4 per CPU.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("plan")(with_settings()(plan))


def plan(
    config: BaseConfig,
    cpus: Cpus = None,
    gpus: Gpus = None,
    gpu_memory: GpuMemory = None,
    memory: Memory = None,
    as_json: PrintJson = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Show the cells, their actors and what each takes: on this machine, on the cluster at RAY_ADDRESS, or on a machine you describe."""
    from rumiai_ray.engine.setup.cluster_plan import plan_cluster  # noqa: PLC0415
    from rumiai_ray.engine.setup.machines import wishes_of  # noqa: PLC0415

    described = _described(cpus, gpus, gpu_memory, memory)
    machines = described or _found(config)
    on_gpu = config.device != "cpu" and any(machine.gpus for machine in machines)
    models = _models(config, "cuda:0" if on_gpu or config.device == "cuda" else "cpu")
    wishes = wishes_of(config)
    made = plan_cluster(models, machines, replace(wishes, growing=wishes.growing and not described))
    if as_json:
        chosen = {"models": {model.name: model.backend for model in models}, "reasons": {model.name: model.reason for model in models}}
        say_json(asdict(made) | chosen)
    else:
        _show(made, models)


def _described(cpus: int | None, gpus: int | None, gpu_memory: float | None, memory: float | None) -> list[Machine]:
    from rumiai_ray.engine.setup.machines import this_machine  # noqa: PLC0415
    from rumiai_ray.engine.setup.resource_plan import Machine  # noqa: PLC0415
    from rumiai_ray.errors import ConfigError  # noqa: PLC0415

    if cpus is None and gpus is None and gpu_memory is None and memory is None:
        return []
    if gpus and gpu_memory is None:
        raise ConfigError("the memory of these GPUs is not known", f"--gpus {gpus}", "add --gpu-memory GB")
    counted = cpus if cpus is not None else this_machine().cpus
    return [Machine(counted, memory or counted * _GB_PER_CPU, gpus or 0, gpu_memory, name="the machine described")]


def _found(config: BaseConfig) -> list[Machine]:
    from rumiai_ray.engine.ray_session.session import connected  # noqa: PLC0415
    from rumiai_ray.engine.setup.machines import machines_of_ray, this_machine  # noqa: PLC0415

    if not os.environ.get("RAY_ADDRESS"):
        return [this_machine(config.engine.gpu_memory_gb)]
    with connected(config):
        return machines_of_ray(config.engine.gpu_memory_gb)


def _models(config: BaseConfig, device: str) -> tuple[ModelPlan, ...]:
    """What would run on `device`; where weights are not here, what would run with those of the profile's first choice."""
    from rumiai_ray.engine.setup.model_choice import weight_directories  # noqa: PLC0415
    from rumiai_ray.models.catalogue import model_class  # noqa: PLC0415
    from rumiai_ray.models.weights import choice as weights  # noqa: PLC0415

    if config.profile == "auto":
        return _auto(config, device)
    wanted = [weights.WantedModel(model_class(name), config.model_settings(name)) for name in config.models]
    try:
        return weights.resolve_all(wanted, profile=config.profile, directories=weight_directories(config), device=device)
    except weights.MissingWeightsError as error:
        say(f"planned for the first choice of the profile {config.profile}, because some weights are missing: {error.subject}", err=True)
        return weights.first_choices(wanted, profile=config.profile, device=device)


def _auto(config: BaseConfig, device: str) -> tuple[ModelPlan, ...]:
    """What `auto` would choose now, and why; nothing is fetched."""
    from rumiai_ray.cli.warm_choice import kept_by_warm_cell  # noqa: PLC0415
    from rumiai_ray.cli.weights import barred_here  # noqa: PLC0415
    from rumiai_ray.engine.setup.model_choice import survey_of, wanted_models  # noqa: PLC0415
    from rumiai_ray.models.weights.choice import unfetched_plan  # noqa: PLC0415

    wanted = wanted_models(config)
    choices = survey_of(config, kept=kept_by_warm_cell(config), barred=barred_here(config)).choose(wanted)
    return tuple(
        unfetched_plan(one, choice.candidate, device=device, reason=choice.reason)
        for one, choice in zip(wanted, choices.values(), strict=True)
    )


def _show(made: Plan, models: tuple[ModelPlan, ...]) -> None:
    console = SafeConsole()
    table = Table(*folding("model", "on", "actors", "threads", "CPUs", "GPU", "GB", "GPU GB", whole="model"), title="each actor takes")
    for model, share in zip(models, made.cell.shares, strict=True):
        gpu = (f"{share.gpus:.4g}", f"{share.gpu_memory_gb:g}") if share.gpus else ("", "")
        figures = (str(share.count), str(model.settings.threads), f"{share.cpus:.3g}", gpu[0], f"{share.memory_gb:g}", gpu[1])
        table.add_row(model.name, model.device.partition(":")[0], *figures)
    table.add_row("front", "cpu", "1", "1", f"{made.cell.front_cpus:.3g}", "", "", "")
    bundle = ", ".join(f"{amount:g} {name}" for name, amount in made.cell.bundle.items())
    gpu_memory = f", {made.cell.gpu_memory_gb:.1f} GB of GPU memory" if made.cell.gpus else ""
    console.print(table)
    for model in models:
        declared = " (stand-in)" if model.stand_in else ""
        reason = f": {model.reason}" if model.reason else ""
        console.print(Text(f"{model.name} runs {model.backend}{declared}{reason}"), soft_wrap=True)
    console.print(f"a cell: {bundle}, {made.cell.memory_gb:.1f} GB{gpu_memory}")
    for one in made.machines:
        machine = one.machine
        gpus = f", {counted(machine.gpus, 'GPU')} of {machine.gpu_memory_gb:.0f} GB" if machine.gpus else ""
        console.print(
            f"{machine.name} ({counted(machine.cpus, 'CPU')}, {machine.memory_gb:.0f} GB{gpus}): "
            f"{counted(one.cells, 'cell')}, {counted(one.free_cpus, 'CPU')} left to reading and writing ({one.sum})"
        )
    for left in made.without:
        console.print(Text(f"no cell on {left}"))
    if made.to_come is not None:
        _show_to_come(made, made.to_come)
    console.print(f"in all {counted(made.cells, 'cell')}, {counted(made.extract_tasks, 'video')} read at a time")


def _show_to_come(made: Plan, to_come: MachinePlan) -> None:
    """What nodes must have that an autoscaler adds for the cells which have no room yet."""
    from rumiai_ray.engine.setup.node_capacity import cells_beside_reading  # noqa: PLC0415

    waiting = made.cells - sum(one.cells for one in made.machines)
    machine, cell = to_come.machine, made.cell
    console = SafeConsole()
    console.print(
        f"{counted(waiting, 'cell')} to wait for nodes of at least {counted(machine.cpus, 'CPU')} and {machine.memory_gb:g} GB "
        f"({to_come.sum}); smaller ones hold none, or only cells while other nodes read"
    )
    held = [f"{cells_beside_reading(cpus, cell.cpus)} on {cpus} CPUs" for cpus in _NODE_CPUS if cpus >= machine.cpus]
    if held:
        console.print(f"cells of {counted(cell.cpus, 'CPU')} on a node to come, as far as its CPUs go: {', '.join(held)}")

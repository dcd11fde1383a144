"""`rumiai-ray weights …`: what weights there are, fetch them, check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.table import Table

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import with_settings
from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, say
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import RumiaiError
from rumiai_ray.models.catalogue import MODELS, model_class

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rumiai_ray.models.base import ModelPlan
    from rumiai_ray.models.weights.files import Candidate, WeightFile

app = typer.Typer(help="Weights: list, fetch, verify.", no_args_is_help=True)
_SETTINGS = ("profile", "models", "weights_dir", *MODELS)


def add_to(parent: typer.Typer) -> None:
    """Register the verbs."""
    parent.add_typer(app, name="weights")


@app.command("ls")
@with_settings(*_SETTINGS)
def ls(config: BaseConfig) -> None:
    """List every candidate of every model, in order of preference, and whether its files are here."""
    directories = _directories(config)
    table = Table(*folding("model", "backend", "profiles", "here", "licence", "files"))
    for name in config.models:
        for candidate in model_class(name).choices(config.model_settings(name)):
            table.add_row(
                name,
                candidate.backend + (" (stand-in)" if candidate.stand_in else ""),
                ", ".join(candidate.profiles),
                _present(candidate, directories),
                ", ".join(dict.fromkeys(file.licence for file in candidate.files)),
                "\n".join(file.path for file in candidate.files),
            )
    SafeConsole().print(table)


@app.command("fetch")
@with_settings(*_SETTINGS)
def fetch(config: BaseConfig) -> None:
    """Fetch what the profile's models lack, each file checked against its digest before it is put in place."""
    _fetch(config, config.models)


def _fetch(config: BaseConfig, models: Sequence[str]) -> None:
    from rumiai_ray.models.weights.fetch import fetch as fetch_files  # noqa: PLC0415 -- hub and pip are not for `--help`

    *others, directory = _directories(config)
    written = fetch_files(
        [model_class(name) for name in models],
        {name: config.model_settings(name) for name in models},
        config.profile,
        directory,
        lambda line: say(line, err=True),
        others,
    )
    say(f"{len(written)} files fetched into {directory}; everything else was there and right", err=True)


def choose_or_fetch(config: BaseConfig) -> tuple[ModelPlan, ...]:
    """What will run, after fetching weights that are missing and can be had from here.

    Raises:
        WeightsError: weights are missing and unreachable, or not the catalogue's; says which, where to put them, and what runs without.
    """
    from rumiai_ray.engine.setup.model_choice import choose_models  # noqa: PLC0415
    from rumiai_ray.models.weights.choice import MissingWeightsError  # noqa: PLC0415
    from rumiai_ray.models.weights.fetch import fetchable, unreachable  # noqa: PLC0415

    try:
        return choose_models(config)
    except MissingWeightsError as error:
        models = _incomplete(config)
        candidates = [fetchable(model_class(name), config.model_settings(name), config.profile) for name in models]
        dead = unreachable(_lacking(candidates, config), config.profile)
        if dead:
            raise MissingWeightsError(
                f"{error.what}\n  cannot be fetched from here: no answer from {', '.join(dead)}", error.subject, error.hint
            ) from error
    _fetch(config, models)
    return choose_models(config)


def fetch_missing(config: BaseConfig) -> None:
    """Fetch what is needed to run every family of `config.models`; a family that can run already is left alone.

    Raises:
        WeightsError: something cannot be fetched, or a file that is there is not the right one.
    """
    models = _incomplete(config)
    if models:
        _fetch(config, models)


def _incomplete(config: BaseConfig) -> list[str]:
    """The families that nothing can run yet."""
    from rumiai_ray.models.weights.choice import MissingWeightsError, resolve  # noqa: PLC0415

    incomplete = []
    for name in config.models:
        try:
            resolve(model_class(name), config.model_settings(name), profile=config.profile, directories=_directories(config))
        except MissingWeightsError:
            incomplete.append(name)
    return incomplete


def _lacking(candidates: Sequence[Candidate | None], config: BaseConfig) -> list[WeightFile]:
    from rumiai_ray.models.weights.choice import locate  # noqa: PLC0415

    files = [file for candidate in candidates if candidate is not None for file in candidate.files]
    found = locate(files, _directories(config))
    return [file for file in files if file not in found]


@app.command("verify")
@with_settings(*_SETTINGS, "device")
def verify(config: BaseConfig) -> None:
    """Check the digests of what would run. Exit code 2 where something is missing or wrong."""
    from rumiai_ray.models.weights.choice import resolve  # noqa: PLC0415

    broken = False
    for name in config.models:
        try:
            plan = resolve(model_class(name), config.model_settings(name), profile=config.profile, directories=_directories(config))
        except RumiaiError as error:
            broken = True
            say(f"{type(error).__name__}: {error}", err=True)
        else:
            if not plan.files:
                say(f"ok  {name:10} needs no weights")
            for role, path in plan.files.items():
                say(f"ok  {name:10} {plan.digests[role]}  {path}")
    if broken:
        raise typer.Exit(Exit.USAGE)


def _directories(config: BaseConfig) -> tuple[Path, ...]:
    from rumiai_ray.engine.setup.model_choice import weight_directories  # noqa: PLC0415

    return weight_directories(config)


def _present(candidate: Candidate, directories: Sequence[Path]) -> str:
    from rumiai_ray.models.weights.choice import locate  # noqa: PLC0415

    found = locate(candidate.files, directories)
    return "yes" if len(found) == len(candidate.files) else f"{len(found)} of {len(candidate.files)}"

"""`rumiai-ray weights …`: what weights there are, fetch them, check them."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from rumiai_ray.cli.consent import ask, may_ask
from rumiai_ray.cli.downloads import download_bars
from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import with_settings
from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, counted, say
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import RumiaiError, WeightsError
from rumiai_ray.logs import swallowed
from rumiai_ray.models.catalogue import MODELS, model_class

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rumiai_ray.models.base import ModelPlan
    from rumiai_ray.models.weights.files import Candidate, WeightFile

_LOG = logging.getLogger(__name__)

app = typer.Typer(help="Weights: list, fetch, verify.", no_args_is_help=True)
_SETTINGS = ("profile", "models", "weights_dir", *MODELS)


def add_to(parent: typer.Typer) -> None:
    """Register the verbs."""
    parent.add_typer(app, name="weights")


@app.command("ls")
@with_settings(*_SETTINGS)
def ls(config: BaseConfig) -> None:
    """List every candidate of every model, in order of preference, and whether its files are present."""
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
@with_settings(*_SETTINGS, "accept_noncommercial")
def fetch(config: BaseConfig) -> None:
    """Fetch the weights that the profile's models lack. Each file is checked against its digest before it is put in place."""
    if config.profile == "auto":
        for plan in _ready(config, {}, asking=may_ask()):
            say(f"{plan.name}: {plan.backend}{plan.remark}", err=True)
        say("all weights that `auto` chooses are present and correct", err=True)
    else:
        _fetch(_with_consent(config, config.models), config.models)


def _fetch(config: BaseConfig, models: Sequence[str]) -> None:
    from rumiai_ray.models.weights.fetch import Terms  # noqa: PLC0415
    from rumiai_ray.models.weights.fetch import fetch as fetch_files  # noqa: PLC0415 -- hub and pip are not for `--help`

    *others, directory = _directories(config)
    with download_bars() as (tell, bar):
        written = fetch_files(
            [model_class(name) for name in models],
            {name: config.model_settings(name) for name in models},
            config.profile,
            directory,
            tell,
            others,
            Terms(config.accept_noncommercial, bar),
        )
    say(f"{counted(len(written), 'file')} fetched into {directory}; all others were present and correct", err=True)


def _with_consent(config: BaseConfig, models: Sequence[str]) -> BaseConfig:
    """`config`, with the licences of what is to be fetched accepted where somebody on a terminal does so."""
    from rumiai_ray.models.weights.fetch import fetchable, vouched  # noqa: PLC0415

    if config.accept_noncommercial or not may_ask():
        return config
    for name in models:
        candidate = fetchable(model_class(name), config.model_settings(name), config.profile)
        if candidate and candidate.noncommercial and not vouched(candidate, _directories(config)) and ask(candidate):
            return config.model_copy(update={"accept_noncommercial": True})
    return config


def choose_or_fetch(config: BaseConfig, *, kept: Mapping[str, str] | None = None, asking: bool = False) -> tuple[ModelPlan, ...]:
    """What will run, after fetching weights that are missing and can be had from here.

    Args:
        config: the settings.
        kept: backends by family that a resumed run or a warm cell has; they come before everything else in the profile `auto`.
        asking: whether somebody may be asked about a licence.

    Raises:
        WeightsError: weights are missing and unreachable, or not the catalogue's; says which, where to put them, and what runs without.
    """
    from rumiai_ray.engine.setup.model_choice import choose_models  # noqa: PLC0415
    from rumiai_ray.models.weights.choice import MissingWeightsError  # noqa: PLC0415
    from rumiai_ray.models.weights.fetch import fetchable, unreachable  # noqa: PLC0415

    if config.profile == "auto":
        return _ready(config, kept or {}, asking=asking)
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
    _fetch(_with_consent(config, models) if asking else config, models)
    return choose_models(config)


def barred_here(config: BaseConfig) -> dict[str, str]:
    """Backends that cannot run on this machine, and why."""
    from rumiai_ray.cli.doctor.libraries import ffmpeg_missing  # noqa: PLC0415

    why = ffmpeg_missing() if "emotion" in config.models else ""
    # The nodes of a cluster have libraries of their own.
    return {"py-feat/detectorv2": why} if why and not os.environ.get("RAY_ADDRESS") else {}


def _ready(config: BaseConfig, kept: Mapping[str, str], *, asking: bool) -> tuple[ModelPlan, ...]:
    """The profile `auto`: choose, fetch, and where a fetch fails choose again without what could not be had."""
    from rumiai_ray.engine.setup.model_choice import NotReadyError, choose_models, survey_of, wanted_models  # noqa: PLC0415
    from rumiai_ray.models.weights.fetch import Terms, fetch_candidates  # noqa: PLC0415

    *others, directory = _directories(config)
    barred = barred_here(config)
    fetched: set[str] = set()
    answers: dict[str, bool] = {}  # each host is asked once
    while True:
        survey = survey_of(config, kept=kept, barred=barred, answers=answers)
        choices = survey.choose(wanted_models(config))
        question = next((choice.ask for choice in choices.values() if choice.ask), None)
        if question is not None and asking:
            asking = False
            if ask(question):
                config = config.model_copy(update={"accept_noncommercial": True})
                continue
        to_fetch = [choice.candidate for choice in choices.values() if choice.fetch]
        for candidate in to_fetch:
            if candidate.backend in fetched:  # another process removes files, or a directory hides them
                barred[candidate.backend] = "is still incomplete after it was fetched"
                continue
            try:
                with download_bars() as (say, bar):
                    terms = Terms(config.accept_noncommercial, bar, survey.answers)
                    fetch_candidates([candidate], config.profile, directory, say, others, terms)
                fetched.add(candidate.backend)
            except WeightsError as error:
                barred[candidate.backend] = f"could not be fetched: {error}"
        with swallowed(_LOG, "choosing with everything that was to be fetched", NotReadyError):  # choose again without what failed
            plans = choose_models(config, survey_of(config, kept=kept, barred=barred, answers=answers))
            return tuple(_told_fetched(plan) if plan.backend in fetched else plan for plan in plans)


def _told_fetched(plan: ModelPlan) -> ModelPlan:
    return replace(plan, reason=plan.reason.replace(", here", ", fetched now").replace("is on this machine", "was fetched now"))


def fetch_missing(config: BaseConfig) -> None:
    """Fetch what is needed to run every family of `config.models`; a family that can run already is left alone.

    Raises:
        WeightsError: something cannot be fetched, or a file that is there is not the right one.
    """
    if config.profile == "auto":
        return  # the run itself chooses, and fetches
    models = _incomplete(config)
    if models:
        _fetch(_with_consent(config, models), models)


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
@with_settings(*_SETTINGS, "device", "accept_noncommercial")
def verify(config: BaseConfig) -> None:
    """Check the digests of the weights that would run. Exit code 2 if any are missing or wrong."""
    from rumiai_ray.engine.setup.model_choice import choose_models  # noqa: PLC0415

    broken = False
    for name in config.models:
        try:
            (plan,) = choose_models(config.model_copy(update={"models": (name,)}))
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

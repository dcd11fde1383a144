"""Which weights and which device will run. Ray is imported only where a cluster is to be asked: weights are hashed while it loads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rumiai_ray.engine.setup.gpus import gpus_here
from rumiai_ray.errors import ConfigError
from rumiai_ray.models.catalogue import model_class
from rumiai_ray.models.weights import choice as weights
from rumiai_ray.models.weights.auto import WeightsSurvey
from rumiai_ray.models.weights.choice import MissingWeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.models.base import ModelPlan


def weight_directories(config: BaseConfig) -> tuple[Path, ...]:
    """Where weights are looked for, in order."""
    return weights.default_directories(config.weights_dir)


class NotReadyError(MissingWeightsError):
    """What should run is not here yet: files are to be fetched, or a licence is to be accepted."""


def choose_models(config: BaseConfig, survey: WeightsSurvey | None = None, *, may_ask: bool = False) -> tuple[ModelPlan, ...]:
    """What exactly will run for each model of `config.models`.

    Args:
        config: the settings.
        survey: what is known already, in the profile `auto`.
        may_ask: whether somebody is there to be asked about a licence.

    Raises:
        NotReadyError: in the profile `auto`, something better than what is here can be fetched.
        WeightsError: weights are missing or not the catalogue's; names all models that lack some.
        ConfigError: the device is not there.
    """
    wanted = wanted_models(config)
    device = choose_device(config.device)
    if config.profile != "auto":
        return weights.resolve_all(wanted, profile=config.profile, directories=weight_directories(config), device=device)
    survey = survey or survey_of(config)
    choices = survey.choose(wanted)
    unready = [name for name, choice in choices.items() if choice.fetch or (may_ask and choice.ask)]
    if unready:
        raise NotReadyError("weights are still to be fetched", ", ".join(unready), "`rumiai-ray weights fetch`")
    return tuple(
        weights.complete_plan(one, choice.candidate, survey.directories, device=device, reason=choice.reason)
        for one, choice in zip(wanted, choices.values(), strict=True)
    )


def wanted_models(config: BaseConfig) -> list[weights.WantedModel]:
    """The families of `config.models` with their settings."""
    return [weights.WantedModel(model_class(name), config.model_settings(name)) for name in config.models]


def survey_of(
    config: BaseConfig,
    *,
    kept: Mapping[str, str] | None = None,
    barred: Mapping[str, str] | None = None,
    answers: dict[str, bool] | None = None,
) -> WeightsSurvey:
    """What `auto` knows before it looks; see `WeightsSurvey`."""
    return WeightsSurvey(
        weight_directories(config), config.accept_noncommercial, kept or {}, barred or {}, {} if answers is None else answers
    )


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda:0`: the first GPU a model's process sees, for Ray shows each process its own.

    On a cluster the nodes' GPUs count, not this machine's. Nodes that an autoscaler has still to start are not known: it takes `cuda`.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    if wanted == "cpu":
        return "cpu"
    if os.environ.get("RAY_ADDRESS"):
        from rumiai_ray.engine.ray_session.session import cluster_has_gpus  # noqa: PLC0415 -- brings Ray along

        return "cuda:0" if wanted == "cuda" or cluster_has_gpus() else "cpu"
    found = bool(gpus_here())
    if wanted == "cuda" and not found:
        raise ConfigError("no usable CUDA device", "device cuda", "`--device cpu`, or see `rumiai-ray doctor`")
    return "cuda:0" if found else "cpu"

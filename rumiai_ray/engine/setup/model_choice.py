"""Which weights and which device will run. Ray is imported only where a cluster is to be asked: weights are hashed while it loads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rumiai_ray.engine.setup.gpus import gpus_here
from rumiai_ray.errors import ConfigError
from rumiai_ray.models.catalogue import model_class
from rumiai_ray.models.weights import choice as weights

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.models.base import ModelPlan


def weight_directories(config: BaseConfig) -> tuple[Path, ...]:
    """Where weights are looked for, in order."""
    return weights.default_directories(config.weights_dir)


def choose_models(config: BaseConfig) -> tuple[ModelPlan, ...]:
    """What exactly will run for each model of `config.models`.

    Raises:
        WeightsError: weights are missing or not the catalogue's; names all models that lack some.
        ConfigError: the device is not there.
    """
    wanted = [weights.Wanted(model_class(name), config.model_settings(name)) for name in config.models]
    device = choose_device(config.device)
    return weights.resolve_all(wanted, profile=config.profile, directories=weight_directories(config), device=device)


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

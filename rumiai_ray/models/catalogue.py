"""The catalogue: every model family and signal, one line each. Another adds its module, its schema and its line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rumiai_ray.models.base import Model, ModelPlan

if TYPE_CHECKING:
    from collections.abc import Iterable

MODELS = {
    "mediapipe": "rumiai_ray.models.mediapipe.model:MediaPipe",
    "yolo": "rumiai_ray.models.yolo.model:Yolo",
    "ocr": "rumiai_ray.models.ocr.model:Ocr",
    "whisper": "rumiai_ray.models.whisper.model:Whisper",
    "emotion": "rumiai_ray.models.emotion.model:Emotion",
    "shots": "rumiai_ray.models.signals.shots:Shots",
    "sound": "rumiai_ray.models.signals.sound:Sound",
    "embed": "rumiai_ray.models.embed.model:Embed",
}


def model_class(name: str) -> type[Model]:
    """The class of a model family by its name.

    Raises:
        KeyError: no such family.
        TypeError: the catalogue's line names something else than a model.
    """
    return _load(MODELS[name])


def packages(plans: Iterable[ModelPlan] = ()) -> tuple[str, ...]:
    """The distributions that the families name whose version can change their rows: all of the catalogue, and those of `plans`."""
    kinds = (*map(model_class, MODELS), *map(plan_class, plans))
    return tuple(dict.fromkeys(package for kind in kinds for package in kind.packages))


def default_models() -> tuple[str, ...]:
    """The families that run where nobody names any."""
    return tuple(name for name in MODELS if not model_class(name).opt_in)


def plan_class(plan: ModelPlan) -> type[Model]:
    """The class that runs a plan: the catalogue's, or the one the plan itself names.

    Raises:
        KeyError: the plan names none and its family is not in the catalogue.
        TypeError: what is named is no model.
    """
    return _load(plan.implementation or MODELS[plan.name])


def _load(implementation: str) -> type[Model]:
    module, _, attribute = implementation.partition(":")
    found: object = getattr(import_module(module), attribute)
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise TypeError(f"{implementation} is not a Model")
    return found

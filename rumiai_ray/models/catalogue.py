"""The catalogue of model families: one line each. A sixth family adds its module, its schema and its line here."""

from __future__ import annotations

from importlib import import_module

from rumiai_ray.models.base import Model

MODELS = {
    "mediapipe": "rumiai_ray.models.mediapipe:MediaPipe",
    "yolo": "rumiai_ray.models.yolo:Yolo",
    "ocr": "rumiai_ray.models.ocr:Ocr",
    "whisper": "rumiai_ray.models.whisper:Whisper",
    "emotion": "rumiai_ray.models.emotion:Emotion",
}


def model_class(name: str) -> type[Model]:
    """The class of a model family by its name.

    Raises:
        KeyError: no such family.
        TypeError: the catalogue's line names something else than a model.
    """
    module, _, attribute = MODELS[name].partition(":")
    found: object = getattr(import_module(module), attribute)
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise TypeError(f"{MODELS[name]} is no Model")
    return found

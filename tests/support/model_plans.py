"""Plans of models that only their resources matter of: five families with a GPU for four of them, and the same on CPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import fakes

if TYPE_CHECKING:
    from rumiai_ray.models.base import ModelPlan


def model(name: str, gpu_memory_gb: float = 0.0, memory_gb: float = 0.5, **settings: int) -> ModelPlan:
    device = "cuda:0" if gpu_memory_gb else "cpu"
    return replace(fakes.plan(name, "Fake", **settings), device=device, gpu_memory_gb=gpu_memory_gb, memory_gb=memory_gb)


FIVE = (model("mediapipe"), model("yolo", 1.2), model("ocr", 4.0), model("whisper", 1.0), model("emotion", 2.5))
ON_CPU = tuple(model(name) for name in ("mediapipe", "yolo", "ocr", "whisper", "emotion"))

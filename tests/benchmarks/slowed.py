"""A model family with a planted slowdown: `slowed:yolo` costs GATE_PLANTED_FACTOR times what YOLO costs. For `gate.py --plant`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from rumiai_ray.models.catalogue import model_class

if TYPE_CHECKING:
    from rumiai_ray.models.base import Batch, Model, Prediction


def __getattr__(name: str) -> type[Model]:
    try:
        family: Any = model_class(name)
    except KeyError:
        raise AttributeError(name) from None
    factor = float(os.environ["GATE_PLANTED_FACTOR"])

    def predict(self: Any, batch: Batch) -> Prediction:
        began_s = time.process_time()
        prediction: Prediction = family.predict(self, batch)
        ends_s = began_s + factor * (time.process_time() - began_s)
        while time.process_time() < ends_s:
            pass
        return prediction

    return type(f"Slowed{family.__name__}", (family,), {"predict": predict})

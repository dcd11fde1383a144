"""The stand-in's network, against an interpreter of the Keras graph that its own file describes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from rumiai_ray.models.emotion.xception import MiniXception

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rumiai_ray.models.base import ModelPlan

    Array = np.ndarray[Any, np.dtype[np.float32]]


def windows(x: Array, size: int, stride: int, padding: str, fill: float) -> Array:
    """(rows, columns, channels, size, size) patches of a (height, width, channels) picture, padded as Keras pads."""
    if padding == "same":
        missing = [max((-(-length // stride) - 1) * stride + size - length, 0) for length in x.shape[:2]]
        x = np.pad(x, [(missing[0] // 2, -(-missing[0] // 2)), (missing[1] // 2, -(-missing[1] // 2)), (0, 0)], constant_values=fill)
    patches = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))
    strided: Array = patches[::stride, ::stride]
    return strided


def run_layer(kind: str, config: dict[str, Any], inputs: list[Array], weight: Callable[[str], Array]) -> Array:
    x = inputs[0]
    if kind in {"Conv2D", "SeparableConv2D"}:
        patches = windows(x, config["kernel_size"][0], config["strides"][0], config["padding"], 0.0)
        if kind == "SeparableConv2D":
            deep: Array = np.einsum("rcijk,jki->rci", patches, weight("depthwise_kernel")[..., 0])
            wide: Array = deep @ weight("pointwise_kernel")[0, 0]
            return wide
        out: Array = np.einsum("rcijk,jkio->rco", patches, weight("kernel"))
        return out + weight("bias") if config["use_bias"] else out
    if kind == "BatchNormalization":
        deviation = np.sqrt(weight("moving_variance") + config["epsilon"])
        normal: Array = (x - weight("moving_mean")) / deviation * weight("gamma") + weight("beta")
        return normal
    if kind == "Activation" and config["activation"] == "softmax":
        powers = np.exp(x - x.max())
        softmax: Array = powers / powers.sum()
        return softmax
    if kind == "MaxPooling2D":
        largest: Array = windows(x, config["pool_size"][0], config["strides"][0], config["padding"], -np.inf).max(axis=(3, 4))
        return largest
    by_kind: dict[str, Callable[[], Array]] = {
        "Activation": lambda: np.maximum(x, 0),
        "Add": lambda: inputs[0] + inputs[1],
        "GlobalAveragePooling2D": lambda: x.mean(axis=(0, 1)),
    }
    return by_kind[kind]()


def run_keras(path: Path, face: Array) -> Array:
    """What Keras would say of one (64, 64) face."""
    with h5py.File(path) as file:
        description = file.attrs["model_config"]
        layers = json.loads(description if isinstance(description, str) else description.decode())["config"]["layers"]
        done: dict[str, Array] = {}
        for layer in layers:
            name = layer["name"]
            if layer["class_name"] == "InputLayer":
                done[name] = face[..., None]
                continue
            inputs = [done[inbound[0]] for inbound in layer["inbound_nodes"][0]]
            group = file["model_weights"][name]
            weights = {key.removesuffix(":0"): group[f"{name}_1/{key}"][()] for key in group.get(f"{name}_1", ())}
            done[name] = run_layer(layer["class_name"], layer["config"], inputs, weights.__getitem__)
    return done[name]


@pytest.mark.model("emotion")
def test_the_network_says_what_keras_would_say(plan_for: Callable[..., ModelPlan]) -> None:
    path = plan_for("emotion").files["emotion_model"]
    faces = np.random.default_rng(3).uniform(-1, 1, (3, 64, 64)).astype(np.float32)
    got = MiniXception(path)(faces)
    assert got == pytest.approx(np.stack([run_keras(path, face) for face in faces]), abs=1e-4)
    assert got.sum(axis=1) == pytest.approx(1)

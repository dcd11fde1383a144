"""PP-OCR's recogniser (a CTC network) on OpenVINO: the picture of one line in, its text out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.errors import WeightsError
from rumiai_ray.models._openvino import cpu_properties, import_openvino, read_network

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

HEIGHT_PX = 48
"""Height of the pictures the network takes."""
_WIDTHS_PX = (160, 240, 320, 400, 480, 560, 640, 800, 960, 1280, 1920)
"""Widths of the pictures it is given: the first call with a new shape costs 12 to 100 ms, so lines are padded to one of these."""
_GREY = 127
"""What lines are padded with: 0 in the network's own range, up to rounding."""
_BLANK = 0
"""CTC's blank among the classes; the dictionary's characters follow from 1 on, and a space ends the list."""


@dataclass(frozen=True)
class Line:
    """What the recogniser makes of one picture."""

    text: str
    """Empty where it sees none."""
    confidence: float
    """Mean probability of the characters; 0 for an empty text."""
    features: NDArray[np.float32]
    """(steps, 120) float32: what the network knows of each column of the picture before it names a character. Padding left out."""


class TextRecogniser:
    """The loaded recogniser.

    Args:
        file: the network in ONNX with its dictionary among the metadata, its digest checked.
        threads: threads OpenVINO may use.

    Raises:
        WeightsError: the file has no dictionary, or one of another length than the network's classes.
    """

    def __init__(self, file: Path, threads: int) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        network = read_network(openvino, file)
        self._characters = _dictionary(network, file)
        # The input of the last layer: what a script is told by.
        last = next(op for op in reversed(network.get_ordered_ops()) if op.get_type_name() == "MatMul")
        network.add_outputs(last.input_value(0))
        steps = openvino.preprocess.PrePostProcessor(network)
        steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
        steps.input().tensor().set_color_format(openvino.preprocess.ColorFormat.RGB)
        steps.input().preprocess().convert_color(openvino.preprocess.ColorFormat.BGR)
        steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(127.5).scale(127.5)
        steps.input().model().set_layout(openvino.Layout("NCHW"))
        self._network = core.compile_model(steps.build(), "CPU", cpu_properties(openvino, threads))

    def read(self, picture: NDArray[np.uint8]) -> Line:
        """The text of one line.

        Args:
            picture: (height, width, 3) uint8 RGB, the line from left to right.
        """
        import cv2  # noqa: PLC0415 -- heavy

        height, width = picture.shape[:2]
        width_px = min(max(1, -(-HEIGHT_PX * width // height)), _WIDTHS_PX[-1])
        padded = np.full((1, HEIGHT_PX, _bucket(width_px), 3), _GREY, np.uint8)
        padded[0, :, :width_px] = cv2.resize(picture, (width_px, HEIGHT_PX))
        answer = self._network(padded)
        probabilities, features = answer[0][0], answer[1][0]
        best = probabilities.argmax(axis=1)
        kept = best != _BLANK
        kept[1:] &= best[1:] != best[:-1]
        text = "".join(self._characters[index] for index in best[kept])
        confidence = float(probabilities[kept, best[kept]].mean()) if text else 0.0
        steps = max(1, -(-len(features) * width_px // padded.shape[2]))
        # Copied: OpenVINO hands out its output buffer and writes the next answer into it.
        return Line(text, min(confidence, 1.0), features[:steps].copy())


def _bucket(width_px: int) -> int:
    return next(bucket for bucket in _WIDTHS_PX if bucket >= width_px)


def _dictionary(network: object, file: Path) -> list[str]:
    """The character of each class."""
    try:
        listed = str(network.get_rt_info(["framework", "character"]).value)  # type: ignore[attr-defined]  # OpenVINO has no types
    except RuntimeError as error:
        raise WeightsError("the network names no characters", str(file), "fetch it again: `rumiai-ray weights fetch`") from error
    characters = ["", *listed.splitlines(), " "]
    classes = network.outputs[0].partial_shape[2].get_length()  # type: ignore[attr-defined]
    if len(characters) != classes:
        raise WeightsError(f"{len(characters)} characters for {classes} classes", str(file), "fetch it again: `rumiai-ray weights fetch`")
    return characters

"""PP-OCR's text detector (DB, differentiable binarisation) on OpenVINO: a picture in, quadrilaterals around lines of text out.

Post-processing follows RapidOCR 3.10, whose boxes the tests hold as the reference. RapidOCR widens a rectangle with pyclipper, takes the
smallest rectangle around the result and computes the area with shapely; the rectangle is known without them: each side moves outwards by
the same distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.models._openvino import cpu_properties, import_openvino, read_network

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_STRIDE_PX = 32
"""Sides the network takes are multiples of this."""
_PIXEL_THRESHOLD = 0.3
_BOX_THRESHOLD = 0.5
_UNCLIP_RATIO = 1.6
"""RapidOCR's defaults. The network marks a shrunken core of each line; unclipping restores the line: Liao et al. 2020, equation 10."""
_MIN_CORE_PX = 3
_MIN_SIDE_PX = 5
"""Shorter sides below these, in the network's pixels, before and after unclipping, are noise."""
_MOST_BOXES = 1000


class TextDetector:
    """The loaded detector.

    Args:
        file: the network in ONNX, its digest checked.
        threads: threads OpenVINO may use.
        long_side_px: pictures are scaled down so that their long side is at most this.

    Raises:
        WeightsError: OpenVINO cannot load the file.
    """

    def __init__(self, file: Path, threads: int, long_side_px: int) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        steps = openvino.preprocess.PrePostProcessor(read_network(openvino, file))
        steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
        steps.input().tensor().set_color_format(openvino.preprocess.ColorFormat.RGB)
        # The network was trained on BGR in [-1, 1].
        steps.input().preprocess().convert_color(openvino.preprocess.ColorFormat.BGR)
        steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(127.5).scale(127.5)
        steps.input().model().set_layout(openvino.Layout("NCHW"))
        self._network = core.compile_model(steps.build(), "CPU", cpu_properties(openvino, threads))
        self._long_side_px = long_side_px

    def find(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Quadrilaterals around the lines of text, in no particular order.

        Args:
            image: (height, width, 3) uint8 RGB.

        Returns:
            (4, 2) corners x, y in the image's pixels, inside the picture: top left, top right, bottom right, bottom left.
        """
        import cv2  # noqa: PLC0415 -- heavy

        height, width = image.shape[:2]
        ratio = min(1.0, self._long_side_px / max(height, width))
        size = (_multiple(width * ratio), _multiple(height * ratio))
        scores = self._network(cv2.resize(image, size)[None])[0][0, 0]
        scale = np.array([width / size[0], height / size[1]], np.float32)
        limit = np.array([width, height], np.float32)
        return [_upright(np.clip(box * scale, 0, limit)) for box in boxes_of(scores)]


def _multiple(side_px: float) -> int:
    return max(_STRIDE_PX, round(side_px / _STRIDE_PX) * _STRIDE_PX)


def boxes_of(scores: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Rectangles, (4, 2) corners each, around the lines of text in a map of probabilities, in the map's pixels.

    Args:
        scores: (height, width) float32 in [0, 1].
    """
    import cv2  # noqa: PLC0415 -- heavy

    mask = cv2.dilate((scores > _PIXEL_THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour in contours[:_MOST_BOXES]:
        centre, sides, angle = cv2.minAreaRect(contour)
        if min(sides) < _MIN_CORE_PX or _mean_inside(scores, cv2.boxPoints((centre, sides, angle))) < _BOX_THRESHOLD:
            continue
        # Area over perimeter, of the rectangle.
        distance = _UNCLIP_RATIO * sides[0] * sides[1] / (2 * (sides[0] + sides[1]))
        wider = (sides[0] + 2 * distance, sides[1] + 2 * distance)
        if min(wider) >= _MIN_SIDE_PX:
            boxes.append(np.asarray(cv2.boxPoints((centre, wider, angle)), np.float32))
    return boxes


def _mean_inside(scores: NDArray[np.float32], box: NDArray[np.float32]) -> float:
    import cv2  # noqa: PLC0415 -- heavy

    height, width = scores.shape
    low = np.clip(np.floor(box.min(axis=0)).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.ceil(box.max(axis=0)).astype(int), 0, [width - 1, height - 1])
    part = scores[low[1] : high[1] + 1, low[0] : high[0] + 1]
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [(box - low).astype(np.int32)], 1)
    return float(cv2.mean(np.ascontiguousarray(part), mask)[0])


def _upright(box: NDArray[np.float32]) -> NDArray[np.float32]:
    """The corners from the top left, clockwise."""
    by_x = box[np.argsort(box[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    return np.stack([left[0], right[0], right[1], left[1]])

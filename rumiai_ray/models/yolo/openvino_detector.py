"""A YOLO export for OpenVINO, of one fixed size, run without Ultralytics and torch: the same boxes, bit for bit, for less time.

Ultralytics' own steps before and after the network are done here on arrays, one image after another, with the arithmetic of version
8.4.190 (`LetterBox`, `non_max_suppression`, `scale_boxes`, and torchvision's `nms`): float32 throughout, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.errors import ConfigError, WeightsError
from rumiai_ray.models._openvino import cpu_properties, import_openvino, read_network
from rumiai_ray.models.yolo.coco import COCO_CLASSES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_GREY = 114
"""What Ultralytics pads pictures with, as in training."""
_MOST_BOXES = 300
"""Ultralytics' `max_det`."""
_CLASS_STEP_PX = np.float32(7680)
"""By so much the boxes of one class are moved away from those of the next, so that only boxes of one class suppress one another."""


@dataclass(frozen=True)
class _Placement:
    """Where a picture lies in the network's square."""

    width: int
    height: int
    left: int
    top: int


class OpenVinoDetector:
    """One loaded export.

    Args:
        graph: the export's `.xml`, its digest and that of the `.bin` beside it checked.
        threads: threads OpenVINO may use.
        confidence: objects are more probable than this.
        iou: NMS threshold.
        image_size_px: the size asked for.

    Raises:
        WeightsError: OpenVINO cannot load it, or it gives something else than boxes and COCO's 80 classes.
        ConfigError: it was exported for another size than `image_size_px`.
    """

    def __init__(self, graph: Path, *, threads: int, confidence: float, iou: float, image_size_px: int) -> None:
        import cv2  # noqa: PLC0415 -- heavy

        cv2.setNumThreads(threads)
        openvino = import_openvino()
        network = read_network(openvino, graph)
        shapes = [part.partial_shape for part in (*network.inputs, *network.outputs)]
        if any(shape.is_dynamic for shape in shapes) or len(shapes) != 2 or shapes[1][1].get_length() != 4 + len(COCO_CLASSES):  # noqa: PLR2004 -- one input, one output
            raise WeightsError(f"gives {shapes[1:]}, must give boxes of COCO's 80 classes at one size", str(graph))
        _, _, self._height, self._width = (side.get_length() for side in shapes[0])
        if max(self._height, self._width) != image_size_px:
            raise ConfigError(
                f"was exported for {self._height}x{self._width} pixels only",
                str(graph),
                f"set yolo image_size_px to {max(self._height, self._width)}",
            )
        self._network = openvino.Core().compile_model(network, "CPU", cpu_properties(openvino, threads))
        self._confidence, self._iou = np.float32(confidence), iou
        self._planes: NDArray[np.float32] = np.empty((1, 3, self._height, self._width), np.float32)
        self._padded: _Placement | None = None

    def detect(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """What is seen in each image; see `ObjectDetector`."""
        return [self._detect_one(image) for image in images]

    def close(self) -> None:
        """Free the network."""
        del self._network

    def _detect_one(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._place(image)
        answer: NDArray[np.float32] = self._network(self._planes)[0][0]
        scores = answer[4:].max(axis=0)
        sure = scores > self._confidence
        candidates, scores = answer[:, sure], scores[sure]
        middles, halves = candidates[:2].T, candidates[2:4].T / np.float32(2)
        boxes = np.concatenate([middles - halves, middles + halves], axis=1)
        classes = candidates[4:].argmax(axis=0).astype(np.float32)
        kept = kept_boxes(boxes + (classes * _CLASS_STEP_PX)[:, None], scores, self._iou)[:_MOST_BOXES]
        return np.column_stack([self._in_image(boxes[kept], image.shape), scores[kept], classes[kept]])

    def _place(self, image: NDArray[np.uint8]) -> None:
        """The image scaled into the middle of `_planes`, 0 to 1; the padding is written where the image before lay elsewhere."""
        import cv2  # noqa: PLC0415 -- heavy

        at = self._placement(*image.shape[:2])
        if at != self._padded:
            self._planes[:] = np.float32(_GREY) / np.float32(255)
            self._padded = at
        if image.shape[:2] != (at.height, at.width):
            image = np.asarray(cv2.resize(image, (at.width, at.height), interpolation=cv2.INTER_LINEAR), np.uint8)
        inside = self._planes[0, :, at.top : at.top + at.height, at.left : at.left + at.width]
        np.divide(image.transpose(2, 0, 1), np.float32(255), out=inside, dtype=np.float32)

    def _placement(self, height: int, width: int) -> _Placement:
        scale = min(self._height / height, self._width / width)
        wide, high = max(round(width * scale), 1), max(round(height * scale), 1)
        return _Placement(wide, high, round((self._width - wide) / 2 - 0.1), round((self._height - high) / 2 - 0.1))

    def _in_image(self, boxes: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Boxes in pixels of an image of this shape, cut at its edges."""
        height, width = shape[:2]
        at = self._placement(height, width)
        offset = np.array([at.left, at.top] * 2, np.float32)
        scale = np.array([at.width / width, at.height / height] * 2, np.float32)
        return np.clip((boxes - offset) / scale, 0, np.array([width, height] * 2, np.float32))


def kept_boxes(boxes: NDArray[np.float32], scores: NDArray[np.float32], iou: float) -> NDArray[np.intp]:
    """Indices of the boxes that no more confident one overlaps by more than `iou`, the most confident first.

    Args:
        boxes: (n, 4) float32 x1, y1, x2, y2.
        scores: (n,) float32; of equal ones the first comes first.
        iou: intersection over union.
    """
    left = np.argsort(-scores, kind="stable")
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1) * (y2 - y1)
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        wide = np.maximum(np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left]), np.float32(0))
        high = np.maximum(np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left]), np.float32(0))
        shared = wide * high
        with np.errstate(invalid="ignore"):  # 0 / 0 of two boxes without area suppresses nothing
            left = left[~(shared / (areas[best] + areas[left] - shared) > np.float64(iou))]
    return np.array(kept, np.intp)

"""EfficientDet-Lite0 through MediaPipe: the declared stand-in for YOLO where no package registry carries YOLO's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.models.mediapipe.tasks import Task
from rumiai_ray.models.yolo.coco import COCO_CLASSES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_CLASS_ID = {name: class_id for class_id, name in enumerate(COCO_CLASSES)}


class EfficientDet:
    """One loaded EfficientDet.

    Args:
        weights: `object_detector.tflite`, COCO labels inside.
        confidence: detections below this are not given.

    Raises:
        WeightsError: MediaPipe cannot open the file.
    """

    def __init__(self, weights: Path, confidence: float) -> None:
        self._task = Task("ObjectDetector", weights, score_threshold=confidence, category_allowlist=list(COCO_CLASSES))

    def detect(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """What is seen in each image; see `Detector`."""
        return [self._detect_one(image) for image in images]

    def _detect_one(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = []
        for detection in self._task.look(image).detections:
            box, best = detection.bounding_box, detection.categories[0]
            corners = (box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height)
            rows.append((*corners, best.score, _CLASS_ID[best.category_name]))
        return np.array(rows, np.float32).reshape(-1, 6)

    def close(self) -> None:
        """Free the task."""
        self._task.close()

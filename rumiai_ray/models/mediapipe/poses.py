"""Poses in one image, as plain arrays in the image's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.models.mediapipe.boxes import hull, in_image
from rumiai_ray.models.mediapipe.tasks import Task

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.base import Box

HEAD = slice(0, 11)
"""The pose landmarks of the head: nose, eyes, ears, mouth."""
VISIBLE = 0.5
"""From this visibility a landmark counts as seen."""


@dataclass(frozen=True)
class FoundPose:
    """One person's pose in one image."""

    landmarks: NDArray[np.float32]
    """(33, 3) float32 x, y in pixels of the image, z in the scale of x, smaller is nearer; may lie outside the image."""
    world_landmarks: NDArray[np.float32]
    """(33, 3) float32 metres from the hips' centre."""
    visibility: NDArray[np.float32]
    """(33,) float32 in [0, 1]: in the picture and not hidden."""
    presence: NDArray[np.float32]
    """(33,) float32 in [0, 1]: within the picture."""

    @property
    def box(self) -> Box:
        """x1, y1, x2, y2: hull of the landmarks seen, of all where none is seen."""
        seen = self.visibility >= VISIBLE
        return hull(self.landmarks[seen] if seen.any() else self.landmarks)


class PoseFinder:
    """Finds poses in single images.

    Args:
        pose_landmarker: MediaPipe's pose_landmarker bundle.
        max_poses: at most this many persons an image.
        min_detection_confidence: of the person detector, 0 to 1.
        min_presence_confidence: of the landmark network, 0 to 1.

    Raises:
        WeightsError: the bundle does not open.
    """

    def __init__(
        self,
        pose_landmarker: Path,
        *,
        max_poses: int = 5,
        min_detection_confidence: float = 0.5,
        min_presence_confidence: float = 0.5,
    ) -> None:
        self._task = Task(
            "PoseLandmarker",
            pose_landmarker,
            num_poses=max_poses,
            min_pose_detection_confidence=min_detection_confidence,
            min_pose_presence_confidence=min_presence_confidence,
        )

    def find(self, image: NDArray[np.uint8]) -> list[FoundPose]:
        """All poses of one (height, width, 3) uint8 RGB image, in the detector's order."""
        height, width = image.shape[:2]
        result = self._task.look(image)
        return [
            FoundPose(
                landmarks=in_image(points, (0, 0, width, height)),
                world_landmarks=np.array([(p.x, p.y, p.z) for p in world], np.float32),
                visibility=np.array([p.visibility for p in points], np.float32),
                presence=np.array([p.presence for p in points], np.float32),
            )
            for points, world in zip(result.pose_landmarks, result.pose_world_landmarks, strict=True)
        ]

    def close(self) -> None:
        """Free the task."""
        self._task.close()

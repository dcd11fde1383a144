"""Hands and their gestures in one image, from MediaPipe's gesture recogniser, as plain arrays in the image's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from rumiai_ray.models.mediapipe.boxes import hull, in_image
from rumiai_ray.models.mediapipe.tasks import Task

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.base import Box

_SIDES: dict[str, Literal["left", "right"]] = {"Left": "left", "Right": "right"}
_NO_GESTURE = "None"


@dataclass(frozen=True)
class FoundHand:
    """One hand in one image."""

    handedness: Literal["left", "right"]
    """The person's own hand in an image that is not mirrored."""
    handedness_confidence: float
    landmarks: NDArray[np.float32]
    """(21, 3) float32 x, y in pixels of the image, z in the scale of x from the wrist, smaller is nearer."""
    world_landmarks: NDArray[np.float32]
    """(21, 3) float32 metres from the hand's centre."""
    gesture: str | None
    """MediaPipe's name of the gesture; None where the hand makes none it knows."""
    gesture_confidence: float | None

    @property
    def box(self) -> Box:
        """x1, y1, x2, y2 in pixels of the image: hull of the landmarks."""
        return hull(self.landmarks)


class HandFinder:
    """Finds hands and gestures in single images.

    Handedness is passed on as MediaPipe 1.2.2 gives it. Older versions named the sides for mirrored selfies; this one's agree with the
    wrists of its poses on unmirrored images (2 of 2 portraits, 89 of 100 hands in six clips of moving hands).

    Args:
        gesture_recognizer: MediaPipe's gesture_recognizer bundle.
        max_hands: at most this many hands an image.
        min_confidence: of palm detector and hand network, 0 to 1.
        min_gesture_confidence: a gesture recognised with less is none.

    Raises:
        WeightsError: the bundle does not open.
    """

    def __init__(self, gesture_recognizer: Path, *, max_hands: int, min_confidence: float, min_gesture_confidence: float) -> None:
        self._min_gesture_confidence = min_gesture_confidence
        self._task = Task(
            "GestureRecognizer",
            gesture_recognizer,
            num_hands=max_hands,
            min_hand_detection_confidence=min_confidence,
            min_hand_presence_confidence=min_confidence,
        )

    def find(self, image: NDArray[np.uint8]) -> list[FoundHand]:
        """All hands of one (height, width, 3) uint8 RGB image, in the detector's order."""
        height, width = image.shape[:2]
        result = self._task.look(image)
        found = []
        for sides, points, world, gestures in zip(
            result.handedness, result.hand_landmarks, result.hand_world_landmarks, result.gestures, strict=True
        ):
            made = [one for one in gestures[:1] if one.category_name != _NO_GESTURE and one.score >= self._min_gesture_confidence]
            found.append(
                FoundHand(
                    handedness=_SIDES[sides[0].category_name],
                    handedness_confidence=float(sides[0].score),
                    landmarks=in_image(points, (0, 0, width, height)),
                    world_landmarks=np.array([(p.x, p.y, p.z) for p in world], np.float32),
                    gesture=made[0].category_name if made else None,
                    gesture_confidence=float(made[0].score) if made else None,
                )
            )
        return found

    def close(self) -> None:
        """Free the task."""
        self._task.close()

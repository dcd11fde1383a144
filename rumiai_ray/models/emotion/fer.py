"""The stand-in reader: MediaPipe finds the faces, mini-XCEPTION reads them. Imported by `load` only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from rumiai_ray.models.emotion.expressions import Expression
from rumiai_ray.models.emotion.xception import FACE_PX, MiniXception
from rumiai_ray.models.mediapipe.faces import FaceFinder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.base import Box

_MARGIN = 1.1
"""Side of the square shown to the network, in longer sides of the face mesh's box. Measured on real faces with a known
expression: below 1.1 neutral talkers turn sad (mean neutral 0.28 at 0.9, 0.44 at 1.1), above it smiles and neutral faces fade
(weakest of five smiles 0.53 at 1.1, 0.25 at 1.3; a neutral man 0.94 at 1.1, 0.73 at 1.4)."""
_DETECTION_CONFIDENCE = 0.2
"""From here on MediaPipe's detector may propose a face; its mesh network then decides (as in the MediaPipe family)."""
_HALF_RANGE = 127.5


class Fer:
    """Seven emotions of every face, and nothing else: no action units, valence, arousal or head pose.

    Args:
        files: the bundles `face_landmarker` and `pose_landmarker` and the network `emotion_model`.
        threads: of torch and OpenCV.
        max_faces: at most this many faces an image.

    Raises:
        WeightsError: a file does not load.
    """

    def __init__(self, files: Mapping[str, Path], *, threads: int, max_faces: int) -> None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        self._network = MiniXception(files["emotion_model"])
        self._faces = FaceFinder(
            files["face_landmarker"], files["pose_landmarker"], max_faces=max_faces, min_detection_confidence=_DETECTION_CONFIDENCE
        )

    def read(self, images: NDArray[np.uint8]) -> list[Expression]:
        """See `Reader`. All faces of all images go through the network in one call."""
        found: list[tuple[int, Box]] = []
        crops: list[NDArray[np.float32]] = []
        for index, image in enumerate(images):
            boxes = [face.box for face in self._faces.find(image)]
            found += [(index, box) for box in boxes]
            if boxes:
                grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
                crops += [face_crop(grey, box) for box in boxes]
        if not found:
            return []
        return [
            Expression(image=index, box=box, emotions=tuple(probabilities.tolist()))
            for (index, box), probabilities in zip(found, self._network(np.stack(crops)), strict=True)
        ]

    def close(self) -> None:
        """Close MediaPipe's tasks."""
        self._faces.close()


def face_crop(grey: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
    """The square around a face as the network wants it: (64, 64) float32 in [-1, 1].

    Args:
        grey: (height, width) uint8.
        box: x1, y1, x2, y2 in pixels; where the square leaves the picture, its edge is repeated.
    """
    x1, y1, x2, y2 = box
    side = max(round(max(x2 - x1, y2 - y1) * _MARGIN), 1)
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    height, width = grey.shape
    rows, columns = np.clip(np.arange(top, top + side), 0, height - 1), np.clip(np.arange(left, left + side), 0, width - 1)
    # INTER_AREA averages: a large face must not be sampled at every tenth pixel
    small = cv2.resize(grey[np.ix_(rows, columns)], (FACE_PX, FACE_PX), interpolation=cv2.INTER_AREA)
    scaled: NDArray[np.float32] = small.astype(np.float32) / _HALF_RANGE - 1
    return scaled

"""Faces in one image: a look at the whole of it, and closer ones where something says that a face was missed.

MediaPipe's face bundle carries the short-range detector, which works on 128×128 pixels: it misses faces smaller than about a fifth of
the frame (at its default confidence all in 24 frames of standing signers) and places the small ones it finds badly. So there are up
to three looks, at the whole image, at the head of each pose that has no face yet, and in a group, where poses of neighbours run into
one another, at overlapping tiles; and a small face counts only if a close-up of it shows it again, and as the close-up shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from rumiai_ray.models.mediapipe.boxes import PixelBox, area, holds, hull, in_image, overlap, square_around, tiles
from rumiai_ray.models.mediapipe.heads import moved_to_image
from rumiai_ray.models.mediapipe.poses import HEAD, VISIBLE, FoundPose, PoseFinder
from rumiai_ray.models.mediapipe.tasks import Task, closed_on_failure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.base import Box

FaceView = Literal["full_frame", "pose_head_crop", "tile"]

HEAD_CROP = 4.0
"""Side of the closer look's square, in sides of the box around the pose's head landmarks. Measured on eight clips: 1.5 to 6 all
find every signer; on small faces 4 finds most (juggler 16 of 18 frames, 15 at 2; three walkers all, one missed at 2)."""
_GROUP = 2
"""From so many faces on, tiles are searched for more: in company a further face is likelier than a false one; searched everywhere, tiles
find a dog and a cat. So searched, all 3 walkers are found in 17 of 17 frames and all 5 faces of a group photograph."""
_TILE = 0.56
"""Side of a tile in long sides of the image, at most its short side: 9:16 and 16:9 images get six. 0.4 finds no more real faces."""
_TILE_STEP = 0.6
"""Tiles follow one another by at most this share of their side, so a face of up to 0.4 sides is whole in one of them."""
_SMALL = 0.2
"""A face narrower than this share of its window's long side needs a close-up. Measured: close-ups moved landmarks of faces of 0.24 by
0.3 % of the face's width, of 0.12 by 2 to 21 %; half a road sign and a cat's eye did not show again."""
_CLOSE_UP = 2.5
"""Side of a close-up in sides of the face's box; 1.6 to 3 give the same landmarks."""
_PROPOSALS = 10
"""MediaPipe keeps the likeliest faces, not the largest: it is asked for at least so many, whatever the caller's limit."""
_MIN_CROP_PX = 16
"""A smaller crop holds no face worth measuring."""
_SAME_FACE = 0.5
"""Two boxes are one face from this overlap on, as a share of the smaller: two looks at one face give boxes of unlike size."""


@dataclass(frozen=True)
class FoundFace:
    """One face in one image."""

    landmarks: NDArray[np.float32]
    """(478, 3) float32 x, y in pixels of the image, z in the scale of x, smaller is nearer; 468 and 473 are the iris centres."""
    blendshapes: NDArray[np.float32]
    """(52,) float32 in [0, 1], in the order of `schema.mediapipe.BLENDSHAPES`."""
    head_transform: NDArray[np.float32]
    """(4, 4) float32, from the canonical face to the camera of the whole image, in cm; x right, y up, z out of the picture."""
    found_by: FaceView

    @property
    def box(self) -> Box:
        """x1, y1, x2, y2 in pixels of the image: hull of the landmarks, which may reach outside the image."""
        return hull(self.landmarks)


class FaceFinder:
    """Finds faces in single images. Keeps nothing from one image to the next.

    Args:
        face_landmarker: MediaPipe's face_landmarker bundle.
        pose_landmarker: MediaPipe's pose_landmarker bundle.
        max_faces: at most this many faces an image, the largest.
        max_poses: at most this many persons an image, whose heads are looked at more closely.
        min_detection_confidence: of the face detector, 0 to 1. Low, because it only proposes.
        min_presence_confidence: of the face mesh network, 0 to 1, which decides; it is what keeps cats and logos out.
        min_pose_confidence: of person detector and pose network, 0 to 1.

    Raises:
        WeightsError: a bundle does not open.
    """

    def __init__(
        self,
        face_landmarker: Path,
        pose_landmarker: Path,
        *,
        max_faces: int = 10,
        max_poses: int = 5,
        min_detection_confidence: float = 0.2,
        min_presence_confidence: float = 0.5,
        min_pose_confidence: float = 0.5,
    ) -> None:
        self._max_faces = max_faces
        self._task = Task(
            "FaceLandmarker",
            face_landmarker,
            num_faces=max(max_faces, _PROPOSALS),
            min_face_detection_confidence=min_detection_confidence,
            min_face_presence_confidence=min_presence_confidence,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        with closed_on_failure(self._task):
            self.poses = PoseFinder(
                pose_landmarker,
                max_poses=max_poses,
                min_detection_confidence=min_pose_confidence,
                min_presence_confidence=min_pose_confidence,
            )

    def find(self, image: NDArray[np.uint8], poses: Sequence[FoundPose] | None = None) -> list[FoundFace]:
        """All faces of one image, largest first.

        Args:
            image: (height, width, 3) uint8 RGB.
            poses: the image's poses where the caller has them already; otherwise they are found here.
        """
        height, width = image.shape[:2]
        faces = self._new_faces(image, (0, 0, width, height), "full_frame", [])
        for pose in self.poses.find(image) if poses is None else poses:
            if _head_is_seen(pose, width, height) and not any(holds(face.box, pose.landmarks[0]) for face in faces):
                crop = square_around(hull(pose.landmarks[HEAD]), HEAD_CROP, width, height)
                faces += self._new_faces(image, crop, "pose_head_crop", faces)
        if _GROUP <= len(faces) < self._max_faces:
            side = min(round(max(width, height) * _TILE), width, height)
            for tile in tiles(width, height, side, _TILE_STEP):
                faces += self._new_faces(image, tile, "tile", faces)
        return sorted(faces, key=lambda face: -area(face.box))[: self._max_faces]

    def close(self) -> None:
        """Free both tasks."""
        self._task.close()
        self.poses.close()

    def _new_faces(self, image: NDArray[np.uint8], window: PixelBox, found_by: FaceView, known: Sequence[FoundFace]) -> list[FoundFace]:
        """The faces in a window of the image that are not known yet."""
        new: list[FoundFace] = []
        for seen in self._look(image, window, found_by):
            if any(_same(seen.box, face.box) for face in (*known, *new)):
                continue
            face = self._close_up(image, seen) if _is_small(seen.box, window) else seen
            if face is not None and not any(_same(face.box, other.box) for other in (*known, *new)):
                new.append(face)
        return new

    def _close_up(self, image: NDArray[np.uint8], face: FoundFace) -> FoundFace | None:
        """The same face measured on a crop around it, None if it does not show there."""
        height, width = image.shape[:2]
        window = square_around(face.box, _CLOSE_UP, width, height)
        closer = [again for again in self._look(image, window, face.found_by) if _same(again.box, face.box)]
        return max(closer, key=lambda again: overlap(again.box, face.box), default=None)

    def _look(self, image: NDArray[np.uint8], window: PixelBox, found_by: FaceView) -> list[FoundFace]:
        """What MediaPipe sees in a window of the image, in pixels of the image."""
        x1, y1, x2, y2 = window
        if min(x2 - x1, y2 - y1) < _MIN_CROP_PX:
            return []
        height, width = image.shape[:2]
        result = self._task.look(image[y1:y2, x1:x2])
        return [
            FoundFace(
                landmarks=in_image(points, window),
                blendshapes=np.array([category.score for category in categories], np.float32),
                head_transform=moved_to_image(np.asarray(transform, np.float64), window, width, height),
                found_by=found_by,
            )
            for points, categories, transform in zip(
                result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True
            )
        ]


def _head_is_seen(pose: FoundPose, width: int, height: int) -> bool:
    x, y = pose.landmarks[HEAD, :2].mean(axis=0)
    return bool(pose.visibility[HEAD].mean() >= VISIBLE and 0 <= x < width and 0 <= y < height)


def _is_small(box: Box, window: PixelBox) -> bool:
    return box[2] - box[0] < _SMALL * max(window[2] - window[0], window[3] - window[1])


def _same(a: Box, b: Box) -> bool:
    return overlap(a, b) >= _SAME_FACE

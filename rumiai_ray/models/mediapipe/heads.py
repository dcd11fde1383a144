"""Where a head points: MediaPipe's head transform, moved between cameras and read as angles.

MediaPipe measures a head as if one camera with a vertical field of view of 63° took exactly the picture it was given. Two things follow.
A transform measured on a crop belongs to a camera of its own. And a head that looks the same, cut out elsewhere, is given another
rotation: it is turned by `_TURN_WITH_PLACE` of the angle at which the camera sees it. What the viewer of a video judges is how the
head looks, so angles are read with that share taken off.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rumiai_ray.models.mediapipe.boxes import PixelBox

_FIELD_OF_VIEW_RAD = math.radians(63)
"""Vertical field of view of the camera MediaPipe assumes (environment of its face_geometry module)."""
_TURN_WITH_PLACE = 0.3
"""Measured: four portraits shifted by 1.2 face widths (17°) each way turned by 0.25 to 0.30 of it in yaw, 0.29 to 0.38 in pitch."""
_FORWARD = np.array([0.0, math.sin(math.radians(3)), math.cos(math.radians(3))])
"""Where a level head points, in the canonical face's axes. Measured: six persons looking straight at the camera have their
canonical face's own axis 3° down on average (0 to 5°)."""


def moved_to_image(transform: NDArray[np.float64], window: PixelBox, width: int, height: int) -> NDArray[np.float32]:
    """A head transform measured in a window of an image, as it would have been measured in the whole image.

    Args:
        transform: (4, 4) from the canonical face to the window's camera, cm.
        window: what was given to MediaPipe.
        width: of the whole image, px.
        height: of the whole image, px.
    """
    x1, y1, x2, y2 = window
    tangent = 2 * math.tan(_FIELD_OF_VIEW_RAD / 2)
    focal_px, window_focal_px = height / tangent, (y2 - y1) / tangent
    x, y, z = transform[:3, 3]
    right_px = (x1 + x2 - width) / 2 + x / -z * window_focal_px
    up_px = (height - y1 - y2) / 2 + y / -z * window_focal_px
    distance = -z * focal_px / window_focal_px
    moved = transform.copy()
    moved[:3, 3] = right_px / focal_px * distance, up_px / focal_px * distance, -distance
    moved[:3, :3] = _turned_by_place(moved) @ _turned_by_place(transform).T @ transform[:3, :3]
    return moved.astype(np.float32)


def head_angles(transform: NDArray[np.floating]) -> tuple[float, float]:
    """Yaw and pitch in degrees of how a head looks in the picture: 0, 0 looks straight out of it.

    Args:
        transform: (4, 4) from the canonical face to the camera of the whole image.

    Returns:
        Yaw, positive where the face is turned to the picture's right, and pitch, positive where it is turned down.
    """
    right, up, out = _turned_by_place(transform).T @ transform[:3, :3] @ _FORWARD
    return math.degrees(math.atan2(right, out)), math.degrees(math.atan2(-up, math.hypot(right, out)))


def _turned_by_place(transform: NDArray[np.floating]) -> NDArray[np.float64]:
    """(3, 3) the rotation MediaPipe adds to a head because of where in the picture it is."""
    right, up, out = -transform[:3, 3]
    yaw, pitch = _TURN_WITH_PLACE * math.atan2(right, out), _TURN_WITH_PLACE * math.atan2(-up, math.hypot(right, out))
    about_up = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_right = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    turned: NDArray[np.float64] = about_up @ about_right
    return turned

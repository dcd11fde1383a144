"""Where a face looks, from its mesh and head transform alone.

An eye's turn within the head is read from where the iris stands between the eye's corners. Its centre is about 10 mm before the eye's
centre of rotation, and so are the corners, which are about 30 mm apart: with `x` the iris' offset in eye widths and `h` the head's angle,
the line of sight has `sin(gaze) = sin(h) + x · cos(h) · 30 / 10`. A head turned by 25° whose eyes hold the camera shows x = -0.15 so, and
-0.146 was measured on a portrait. Everything is relative to the eye's own width and axis: near and far, upright and tilted faces agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from rumiai_ray.models.mediapipe.heads import head_angles

if TYPE_CHECKING:
    from numpy.typing import NDArray

Direction = Literal["camera", "left", "right", "up", "down"]

_EYE_WIDTH_OVER_RADIUS = 3.0
_LEVEL_IRIS_Y = -0.07
"""Where the iris stands, in eye widths below the line between the corners, when gaze and head are level: above it. Measured: -0.055 to
-0.085 in six persons looking straight at the camera."""


@dataclass(frozen=True)
class _Eye:
    """Indices of one eye's points in the face mesh, sides as in the picture of an unmirrored upright face."""

    left_corner: int
    right_corner: int
    iris: int
    upper_lid: int
    lower_lid: int


_EYES = (_Eye(33, 133, 468, 159, 145), _Eye(362, 263, 473, 386, 374))


@dataclass(frozen=True)
class GazeLimits:
    """How far from the camera a look may go and still be eye contact, and when eyes are shut."""

    yaw_deg: float
    """Sideways angle from which on a look straight ahead in height is none into the camera."""
    pitch_deg: float
    """The same up and down; wider, because lids and the shape of the face make height less certain."""
    shut_opening: float
    """Distance of the lids over the eye's width below which an eye is shut."""


@dataclass(frozen=True)
class EyeGaze:
    """Where one face looks."""

    x: float
    """Iris offset along the eyes' axis in eye widths, positive to the picture's right on an upright face."""
    y: float
    """Iris offset across the eyes' axis in eye widths, positive towards the chin."""
    head_yaw_deg: float
    """Positive to the picture's right."""
    head_pitch_deg: float
    """Positive downwards."""
    eye_contact_score: float | None
    """1 straight into the camera, 0 at or past the limit; None where both eyes are shut."""
    yaw_deg: float | None
    """Of head and eyes together, to the line to the camera, positive to the picture's right; None where both eyes are shut."""
    pitch_deg: float | None
    """The same, positive downwards."""
    direction: Direction | None
    """`camera`, or the side of the picture to which head and eyes together point most; None where both eyes are shut."""

    @property
    def eye_contact(self) -> bool | None:
        """Whether the camera is looked at; None where both eyes are shut."""
        return None if self.direction is None else self.direction == "camera"


def read_gaze(landmarks: NDArray[np.float32], head_transform: NDArray[np.float32], limits: GazeLimits) -> EyeGaze:
    """The gaze of one face.

    Args:
        landmarks: (478, 3) face mesh in pixels of an image.
        head_transform: (4, 4) from the canonical face to the camera of the same image.
        limits: what counts as eye contact and as shut.
    """
    points = landmarks[:, :2].astype(np.float64)
    axes = np.array([points[eye.right_corner] - points[eye.left_corner] for eye in _EYES])
    widths = np.linalg.norm(axes, axis=1)
    offsets = np.array([points[eye.iris] - (points[eye.left_corner] + points[eye.right_corner]) / 2 for eye in _EYES])
    right, down = axes.sum(axis=0) / np.linalg.norm(axes.sum(axis=0)), _quarter_turn(axes.sum(axis=0) / np.linalg.norm(axes.sum(axis=0)))
    own = axes / widths[:, None]
    # weighted by width: an eye turned out of sight is a few pixels wide, and its offset mostly noise
    x, y = (
        float(np.average(np.einsum("ij,ij->i", offsets, axis) / widths, weights=widths))
        for axis in (own, np.array([_quarter_turn(one) for one in own]))
    )
    yaw_deg, pitch_deg = head_angles(head_transform)
    openings = [float(np.linalg.norm(points[eye.upper_lid] - points[eye.lower_lid])) for eye in _EYES] / widths
    if openings.max() < limits.shut_opening:
        return EyeGaze(x, y, yaw_deg, pitch_deg, None, None, None, None)
    in_picture = x * right + (y - _LEVEL_IRIS_Y) * down
    sight_yaw_deg = _line_of_sight_deg(yaw_deg, float(in_picture[0]))
    sight_pitch_deg = _line_of_sight_deg(pitch_deg, float(in_picture[1]))
    sideways, downwards = sight_yaw_deg / limits.yaw_deg, sight_pitch_deg / limits.pitch_deg
    score = max(0.0, 1.0 - math.hypot(sideways, downwards))
    direction = "camera" if score > 0 else _side(sideways, downwards)
    return EyeGaze(x, y, yaw_deg, pitch_deg, score, sight_yaw_deg, sight_pitch_deg, direction)


def _line_of_sight_deg(head_deg: float, offset: float) -> float:
    """Angle to the camera from the head's angle and the iris' offset in eye widths, -90 to 90."""
    head = math.radians(head_deg)
    sine = math.sin(head) + offset * math.cos(head) * _EYE_WIDTH_OVER_RADIUS
    return math.degrees(math.asin(min(max(sine, -1.0), 1.0)))


def _side(sideways: float, downwards: float) -> Direction:
    if abs(sideways) >= abs(downwards):
        return "right" if sideways > 0 else "left"
    return "down" if downwards > 0 else "up"


def _quarter_turn(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,) a picture's vector turned clockwise by 90°: right becomes down."""
    return np.array([-vector[1], vector[0]])

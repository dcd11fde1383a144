"""How much of a person is seen: what the size of a shot is told from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.models.mediapipe.poses import VISIBLE

if TYPE_CHECKING:
    from rumiai_ray.models.base import Box
    from rumiai_ray.models.mediapipe.boxes import PixelBox
    from rumiai_ray.models.mediapipe.poses import FoundPose

_NOSE = 0
_LEVELS = (slice(11, 13), slice(23, 25), slice(25, 27), slice(27, 29))
"""Pose landmarks of shoulders, hips, knees and ankles: levels 1 to 4; the head is level 0."""
_HIDDEN = 0.5
"""What is added to the lowest visible level of a body that lies in the picture with its feet hidden: half of the next part may be seen."""
_UNDER_ANKLES = 0.02
"""The foot under the ankle, as a share of the picture's height."""
_NOSE_TO_ANKLES = 0.87
"""Share of the stature from the ankles, at 0.039 of it, to the nose, between chin and eyes at 0.870 and 0.936 (Drillis, Contini 1966)."""


def seen_to(pose: FoundPose, area: PixelBox) -> float:
    """How far down a body is seen: 0 head, 1 shoulders, 2 hips, 3 knees, 4 feet.

    Where the lower edge of the picture cuts the body, the value is its place between the levels above and below the edge; the network
    places those below, too. Of a body upside down it is the upper edge. Where the whole body lies in the picture and its feet are hidden,
    the value is half a level under the lowest that is visible.

    Args:
        pose: in pixels of the image.
        area: of the picture, in pixels of the image.
    """
    _, y1, _, y2 = area
    heights = [float(pose.landmarks[_NOSE, 1]), *(float(pose.landmarks[level, 1].mean()) for level in _LEVELS)]
    if max(heights[2], heights[4]) < heights[0]:  # on its head, as it were: the upper edge of the picture cuts it
        heights = [y1 + y2 - height for height in heights]
    limits = [y2] * len(_LEVELS[1:]) + [y2 - _UNDER_ANKLES * (y2 - y1)]
    cut = next((number for number, limit in enumerate(limits, 1) if heights[number] > limit), None)
    if cut is not None:
        above, below = heights[cut - 1], heights[cut]
        return cut - 1 + min(max((y2 - above) / max(below - above, 1e-6), 0.0), 0.99)
    seen = max((number for number, level in enumerate(_LEVELS, 1) if (pose.visibility[level] >= VISIBLE).any()), default=0)
    return float(seen) if seen == len(_LEVELS) else seen + _HIDDEN


def stature_share(pose: FoundPose, area: PixelBox) -> float:
    """Height of the person, from the nose to the farther ankle, since the other leg may be raised, over that of the picture; 0 to 1."""
    reach = pose.landmarks[_LEVELS[-1], :2] - pose.landmarks[_NOSE, :2]
    return float(min(np.hypot(*reach.T).max() / _NOSE_TO_ANKLES / (area[3] - area[1]), 1.0))


def height_share(box: Box, area: PixelBox) -> float:
    """Height of a box over that of the picture; 0 to 1."""
    return float(min(max(box[3] - box[1], 0.0) / (area[3] - area[1]), 1.0))

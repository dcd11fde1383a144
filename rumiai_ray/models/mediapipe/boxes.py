"""Boxes and windows in pixels of an image, and what MediaPipe's finders do with them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rumiai_ray.models.base import Box

PixelBox = tuple[int, int, int, int]
"""x1, y1, x2, y2 of a part of an image, whole pixels."""


def hull(points: NDArray[np.float32]) -> Box:
    """Box around (n, 2 or 3) points."""
    (x1, y1), (x2, y2) = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)


def holds(box: Box, point: NDArray[np.float32]) -> bool:
    """Whether a point, x and y first, is in the box."""
    return bool(box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3])


def area(box: Box) -> float:
    """Square pixels; 0 for a box turned inside out."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def overlap(a: Box, b: Box) -> float:
    """Area shared by two boxes over the smaller one's area, 0 to 1."""
    shared = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    smaller = min(area(a), area(b))
    return shared / smaller if smaller else 0.0


def square_around(box: Box, times: float, width: int, height: int) -> PixelBox:
    """The square around a box, `times` its longer side wide, cut at the edges of a `width` × `height` image."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = max(box[2] - box[0], box[3] - box[1]) * times / 2
    return max(round(x - half), 0), max(round(y - half), 0), min(round(x + half), width), min(round(y + half), height)


def tiles(width: int, height: int, side: int, step: float) -> list[PixelBox]:
    """Overlapping squares that cover an image, row by row.

    Args:
        width: of the image, px.
        height: of the image, px.
        side: of a tile, at most the image's short side, px.
        step: from one tile to the next, at most this share of a side.
    """
    return [(x, y, x + side, y + side) for y in _starts(height, side, step) for x in _starts(width, side, step)]


def in_image(points: Sequence[Any], window: PixelBox) -> NDArray[np.float32]:
    """MediaPipe's landmarks, in fractions of a window, as (n, 3) pixels of the image; z keeps the scale of x."""
    x1, y1, x2, y2 = window
    width, height = x2 - x1, y2 - y1
    return np.array([(x1 + p.x * width, y1 + p.y * height, p.z * width) for p in points], np.float32)


def _starts(length: int, side: int, step: float) -> list[int]:
    steps = math.ceil((length - side) / (side * step))
    return [round(at * (length - side) / steps) for at in range(steps + 1)] if steps else [0]

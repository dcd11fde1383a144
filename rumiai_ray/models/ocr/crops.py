"""Pictures of single lines: cut out of a frame, turned upright, and compared with the frame before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE_HEIGHT_PX = 32
_BLOCK_PX = 5
"""Lines are compared at this height, block by block: one changed digit changes a block, not the mean of the line."""
_SAME_SHARE = 0.12
_SAME_LEVELS = 6.0
"""Two pictures of a line are the same if no block differs by more than this share of the line's contrast, or by so many grey levels."""


def cut(image: NDArray[np.uint8], polygon: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(height, width, 3): what lies inside a quadrilateral, as a rectangle.

    Args:
        image: (height, width, 3) uint8.
        polygon: (4, 2) corners x, y: top left, top right, bottom right, bottom left.
    """
    import cv2  # noqa: PLC0415 -- heavy

    top, right, bottom, left = (float(np.linalg.norm(polygon[at] - polygon[(at + 1) % 4])) for at in range(4))
    width, height = max(1, int(max(top, bottom))), max(1, int(max(left, right)))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    projection = cv2.getPerspectiveTransform(np.ascontiguousarray(polygon, np.float32), corners)
    line = cv2.warpPerspective(image, projection, (width, height), borderMode=cv2.BORDER_REPLICATE, flags=cv2.INTER_CUBIC)
    return np.asarray(line, np.uint8)


def sample(image: NDArray[np.uint8], polygon: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(32, width) uint8 grey: a small picture of the upright rectangle around a polygon, to compare."""
    import cv2  # noqa: PLC0415 -- heavy

    height, width = image.shape[:2]
    (x1, y1), (x2, y2) = np.floor(polygon.min(axis=0)).astype(int), np.ceil(polygon.max(axis=0)).astype(int)
    part = image[max(0, y1) : min(height, y2 + 1), max(0, x1) : min(width, x2 + 1)]
    grey = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    size = (max(1, round(part.shape[1] * _SAMPLE_HEIGHT_PX / part.shape[0])), _SAMPLE_HEIGHT_PX)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def same(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether two samples of one place show the same."""
    import cv2  # noqa: PLC0415 -- heavy

    if one.shape != other.shape:
        return False
    low, high = np.percentile(one, (5, 95))
    blocks = cv2.blur(cv2.absdiff(one, other).astype(np.float32), (_BLOCK_PX, _BLOCK_PX))
    return bool(blocks.max() <= max(_SAME_LEVELS, _SAME_SHARE * float(high - low)))

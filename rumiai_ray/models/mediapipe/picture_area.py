"""Where the picture is inside an image: without the bars or the background that an editor put around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rumiai_ray.models.mediapipe.boxes import PixelBox

_EVEN = 16
"""Grey levels within which a line counts as one colour: JPEG's noise on a bar."""
_SMALLEST = 0.2
"""Share of a side below which what is left is no picture: a dark scene, or a card of one colour."""
_STEP = 8.0
"""Grey levels by which two thirds of a line differ from the next one at the edge of a picture that was put on another."""
_ABOVE_OTHERS = 1.4
"""How far such a step stands out from the picture's own horizontal or vertical lines, of which the eighth strongest is taken."""
_MOST_LINES = 8
_EDGE_QUANTILE = 0.35
_SMOOTH = 0.8
"""Grey levels of the mean second difference along a line: below it the line is blurred (measured: blurred copies 0.2 to 0.4)."""
_SMOOTH_SHARE = 0.25
"""The same as a share of the image's median line."""
_SLACK = 0.02
_LEAST_MARGIN = 0.05
"""Shares of a side: by how much both ends may differ, and below which a smooth end is part of the picture, such as a wall."""
_WIDEST_MARGIN = 0.4
"""Share of a side that a bar takes at most, on either end."""


def picture_area(image: NDArray[np.uint8]) -> PixelBox:
    """The part of an image that is the picture.

    Bars of one colour are found on any side, if the picture begins along a straight line: a night sky and the white of a studio belong to
    the picture. A sky that ends in a straight horizon is taken for a bar, and the bar of a scene that is as dark at its edge is not found.

    A picture in the middle of another background, such as an enlarged blurred copy of itself, is found by the two straight lines at equal
    distance from opposite edges where the image changes all along, or where its detail begins. A picture that is put on a background off
    its middle is not found.

    Args:
        image: (height, width, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    y1, y2 = _without_bars(image)
    x1, x2 = _without_bars(image.swapaxes(0, 1))
    if not _straight(image[:, x1:x2], y1, y2):
        y1, y2 = 0, height
    if not _straight(image[y1:y2].swapaxes(0, 1), x1, x2):
        x1, x2 = 0, width
    if y2 - y1 < _SMALLEST * height or x2 - x1 < _SMALLEST * width:
        return 0, 0, width, height
    if (x1, y1, x2, y2) == (0, 0, width, height):
        grey = image.mean(axis=2)
        y1, x1 = _margin(grey) or _smooth_margin(grey), _margin(grey.T) or _smooth_margin(grey.T)
        y2, x2 = height - y1, width - x1
    return x1, y1, x2, y2


def _without_bars(lines: NDArray[np.uint8]) -> tuple[int, int]:
    """(first, end) of the (n, length, 3) lines without those at either end that are of one colour."""
    begin, back = _even_lines(lines), _even_lines(lines[::-1])
    return begin, max(begin, len(lines) - back)


def _straight(lines: NDArray[np.uint8], first: int, end: int) -> bool:
    """Whether what lies between the bars of (n, length, 3) lines differs from them along most of its first and its last line."""
    for edge, bar in ((first, 0), (end - 1, -1)):
        moved = first > 0 if bar == 0 else end < len(lines)
        if moved and edge < len(lines) and lines.shape[1]:
            apart = np.abs(lines[edge].astype(np.int16) - lines[bar, 0].astype(np.int16)).max(axis=1) > _EVEN
            if apart.mean() < 1 - _EDGE_QUANTILE:
                return False
    return True


def _even_lines(lines: NDArray[np.uint8]) -> int:
    """How many lines from the first one on are of the first one's colour all along."""
    first = lines[0, 0].astype(np.int16)
    for number, line in enumerate(lines):
        if np.abs(line.astype(np.int16) - first).max() > _EVEN:
            return number
    return len(lines)


def _margin(grey: NDArray[np.floating]) -> int:
    """Lines before, and after, the picture in the middle of (n, length) grey lines; 0 where there is no such picture."""
    count = len(grey)
    margins = np.arange(2, int(count * _WIDEST_MARGIN))
    if not len(margins):
        return 0
    steps = np.quantile(np.abs(np.diff(grey, axis=0)), _EDGE_QUANTILE, axis=1)
    after = count - 1 - margins
    ends = np.max([steps[np.clip(after + slack, 0, len(steps) - 1)] for slack in (-1, 0, 1)], axis=0)
    both = np.minimum(steps[margins - 1], ends)
    best = int(both.argmax())
    others = float(np.sort(steps)[-_MOST_LINES]) if len(steps) >= _MOST_LINES else 0.0
    return int(margins[best]) if both[best] >= max(_STEP, _ABOVE_OTHERS * others) else 0


def _smooth_margin(grey: NDArray[np.floating]) -> int:
    """Lines at either end of (n, length) grey lines that have next to no detail, where both ends have as many; else 0."""
    bends = np.abs(np.diff(grey, n=2, axis=1))
    if not bends.size:  # too narrow for a second difference
        return 0
    detail = bends.mean(axis=1)
    rich = np.flatnonzero(detail >= max(_SMOOTH, _SMOOTH_SHARE * float(np.median(detail))))
    if not len(rich):
        return 0
    before, after = int(rich[0]), len(grey) - 1 - int(rich[-1])
    margin = min(before, after)
    if abs(before - after) > _SLACK * len(grey) or not _LEAST_MARGIN * len(grey) <= margin <= _WIDEST_MARGIN * len(grey):
        return 0
    # Around a figure on a ground of one colour, there is no picture put on another: such ground is for `_straight` to judge.
    return margin if min(np.ptp(grey[:margin]), np.ptp(grey[-margin:])) > _EVEN else 0

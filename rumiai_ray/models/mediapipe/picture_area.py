"""Where the picture is inside an image: without the bars or the background that an editor put around it.

No measurement is recorded from when most of the constants were chosen. Of 93 real frames that were put off the middle of
their own blurred copies, 52 are found, 30 stay whole, and 11 come out with other borders (not measured again since the constants of bars
were chosen anew). Those of bars say what they were measured on. The other ranges were measured before on 129
generated images as `tests/insights/test_size_of_shot.py` makes them: skies above a horizon, bars, pictures off the middle of a blurred
ground, and figures on a ground of one colour, up to 320 × 568 px, as they are and as JPEG. "Good from a to b" says that these two values
of one constant leave all of the images judged right. A picture in the middle of a generated ground that is blurred by 12 px comes out up
to 10 px too large on either side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rumiai_ray.models.mediapipe.boxes import PixelBox

_EVEN = 16
"""Grey levels within which a line counts as one colour: the noise of JPEG and H.264 on a bar. Good from 16 to 24 before the other constants
of bars were measured anew: at 12 bars are lost, at 32 skies are taken for bars."""
_RINGING = 16
"""Lines of a bar beside the picture that an encoder's blocks mix with it: a block of JPEG with colours at half resolution has 16. Up to 14
lines differ by more than `_EVEN` at qualities 60 and 75, 12 at 90, 6 in x264 at 18 to 28. Beyond them a bar is even."""
_NEAR = 8
"""Lines that are mixed with a picture beside a bar with fewer than `_RINGING` even lines, and lines around the end of detail within which
an edge is looked for. A bar that is narrower than 40 px may not be found at quality 90 and below."""
_DRIFT, _GRAIN = 2.5, 0.35
"""Grey levels by which four fifths of the means of a bar's lines, and the samples of one line (their standard deviation), may differ
beyond that: a sky shades off, and has grain. On 1,872 generated images with bars, as they are, as JPEG of 95 to 60 and as x264 of 18 to
28, bars have up to 0.1 and 0.3; on 896 with skies above a horizon, these have 3 and more, or else 0.36 and more. x264 with `ultrafast` or
at 35 leaves up to 2.0 and 0.4 in a bar."""
_JUMP = 0.4
"""Share of a line that differs from the line before where the picture begins after lines like these: an encoder blends colours over a few
lines, but not brightness. A choice."""
_SMALLEST = 0.2
"""Share of a side below which what is left is no picture: a dark scene, or a card of one colour. Good from 0.05 to 0.3: above 0.31 a
picture of 16:9 in an image of 9:16 is none. Within this range it is a choice: a lower one lets a caption on a card be the picture."""
_STEP = 8.0
"""Grey levels by which two thirds of a line differ from the next one at the edge of a picture that was put on another. Good from 2 to 14;
the generated edges have 14 and more. A choice: a picture whose edges differ by less from its ground is not found."""
_ABOVE_OTHERS = 1.4
"""How far such a step stands out from the picture's own horizontal or vertical lines, of which the eighth strongest is taken. Good from 1
to 2, so a choice: lower, lines of the picture itself are taken for its edge; higher, pictures with strong lines are not found."""
_MOST_LINES = 8
"""Good from 2 to 32, so a choice: a picture with as many lines that are stronger than its edges is not found by them."""
_EDGE_QUANTILE = 0.35
"""The share of a line that may stay alike across an edge. Good from 0.25 to 0.5: at 0.2 a found picture is lost."""
_SMOOTH = 0.8
"""Grey levels of the mean second difference along a line: below it the line is blurred. Blurred copies of real frames have 0.2 to 0.4, the
generated ground 0.5 where it is blurred by a Gaussian of 12 px, 0.9 by one of 6 px and 1.6 by one of 3 px, the pictures 24. Good from 0.2
to 2.4, since `_SMOOTH_SHARE` decides beside a sharp picture; a lower one leaves a dull picture whole, a higher one takes its dull ends
away."""
_SMOOTH_SHARE = 0.25
"""The same as a share of the image's median line. Good from 0.1 to 0.5: at 0.05 blurred ground counts as detail."""
_SLACK = 0.02
"""Share of a side by which the margins of a picture in the middle may differ. Good from 0.005 to 0.08, so a choice: a higher one takes a
picture off the middle for one in the middle, a lower one misses a picture whose margins differ by a line or two."""
_LEAST_MARGIN = 0.05
"""Share of a side below which a smooth end is part of the picture, such as a wall. Good from 0.02 to 0.05: at 0.1 narrower ground is not
found."""
_WIDEST_MARGIN = 0.4
"""Share of a side that a blurred ground takes at most, on either end. Good from 0.3 to 0.45; a picture of 16:9 in one of 9:16 has 0.34. It
leaves the picture `_SMALLEST`, as everywhere."""


def picture_area(image: NDArray[np.uint8]) -> PixelBox:
    """The part of an image that is the picture.

    Bars of one colour are found on any side, if the picture begins along a straight line: a night sky and the white of a studio belong to
    the picture. So does a sky above a straight horizon, which shades off or has grain; one that is as even as a bar is taken for a bar. The
    bar of a scene that is as dark at its edge is not found.

    A picture in the middle of another background, such as an enlarged blurred copy of itself, is found by the two straight lines at equal
    distance from opposite edges where the image changes all along, or where its detail begins. Off the middle it is found where it has
    blurred background on both sides, above and below or left and right, and begins and ends along straight lines.

    Args:
        image: (height, width, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    y1, y2 = _without_bars(image)
    x1, x2 = _without_bars(image.swapaxes(0, 1))
    y1, y2 = _straight(image[:, x1:x2], y1, y2)
    x1, x2 = _straight(image[y1:y2].swapaxes(0, 1), x1, x2)
    if y2 - y1 < _SMALLEST * height or x2 - x1 < _SMALLEST * width:
        return 0, 0, width, height
    if (x1, y1, x2, y2) == (0, 0, width, height):
        (y1, y2), (x1, x2) = _on_background(image.mean(axis=2))
    return x1, y1, x2, y2


def _without_bars(lines: NDArray[np.uint8]) -> tuple[int, int]:
    """(first, end) of the (n, length, 3) lines without those at either end that are of one colour."""
    begin, back = _bar(lines), _bar(lines[::-1])
    return begin, max(begin, len(lines) - back)


def _bar(lines: NDArray[np.uint8]) -> int:
    """How many of the first lines are a bar."""
    count = _even_lines(lines)
    if count == len(lines) or count < _RINGING:
        return count
    inner = lines[: max(count - _RINGING, (count + 1) // 2)]
    low, high = np.quantile(inner.mean(axis=1), (0.1, 0.9), axis=0)
    is_shaded = bool((high - low).max() > _DRIFT)
    return 0 if is_shaded or inner.std(axis=1).mean() > _GRAIN else count


def _straight(lines: NDArray[np.uint8], first: int, end: int) -> tuple[int, int]:
    """(first, end) of what lies between the bars of (n, length, 3) lines, if it begins and ends along straight lines; else all of them."""
    before, after = _bar_to_edge(lines, first), _bar_to_edge(lines[::-1], len(lines) - end)
    return (0, len(lines)) if before is None or after is None else (before, len(lines) - after)


def _bar_to_edge(lines: NDArray[np.uint8], count: int) -> int | None:
    """How many lines the bar has that begins with `count` even ones; None where what follows does not begin along most of one line.

    JPEG's blocks mix a few of a bar's last lines with the picture.
    """
    if not count or count >= len(lines) or not lines.shape[1]:
        return count
    for number, line in enumerate(lines[count : count + min(_RINGING, max(count, _NEAR)) + 1]):
        is_picture = _changed(line, lines[0, 0]) >= 1 - _EDGE_QUANTILE
        if is_picture and (number == 0 or _changed(line, lines[count + number - 1]) >= _JUMP):
            return count + number
    return None


def _changed(line: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Share of a (length, 3) line that differs from another line, or from one colour."""
    return float((np.abs(line.astype(np.int16) - other.astype(np.int16)).max(axis=1) > _EVEN).mean())


def _even_lines(lines: NDArray[np.uint8]) -> int:
    """How many lines from the first one on are of the first one's colour all along."""
    first = lines[0, 0].astype(np.int16)
    for number, line in enumerate(lines):
        if np.abs(line.astype(np.int16) - first).max() > _EVEN:
            return number
    return len(lines)


def _on_background(grey: NDArray[np.floating]) -> tuple[tuple[int, int], tuple[int, int]]:
    """(first, end) of the rows and of the columns of (height, width) that are a picture on a background.

    They lie between margins of one height, or else between straight edges near where the detail begins and ends.
    """
    rows, columns = _detailed(grey), _detailed(grey.T)
    margin = _margin(grey) or _smooth_margin(grey)
    rows = (margin, len(grey) - margin) if margin else _edged(grey[:, slice(*columns)], *rows)
    across = grey[slice(*rows)].T
    margin = _margin(across) or _smooth_margin(across)
    return rows, (margin, len(across) - margin) if margin else _edged(across, *columns)


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
    return 0 if _is_one_colour(grey[:margin]) or _is_one_colour(grey[-margin:]) else margin


def _is_one_colour(grey: NDArray[np.floating]) -> bool:
    """Whether most of it is: shoulders may reach into the ground around a figure."""
    apart = np.abs(grey - np.median(grey))
    return bool(apart.max() <= _EVEN or np.quantile(apart, 1 - _EDGE_QUANTILE) <= _DRIFT)


def _detailed(grey: NDArray[np.floating]) -> tuple[int, int]:
    """(first, end) of the (n, length) lines without the smooth ones at either end; all of them where one end has none."""
    bends = np.abs(np.diff(grey, n=2, axis=1))
    if not bends.size:
        return 0, len(grey)
    detail = bends.mean(axis=1)
    rich = np.flatnonzero(detail >= max(_SMOOTH, _SMOOTH_SHARE * float(np.quantile(detail, 1 - _SMALLEST))))
    if not len(rich):
        return 0, len(grey)
    first, end = int(rich[0]), int(rich[-1]) + 1
    least = _LEAST_MARGIN * len(grey)
    is_between = min(first, len(grey) - end) >= least and end - first >= _SMALLEST * len(grey)
    return (first, end) if is_between else (0, len(grey))


def _edged(grey: NDArray[np.floating], first: int, end: int) -> tuple[int, int]:
    """(first, end) of the (n, length) lines between two lines nearby along which much changes; all lines where too little does.

    Ground of one colour on either side is no blurred background: it is for `_straight` to judge.
    """
    everything = 0, len(grey)
    if first == 0 or grey.shape[1] == 0 or min(np.ptp(grey[:first]), np.ptp(grey[end:])) <= _EVEN:
        return everything
    steps = np.quantile(np.abs(np.diff(grey, axis=0)), _EDGE_QUANTILE, axis=1)
    near_first, near_end = (slice(max(0, near - _NEAR), near + _NEAR) for near in (first, end))
    begins, ends = np.flatnonzero(steps[near_first] >= _STEP), np.flatnonzero(steps[near_end] >= _STEP)
    if not len(begins) or not len(ends):
        return everything
    return near_first.start + int(begins[0]) + 1, near_end.start + int(ends[-1]) + 1

"""In which order people read the texts of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2."""

_SAME_LINE = 0.5
"""A box belongs to a line if it shares this part of the lower one's height with it. Neighbouring lines of one caption overlap
by a tenth, words of one line by four fifths and more."""


@dataclass
class _Line:
    top: float
    bottom: float
    members: list[int]


def reading_order(boxes: Sequence[Box], *, right_to_left: bool = False) -> list[int]:
    """Indices of `boxes` line by line from the top; within a line from the left, or from the right.

    Args:
        boxes: the texts' boxes.
        right_to_left: for scripts that run so.
    """
    lines: list[_Line] = []
    for index in sorted(range(len(boxes)), key=lambda at: _middle(boxes[at])):
        _, top, _, bottom = boxes[index]
        line = next((line for line in reversed(lines) if _shared(line, top, bottom) >= _SAME_LINE), None)
        if line is None:
            lines.append(_Line(top, bottom, [index]))
        else:
            line.members.append(index)
    side = (lambda at: -boxes[at][2]) if right_to_left else (lambda at: boxes[at][0])
    return [index for line in lines for index in sorted(line.members, key=side)]


def _middle(box: Box) -> float:
    return box[1] + box[3]


def _shared(line: _Line, top: float, bottom: float) -> float:
    """How much of the lower one's height a line and a box have in common. The line is its first box: it does not grow downwards."""
    height = min(line.bottom - line.top, bottom - top)
    return (min(line.bottom, bottom) - max(line.top, top)) / height if height > 0 else 0.0

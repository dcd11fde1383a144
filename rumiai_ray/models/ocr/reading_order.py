"""In which order people read the texts of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.models.base import Box

_SAME_LINE = 0.5
"""A box belongs to a line if it shares this part of the lower one's height with it. Neighbouring lines of one caption overlap
by a tenth, words of one line by four fifths and more."""
_ALIKE = 1.6
"""Lines of one caption differ in height by at most this factor: one without ascenders and descenders is lower than its neighbour."""
_LINE_GAP = 0.6
_WORD_GAP = 1.2
"""Widest gaps between lines, and between parts of a line, of one caption, as shares of their height."""
_OVERLAP = 0.5
"""Share of the narrower line that lies above or below the wider one."""


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


def blocks_in_order(boxes: Sequence[Box], *, right_to_left: bool = False) -> list[tuple[int, int]]:
    """(block, index of box) for each box, in reading order: a block is read to its end before the next begins.

    Lines of one caption make a block: alike in height, close to one another. Blocks are numbered from 0 by their first line.
    """
    order = reading_order(boxes, right_to_left=right_to_left)
    block_of: dict[int, int] = {}
    blocks: list[list[int]] = []
    for start in order:
        if start in block_of:
            continue
        reached, block = [start], len(blocks)
        block_of[start] = block
        while reached:
            here = reached.pop()
            fresh = [other for other in order if other not in block_of and _together(boxes[here], boxes[other])]
            block_of |= dict.fromkeys(fresh, block)
            reached += fresh
        blocks.append([index for index in order if block_of.get(index) == block])
    return [(block, index) for block, members in enumerate(blocks) for index in members]


def _together(one: Box, other: Box) -> bool:
    """Whether two boxes are neighbouring lines, or neighbouring parts of a line, of one text."""
    heights = sorted((one[3] - one[1], other[3] - other[1]))
    if heights[0] <= 0 or heights[1] > _ALIKE * heights[0]:
        return False
    down_px = max(one[1], other[1]) - min(one[3], other[3])
    across_px = max(one[0], other[0]) - min(one[2], other[2])
    if down_px <= -_SAME_LINE * heights[0]:
        return across_px <= _WORD_GAP * heights[0]
    shorter = min(one[2] - one[0], other[2] - other[0])
    return down_px <= _LINE_GAP * heights[0] and -across_px >= _OVERLAP * shorter

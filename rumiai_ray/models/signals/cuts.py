"""Where one shot ends and the next begins, from how much each picture differs from the one before and how long it is shown.

The rule is that of PySceneDetect's adaptive detector (a picture begins a shot where it differs several times more from the one before than
its neighbours do), but in time instead of frames: a picture that is held counts as held, whether a file repeats it or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_SAME = 1.0
"""Difference in hue, saturation and brightness below which a picture is the one before: repeats that were encoded again differ by less."""
_NOTHING = 1e-5
_SLIDE_DIFFERENCE = 0.2
"""Difference from which two pictures are two slides. A picture that was encoded again differs by 0.01 to 0.03, a card with another text by
0.5: cards of one series share their background, and of their texts a thumbnail keeps little."""
_SLIDE_S = 1.0
"""A picture that stays for less is no image of a post, whatever a file says of itself: ours stay for `ingest.slide_show.SHOWN_S`."""
_HELD_S = 0.3
"""A picture that stays for so long is held at any frame rate, whatever the shortest shot. Chosen: the shortest shot that is asked for."""
_HELD_STEPS = 1.5
"""A picture that stays for fewer times the usual distance of pictures is one of a movement, not a held one."""
_SLACK_S = 2e-3
"""Containers round timestamps to milliseconds, and the difference of two of them is off by up to two."""


@dataclass(frozen=True)
class CutRule:
    """What makes a change of the picture a cut."""

    times_neighbours: float
    """So many times more than its neighbours on average the change must be."""
    min_difference: float
    """So large it must be, 0 to 255."""
    neighbours: int
    """Changes on either side that it is compared with."""
    min_shot_s: float
    """Shortest shot. Where the picture stays for so long, and is no picture of a movement (`held_s`), what lies beyond is no neighbour."""

    def held_s(self, changes: Changes) -> float:
        """How long a picture stays that is held. Frames as far apart as the shortest shot, or further, would all be held otherwise."""
        step_s = float(np.median(np.diff(changes.time_s))) if len(changes.time_s) > 1 else 0.0
        return max(self.min_shot_s, min(_HELD_S, _HELD_STEPS * step_s))


@dataclass(frozen=True)
class Changes:
    """How the pictures of one stretch change."""

    difference: NDArray[np.float64]
    """(n,) from each picture to the one before, 0 to 255; 0 for the first one."""
    time_s: NDArray[np.float64]
    """(n,) when each picture is shown, ascending."""
    end_s: float
    """When the last one ends."""
    is_to_the_end: bool
    """Whether the last one is the video's last."""
    is_slide_show: bool = False
    """Whether the file says that each picture is an image of a post: then each is a shot, however little it differs."""


def cuts(changes: Changes, rule: CutRule, difference_between: Callable[[int, int], float]) -> list[int]:
    """Positions of the pictures that begin a shot, in order.

    A picture that is shown for less than `rule.min_shot_s` is no shot: after such a flash the shot before goes on, or the next one begins
    with the flash.

    Args:
        changes: of one stretch.
        rule: what a cut is.
        difference_between: how much two pictures differ, by their positions.
    """
    found: list[int] = []
    for at in _candidates(changes, rule):
        if changes.time_s[at] - changes.time_s[found[-1] if found else 0] >= rule.min_shot_s - _SLACK_S:
            found.append(at)
        elif found and difference_between(found[-1] - 1, at) < rule.min_difference:
            found.pop()  # the shot from before the flash goes on
    while found and changes.is_to_the_end and changes.end_s - changes.time_s[found[-1]] < rule.min_shot_s - _SLACK_S:
        found.pop()
    return found


def _candidates(changes: Changes, rule: CutRule) -> Iterator[int]:
    slides, held_s = _between_slides(changes), rule.held_s(changes)
    moved = np.flatnonzero((changes.difference >= _SAME) | slides)
    for number in np.flatnonzero((changes.difference[moved] >= rule.min_difference) | slides[moved]):
        around = [beside for step in (-1, 1) for beside in _beside(changes, moved, int(number), step, rule.neighbours, held_s)]
        usual = sum(around) / len(around) if around else 0.0
        if usual < _NOTHING or changes.difference[moved[number]] >= rule.times_neighbours * usual:
            yield int(moved[number])


def _between_slides(changes: Changes) -> NDArray[np.bool_]:
    """(n,) whether a picture and the one before it are two images of a post, which differ."""
    differ = changes.difference >= _SLIDE_DIFFERENCE
    stayed = np.diff(changes.time_s, prepend=-np.inf) >= _SLIDE_S - _SLACK_S
    found: NDArray[np.bool_] = differ & stayed & changes.is_slide_show
    return found


def _beside(changes: Changes, moved: NDArray[np.intp], number: int, step: int, most: int, held_s: float) -> list[float]:
    """The differences on one side of a change, at most `most`; 0 for all that lie beyond a picture that stays.

    Args:
        changes: of one stretch.
        moved: positions of the changes.
        number: which of them.
        step: -1 for the side before, 1 for the side after.
        most: so many.
        held_s: how long a picture stays that is held.
    """
    beside: list[float] = []
    from_s = changes.time_s[moved[number]]
    while len(beside) < most:
        number += step
        is_there = 0 <= number < len(moved)
        outer_s = changes.end_s if step > 0 else changes.time_s[0]
        to_s = changes.time_s[moved[number]] if is_there else outer_s
        if abs(to_s - from_s) > held_s - _SLACK_S:
            return beside + [0.0] * (most - len(beside))
        if not is_there:
            break
        beside.append(float(changes.difference[moved[number]]))
        from_s = to_s
    return beside

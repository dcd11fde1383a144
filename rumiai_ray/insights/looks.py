"""From when to when each sampled frame is shown, and for how much time around it the frame speaks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

EPSILON_S = 1e-6
"""Slack for times that came through a division."""
_WIDEST_GAP_STEPS = 2
"""A longer time between two frames, in the usual distance of the frames that a model looked at, is a hole: nobody looked there."""


@dataclass(frozen=True)
class Look:
    """One sampled frame that a model looked at.

    The frame is shown in [`shown_from_s`, `shown_until_s`). It speaks for [`start_s`, `end_s`), which holds that time and reaches to the
    next frame that the model looked at. Neither interval crosses a cut.
    """

    frame_index: int
    shown_from_s: float
    shown_until_s: float
    start_s: float
    end_s: float

    @property
    def shown_s(self) -> float:
        """How long the frame is shown."""
        return self.shown_until_s - self.shown_from_s

    @property
    def length_s(self) -> float:
        """How long the frame speaks."""
        return self.end_s - self.start_s

    def weight_s(self, start_s: float, end_s: float) -> float:
        """For how much of [`start_s`, `end_s`) the frame speaks."""
        return overlap_s(self.start_s, self.end_s, start_s, end_s)


def overlap_s(one_start_s: float, one_end_s: float, start_s: float, end_s: float) -> float:
    """How long both intervals last together; 0 where they do not meet."""
    return max(0.0, min(one_end_s, end_s) - max(one_start_s, start_s))


def shown_between(looks: Sequence[Look], start_s: float, end_s: float) -> Sequence[Look]:
    """Those of `looks`, in time order, that are on the screen at any time in [`start_s`, `end_s`)."""
    first = bisect_right(looks, start_s + EPSILON_S, key=lambda look: look.shown_until_s)
    return looks[first : bisect_left(looks, end_s - EPSILON_S, key=lambda look: look.shown_from_s)]


def worth(shown_s: float, step_s: float) -> int:
    """How many frames of the grid, `step_s` apart, a frame that is shown for `shown_s` seconds stands for; at least one."""
    return max(1, int((shown_s + EPSILON_S) / step_s))


def usual_distance_s(from_s: Sequence[float], until_s: Sequence[float], step_s: float) -> float | None:
    """Median distance of frames, in seconds, where a held frame counts with one `step_s`; None of fewer than two frames."""
    distances_s = [
        min(last_s - first_s, step_s) + max(0.0, next_s - last_s)
        for first_s, last_s, next_s in zip(from_s[:-1], until_s[:-1], from_s[1:], strict=True)
    ]
    return median(distances_s) if distances_s else None


def looks_of(
    indices: Sequence[int],
    from_s: Sequence[float],
    until_s: Sequence[float],
    cuts_s: Sequence[float],
    duration_s: float,
    step_s: float,
) -> tuple[Look, ...]:
    """The looks of a model, in time order.

    A frame speaks until the next look, and the first look of a shot from the start of the shot on. Where the distance is more than twice
    the usual one, nobody looked in between, and the frame speaks for one usual distance. A single look speaks for its whole shot.

    Args:
        indices: `frame_index` of the frames that the model looked at, ascending.
        from_s: when every sampled frame is first shown, by `frame_index`.
        until_s: until when every sampled frame is shown, by `frame_index`.
        cuts_s: when shots begin, but for the first, ascending.
        duration_s: of the video.
        step_s: distance of the sampling grid.
    """
    firsts_s, lasts_s = [from_s[index] for index in indices], [until_s[index] for index in indices]
    usual_s = usual_distance_s(firsts_s, lasts_s, step_s)
    reach_s = inf if usual_s is None else usual_s
    looks: list[Look] = []
    for at, (index, first_s) in enumerate(zip(indices, firsts_s, strict=True)):
        shot = bisect_right(cuts_s, first_s + EPSILON_S)
        shot_from_s = cuts_s[shot - 1] if shot else 0.0
        shot_until_s = cuts_s[shot] if shot < len(cuts_s) else duration_s
        limit_s = max(first_s, min(firsts_s[at + 1] if at + 1 < len(firsts_s) else duration_s, shot_until_s))
        last_s = min(lasts_s[at], limit_s)
        before_s = first_s if at and firsts_s[at - 1] + EPSILON_S >= shot_from_s else min(first_s, shot_from_s)
        start_s = before_s if first_s - before_s <= _WIDEST_GAP_STEPS * reach_s + EPSILON_S else first_s - reach_s
        end_s = limit_s if limit_s - last_s <= _WIDEST_GAP_STEPS * reach_s + EPSILON_S else max(last_s, first_s + reach_s)
        looks.append(Look(index, first_s, last_s, start_s, end_s))
    return tuple(looks)

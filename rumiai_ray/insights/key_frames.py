"""Which shot a sampled frame belongs to, and which frame stands for each shot.

The key frame is chosen after the fact, among the frames that a model has looked at: shots and models of frames run side by side, so no
model knows the cuts while it runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.insights.video import SHOTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.insights.video import AnalysedVideo
    from rumiai_ray.schema.table import Row

_DIGITS = 6
"""Digits of seconds in which two distances are compared: beyond them lies the rounding of floats."""
_ROUNDING_S = 10**-_DIGITS


@dataclass(frozen=True)
class ShotPlace:
    """Where one row's frame lies. Both are None where shots were not analysed."""

    shot_index: int | None
    is_key_frame: bool | None


def places(video: AnalysedVideo, rows: Sequence[Row]) -> list[ShotPlace]:
    """The place of each of `rows`, which have `frame_index` and `time_s`; several rows may share a frame.

    The key frame of a shot is the frame that is on the screen in the middle of the shot, else the frame that begins nearest to the middle,
    of two equally near ones the earlier. A shot that is too short to have a frame among `rows` has no key frame.
    """
    shots = video.rows("shots", "start_s") if video.ran(SHOTS) else []
    if not shots:
        return [ShotPlace(None, None)] * len(rows)
    belongs_to = [video.shot_at(row["time_s"]) or 0 for row in rows]
    nearest: dict[int, tuple[float, int]] = {}
    for row, shot in zip(rows, belongs_to, strict=True):
        middle_s = (shots[shot]["start_s"] + shots[shot]["end_s"]) / 2
        is_shown = row["time_s"] <= middle_s < video.shown_until_s[row["frame_index"]] - _ROUNDING_S
        distance_s = 0.0 if is_shown else abs(row["time_s"] - middle_s)
        nearest[shot] = min(nearest.get(shot, (math.inf, 0)), (round(distance_s, _DIGITS), row["frame_index"]))
    return [ShotPlace(shot, row["frame_index"] == nearest[shot][1]) for row, shot in zip(rows, belongs_to, strict=True)]

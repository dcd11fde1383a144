"""What the insights of one video are computed from: its size and length, which models ran, and their rows."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Row = dict[str, Any]

FACES, OBJECTS, TEXTS, SPEECH, EMOTIONS, SHOTS, SOUND = "mediapipe", "yolo", "ocr", "whisper", "emotion", "shots", "sound"
"""The families, by what is asked of them here."""
INPUTS = (FACES, OBJECTS, TEXTS, SPEECH, EMOTIONS, SHOTS, SOUND)

_GAVE_ROWS = frozenset({Status.OK, Status.EMPTY, Status.DEGRADED})


@dataclass(frozen=True)
class Ending:
    """How one model ended on the video."""

    status: str
    frames_seen: tuple[int, ...] = ()
    """`frame_index` of the sampled frames it answered for."""


@dataclass(frozen=True)
class Video:
    """One video's rows and what they are measured against. The order of rows does not matter."""

    duration_s: float
    width_px: int
    height_px: int
    times_s: tuple[float, ...]
    """Time of every sampled frame, by `frame_index`."""
    endings: Mapping[str, Ending]
    """By model; a model that was not asked is absent."""
    tables: Mapping[str, Sequence[Row]]
    """Rows by table; those of models that gave none may be absent."""

    def ran(self, model: str) -> bool:
        """Whether the model's rows can be measured on: no row then means that nothing is there."""
        ending = self.endings.get(model)
        return ending is not None and ending.status in _GAVE_ROWS

    def seen(self, model: str) -> tuple[int, ...]:
        """`frame_index` of the frames a model answered for, in time order; none where it did not run."""
        return tuple(sorted(self.endings[model].frames_seen)) if self.ran(model) else ()

    def step_s(self, model: str) -> float:
        """Usual distance of the frames a model answered for. A single one speaks for all of the video: twice its way to the farther end."""
        times_s = [self.times_s[index] for index in self.seen(model)]
        if len(times_s) > 1:
            return median(after - before for before, after in pairwise(times_s))
        return 2 * max(times_s[0], self.duration_s - times_s[0]) if times_s else self.duration_s

    def rows(self, table: str, *keys: str) -> list[Row]:
        """A table's rows, ordered by `keys`."""
        return sorted(self.tables.get(table, ()), key=lambda row: tuple(row[key] for key in keys))

    def area_share(self, row: Row) -> float:
        """Area of a row's box, as far as it is inside the picture, over the picture's."""
        width = min(row["x2"], self.width_px) - max(row["x1"], 0.0)
        height = min(row["y2"], self.height_px) - max(row["y1"], 0.0)
        return float(max(width, 0.0) * max(height, 0.0)) / (self.width_px * self.height_px)

    @cached_property
    def cuts_s(self) -> list[float]:
        """When shots begin, but for the first; none where shots were not analysed."""
        return [row["start_s"] for row in self.rows("shots", "start_s")[1:]]

    def shot_at(self, time_s: float) -> int | None:
        """The shot that is on at a time; None where shots were not analysed."""
        if not self.ran(SHOTS):
            return None
        return bisect_right(self.cuts_s, time_s)

    @property
    def not_measured(self) -> list[str]:
        """`name: status` of every model whose rows are not there to be measured on."""
        return [
            f"{model}: {self.endings[model].status if model in self.endings else 'not asked'}" for model in INPUTS if not self.ran(model)
        ]


def share(count: float, of: float) -> float | None:
    """`count` / `of`, None where there is nothing to measure."""
    return count / of if of else None


def covered_s(intervals: Iterable[tuple[float, float]], start_s: float, end_s: float) -> float:
    """How much of [start_s, end_s) the intervals cover together."""
    total, at_s = 0.0, start_s
    for begin_s, stop_s in sorted(intervals):
        begin_s, stop_s = max(begin_s, at_s), min(stop_s, end_s)  # noqa: PLW2901 -- clipped
        if stop_s > begin_s:
            total += stop_s - begin_s
            at_s = stop_s
    return total


def mean(values: Iterable[float]) -> float | None:
    """The arithmetic mean, None of nothing. Exact sums: the order of the values does not matter."""
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else None


def variance(values: Iterable[float]) -> float | None:
    """The mean square distance from the mean, None of less than two values."""
    listed = list(values)
    middle = mean(listed)
    return mean((value - middle) ** 2 for value in listed) if middle is not None and len(listed) > 1 else None


def ends_of_frames(times_s: Sequence[float], duration_s: float) -> list[float]:
    """Until when each frame speaks: half way to the next one, the last one to the end."""
    return [*((before + after) / 2 for before, after in pairwise(times_s)), duration_s] if times_s else []

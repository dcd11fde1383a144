"""What the insights of one video are computed from: its size and length, which models ran, and their rows."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rumiai_ray.insights.looks import looks_of, usual_distance_s
from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rumiai_ray.insights.looks import Look
    from rumiai_ray.schema.table import Row

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
class AnalysedVideo:
    """One video's rows and what they are measured against. The order of rows does not matter."""

    duration_s: float
    width_px: int | None
    """None, like `height_px`, where the file has no video stream: then no table has a box."""
    height_px: int | None
    times_s: tuple[float, ...]
    """When every sampled frame is first shown, by `frame_index`."""
    shown_until_s: tuple[float, ...]
    """When the next decoded frame, sampled or not, takes its place, by `frame_index`."""
    step_s: float
    """Distance of the sampling grid, in seconds, by the policy for a video of this length, whatever rate the user set.

    A picture that is held for n of these steps gives n frames in a file that repeats the picture and one frame in a file that does not.
    So everything that counts frames in a row counts a held frame n times.
    """
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

    def looks(self, *models: str) -> tuple[Look, ...]:
        """What the frames that any of the models answered for speak for, in time order; nothing where none of the models ran."""
        if models not in self._looks:
            indices = sorted({index for model in models for index in self.seen(model)})
            self._looks[models] = looks_of(indices, self.times_s, self.shown_until_s, self.cuts_s, self.duration_s, self.step_s)
        return self._looks[models]

    def distance_s(self, model: str) -> float:
        """Usual distance of the frames a model answered for, a held frame counted as one step; the grid's where there are not two."""
        looks = self.looks(model)
        firsts_s, lasts_s = [look.shown_from_s for look in looks], [look.shown_until_s for look in looks]
        return usual_distance_s(firsts_s, lasts_s, self.step_s) or self.step_s

    def rows(self, table: str, *keys: str) -> list[Row]:
        """A table's rows, ordered by `keys`."""
        return sorted(self.tables.get(table, ()), key=lambda row: tuple(row[key] for key in keys))

    @property
    def picture_px(self) -> tuple[int, int]:
        """(`width_px`, `height_px`) of a video that has boxes.

        Raises:
            ValueError: the file has no video stream.
        """
        if self.width_px is None or self.height_px is None:
            raise ValueError("a file without a video stream has no picture to measure boxes in")
        return self.width_px, self.height_px

    def area_share(self, row: Row) -> float:
        """Area of a row's box, as far as it is inside the picture, over the picture's."""
        width_px, height_px = self.picture_px
        width = min(row["x2"], width_px) - max(row["x1"], 0.0)
        height = min(row["y2"], height_px) - max(row["y1"], 0.0)
        return float(max(width, 0.0) * max(height, 0.0)) / (width_px * height_px)

    @cached_property
    def _looks(self) -> dict[tuple[str, ...], tuple[Look, ...]]:
        return {}

    @cached_property
    def cuts_s(self) -> list[float]:
        """When shots begin, but for the first; none where shots were not analysed."""
        return [row["start_s"] for row in self.rows("shots", "start_s")[1:]]

    def shot_at(self, time_s: float) -> int | None:
        """The shot that is on at a time; None where shots were not analysed."""
        if not self.ran(SHOTS):
            return None
        return bisect_right(self.cuts_s, time_s)

    def shot_edges_s(self, time_s: float) -> tuple[float, float]:
        """[start, end) of the shot that is on at a time; what is heard before the first shot and after the last is theirs."""
        shot = bisect_right(self.cuts_s, time_s)
        return (self.cuts_s[shot - 1] if shot else -math.inf), (self.cuts_s[shot] if shot < len(self.cuts_s) else math.inf)

    @property
    def not_measured(self) -> list[str]:
        """`name: status` of every model whose rows are not there to be measured on."""
        return [
            f"{model}: {self.endings[model].status if model in self.endings else 'not asked'}" for model in INPUTS if not self.ran(model)
        ]


def by_frame(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    """Rows by `frame_index`, in their order."""
    frames: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        frames[row["frame_index"]].append(row)
    return frames


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


def merged(intervals: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same time in intervals that do not meet, in time order."""
    apart: list[tuple[float, float]] = []
    for begin_s, end_s in sorted(intervals):
        if apart and begin_s <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], end_s))
        else:
            apart.append((begin_s, end_s))
    return apart


def mean(values: Iterable[float]) -> float | None:
    """The arithmetic mean, None of nothing. Exact sums: the order of the values does not matter."""
    return weighted_mean((value, 1.0) for value in values)


def variance(values: Iterable[float]) -> float | None:
    """The mean square distance from the mean, None of less than two values."""
    listed = [(value, 1.0) for value in values]
    return weighted_variance(listed) if len(listed) > 1 else None


def weighted_mean(values: Iterable[tuple[float, float]]) -> float | None:
    """The mean of (value, weight), None where the weights sum to 0."""
    listed = list(values)
    total = math.fsum(weight for _, weight in listed)
    return math.fsum(value * weight for value, weight in listed) / total if total > 0 else None


def weighted_variance(values: Iterable[tuple[float, float]]) -> float | None:
    """The mean square distance from the mean of (value, weight), None where the weights sum to 0."""
    listed = list(values)
    middle = weighted_mean(listed)
    return None if middle is None else weighted_mean(((value - middle) ** 2, weight) for value, weight in listed)


def weighted_median(values: Iterable[tuple[float, float]]) -> float:
    """The value with half of the weight on either side; the middle of the two values next to it where it lies between them.

    Raises:
        ValueError: there are no values.
    """
    listed = sorted(values)
    if not listed:
        raise ValueError("no value has no median")
    half, below = math.fsum(weight for _, weight in listed) / 2, 0.0
    for at, (value, weight) in enumerate(listed[:-1]):
        below += weight
        if math.isclose(below, half, rel_tol=1e-9):
            return (value + listed[at + 1][0]) / 2
        if below > half:
            return value
    return listed[-1][0]


def most(weights: Mapping[str, float], names: Iterable[str]) -> str:
    """The name with the largest weight; of equals, to the microsecond, the first of `names`."""
    return max(names, key=lambda name: round(weights.get(name, 0.0), 6))

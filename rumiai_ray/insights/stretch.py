"""What is measured over any stretch [start, end) of a video: speech, text, shots, sound, expression. Windows and timeline both ask here.

Half open throughout: what happens at the start is in, what happens at the end is not. None where there was nothing to measure on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.insights.video import EMOTIONS, FACES, INPUTS, OBJECTS, SHOTS, SOUND, SPEECH, TEXTS, Row, Video, covered_s
from rumiai_ray.schema.sound import QUIETEST_DBFS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rumiai_ray.insights.people import Frame
    from rumiai_ray.insights.tracks import Tracks


@dataclass(frozen=True)
class Heard:
    """The sound of a stretch."""

    energy: float
    """Root mean square, full scale = 1."""
    variance: float
    """Of the root mean square of its 50 ms, over time."""
    loudest: float
    silence_share: float
    pitches_hz: tuple[float, ...]
    """Of its voiced 50 ms."""

    @property
    def loudness_dbfs(self) -> float:
        """20 log10(energy), as in `audio_energy`."""
        return max(QUIETEST_DBFS, 20 * float(np.log10(self.energy))) if self.energy > 0 else QUIETEST_DBFS


@dataclass(frozen=True)
class Derived:
    """A video and all that windows and timeline are built on."""

    video: Video
    frames: Sequence[Frame]
    tracks: Tracks
    spans: Sequence[Row]
    """Of `text_spans`."""

    def frames_in(self, start_s: float, end_s: float) -> Sequence[Frame]:
        """Frames that mediapipe or yolo looked at."""
        return self.frames[bisect_left(self._frame_times_s, start_s) : bisect_left(self._frame_times_s, end_s)]

    def has_frame(self, model: str, start_s: float, end_s: float) -> bool:
        """Whether a model answered for a frame."""
        times_s = self._seen_s[model]
        return bisect_left(times_s, start_s) < bisect_left(times_s, end_s)

    def shot_lengths_s(self, start_s: float, end_s: float) -> list[float] | None:
        """How much of each shot lies inside, of those that do at all."""
        if not self.video.ran(SHOTS):
            return None
        edges_s = [start_s, *(cut_s for cut_s in self.video.cuts_s if start_s < cut_s < end_s), end_s]
        return [after - before for before, after in pairwise(edges_s)]

    def cuts(self, start_s: float, end_s: float) -> int | None:
        """Shots that begin inside, but for the video's first."""
        return sum(start_s <= cut_s < end_s for cut_s in self.video.cuts_s) if self.video.ran(SHOTS) else None

    def spans_in(self, start_s: float, end_s: float) -> list[Row] | None:
        """Texts that are on the screen at any time."""
        if not self.video.ran(TEXTS):
            return None
        return [span for span in self.spans if span["start_s"] < end_s and span["end_s"] > start_s]

    def text_coverage(self, start_s: float, end_s: float) -> float | None:
        """Share of the time with any text on the screen."""
        spans = self.spans_in(start_s, end_s)
        return None if spans is None else _share_of_time(spans, start_s, end_s)

    def words(self, start_s: float, end_s: float) -> list[str] | None:
        """Words that begin inside, in order."""
        if not self.video.ran(SPEECH):
            return None
        inside = self._words[bisect_left(self._words, start_s, key=_start_s) : bisect_left(self._words, end_s, key=_start_s)]
        return [row["word"] for row in inside]

    def speech_coverage(self, start_s: float, end_s: float) -> float | None:
        """Share of the time inside a stretch of speech."""
        return _share_of_time(self._speech, start_s, end_s) if self.video.ran(SPEECH) else None

    def speaks(self, time_s: float) -> bool | None:
        """Whether a time lies inside a stretch of speech."""
        if not self.video.ran(SPEECH):
            return None
        return any(row["start_s"] <= time_s < row["end_s"] for row in self._speech)

    def expressions(self, start_s: float, end_s: float) -> list[Row]:
        """Rows of `emotions` of the largest face of each frame."""
        rows = self._expressions
        return rows[bisect_left(rows, start_s, key=_time_s) : bisect_left(rows, end_s, key=_time_s)]

    def objects(self, start_s: float, end_s: float) -> list[Row]:
        """Rows of `objects`."""
        rows = self._objects
        return rows[bisect_left(rows, start_s, key=_time_s) : bisect_left(rows, end_s, key=_time_s)]

    def gestures(self, start_s: float, end_s: float) -> list[str] | None:
        """The gesture of every run of one gesture of one hand that is seen inside; the run counts once. One missed frame breaks none."""
        if not self.video.ran(FACES):
            return None
        return [gesture for gesture, times_s in self._gesture_runs if any(start_s <= time_s < end_s for time_s in times_s)]

    def things(self, start_s: float, end_s: float) -> Counter[str] | None:
        """By label, tracks of objects with a sighting inside, each counted once; or the boxes of one frame, where they are more.

        A thing that is seen in one frame only has no track: in a still nothing has.
        """
        if not self.video.ran(OBJECTS):
            return None
        tracked: Counter[str] = Counter(
            row["label"]
            for row in self.tracks.rows
            if row["of"] == "objects" and any(start_s <= time_s < end_s for time_s in self.tracks.sightings_s[row["track_id"]])
        )
        at_once: Counter[str] = Counter()
        for (label, _), count in Counter((row["label"], row["frame_index"]) for row in self.objects(start_s, end_s)).items():
            at_once[label] = max(at_once[label], count)
        return tracked | at_once

    def heard(self, start_s: float, end_s: float) -> Heard | None:
        """The sound; None where there is none."""
        first = int(np.searchsorted(self._sound["end_s"], start_s, "right"))
        last = int(np.searchsorted(self._sound["start_s"], end_s))
        part = {name: values[first:last] for name, values in self._sound.items()}
        weights = np.minimum(part["end_s"], end_s) - np.maximum(part["start_s"], start_s)
        total = weights.sum()
        if not total > 0:
            return None
        mean = (part["rms"] * weights).sum() / total
        middles = (part["start_s"] + part["end_s"]) / 2
        voiced = part["pitch_hz"][(middles >= start_s) & (middles < end_s) & ~np.isnan(part["pitch_hz"])]
        return Heard(
            energy=float(np.sqrt((part["rms"] ** 2 * weights).sum() / total)),
            variance=float(((part["rms"] - mean) ** 2 * weights).sum() / total),
            loudest=float(part["rms"].max()),
            silence_share=float((part["is_silent"] * weights).sum() / total),
            pitches_hz=tuple(voiced.tolist()),
        )

    @cached_property
    def _seen_s(self) -> dict[str, list[float]]:
        return {model: [self.video.times_s[index] for index in self.video.seen(model)] for model in INPUTS}

    @cached_property
    def _frame_times_s(self) -> list[float]:
        return [frame.time_s for frame in self.frames]

    @cached_property
    def _words(self) -> list[Row]:
        return self.video.rows("words", "start_s", "word_index")

    @cached_property
    def _speech(self) -> list[Row]:
        return self.video.rows("speech_segments", "start_s", "segment_index")

    @cached_property
    def _objects(self) -> list[Row]:
        return self.video.rows("objects", "time_s", "object_index")

    @cached_property
    def _expressions(self) -> list[Row]:
        return [row for row in self.video.rows("emotions", "time_s", "face_index") if row["is_largest"]] if self.video.ran(EMOTIONS) else []

    @cached_property
    def _gesture_runs(self) -> list[tuple[str, list[float]]]:
        """(gesture, times of its sightings), in order of the first one."""
        place = {index: at for at, index in enumerate(self.video.seen(FACES))}
        runs: list[tuple[str, list[float]]] = []
        last: dict[tuple[str, str], tuple[int, list[float]]] = {}
        for row in self.video.rows("gestures", "frame_index", "hand_index"):
            key, at = (row["gesture"], row["handedness"]), place[row["frame_index"]]
            before = last.get(key)
            if before is None or at - before[0] > 2:  # noqa: PLR2004 -- one missed frame
                before = (at, [])
                runs.append((row["gesture"], before[1]))
            before[1].append(row["time_s"])
            last[key] = (at, before[1])
        return runs

    @cached_property
    def _sound(self) -> dict[str, NDArray[np.float64]]:
        rows = self.video.rows("audio_energy", "start_s") if self.video.ran(SOUND) else []
        names = ("start_s", "end_s", "rms", "is_silent", "pitch_hz")
        return {name: np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64) for name in names}


def _time_s(row: Row) -> float:
    return float(row["time_s"])


def _start_s(row: Row) -> float:
    return float(row["start_s"])


def _share_of_time(rows: Sequence[Row], start_s: float, end_s: float) -> float | None:
    length_s = end_s - start_s
    return covered_s(((row["start_s"], row["end_s"]) for row in rows), start_s, end_s) / length_s if length_s > 0 else None

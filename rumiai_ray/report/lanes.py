"""The timeline of a video page: one lane for each kind of thing that happens over time, in shares of the video's length."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.report.rows import NOT_COMPUTED, reason_of
from rumiai_ray.report.values import UNREADABLE, percent
from rumiai_ray.schema.emotion import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rumiai_ray.report.rows import Found, RunRows
    from rumiai_ray.schema.table import Row

_LABELS_SHOWN = 6
_ROWS_SHOWN = 8
"""Lines of texts on the screen at a time; what overlaps more is rare and stands in the table below."""
_CURVE_POINTS = 1200
_QUIETEST_DB = -60.0
"""Bottom of the loudness curve: quieter than speech by far, louder than the silence of a recording."""
_GAP_STEPS = 1.6
"""Samples further apart than this many usual steps are not joined: nobody knows what was in between."""


@dataclass(frozen=True)
class LaneBar:
    """Something that lasts: where it begins, how long, what stands in it. Positions are CSS percentages."""

    left: str
    width: str
    line: int
    text: str
    title: str
    kind: str
    """CSS class of its colour."""


@dataclass(frozen=True)
class Curve:
    """A line over the whole length, as an SVG path in a box of 1000 by 100."""

    path: str
    kind: str
    name: str
    filled: bool = False


@dataclass(frozen=True)
class TimelineLane:
    """One lane."""

    name: str
    bars: tuple[LaneBar, ...] = ()
    curves: tuple[Curve, ...] = ()
    lines: int = 1
    missing: str | None = None
    """Why nothing was measured."""
    nothing: str = "nothing found"
    """What stands in an empty lane that was measured."""


def step_of(video: Row) -> float:
    """The step of the sampling grid of a row of `videos`, in seconds; a second where the file has no frames to sample."""
    return 1.0 if video["sampling_fps"] is None else 1 / video["sampling_fps"]


class Timeline:
    """Makes the lanes of one video.

    Args:
        rows: of the run.
        video: its row of `videos`.
        times_s: when its sampled frames are shown, by `frame_index`.
    """

    def __init__(self, rows: RunRows, video: Row, times_s: dict[int, float]) -> None:
        self._rows = rows
        self._key: str = video["video_key"]
        self._length_s: float = max(video["duration_s"], 1e-3)
        self._step_s: float = step_of(video)
        self._times_s = times_s
        self._analyses = rows.analyses(self._key)

    def lanes(self) -> list[TimelineLane]:
        """All lanes, from top to bottom."""
        return [
            self._shots(),
            self._framing(),
            self._looks(),
            self._emotions(),
            self._words(),
            self._texts(),
            self._objects(),
            self._gestures(),
            self._loudness(),
        ]

    def _found(self, table: str) -> Found:
        return self._rows.found(table, self._key)

    def _shots(self) -> TimelineLane:
        found = self._found("shots")
        bars = [
            self._bar(row["start_s"], row["end_s"], str(row["shot_index"] + 1), f"shot {row['shot_index'] + 1}", f"shot{number % 2}")
            for number, row in enumerate(found)
        ]
        return TimelineLane("shots", tuple(bars), missing=found.missing)

    def _framing(self) -> TimelineLane:
        found = self._found("person_framing_seconds")
        measured = [row for row in found if row["shot_type"] is not None]
        bars = []
        for row, end_s in _runs(measured):
            bars.append(self._bar(row["second"], end_s, row["shot_type"], f"framing: {row['shot_type']}", f"framing-{row['shot_type']}"))
        missing = found.missing or (None if measured else reason_of("mediapipe", self._analyses))
        return TimelineLane("framing", tuple(bars), missing=missing)

    def _looks(self) -> TimelineLane:
        found = self._found("gaze")
        frames = [row["frame_index"] for row in found if row["face_index"] == 0 and row["eye_contact"]]
        bars = [self._bar(start, end, "", "looks at the camera", "looks") for start, end in self._stretches(frames, "mediapipe")]
        return TimelineLane("looks at the camera", tuple(bars), missing=found.missing, nothing="never" if found else "no face")

    def _emotions(self) -> TimelineLane:
        found = self._found("emotions")
        rows = sorted((row for row in found if row["is_largest"]), key=lambda row: row["time_s"])
        times = [row["time_s"] for row in rows]
        gap_s = _GAP_STEPS * self._model_step_s("emotion")
        curves = [Curve(self._path(times, [row[name] for row in rows], gap_s), f"emotion-{name}", name) for name in EMOTIONS if rows]
        return TimelineLane("expression", curves=tuple(curves), lines=4, missing=found.missing, nothing="no face")

    def _words(self) -> TimelineLane:
        found = self._found("words")
        bars = [
            self._bar(row["start_s"], row["end_s"], row["word"], f"{row['word']} (probability {row['probability']:.2f})", "word")
            for row in found
        ]
        return TimelineLane("speech", tuple(bars), missing=found.missing, nothing="no speech")

    def _texts(self) -> TimelineLane:
        spans = self._found("text_spans")
        if spans.missing != NOT_COMPUTED:
            bars = []
            for row, line in _stacked(list(spans)):
                kind = row["kind"] or "unknown"
                title = f"{row['text']} ({kind}, {row['position']})"
                bars.append(self._bar(row["start_s"], row["end_s"], row["text"], title, f"text-{kind}", line))
            return TimelineLane("text on the screen", tuple(bars), lines=_lines(bars), missing=spans.missing, nothing="no text")
        found = self._found("texts")
        ends = [{**row, "start_s": row["time_s"] - self._step_s / 2, "end_s": row["time_s"] + self._step_s / 2} for row in found]
        bars = [
            self._bar(row["start_s"], row["end_s"], "", row["text"] or UNREADABLE, "text-unknown", line) for row, line in _stacked(ends)
        ]
        name = "text sightings (spans: not computed)"
        return TimelineLane(name, tuple(bars), lines=_lines(bars), missing=found.missing, nothing="no text")

    def _objects(self) -> TimelineLane:
        found = self._found("objects")
        frames: dict[str, set[int]] = {}
        for row in found:
            frames.setdefault(row["label"], set()).add(row["frame_index"])
        labels = [label for label, _ in Counter({label: len(seen) for label, seen in frames.items()}).most_common(_LABELS_SHOWN)]
        bars = [
            self._bar(start, end, label, label, "object", line)
            for line, label in enumerate(labels)
            for start, end in self._stretches(sorted(frames[label]), "yolo")
        ]
        more = len(frames) - len(labels)
        return TimelineLane(
            "objects" + (f" (and {more} more kinds)" if more else ""), tuple(bars), lines=_lines(bars), missing=found.missing
        )

    def _gestures(self) -> TimelineLane:
        found = self._found("gestures")
        frames: dict[str, list[int]] = {}
        for row in found:
            frames.setdefault(row["gesture"].replace("_", " "), []).append(row["frame_index"])
        bars = [
            self._bar(start, end, gesture, gesture, "gesture", line)
            for line, (gesture, seen) in enumerate(frames.items())
            for start, end in self._stretches(sorted(set(seen)), "mediapipe")
        ]
        return TimelineLane("gestures", tuple(bars), lines=_lines(bars), missing=found.missing)

    def _loudness(self) -> TimelineLane:
        found = self._found("audio_energy")
        rows = list(found)
        each = max(1, -(-len(rows) // _CURVE_POINTS))
        loudest = [max(rows[start : start + each], key=lambda row: row["loudness_dbfs"]) for start in range(0, len(rows), each)]
        times = [(row["start_s"] + row["end_s"]) / 2 for row in loudest]
        heights = [max(0.0, 1 - row["loudness_dbfs"] / _QUIETEST_DB) for row in loudest]
        curves = (Curve(self._path(times, heights, self._length_s), "loudness", "loudness, -60 to 0 dB", filled=True),) if rows else ()
        return TimelineLane("loudness", curves=curves, lines=2, missing=found.missing, nothing="no sound")

    def _bar(self, start_s: float, end_s: float, text: str, title: str, kind: str, line: int = 0) -> LaneBar:
        start, end = max(0.0, start_s / self._length_s), min(1.0, end_s / self._length_s)
        return LaneBar(percent(start), percent(max(0.0, end - start)), line, text, f"{start_s:.2f} to {end_s:.2f} s: {title}", kind)

    def _model_step_s(self, model: str) -> float:
        """How far apart a model's frames are."""
        analysis = self._analyses.get(model)
        frames = len(analysis["frames_seen"] or ()) if analysis else 0
        return max(self._step_s, self._length_s / frames) if frames else self._step_s

    def _stretches(self, frames: Sequence[int], model: str) -> Iterator[tuple[float, float]]:
        """Frames that a model saw one after the other, as stretches of time from half a step before to half a step after."""
        analysis = self._analyses.get(model)
        place = {frame: number for number, frame in enumerate((analysis["frames_seen"] if analysis else None) or frames)}
        half_s = self._model_step_s(model) / 2
        begun: int | None = None
        for number, frame in enumerate(frames):
            if begun is None:
                begun = frame
            following = frames[number + 1] if number + 1 < len(frames) else None
            if following is None or place.get(following, -1) != place.get(frame, -1) + 1:
                yield self._time(begun) - half_s, self._time(frame) + half_s
                begun = None

    def _time(self, frame: int) -> float:
        return self._times_s.get(frame, frame * self._step_s)

    def _path(self, times_s: Sequence[float], heights: Sequence[float], gap_s: float) -> str:
        parts = []
        for number, (time_s, height) in enumerate(zip(times_s, heights, strict=True)):
            joined = number and time_s - times_s[number - 1] <= gap_s
            alone = not joined and (number + 1 == len(times_s) or times_s[number + 1] - time_s > gap_s)
            parts.append(f"{'L' if joined else 'M'}{1000 * time_s / self._length_s:.1f} {97 - 94 * height:.1f}" + (" h.1" if alone else ""))
        return "".join(parts)


def _runs(seconds: Sequence[Row]) -> Iterator[tuple[Row, float]]:
    """Seconds of one shot type after each other: the first of them and when the last one ends."""
    first: Row | None = None
    for number, row in enumerate(seconds):
        first = first or row
        following = seconds[number + 1] if number + 1 < len(seconds) else None
        if following is None or following["shot_type"] != row["shot_type"] or following["second"] != row["second"] + 1:
            yield first, row["end_s"]
            first = None


def _stacked(spans: Iterable[Row]) -> Iterator[tuple[Row, int]]:
    """Each span with the first line that is free while it lasts."""
    free_from: list[float] = []
    for row in sorted(spans, key=lambda span: span["start_s"]):
        line = next((number for number, end_s in enumerate(free_from) if end_s <= row["start_s"] + 1e-6), len(free_from))
        if line == len(free_from):
            if line == _ROWS_SHOWN:
                continue
            free_from.append(0.0)
        free_from[line] = row["end_s"]
        yield row, line


def _lines(bars: Sequence[LaneBar]) -> int:
    return max((bar.line for bar in bars), default=0) + 1

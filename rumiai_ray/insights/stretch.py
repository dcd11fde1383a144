"""What is measured over any stretch [start, end) of a video: speech, text, shots, sound, expression. Windows and timeline both ask here.

Half open throughout: what happens at the start is in, what happens at the end is not. None where there was nothing to measure on. A frame
is in where it is on the screen during the stretch, and weighs by the time in the stretch that it speaks for. Sound from before the first
frame belongs to the stretches that begin with that frame, which are longer for their sound than for their pictures.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.insights.calls_to_action import called_for, joined_words
from rumiai_ray.insights.looks import EPSILON_S, shown_between, worth
from rumiai_ray.insights.people import parts_of
from rumiai_ray.insights.text_spans import Words, is_caption, words_in
from rumiai_ray.insights.video import (
    EMOTIONS,
    FACES,
    OBJECTS,
    SHOTS,
    SOUND,
    SPEECH,
    TEXTS,
    AnalysedVideo,
    by_frame,
    covered_s,
    merged,
    share,
)
from rumiai_ray.schema.sound import QUIETEST_DBFS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from rumiai_ray.insights.evidence import Evidence
    from rumiai_ray.insights.looks import Look
    from rumiai_ray.insights.people import Frame, Part
    from rumiai_ray.schema.table import Row


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

    video: AnalysedVideo
    frames: Sequence[Frame]
    evidence: Evidence
    spans: Sequence[Row]
    """Of `text_spans`, but for each shot by itself, and without those that lack evidence: `text_spans.Texts.parts`."""

    def parts_in(self, start_s: float, end_s: float) -> list[Part]:
        """Frames that mediapipe or yolo looked at."""
        return parts_of(self.frames, start_s, end_s)

    def has_frame(self, model: str, start_s: float, end_s: float) -> bool:
        """Whether a model answered for a frame."""
        return bool(shown_between(self.video.looks(model), start_s, end_s))

    def frames_looked_at(self, model: str, start_s: float, end_s: float) -> int | None:
        """How many frames on the screen a model answered for; None where it did not run."""
        return len(shown_between(self.video.looks(model), start_s, end_s)) if self.video.ran(model) else None

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
        """Texts that are on the screen at any time between their first and last sighting, the time that these are shown included."""
        shown = [span for span in self.spans if span["first_seen_s"] < end_s - EPSILON_S and span["seen_until_s"] > start_s + EPSILON_S]
        return shown if shown or self.has_frame(TEXTS, start_s, end_s) else None

    def captions(self, spans: Sequence[Row]) -> set[Words]:
        """The texts among `spans` that are captions by what is said in the shots that show them."""
        same: dict[Words, list[Row]] = {}
        for span in spans:
            same.setdefault(words_in(span), []).append(span)
        spoken = self.video.rows("words", "word_index")
        return {text for text, parts in same.items() if is_caption(parts, spoken, self.evidence.thresholds)}

    def text_coverage(self, start_s: float, end_s: float) -> float | None:
        """Share of the time with any text on the screen, of the time that frames speak for; None where there is no such time."""
        return share(covered_s(self._with_text, start_s, end_s), covered_s(self._looked_for_text, start_s, end_s))

    def words(self, start_s: float, end_s: float) -> list[str] | None:
        """Words that begin inside, in order. A word that begins before the first frame begins with it."""
        if not self.video.ran(SPEECH):
            return None
        inside = self._words[bisect_left(self._words, start_s, key=_start_s) : bisect_left(self._words, end_s, key=_start_s)]
        return [row["word"] for row in inside]

    def spoken_calls(self, start_s: float, end_s: float) -> set[str] | None:
        """Calls to action that are said: phrases all of whose words begin inside."""
        words = self.words(start_s, end_s)
        if words is None:
            return None
        return set(called_for(joined_words(words), self.evidence.thresholds.call_to_action))

    def speech_coverage(self, start_s: float, end_s: float) -> float | None:
        """Share of the time of its sound inside a stretch of speech."""
        heard_from_s = self.heard_from_s(start_s)
        return share(self.spoken_s(heard_from_s, end_s), end_s - heard_from_s) if self.video.ran(SPEECH) else None

    def heard_from_s(self, start_s: float) -> float:
        """When the sound of a stretch begins: before its start where the stretch begins with the first frame and sound came before it."""
        return start_s if start_s > 0 else self._sound_from_s

    def spoken_s(self, start_s: float, end_s: float) -> float:
        """Time inside a stretch of speech."""
        return covered_s(((row["start_s"], row["end_s"]) for row in self._speech), start_s, end_s)

    def expressions(self, start_s: float, end_s: float) -> list[tuple[Row, float]]:
        """Rows of `emotions` of the largest face that counts of each frame, and for how long each speaks."""
        looks = shown_between(self.video.looks(EMOTIONS), start_s, end_s)
        return [(row, look.weight_s(start_s, end_s)) for look in looks for row in self._expressions.get(look.frame_index, ())]

    def objects(self, start_s: float, end_s: float) -> list[Row]:
        """Rows of `objects` that count."""
        looks = shown_between(self.video.looks(OBJECTS), start_s, end_s)
        return [row for look in looks for row in self._objects.get(look.frame_index, ())]

    def gestures(self, start_s: float, end_s: float) -> list[str] | None:
        """The gesture of every run of one gesture of one hand that is seen inside; the run counts once. One missed frame breaks none."""
        if not self.has_frame(FACES, start_s, end_s):
            return None
        return [gesture for gesture, looks in self._gesture_runs if shown_between(looks, start_s, end_s)]

    def things(self, start_s: float, end_s: float) -> Counter[str] | None:
        """By label, tracks of objects with a sighting inside, each counted once; or the boxes of one frame, where they are more.

        A thing that is seen in one frame only has no track: in a still nothing has. Such a box counts where `evidence` says so.
        """
        if not self.has_frame(OBJECTS, start_s, end_s):
            return None
        tracked: Counter[str] = Counter(
            row["label"]
            for row in self.evidence.tracks.rows
            if row["of"] == "objects" and shown_between(self.evidence.tracks.looks[row["track_id"]], start_s, end_s)
        )
        at_once: Counter[str] = Counter()
        for (label, _), count in Counter((row["label"], row["frame_index"]) for row in self.objects(start_s, end_s)).items():
            at_once[label] = max(at_once[label], count)
        return tracked | at_once

    def heard(self, start_s: float, end_s: float) -> Heard | None:
        """The sound of the 50 ms whose middles are inside; None where there is none.

        A time too short to hold a middle has the 50 ms around its own.
        """
        start_s = self.heard_from_s(start_s)
        first, last = np.searchsorted(self._sound_middles_s, (start_s, end_s)).tolist()
        if first == last:
            middle_s = (start_s + end_s) / 2
            first = int(np.searchsorted(self._sound["end_s"], middle_s, "right"))
            last = int(np.searchsorted(self._sound["start_s"], middle_s, "right"))
        part = {name: values[first:last] for name, values in self._sound.items()}
        lengths_s = part["end_s"] - part["start_s"]
        total_s = lengths_s.sum()
        if not total_s > 0:
            return None
        mean = (part["rms"] * lengths_s).sum() / total_s
        return Heard(
            energy=float(np.sqrt((part["rms"] ** 2 * lengths_s).sum() / total_s)),
            variance=float(((part["rms"] - mean) ** 2 * lengths_s).sum() / total_s),
            loudest=float(part["rms"].max()),
            silence_share=float((part["is_silent"] * lengths_s).sum() / total_s),
            pitches_hz=tuple(part["pitch_hz"][~np.isnan(part["pitch_hz"])].tolist()),
        )

    @cached_property
    def _with_text(self) -> list[tuple[float, float]]:
        """When any text is on the screen."""
        return merged((span["start_s"], span["end_s"]) for span in self.spans)

    @cached_property
    def _looked_for_text(self) -> list[tuple[float, float]]:
        """For which time frames speak, and that inside spans."""
        return merged([*self._with_text, *((look.start_s, look.end_s) for look in self.video.looks(TEXTS))])

    @cached_property
    def _words(self) -> list[Row]:
        return self.video.rows("words", "start_s", "word_index")

    @cached_property
    def _sound_from_s(self) -> float:
        """When the sound begins, at most 0."""
        rows = [*self.video.tables.get("audio_energy", ()), *self.video.tables.get("speech_segments", ())]
        return min([0.0, *(float(row["start_s"]) for row in rows)])

    @cached_property
    def _speech(self) -> list[Row]:
        return self.video.rows("speech_segments", "start_s", "segment_index")

    @cached_property
    def _objects(self) -> Mapping[int, list[Row]]:
        """By `frame_index`."""
        return by_frame([row for row in self.video.rows("objects", "frame_index", "object_index") if self.evidence.counts("objects", row)])

    @cached_property
    def _expressions(self) -> Mapping[int, list[Row]]:
        """Those of the largest face that counts, by `frame_index`."""
        faces = by_frame([row for row in self.video.rows("faces", "frame_index") if self.evidence.counts("faces", row)])
        largest: dict[int, list[Row]] = {}
        for row in self.video.rows("emotions", "frame_index", "face_index"):  # the largest face of a frame comes first
            if row["frame_index"] not in largest and self.evidence.expression_counts(row, faces.get(row["frame_index"], ())):
                largest[row["frame_index"]] = [row]
        return largest

    @cached_property
    def _gesture_runs(self) -> list[tuple[str, list[Look]]]:
        """(gesture, the looks in which it is seen) of those that count, in order of the first one. No run crosses a cut."""
        looks = self.video.looks(FACES)
        tried = list(accumulate(worth(look.shown_s, self.video.step_s) for look in looks))
        place = {look.frame_index: at for at, look in enumerate(looks)}
        runs: list[_Run] = []
        last: dict[tuple[str, str, int | None], _Run] = {}
        for row in self.video.rows("gestures", "frame_index", "hand_index"):
            at = place[row["frame_index"]]
            key = (row["gesture"], row["handedness"], self.video.shot_at(looks[at].shown_from_s))
            before, run = (tried[at - 1] if at else 0), last.get(key)
            if run is None or before - run.seen_upto > 1:  # more than one frame was missed
                run = last[key] = _Run(row["gesture"])
                runs.append(run)
            if not run.looks or run.looks[-1] is not looks[at]:  # two hands alike in one frame are one frame of evidence
                run.looks.append(looks[at])
                run.frames += tried[at] - before
            run.confidence = max(run.confidence, row["confidence"])
            run.seen_upto = tried[at]
        return [
            (run.gesture, run.looks)
            for run in runs
            if run.frames > 1
            or run.confidence >= self.evidence.thresholds.single_confidence
            or self.evidence.is_still(FACES, run.looks[0].frame_index)
        ]

    @cached_property
    def _sound_middles_s(self) -> NDArray[np.float64]:
        """When each 50 ms of sound is half over."""
        return (self._sound["start_s"] + self._sound["end_s"]) / 2

    @cached_property
    def _sound(self) -> dict[str, NDArray[np.float64]]:
        rows = self.video.rows("audio_energy", "start_s") if self.video.ran(SOUND) else []
        names = ("start_s", "end_s", "rms", "is_silent", "pitch_hz")
        return {name: np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64) for name in names}


@dataclass
class _Run:
    """A gesture of one hand that goes on."""

    gesture: str
    looks: list[Look] = field(default_factory=list)
    frames: int = 0
    """A held frame counts as often as it is steps of the grid long."""
    confidence: float = 0.0
    """The best."""
    seen_upto: int = 0


def _start_s(row: Row) -> float:
    """When a word begins; sound may begin before the first frame, and a word that does begins with that frame."""
    return max(float(row["start_s"]), 0.0)

"""Everything per second, side by side."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from rumiai_ray.insights.calls_to_action import joined_words
from rumiai_ray.insights.video import EMOTIONS as EMOTION_MODEL
from rumiai_ray.insights.video import OBJECTS, most, weighted_mean
from rumiai_ray.schema.emotion import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.insights.stretch import Derived
    from rumiai_ray.schema.table import Row

_FROM_FRAMING = ("people", "face_visibility_rate", "average_face_size", "shot_size", "shot_type", "eye_contact_rate")


def timeline(derived: Derived, seconds: Sequence[Row]) -> list[Row]:
    """Rows of `timeline`.

    Args:
        derived: the video.
        seconds: rows of `person_framing_seconds`.
    """
    return [_second(derived, row) for row in seconds]


def _second(derived: Derived, framing: Row) -> Row:
    start_s, end_s = float(framing["second"]), framing["end_s"]
    spans, words, gestures = derived.spans_in(start_s, end_s), derived.words(start_s, end_s), derived.gestures(start_s, end_s)
    objects = derived.objects(start_s, end_s) if derived.has_frame(OBJECTS, start_s, end_s) else None
    heard, expressions = derived.heard(start_s, end_s), derived.expressions(start_s, end_s)
    return {
        "second": framing["second"],
        "end_s": end_s,
        "shot_index": derived.video.shot_at(start_s),
        "cuts": derived.cuts(start_s, end_s),
        **{name: framing[name] for name in _FROM_FRAMING},
        "gestures": sorted(set(gestures)) if gestures is not None and framing["face_frames"] else None,
        "objects": None if objects is None else sorted({row["label"] for row in objects}),
        "object_count": None if objects is None else max(Counter(row["frame_index"] for row in objects).values(), default=0),
        "expression_frames": len(expressions) if derived.video.ran(EMOTION_MODEL) else None,
        **_expression(expressions),
        "texts": None if spans is None else _texts(spans),
        "text_coverage": derived.text_coverage(start_s, end_s),
        "speech": None if words is None else joined_words(words),
        "word_count": None if words is None else len(words),
        "speech_coverage": derived.speech_coverage(start_s, end_s),
        "energy_level": heard.energy if heard else None,
        "loudness_dbfs": heard.loudness_dbfs if heard else None,
        "silence_share": heard.silence_share if heard else None,
        "pitch_hz": median(heard.pitches_hz) if heard and heard.pitches_hz else None,
    }


def _texts(spans: Sequence[Row]) -> list[str]:
    """From top to bottom; a text that stays over a cut once."""
    once = {span["span_index"]: span for span in spans}
    return [span["text"] for span in sorted(once.values(), key=lambda span: (span["y1"], span["span_index"]))]


def _expression(told: Sequence[tuple[Row, float]]) -> Row:
    means = {name: weighted_mean((row[name], time_s) for row, time_s in told) for name in EMOTIONS}
    return {"dominant_emotion": most({name: value or 0.0 for name, value in means.items()}, EMOTIONS) if told else None, **means}

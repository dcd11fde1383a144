"""The hook, the middle and the closing of a video, and all of it, each as one row of figures."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

from rumiai_ray.insights.framing import rates
from rumiai_ray.insights.looks import worth
from rumiai_ray.insights.people import PERSON
from rumiai_ray.insights.text_spans import Words, words_in
from rumiai_ray.insights.video import EMOTIONS as EMOTION_MODEL
from rumiai_ray.insights.video import FACES, OBJECTS, SPEECH, TEXTS, mean, most, share, variance, weighted_variance
from rumiai_ray.schema.emotion import EMOTIONS
from rumiai_ray.schema.windows import CLOSING, HOOK, MIDDLE, WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rumiai_ray.insights.people import Part
    from rumiai_ray.insights.stretch import Derived
    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.schema.table import Row

_PARTS = ((12.0, 3), (27.0, 4))
"""(middles up to this many seconds, parts), else the next; the original's."""
_MOST_PARTS = 5
_NEGATIVE = ("anger", "disgust", "fear", "sadness")
_S_A_MINUTE = 60.0


def layout(duration_s: float, thresholds: Thresholds) -> list[tuple[str, float, float]]:
    """(name, start, end) of each window: those that share the video out, in time order, then the whole video."""
    hook_s, closing_from_s = thresholds.hook_s, max(thresholds.hook_s, duration_s - thresholds.closing_s)
    whole = (WHOLE, 0.0, duration_s)
    if duration_s < hook_s + thresholds.shortest_window_s:  # rates of a closing of one frame would mean nothing
        return [(HOOK, 0.0, duration_s), whole]
    middle_s = closing_from_s - hook_s
    wanted = next((parts for limit_s, parts in _PARTS if middle_s <= limit_s), _MOST_PARTS)
    parts = min(wanted, int(middle_s / thresholds.shortest_window_s))
    if not parts:
        return [(HOOK, 0.0, hook_s), (CLOSING, hook_s, duration_s), whole]
    edges_s = [*(hook_s + middle_s * at / parts for at in range(parts)), closing_from_s]
    middles = [(f"{MIDDLE}_{at + 1}", edges_s[at], edges_s[at + 1]) for at in range(parts)]
    return [(HOOK, 0.0, hook_s), *middles, (CLOSING, closing_from_s, duration_s), whole]


def windows(derived: Derived, thresholds: Thresholds) -> list[Row]:
    """Rows of `windows`."""
    return [
        {
            "window_index": number,
            "name": name,
            "start_s": start_s,
            "end_s": end_s,
            **_people(derived, start_s, end_s),
            **_expression(derived, start_s, end_s),
            **_text(derived, start_s, end_s),
            **_shots(derived, start_s, end_s),
            **_speech(derived, start_s, end_s),
            **_sound(derived, start_s, end_s),
            "not_measured": derived.video.not_measured,
        }
        for number, (name, start_s, end_s) in enumerate(layout(derived.video.duration_s, thresholds))
    ]


def _people(derived: Derived, start_s: float, end_s: float) -> Row:
    parts = derived.parts_in(start_s, end_s)
    measured = rates(parts)
    gestures, things = derived.gestures(start_s, end_s), derived.things(start_s, end_s)
    return {
        "average_face_size": measured["average_face_size"],
        "face_visibility_rate": measured["face_visibility_rate"],
        "eye_contact_rate": measured["eye_contact_rate"],
        "gaze_variance": _gaze_variance(parts, derived.video.step_s),
        "face_frames": sum(part.frame.faces is not None for part in parts) if derived.video.ran(FACES) else None,
        "gaze_frames": sum(part.frame.gaze is not None for part in parts) if derived.video.ran(FACES) else None,
        "gesture_count": None if gestures is None else len(gestures),
        "person_count": None if things is None else things[PERSON],
        "object_frames": derived.frames_looked_at(OBJECTS, start_s, end_s),
        "object_count": None if things is None else things.total() - things[PERSON],
        "talk_to_camera_share": _talk_to_camera(derived, parts, start_s, end_s),
    }


def _gaze_variance(parts: Sequence[Part], step_s: float) -> float | None:
    """Of the direction over time; None of one look that is not held for two steps."""
    gazes = [(part.frame.gaze, part.faces_s, part.frame.look.shown_s) for part in parts if part.frame.gaze is not None]
    if sum(worth(shown_s, step_s) for _, _, shown_s in gazes) < 2:  # noqa: PLR2004 -- one look has no variance
        return None
    across = weighted_variance((gaze.yaw_deg, time_s) for gaze, time_s, _ in gazes)
    along = weighted_variance((gaze.pitch_deg, time_s) for gaze, time_s, _ in gazes)
    return None if across is None or along is None else across + along


def _talk_to_camera(derived: Derived, parts: Sequence[Part], start_s: float, end_s: float) -> float | None:
    if not derived.video.ran(SPEECH):
        return None
    facing = [part.frame.face_look for part in parts if part.frame.face_look and part.frame.gaze and part.frame.gaze.eye_contact]
    talking_s = fsum(derived.spoken_s(max(look.start_s, start_s), min(look.end_s, end_s)) for look in facing)
    return share(talking_s, fsum(part.faces_s for part in parts))


def _expression(derived: Derived, start_s: float, end_s: float) -> Row:
    told = derived.expressions(start_s, end_s)
    shown_s = {name: fsum(time_s for row, time_s in told if row["dominant_emotion"] == name) for name in EMOTIONS}
    total_s = fsum(shown_s.values())
    dominant = most(shown_s, EMOTIONS) if told else None
    return {
        "expression_frames": len(told) if derived.video.ran(EMOTION_MODEL) else None,
        "dominant_emotion": dominant,
        "emotional_valence": share(shown_s["happiness"] - fsum(shown_s[name] for name in _NEGATIVE), total_s),
        "emotion_consistency": share(shown_s[dominant], total_s) if dominant else None,
        **{f"{name}_share": share(shown_s[name], total_s) for name in EMOTIONS},
    }


def _text(derived: Derived, start_s: float, end_s: float) -> Row:
    spans = derived.spans_in(start_s, end_s)
    captions = derived.captions(spans) if spans is not None and derived.video.ran(SPEECH) else None
    return {
        "overlay_unique_count": None if spans is None or captions is None else len(_different(spans) - captions),
        "has_captions": None if captions is None else bool(captions),
        "text_coverage": derived.text_coverage(start_s, end_s),
        "text_frames": derived.frames_looked_at(TEXTS, start_s, end_s),
        "call_to_action_count": None if spans is None else len(_different(span for span in spans if span["is_call_to_action"])),
    }


def _different(spans: Iterable[Row]) -> set[Words]:
    return {words_in(span) for span in spans}


def _shots(derived: Derived, start_s: float, end_s: float) -> Row:
    lengths_s, cuts = derived.shot_lengths_s(start_s, end_s), derived.cuts(start_s, end_s)
    spread = variance(lengths_s) if lengths_s and len(lengths_s) > 1 else 0.0
    return {
        "shot_count": len(lengths_s) if lengths_s is not None else None,
        "shortest_shot_s": min(lengths_s) if lengths_s else None,
        "longest_shot_s": max(lengths_s) if lengths_s else None,
        "shot_duration_variance_s2": spread if lengths_s else None,
        "cuts_per_minute": _a_minute(cuts, start_s, end_s),
    }


def _speech(derived: Derived, start_s: float, end_s: float) -> Row:
    words = derived.words(start_s, end_s)
    count, calls = None if words is None else len(words), derived.spoken_calls(start_s, end_s)
    return {
        "speech_coverage": derived.speech_coverage(start_s, end_s),
        "word_count": count,
        "spoken_call_to_action_count": None if calls is None else len(calls),
        "words_per_minute": _a_minute(count, derived.heard_from_s(start_s), end_s),
    }


def _a_minute(count: int | None, start_s: float, end_s: float) -> float | None:
    return None if count is None else share(count * _S_A_MINUTE, end_s - start_s)


def _sound(derived: Derived, start_s: float, end_s: float) -> Row:
    heard = derived.heard(start_s, end_s)
    pitches_hz = heard.pitches_hz if heard else ()
    middle_hz, spread = mean(pitches_hz), variance(pitches_hz)
    return {
        "energy_level": heard.energy if heard else None,
        "energy_variance": heard.variance if heard else None,
        "energy_max": heard.loudest if heard else None,
        "silence_share": heard.silence_share if heard else None,
        "pitch_scatter_ratio": spread**0.5 / middle_hz if middle_hz and spread is not None else None,
    }

"""Videos for the insights, row by row: 100 × 100 px, 5 frames a second, every model asked and nothing found unless rows say so."""

from __future__ import annotations

from typing import Any

from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import thresholds
from rumiai_ray.frames.sampling import grid_fps
from rumiai_ray.insights.derive import derive
from rumiai_ray.insights.video import INPUTS, AnalysedVideo, Ending
from rumiai_ray.schema.emotion import EMOTIONS

FPS = 5
THRESHOLDS = thresholds(load_config())
FRAME_MODELS = ("mediapipe", "yolo", "ocr", "emotion")
Row = dict[str, Any]


def video(
    duration_s: float = 4.0,
    *,
    without: dict[str, str] | None = None,
    seen: dict[str, tuple[int, ...]] | None = None,
    times_s: tuple[float, ...] | None = None,
    shown_until_s: tuple[float, ...] | None = None,
    **tables: Any,
) -> AnalysedVideo:
    """A video.

    Args:
        duration_s: its length.
        without: models that did not end well, with their status; `not asked` for one that was not to run.
        seen: frames that a model looked at, where that is not all.
        times_s: of the sampled frames, where they are not a fifth of a second apart.
        shown_until_s: until when each is shown, where that is not until the next.
        tables: rows by table. Shots default to one.
    """
    times_s = times_s or tuple(index / FPS for index in range(max(1, round(duration_s * FPS))))
    shown_until_s = shown_until_s or (*times_s[1:], duration_s)
    everything = tuple(range(len(times_s)))
    statuses = dict.fromkeys(INPUTS, "ok") | (without or {})
    endings = {
        name: Ending(status, (seen or {}).get(name, everything) if name in FRAME_MODELS and status not in {"failed", "skipped"} else ())
        for name, status in statuses.items()
        if status != "not asked"
    }
    tables = {"shots": shots(duration_s)} | tables
    return AnalysedVideo(duration_s, 100, 100, times_s, shown_until_s, 1 / grid_fps(duration_s), endings, tables)


def derived(made: AnalysedVideo, **changes: Any) -> dict[str, list[Row]]:
    """Every insight table's rows."""
    found = derive(made, THRESHOLDS if not changes else thresholds_with(**changes))
    return {name: table.to_pylist() for name, table in found.tables.items()}


def thresholds_with(**changes: Any) -> Any:
    """The default thresholds but for these."""
    return thresholds(load_config(flags={"insights": changes}))


def at(frame: int) -> Row:
    """What every row of a frame begins with."""
    return {"frame_index": frame, "time_s": frame / FPS}


def box(x1: float, y1: float, side: float) -> Row:
    """A square."""
    return {"x1": x1, "y1": y1, "x2": x1 + side, "y2": y1 + side}


def face(frame: int, side: float = 20.0, index: int = 0, x1: float = 40.0, y1: float = 10.0) -> Row:
    """A row of `faces`; its share of the picture is side² / 10,000, and its height is made up as twice that of the picture's."""
    return at(frame) | {"face_index": index, "height_share": min(side * side / 5_000, 1.0)} | box(x1, y1, side)


def gaze(frame: int, yaw_deg: float | None = 0.0, *, contact: bool | None = True, index: int = 0) -> Row:
    """A row of `gaze`; a yaw of None is shut eyes."""
    shut = yaw_deg is None
    return at(frame) | {
        "face_index": index,
        "gaze_yaw_deg": yaw_deg,
        "gaze_pitch_deg": None if shut else 0.0,
        "eye_contact": None if shut else contact,
    }


def thing(frame: int, label: str = "person", index: int = 0, x1: float = 30.0, side: float = 40.0, y1: float = 30.0) -> Row:
    """A row of `objects`."""
    return at(frame) | {"object_index": index, "label": label, "confidence": 0.9} | box(x1, y1, side)


def text(frame: int, words: str, y1: float = 80.0, confidence: float = 0.9, index: int = 0) -> Row:
    """A row of `texts`, 60 × 8 px."""
    return at(frame) | {
        "text_index": index,
        "block_index": index,
        "text": words,
        "confidence": confidence,
        "x1": 20.0,
        "y1": y1,
        "x2": 80.0,
        "y2": y1 + 8.0,
    }


def said(start_s: float, end_s: float, words: str, first: int = 0) -> dict[str, Any]:
    """One stretch of speech, its words equally long: rows of `speech_segments` and of `words`."""
    parts = words.split()
    step_s = (end_s - start_s) / len(parts)
    return {
        "speech_segments": [{"segment_index": first, "start_s": start_s, "end_s": end_s}],
        "words": [
            {
                "segment_index": first,
                "word_index": first + at,
                "start_s": start_s + at * step_s,
                "end_s": start_s + (at + 1) * step_s,
                "word": word,
                "normalized": word.lower(),
            }
            for at, word in enumerate(parts)
        ],
    }


def emotion(frame: int, name: str = "happiness", index: int = 0, side: float = 20.0, x1: float = 40.0) -> Row:
    """A row of `emotions` that is sure of itself, of a face as `face` makes it."""
    return (
        at(frame)
        | {"face_index": index, "is_largest": index == 0, "dominant_emotion": name, "face_confidence": None}
        | box(x1, 10.0, side)
        | {one: float(one == name) for one in EMOTIONS}
    )


def pose(frame: int, x1: float = 20.0, seen_to: float = 4.0, stature_share: float = 1.0) -> Row:
    """A row of `poses`, 60 × 60 px."""
    return at(frame) | {"pose_index": 0, "seen_to": seen_to, "stature_share": stature_share} | box(x1, 10.0, 60.0)


def gesture(frame: int, name: str = "Victory", hand: str = "left", confidence: float = 0.9) -> Row:
    """A row of `gestures`."""
    return at(frame) | {"hand_index": 0, "handedness": hand, "gesture": name, "confidence": confidence}


def shots(*ends_s: float) -> list[Row]:
    """Rows of `shots`, one after another."""
    starts_s = (0.0, *ends_s[:-1])
    return [
        {"shot_index": number, "start_s": start_s, "end_s": end_s, "duration_s": end_s - start_s, "frames": 1}
        for number, (start_s, end_s) in enumerate(zip(starts_s, ends_s, strict=True))
    ]


def sound(start_s: float, end_s: float, rms: float, *, silent: bool = False, pitch_hz: float | None = None) -> list[Row]:
    """Rows of `audio_energy`: one kind of sound, every 50 ms."""
    count = round((end_s - start_s) * 20)
    return [
        {"start_s": start_s + at / 20, "end_s": start_s + (at + 1) / 20, "rms": rms, "is_silent": silent, "pitch_hz": pitch_hz}
        for at in range(count)
    ]

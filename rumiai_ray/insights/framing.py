"""Person framing: how people are shown, per video and per second."""

from __future__ import annotations

import math
from collections import Counter
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from rumiai_ray.insights.video import FACES, OBJECTS, Row, Video, ends_of_frames, mean, share
from rumiai_ray.schema.framing import SHOT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rumiai_ray.insights.people import Frame
    from rumiai_ray.insights.thresholds import Thresholds


def seconds_of(duration_s: float) -> list[tuple[int, float]]:
    """(number, end in seconds) of each second of a video; the last may be shorter."""
    return [(number, min(number + 1.0, duration_s)) for number in range(max(1, math.ceil(duration_s - 1e-9)))]


def per_second(video: Video, frames: Sequence[Frame], thresholds: Thresholds) -> list[Row]:
    """Rows of `person_framing_seconds`."""
    inside: dict[int, list[Frame]] = {}
    for frame in frames:
        inside.setdefault(int(frame.time_s), []).append(frame)
    return [
        {
            "second": number,
            "end_s": end_s,
            "face_frames": len(_looked(inside.get(number, []))) if video.ran(FACES) else None,
            "people": max((frame.people for frame in inside.get(number, [])), default=None),
            **rates(inside.get(number, [])),
            "shot_type": _dominant(_looked(inside.get(number, [])), thresholds),
        }
        for number, end_s in seconds_of(video.duration_s)
    ]


def rates(frames: Sequence[Frame]) -> dict[str, float | None]:
    """What is measured alike over a second and over a video."""
    looked = _looked(frames)
    gazes = [frame.gaze for frame in looked if frame.gaze is not None]
    return {
        "face_visibility_rate": share(sum(frame.face_share is not None for frame in looked), len(looked)),
        "person_visibility_rate": share(sum(frame.present for frame in frames), len(frames)),
        "average_face_size": mean(frame.face_share for frame in looked if frame.face_share is not None),
        "eye_contact_rate": share(sum(gaze.eye_contact for gaze in gazes), len(gazes)),
    }


def whole_video(video: Video, frames: Sequence[Frame], seconds: Sequence[Row], thresholds: Thresholds) -> Row:
    """The row of `person_framing`.

    Args:
        video: the video.
        frames: of `people.frames_of`.
        seconds: of `per_second`.
        thresholds: of shot types and steadiness.
    """
    looked = _looked(frames)
    types = Counter(frame.shot_type(thresholds) for frame in looked)
    with_faces = video.ran(FACES)
    runs = progression(seconds) if with_faces else None
    return {
        "face_frames": len(looked) if with_faces else None,
        "person_frames": len(frames) if with_faces or video.ran(OBJECTS) else None,
        "subject_count": _subjects(frames, thresholds.subject_share),
        **rates(frames),
        "gaze_frames": sum(frame.gaze is not None for frame in looked) if with_faces else None,
        "gaze_steadiness": steadiness(looked, thresholds.steady_gaze_deg),
        **{f"{name}_share": share(types[name], len(looked)) for name in SHOT_TYPES},
        "dominant_shot_type": _dominant(looked, thresholds),
        "framing_progression": runs,
        "framing_changes": sum(before["shot_type"] != after["shot_type"] for before, after in pairwise(runs)) if runs is not None else None,
        "longest_absence_s": _longest_absence_s(frames, video.duration_s),
        "not_measured": video.not_measured,
    }


def progression(seconds: Iterable[Row]) -> list[dict[str, Any]]:
    """Runs of successive seconds of one shot type; a second that was not measured ends a run and is in none."""
    runs = []
    for shot_type, run in groupby(seconds, key=lambda row: row["shot_type"]):
        rows = list(run)
        if shot_type is not None:
            runs.append({"shot_type": shot_type, "start_s": float(rows[0]["second"]), "end_s": rows[-1]["end_s"]})
    return runs


def steadiness(looked: Sequence[Frame], steady_deg: float) -> float | None:
    """Share of successive frames, with gaze of one and the same tracked face, between which it turned by less than `steady_deg`."""
    turns_deg = [
        math.hypot(after.gaze.yaw_deg - before.gaze.yaw_deg, after.gaze.pitch_deg - before.gaze.pitch_deg)
        for before, after in pairwise(looked)
        if before.gaze is not None and after.gaze is not None and before.face_track is not None and before.face_track == after.face_track
    ]
    return share(sum(turn_deg < steady_deg for turn_deg in turns_deg), len(turns_deg))


def _looked(frames: Sequence[Frame]) -> list[Frame]:
    """Those in which faces were looked for."""
    return [frame for frame in frames if frame.faces is not None]


def _dominant(looked: Sequence[Frame], thresholds: Thresholds) -> str | None:
    types = Counter(frame.shot_type(thresholds) for frame in looked)
    return max(SHOT_TYPES, key=lambda name: types[name]) if types else None  # the first, the nearest, of equals


def _subjects(frames: Sequence[Frame], enough: float) -> int | None:
    if not frames:
        return None
    peopled = [frame.people for frame in frames if frame.people]
    counts = range(max(peopled, default=0), 0, -1)
    return next((count for count in counts if sum(people >= count for people in peopled) >= enough * len(peopled)), 0)


def _longest_absence_s(frames: Sequence[Frame], duration_s: float) -> float | None:
    longest_s = since_s = 0.0
    for frame, end_s in zip(frames, ends_of_frames([frame.time_s for frame in frames], duration_s), strict=True):
        if frame.present:
            since_s = end_s
        else:
            longest_s = max(longest_s, end_s - since_s)
    return longest_s if frames else None

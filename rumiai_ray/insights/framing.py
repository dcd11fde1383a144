"""Person framing: how people are shown, per video and per second."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from rumiai_ray.insights.looks import EPSILON_S
from rumiai_ray.insights.people import parts_of
from rumiai_ray.insights.video import FACES, OBJECTS, AnalysedVideo, most, share, weighted_mean
from rumiai_ray.schema.framing import SHOT_SIZES, SHOT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rumiai_ray.insights.people import Frame, Part
    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.schema.table import Row


def seconds_of(duration_s: float) -> list[tuple[int, float]]:
    """(number, end in seconds) of each second of a video; the last may be shorter."""
    return [(number, min(number + 1.0, duration_s)) for number in range(max(1, math.ceil(duration_s - 1e-9)))]


def per_second(video: AnalysedVideo, frames: Sequence[Frame]) -> list[Row]:
    """Rows of `person_framing_seconds`."""
    return [_second(video, number, end_s, parts_of(frames, number, end_s)) for number, end_s in seconds_of(video.duration_s)]


def _second(video: AnalysedVideo, number: int, end_s: float, parts: Sequence[Part]) -> Row:
    return {
        "second": number,
        "end_s": end_s,
        "face_frames": len(_looked(parts)) if video.ran(FACES) else None,
        "gaze_frames": sum(part.frame.gaze is not None for part in parts) if video.ran(FACES) else None,
        "people": max((part.frame.people for part in parts), default=None),
        **rates(parts),
        "shot_size": _dominant(_sizes_s(parts), SHOT_SIZES),
        "shot_type": _dominant(_types_s(parts), SHOT_TYPES),
    }


def rates(parts: Sequence[Part]) -> dict[str, float | None]:
    """What is measured alike over a second, a window and a video: shares of the time that the frames speak for."""
    looked = _looked(parts)
    gazes = [(part.frame.gaze, part.faces_s) for part in looked if part.frame.gaze is not None]
    return {
        "face_visibility_rate": share_of_time((part.frame.face_share is not None, part.faces_s) for part in looked),
        "person_visibility_rate": share_of_time((part.frame.present, part.people_s) for part in parts),
        "average_face_size": weighted_mean((part.frame.face_share, part.faces_s) for part in looked if part.frame.face_share is not None),
        "eye_contact_rate": share_of_time((gaze.eye_contact, time_s) for gaze, time_s in gazes),
    }


def share_of_time(told: Iterable[tuple[bool, float]]) -> float | None:
    """Share of the time for which something holds, of (whether it holds, for how many seconds); None where there is no time."""
    return weighted_mean((float(holds), time_s) for holds, time_s in told)


def whole_video(video: AnalysedVideo, frames: Sequence[Frame], seconds: Sequence[Row], thresholds: Thresholds) -> Row:
    """The row of `person_framing`.

    Args:
        video: the video.
        frames: of `people.frames_of`.
        seconds: of `per_second`.
        thresholds: of subjects and steadiness.
    """
    parts = parts_of(frames, 0.0, video.duration_s)
    looked = _looked(parts)
    types_s, sizes_s = _types_s(parts), _sizes_s(parts)
    with_faces = video.ran(FACES)
    runs = progression(seconds) if with_faces else None
    return {
        "face_frames": len(looked) if with_faces else None,
        "person_frames": len(frames) if with_faces or video.ran(OBJECTS) else None,
        "subject_count": _subjects(parts, thresholds.subject_share),
        **rates(parts),
        "gaze_frames": sum(part.frame.gaze is not None for part in looked) if with_faces else None,
        "gaze_steadiness": steadiness([part.frame for part in looked], thresholds.steady_gaze_deg, video.step_s),
        **{f"{name}_share": share(types_s.get(name, 0.0), math.fsum(types_s.values())) for name in SHOT_TYPES},
        "dominant_shot_type": _dominant(types_s, SHOT_TYPES),
        **{f"{name}_size_share": share(sizes_s.get(name, 0.0), math.fsum(sizes_s.values())) for name in SHOT_SIZES if name != "none"},
        "dominant_shot_size": _dominant(sizes_s, SHOT_SIZES),
        "framing_progression": runs,
        "framing_changes": sum(before["shot_type"] != after["shot_type"] for before, after in pairwise(runs)) if runs is not None else None,
        "longest_absence_s": _longest_absence_s(frames),
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


def steadiness(looked: Sequence[Frame], steady_deg: float, step_s: float) -> float | None:
    """Share of time in which the gaze is steady.

    The time from a frame to the next is measured where both have gaze of one and the same tracked face; it is steady where the gaze turned
    by less than `steady_deg`. A frame that is held for longer than `step_s` is steady for the rest of its time.
    """
    told = [(True, held_s) for frame in looked if frame.gaze is not None and (held_s := frame.look.shown_s - step_s) > EPSILON_S]
    for before, after in pairwise(looked):
        if before.gaze is None or after.gaze is None or before.face_track is None or before.face_track != after.face_track:
            continue
        turn_deg = math.hypot(after.gaze.yaw_deg - before.gaze.yaw_deg, after.gaze.pitch_deg - before.gaze.pitch_deg)
        apart_s = after.look.shown_from_s - before.look.shown_until_s + min(before.look.shown_s, step_s)
        told.append((turn_deg < steady_deg, apart_s))
    return share_of_time(told)


def _looked(parts: Sequence[Part]) -> list[Part]:
    """Those in which faces were looked for."""
    return [part for part in parts if part.frame.faces is not None]


def _types_s(parts: Sequence[Part]) -> Mapping[str, float]:
    """For how long each shot type is shown."""
    return _shown_s((part.frame.shot_type, part.faces_s) for part in _looked(parts))


def _sizes_s(parts: Sequence[Part]) -> Mapping[str, float]:
    """For how long each shot size is shown."""
    return _shown_s((part.frame.shot_size, part.faces_s) for part in _looked(parts))


def _shown_s(told: Iterable[tuple[str, float]]) -> Mapping[str, float]:
    shown_s: defaultdict[str, float] = defaultdict(float)
    for name, time_s in told:
        shown_s[name] += time_s
    return shown_s


def _dominant(shown_s: Mapping[str, float], names: Sequence[str]) -> str | None:
    return most(shown_s, names) if shown_s else None  # the first, the nearest, of equals


def _subjects(parts: Sequence[Part], enough: float) -> int | None:
    if not parts:
        return None
    peopled = [(part.frame.people, part.people_s) for part in parts if part.frame.people]
    at_least_s = enough * math.fsum(time_s for _, time_s in peopled) - EPSILON_S
    counts = range(max((people for people, _ in peopled), default=0), 0, -1)
    return next((count for count in counts if math.fsum(time_s for people, time_s in peopled if people >= count) >= at_least_s), 0)


def _longest_absence_s(frames: Sequence[Frame]) -> float | None:
    """The longest time without a break for which frames speak and nobody is there."""
    longest_s = since_s = until_s = 0.0
    for frame in frames:
        look = frame.look
        if frame.present or look.start_s > until_s + EPSILON_S:
            since_s = look.end_s if frame.present else look.start_s
        until_s = look.end_s
        longest_s = max(longest_s, until_s - since_s)
    return longest_s if frames else None

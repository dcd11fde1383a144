"""`<id>_human_analysis.json`."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING

from rumiai_ray.runs.export.video import Family, VideoRows, frame_facts, number, outcome, was_processed, when
from rumiai_ray.schema.mediapipe import FACES, GAZE, GESTURES, HANDS, LANDMARKS_OF_POSES, POSE_LANDMARKS, POSES

if TYPE_CHECKING:
    from rumiai_ray.schema.table import Row

(MODEL,) = FACES.made_by

GESTURE_NAMES = {
    "Thumb_Up": "thumbs_up",
    "Thumb_Down": "thumbs_down",
    "Victory": "victory",
    "Pointing_Up": "pointing",
    "Open_Palm": "open_palm",
    "Closed_Fist": "closed_fist",
    "ILoveYou": "love",
}
"""The earlier system's names of MediaPipe's gestures."""

_INDEX = {table.name: table.key[-1] for table in (POSES, FACES, HANDS, GAZE, GESTURES)}
"""The column that numbers a table's rows within a frame."""


def document(video: VideoRows) -> Row:
    """People in the sampled frames. Unlike the earlier documents: every face has its own `bbox`, every pose and every gaze its own item.

    Null where nothing measures it: a face's `confidence` (the landmarker gives none) and a gaze's (it was a constant).
    """
    poses, faces, hands, gaze, gestures = (
        sorted(video.tables[name], key=lambda row: (row["frame_index"], row[index])) for name, index in _INDEX.items()
    )
    visibility = {(row["frame_index"], row["pose_index"]): row["visibility"] for row in video.tables[LANDMARKS_OF_POSES.name]}
    ran = was_processed(video, MODEL)
    frames = video.analyses[MODEL]["frames_analyzed"] if ran else None
    with_people = len({row["frame_index"] for row in poses}) if ran else None
    hands_in = Counter((row["frame_index"], row["time_s"]) for row in hands)
    return {
        "poses": [_pose(row, visibility.get((row["frame_index"], row["pose_index"]))) for row in poses],
        "faces": _faces(faces, video.video["width_px"], video.video["height_px"]),
        "hands": [{"timestamp": number(time_s), "frame_number": frame, "count": count} for (frame, time_s), count in hands_in.items()],
        "gaze": [_gaze(row) for row in gaze],
        "gestures": [_gesture(row) for row in gestures],
        "presence_percentage": number(100 * with_people / frames) if frames and with_people is not None else None,
        "frames_with_people": with_people,
        "metadata": {
            **outcome(video, MODEL),
            **frame_facts(video, MODEL),
            "poses_detected": len(poses) if ran else None,
            "faces_detected": len(faces) if ran else None,
            "hands_detected": len(hands) if ran else None,
            "gaze_detected": len(gaze) if ran else None,
            "gestures_detected": len(gestures) if ran else None,
            "gaze_offset_unit": "eye widths",
        },
    }


def _pose(row: Row, visibility: list[float] | None) -> Row:
    seen = None if visibility is None else fmean(visibility)
    return {**when(row), "pose_index": row["pose_index"], "landmarks": POSE_LANDMARKS, "visibility": number(seen)}


def _faces(rows: list[Row], width_px: int, height_px: int) -> list[Row]:
    count = Counter(row["frame_index"] for row in rows)
    return [
        {
            **when(row),
            "face_index": row["face_index"],
            "count": count[row["frame_index"]],
            "confidence": None,
            "bbox": _relative(row, width_px, height_px),
            "found_by": row["found_by"],
        }
        for row in rows
    ]


def _relative(row: Row, width_px: int, height_px: int) -> Row:
    """The visible part of a box, 0 to 1 of the picture: readers of these documents drop a box that reaches past it."""
    x1, x2 = (min(max(row[edge] / width_px, 0.0), 1.0) for edge in ("x1", "x2"))
    y1, y2 = (min(max(row[edge] / height_px, 0.0), 1.0) for edge in ("y1", "y2"))
    return {"x": number(x1), "y": number(y1), "width": number(x2 - x1), "height": number(y2 - y1)}


def _gaze(row: Row) -> Row:
    return {
        **when(row),
        "face_index": row["face_index"],
        "eye_contact": number(row["eye_contact_score"]),
        "gaze_direction": row["direction"],
        "gaze_offset_x": number(row["gaze_x"]),
        "gaze_offset_y": number(row["gaze_y"]),
        "gaze_magnitude": number(math.hypot(row["gaze_x"], row["gaze_y"])),
        "confidence": None,
    }


def _gesture(row: Row) -> Row:
    return {
        "type": GESTURE_NAMES[row["gesture"]],
        "confidence": number(row["confidence"]),
        "hand": row["handedness"],
        "timestamp_ms": round(row["time_s"] * 1000),
        **when(row),
    }


_FRAME = ["frame_index", "time_s"]

FAMILY = Family(
    "human_analysis_outputs/{name}/{name}_human_analysis.json",
    {
        "poses": [*_FRAME, "pose_index"],
        "pose_landmarks": ["frame_index", "pose_index", "visibility"],
        "faces": [*_FRAME, "face_index", "found_by", "x1", "y1", "x2", "y2"],
        "hands": [*_FRAME, "hand_index"],
        "gaze": [*_FRAME, "face_index", "gaze_x", "gaze_y", "eye_contact_score", "direction"],
        "gestures": [*_FRAME, "hand_index", "handedness", "gesture", "confidence"],
    },
    document,
)

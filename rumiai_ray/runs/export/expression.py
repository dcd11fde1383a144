"""`<id>_emotions.json`."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

from rumiai_ray.runs.export.video import Family, VideoRows, box_xywh, frame_facts, number, outcome, was_processed
from rumiai_ray.schema.emotion import ACTION_UNITS, EMOTIONS, FACE_EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.schema.table import Row

(MODEL,) = FACE_EMOTIONS.made_by

EMOTION_NAMES = {**{name: name for name in EMOTIONS}, "happiness": "joy"}
"""The earlier system's names of the seven emotions."""

_AU_ACTIVE = 0.5
"""An action unit counts as active above this value, as it did before."""
_NO_PEOPLE_SHARE = 0.8
"""A video in which more than this share of the frames has no face was called one without people."""
_MOST_ACTIVE = 5


def document(video: VideoRows) -> Row:
    """The expression of the largest face of every frame that has one. Action units are null where the backend measures none."""
    rows = sorted((row for row in video.tables["emotions"] if row["is_largest"]), key=lambda row: row["frame_index"])
    ran = was_processed(video, MODEL)
    frames = video.analyses[MODEL]["frames_analyzed"] if ran else None
    duration_s = video.video["duration_s"]
    emotions = [_emotion(row) for row in rows]
    transitions = [
        {"timestamp": after["timestamp"], "from": before["emotion"], "to": after["emotion"]}
        for before, after in pairwise(emotions)
        if before["emotion"] != after["emotion"]
    ]
    measured = [item for item in emotions if item["action_units"] is not None]
    activations = Counter(unit for item in measured for unit in item["action_units"])
    stats = _stats(frames, len(emotions))
    return {
        "emotions": emotions,
        "action_units": [
            {"timestamp": item["timestamp"], "aus": item["action_units"], "intensities": item["au_intensities"]} for item in measured
        ]
        if measured
        else None,
        # Readers expect one entry a second; as before, the last one of a second stands for it.
        "timeline": {f"{int(item['timestamp'])}-{int(item['timestamp']) + 1}s": item for item in emotions},
        "dominant_emotion": Counter(item["emotion"] for item in emotions).most_common(1)[0][0] if emotions else None,
        "emotion_transitions": transitions,
        "confidence_scores": [item["confidence"] for item in emotions],
        "au_activations": {str(unit): activations[unit] for unit in sorted(activations)} if measured else None,
        "processing_stats": stats,
        "metrics": _metrics(emotions, len(transitions), activations if measured else None, stats) if stats else None,
        "video_id": video.entry_id,
        "video_duration": number(duration_s),
        "frames_analyzed": frames,
        "sample_rate": number(frames / duration_s) if frames and duration_s else None,
        "metadata": {**outcome(video, MODEL), **frame_facts(video, MODEL)},
    }


def _emotion(row: Row) -> Row:
    units = {int(name[2:]): row[name] for name in ACTION_UNITS if row[name] is not None}
    active = {unit: value for unit, value in units.items() if value > _AU_ACTIVE}
    return {
        "timestamp": number(row["time_s"]),
        "frame_number": row["frame_index"],
        "emotion": EMOTION_NAMES[row["dominant_emotion"]],
        "confidence": number(row[row["dominant_emotion"]]),
        "all_scores": {EMOTION_NAMES[name]: number(row[name]) for name in EMOTIONS},
        "action_units": list(active) if units else None,
        "au_intensities": {str(unit): number(value) for unit, value in active.items()} if units else None,
        "face_bbox": box_xywh(row),
    }


def _stats(frames: int | None, with_face: int) -> Row | None:
    """How many frames had a face; None where the model did not run or saw no frame."""
    if not frames:
        return None
    without = frames - with_face
    return {
        "total_frames": frames,
        "successful_frames": with_face,
        "no_face_frames": without,
        "video_type": "no_people" if without / frames > _NO_PEOPLE_SHARE else "people_detected",
    }


def _metrics(emotions: Sequence[Row], transitions: int, activations: Counter[int] | None, stats: Row) -> Row:
    """Figures over the whole video; `emotion_diversity` is the entropy over the logarithm of the number of emotions seen, 0 for one."""
    counts = Counter(item["emotion"] for item in emotions)
    shares = [count / len(emotions) for count in counts.values()]
    entropy = -sum(share * math.log(share) for share in shares)
    return {
        "video_type": stats["video_type"],
        "unique_emotions": len(counts),
        "transition_count": transitions,
        "avg_confidence": number(fmean(item["confidence"] for item in emotions)) if emotions else None,
        "emotion_diversity": number(entropy / math.log(len(counts)) if len(counts) > 1 else 0.0) if emotions else None,
        "detection_rate": number(stats["successful_frames"] / stats["total_frames"]),
        "suitable_for_emotion_analysis": stats["video_type"] == "people_detected",
        "most_active_aus": None if activations is None else [unit for unit, _ in activations.most_common(_MOST_ACTIVE)],
        "processing_stats": stats,
    }


FAMILY = Family(
    "emotion_detection_outputs/{name}/{name}_emotions.json",
    {
        "emotions": [
            *("frame_index", "time_s", "is_largest", "x1", "y1", "x2", "y2"),
            *EMOTIONS,
            "dominant_emotion",
            *ACTION_UNITS,
        ]
    },
    document,
)

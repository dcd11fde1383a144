"""`<id>_yolo_detections.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.runs.export.video import Family, VideoRows, box_xyxy, frame_facts, number, outcome, was_processed, when
from rumiai_ray.schema.yolo import OBJECTS

if TYPE_CHECKING:
    from rumiai_ray.schema.table import Row

(MODEL,) = OBJECTS.made_by


def document(video: VideoRows) -> Row:
    """Every detection, boxes as x1, y1, x2, y2 in source pixels. `trackId` names a detection; things over time are in `tracks`."""
    rows = sorted(video.tables["objects"], key=lambda row: (row["frame_index"], row["object_index"]))
    return {
        "objectAnnotations": [
            {
                "trackId": f"obj_{row['frame_index']}_{row['object_index']}",
                "className": row["label"],
                "confidence": number(row["confidence"]),
                **when(row),
                "bbox": box_xyxy(row),
            }
            for row in rows
        ],
        "metadata": {
            **outcome(video, MODEL),
            **frame_facts(video, MODEL),
            "objects_detected": len(rows) if was_processed(video, MODEL) else None,
            "track_id": "names one detection, not one object over time",
        },
    }


FAMILY = Family(
    "object_detection_outputs/{name}/{name}_yolo_detections.json",
    {"objects": ["frame_index", "time_s", "object_index", "label", "confidence", "x1", "y1", "x2", "y2"]},
    document,
)

"""`<id>_creative_analysis.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.runs.export.video import Family, VideoRows, box_xywh, frame_facts, number, outcome, was_processed, when
from rumiai_ray.schema.ocr import TEXTS

if TYPE_CHECKING:
    from rumiai_ray.schema.table import Row

(MODEL,) = TEXTS.made_by


def document(video: VideoRows) -> Row:
    """Every sighting of every text that was read, boxes as x, y, width, height in source pixels. Stickers are not looked for."""
    sighted = sorted(video.tables["texts"], key=lambda row: (row["frame_index"], row["text_index"]))
    rows = [row for row in sighted if row["text"] is not None]
    return {
        "textAnnotations": [
            {"text": row["text"], "confidence": number(row["confidence"]), **when(row), "bbox": box_xywh(row)} for row in rows
        ],
        "stickers": [],
        "metadata": {
            **outcome(video, MODEL),
            **frame_facts(video, MODEL),
            "unique_texts": len({row["text"] for row in rows}) if was_processed(video, MODEL) else None,
            "unreadable_texts": len(sighted) - len(rows) if was_processed(video, MODEL) else None,
            "stickers_detected": None,
            "note": "stickers are not looked for: an empty list says nothing about the video",
        },
    }


FAMILY = Family(
    "creative_analysis_outputs/{name}/{name}_creative_analysis.json",
    {"texts": ["frame_index", "time_s", "text_index", "text", "confidence", "x1", "y1", "x2", "y2"]},
    document,
)

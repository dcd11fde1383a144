"""Table of the object detector."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import FRAME, Table, box, column, track_id

OBJECTS = Table(
    "objects",
    3,
    "One detected object in one sampled frame.",
    (
        *FRAME,
        column("object_index", pa.int16(), "The object's number within its frame, most confident first.", range_="0.."),
        column("class_id", pa.int16(), "Index into the 80 COCO classes.", range_="0..79"),
        column("label", pa.string(), "COCO class name, e.g. person, dog, sports ball."),
        column("confidence", pa.float32(), "Confidence of the detection.", range_="0..1"),
        *box("object"),
    ),
    (track_id("object"),),
    key=("video_key", "frame_index", "object_index"),
    made_by=("yolo",),
    tracked_as="object",
)

TABLES = (OBJECTS,)

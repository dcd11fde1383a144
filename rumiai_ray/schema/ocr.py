"""Table of the text reader: every sighting, one by one."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import FRAME, Table, box, column

TEXTS = Table(
    "texts",
    1,
    "One sighting of a text in one sampled frame.",
    (
        *FRAME,
        column("text_index", pa.int16(), "The sighting's number within its frame, in reading order.", range_="0.."),
        column("text", pa.string(), "What was read, as the reader gave it."),
        column("confidence", pa.float32(), "Confidence of the reading.", range_="0..1"),
        column(
            "polygon", pa.list_(pa.float32(), 8), "Corners x, y: top left, top right, bottom right, bottom left.",
            unit="px", source="source pixels after rotation",
        ),
        *box("text, hull of the polygon"),
    ),
)  # fmt: skip

TABLES = (TEXTS,)

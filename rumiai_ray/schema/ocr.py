"""Table of the text reader: every sighting, one by one."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import FRAME, Table, box, column

TEXTS = Table(
    "texts",
    2,
    "One sighting of a line of text in one sampled frame.",
    (
        *FRAME,
        column("text_index", pa.int16(), "The sighting's number within its frame, in reading order.", range_="0.."),
        column(
            "block_index", pa.int16(), "The caption the line belongs to: lines with one number are read as one text, in the order of "
            "`text_index`.", range_="0..",
        ),
        column("text", pa.string(), "What was read, as the reader gave it; null where a text was found that no loaded recogniser reads.",
               nullable=True),
        column("confidence", pa.float32(), "Confidence of the reading; null where there is none.", range_="0..1", nullable=True),
        column(
            "script", pa.string(), "Script of most of its letters, by Unicode; `common` for a text without letters, `japanese` where kana "
            "stand in it, `unknown` where it was not read.", range_="latin|han|japanese|cyrillic|hangul|…|common|unknown",
        ),
        column(
            "carried", pa.bool_(), "The pixels did not change since the frame before, whose reading was taken over. Only within the frames "
            "of one call, so the first frame of each `engine.batch_frames` is always read.",
        ),
        column(
            "polygon", pa.list_(pa.float32(), 8), "Corners x, y: top left, top right, bottom right, bottom left, as the text is read.",
            unit="px", source="source pixels after rotation",
        ),
        *box("text, hull of the polygon"),
    ),
    key=("video_key", "frame_index", "text_index"),
    made_by=("ocr",),
    bulky=("polygon",),
)  # fmt: skip

TABLES = (TEXTS,)

"""Table of the perceptual hashes, by which near-duplicates are found in a corpus."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import Table, column

WHOLE = "whole"
INSET = "inset"
CROPS = (INSET, "centre_95", "centre_90", "top_left", "top_right", "bottom_left", "bottom_right", "top", "bottom", "left", "right")
"""Views of a picture: the one that stands on another background (the whole, where none does), such as a blurred copy of itself; and what a
repost may have cut off: the middle 95 % or 90 % of either side, and the picture without a tenth at the opposite edges."""
WHOLE_S = 0.25
"""Whole pictures are hashed so often: what moves for a quarter of a second changes few of the 256 blocks."""
CROPS_S = 1.0
"""Parts are hashed so often: each of them is to meet some whole picture of the other video."""

PICTURE_HASHES = Table(
    "picture_hashes",
    1,
    "The perceptual hash of one view of a picture, which is much like what is shown until the next row of the view.",
    (
        column("time_s", pa.float64(), "When the picture is shown, from the first presented frame.", unit="s"),
        column(
            "view",
            pa.string(),
            f"What of the picture is hashed, after bars were cut off: `{WHOLE}`, or a part of it.",
            range_="|".join((WHOLE, *CROPS)),
        ),
        column(
            "hash",
            pa.string(),
            "OpenCV's block mean hash (mode 0): 16 x 16 bits, rows from the top left, the first bit of a byte the lowest one. Null where "
            "the picture is too plain to be told from others.",
            range_="64 hex digits",
            nullable=True,
        ),
    ),
    key=("video_key", "time_s", "view"),
    made_by=("shots",),
)

TABLES = (PICTURE_HASHES,)

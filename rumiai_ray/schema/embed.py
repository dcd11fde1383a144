"""Table of the image-embedding family."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import FRAME, Table, column, in_shot

EMBEDDINGS = Table(
    "embeddings",
    1,
    "The embedding of one sampled frame; where `is_key_frame` is true, of the frame that stands for its shot.",
    (
        *FRAME,
        column(
            "embedding",
            pa.list_(pa.float32()),
            "Image features of unit length: the dot product of two embeddings of one `analyses.backend` is their cosine similarity.",
            range_="-1..1",
        ),
    ),
    in_shot("embedding"),
    key=("video_key", "frame_index"),
    made_by=("embed",),
    bulky=("embedding",),
)

TABLES = (EMBEDDINGS,)

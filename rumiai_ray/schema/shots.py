"""Table of the shot detector."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import Table, column

SHOTS = Table(
    "shots",
    1,
    "One shot: what lies between two cuts, or a cut and an end of the video. A video without cuts has one.",
    (
        column("shot_index", pa.int32(), "The shot's number within the video, in time order.", range_="0.."),
        column("start_s", pa.float64(), "When its first frame is shown, from the first presented frame; 0 for the first shot.", unit="s"),
        column("end_s", pa.float64(), "When the next shot begins, or the video ends; not part of the shot.", unit="s"),
        column("duration_s", pa.float64(), "`end_s` - `start_s`.", unit="s", range_="> 0"),
        column("frames", pa.int64(), "Decoded frames in it.", range_="1.."),
    ),
    key=("video_key", "shot_index"),
    made_by=("shots",),
)

TABLES = (SHOTS,)

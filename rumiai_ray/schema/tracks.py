"""Table of tracks: boxes of `objects` and `faces` that are one and the same thing over time."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import Table, column

TRACKS = Table(
    "tracks",
    2,
    "One object or face followed through sampled frames of one shot. A thing that is in two shots has two tracks.",
    (
        column(
            "track_id", pa.int32(), "The track, as in `objects.track_id` or `faces.track_id`; in order of first sighting.", range_="0.."
        ),
        column("of", pa.string(), "The table its boxes are in: `objects`, `faces`, or that of a further family whose boxes are linked."),
        column("label", pa.string(), "COCO class name of its objects; `face` for a face.", source="objects.label"),
        column(
            "shot_index",
            pa.int32(),
            "The shot it is in; null where shots were not analysed, and then nothing breaks a track at a cut.",
            range_="0..",
            source="shots",
            nullable=True,
        ),
        column("first_seen_s", pa.float64(), "Time of its first box.", unit="s"),
        column("last_seen_s", pa.float64(), "Time of its last box.", unit="s"),
        column("seen_until_s", pa.float64(), "Until when the frame of its last box is shown; never beyond a cut.", unit="s"),
        column(
            "sightings", pa.int32(), "Its boxes; one where the only frame with it is held for two steps of the sampling grid.", range_="1.."
        ),
        column(
            "mean_confidence",
            pa.float32(),
            "Mean confidence of its boxes, over time; null for faces, whose detector gives none.",
            range_="0..1",
            nullable=True,
        ),
        column("mean_area_share", pa.float32(), "Mean area of its boxes over the area of the picture, over time.", range_="0..1"),
    ),
    key=("video_key", "track_id"),
    made_by=("yolo",),
)

TABLES = (TRACKS,)

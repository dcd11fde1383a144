"""Table of the facial-expression family."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import FRAME, Table, box, column

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The seven emotions, in the order of the columns and of py-feat's output."""

ACTION_UNITS = (
    "au01", "au02", "au04", "au05", "au06", "au07", "au09", "au10", "au11", "au12",
    "au14", "au15", "au17", "au20", "au23", "au24", "au25", "au26", "au28", "au43",
)  # fmt: skip
"""The 20 FACS action units py-feat's Detectorv2 gives."""

FACE_EMOTIONS = Table(
    "emotions",
    1,
    "The expression of one face in one sampled frame.",
    (
        *FRAME,
        column("face_index", pa.int16(), "The face's number within its frame, largest face first.", range_="0.."),
        column("is_largest", pa.bool_(), "The largest face of its frame, by box area."),
        *box("face the expression was read from"),
        column(
            "face_confidence",
            pa.float32(),
            "Confidence of the face detector; null where the detector gives none.",
            range_="0..1",
            nullable=True,
        ),
        *(column(name, pa.float32(), f"Probability of {name}; the seven sum to 1.", range_="0..1") for name in EMOTIONS),
        column("dominant_emotion", pa.string(), "The emotion with the highest probability.", range_="|".join(EMOTIONS)),
        column("valence", pa.float32(), "Unpleasant to pleasant; null where the backend has no such head.", range_="-1..1", nullable=True),
        column("arousal", pa.float32(), "Calm to excited; null where the backend has no such head.", range_="-1..1", nullable=True),
        column("head_pitch_deg", pa.float32(), "Nod, as the backend gives it; null where it gives none.", unit="°", nullable=True),
        column("head_roll_deg", pa.float32(), "Tilt, as the backend gives it; null where it gives none.", unit="°", nullable=True),
        column("head_yaw_deg", pa.float32(), "Turn, as the backend gives it; null where it gives none.", unit="°", nullable=True),
        *(
            column(name, pa.float32(), f"FACS action unit {int(name[2:])}; null where the backend has none.", range_="0..1", nullable=True)
            for name in ACTION_UNITS
        ),
    ),
    key=("video_key", "frame_index", "face_index"),
    made_by=("emotion",),
)

TABLES = (FACE_EMOTIONS,)

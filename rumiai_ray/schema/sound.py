"""Table of the sound meter."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import Table, column

QUIETEST_DBFS = -90.0
"""Where `loudness_dbfs` ends: a sine of the smallest 16-bit amplitude has -93 dB, so nothing that sounds is cut off by more than 3 dB."""

AUDIO_ENERGY = Table(
    "audio_energy",
    1,
    "How loud and how high one stretch of 50 ms of the sound is. No row where the video has no audio.",
    (
        column(
            "start_s",
            pa.float64(),
            "Start of the stretch, from the first presented frame; negative where the audio begins before.",
            unit="s",
        ),
        column("end_s", pa.float64(), "Its end, not part of it; stretches neither overlap nor leave gaps.", unit="s"),
        column("rms", pa.float32(), "Root mean square of the samples.", unit="full scale", range_="0..1"),
        column("peak", pa.float32(), "Largest absolute sample.", unit="full scale", range_="0..1"),
        column(
            "loudness_dbfs",
            pa.float32(),
            f"20 log10(`rms`), never below {QUIETEST_DBFS:g}: unweighted, so no loudness in LUFS.",
            unit="dB re full scale",
            range_=f"{QUIETEST_DBFS:g}..0",
        ),
        column("is_silent", pa.bool_(), "`rms` is below `sound.silence_dbfs`."),
        column(
            "pitch_hz",
            pa.float32(),
            "Fundamental frequency in the middle of the stretch; null where there is no voiced sound, or too little sound around to tell.",
            unit="Hz",
            range_="`sound.pitch_floor_hz`..`sound.pitch_ceiling_hz`",
            source="Praat, autocorrelation (Boersma 1993)",
            nullable=True,
        ),
    ),
    made_by=("sound",),
)

TABLES = (AUDIO_ENERGY,)

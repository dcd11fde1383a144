"""Tables of the speech recogniser."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import Table, column

_SEGMENT = column("segment_index", pa.int32(), "The segment's number within the video, in time order.", range_="0..")

SPEECH_SEGMENTS = Table(
    "speech_segments",
    2,
    "One stretch of speech.",
    (
        _SEGMENT,
        column("start_s", pa.float64(), "Start, from the first presented frame.", unit="s"),
        column("end_s", pa.float64(), "End, never past the audio's end.", unit="s"),
        column("text", pa.string(), "What was said."),
        column("language", pa.string(), "Detected (or configured) language, ISO 639-1."),
        column(
            "language_probability",
            pa.float32(),
            "The detector's probability of the language; null where it was configured.",
            range_="0..1",
            nullable=True,
        ),
        column(
            "language_decision",
            pa.string(),
            "What decided on the language: `whisper.language`; the sound of this stretch; the sound of all of the audio, where this "
            "stretch alone was weak evidence; or the expected language, where all of the audio was.",
            range_="configured|detected|whole audio|expected",
        ),
        column("avg_logprob", pa.float32(), "Mean log-probability of the tokens.", range_="≤ 0"),
        column("no_speech_prob", pa.float32(), "The model's own estimate that there is no speech.", range_="0..1"),
        column("compression_ratio", pa.float32(), "Text length over its gzip length; above 2.4 the text repeats itself.", source="Whisper"),
    ),
    key=("video_key", "segment_index"),
    made_by=("whisper",),
)

WORDS = Table(
    "words",
    2,
    "One spoken word.",
    (
        _SEGMENT,
        column("word_index", pa.int32(), "The word's number within the video, in time order.", range_="0.."),
        column("start_s", pa.float64(), "Start, from the first presented frame.", unit="s"),
        column("end_s", pa.float64(), "End, never past the audio's end.", unit="s"),
        column("word", pa.string(), "The word, without surrounding space, with its punctuation."),
        column(
            "normalized",
            pa.string(),
            "The word to count and compare by: in lower case, in Unicode's form NFKC, without punctuation around it; punctuation inside "
            "(`don't`, `co-op`) and signs (`$20`) stay. Empty where the word is nothing but punctuation.",
        ),
        column("probability", pa.float32(), "Mean probability of its tokens.", range_="0..1"),
    ),
    key=("video_key", "word_index"),
    made_by=("whisper",),
)

TABLES = (SPEECH_SEGMENTS, WORDS)

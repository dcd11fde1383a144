"""`<id>_whisper.json`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rumiai_ray.runs.export.video import Family, VideoRows, number, outcome, was_processed
from rumiai_ray.schema.whisper import WORDS

if TYPE_CHECKING:
    from rumiai_ray.schema.table import Row

(MODEL,) = WORDS.made_by


def document(video: VideoRows) -> Row:
    """The transcript. `duration` is the audio's length as decoded; it used to be the end of the last segment."""
    segments = sorted(video.tables["speech_segments"], key=lambda row: row["segment_index"])
    words: dict[int, list[Row]] = defaultdict(list)
    for word in sorted(video.tables["words"], key=lambda row: row["word_index"]):
        words[word["segment_index"]].append(_word(word))
    ran = was_processed(video, MODEL)
    facts = outcome(video, MODEL)
    return {
        "text": " ".join(row["text"].strip() for row in segments) if ran else None,
        "segments": [_segment(row, words[row["segment_index"]]) for row in segments],
        "language": segments[0]["language"] if segments else None,
        "duration": number(video.video["audio_duration_s"]),
        "metadata": {**facts, "success": facts["processed"], "backend": facts["model"]},
    }


def _segment(row: Row, words: list[Row]) -> Row:
    return {
        "id": row["segment_index"],
        "start": number(row["start_s"]),
        "end": number(row["end_s"]),
        "text": row["text"],
        "words": words,
        "avg_logprob": number(row["avg_logprob"]),
        "no_speech_prob": number(row["no_speech_prob"]),
        "compression_ratio": number(row["compression_ratio"]),
    }


def _word(row: Row) -> Row:
    return {"word": row["word"], "start": number(row["start_s"]), "end": number(row["end_s"]), "probability": number(row["probability"])}


FAMILY = Family(
    "speech_transcriptions/{name}_whisper.json",
    {
        "speech_segments": [
            *("segment_index", "start_s", "end_s", "text", "language"),
            *("avg_logprob", "no_speech_prob", "compression_ratio"),
        ],
        "words": ["segment_index", "word_index", "start_s", "end_s", "word", "probability"],
    },
    document,
)

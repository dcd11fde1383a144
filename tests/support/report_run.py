"""A small run to make reports of: one video with rows in every table of a model, one of another day, one dead letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.emotion import EMOTIONS
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import RUN_ID, analysis_row, dead_letter_row, manifest, object_row, rewrite, stamped, video_key, video_row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.runs.reader import Run

OLD_TABLES = (
    "videos", "analyses", "dead_letter", "faces", "face_landmarks", "poses", "pose_landmarks", "hands",
    "hand_landmarks", "gestures", "gaze", "objects", "texts", "speech_segments", "words",
    "emotions",
)  # fmt: skip
"""What runs had before the insights."""

BOX = {"x1": 100.0, "y1": 200.0, "x2": 300.0, "y2": 500.0}


@dataclass(frozen=True)
class Analysed:
    """A clip of 2 s, 10 pictures a second, and a run that saw 5 of them a second; a dog is in the pictures of the second second."""

    clip: Path
    store: FrameStore
    run: Run


def text_row(frame: int, text: str, index: int = 0) -> dict[str, Any]:
    polygon = [100.0, 200.0, 300.0, 200.0, 300.0, 500.0, 100.0, 500.0]
    return {
        "frame_index": frame, "time_s": frame / 5, "text_index": index, "block_index": index, "text": text, "confidence": 0.9,
        "script": "latin", "carried": False, "polygon": polygon, **BOX,
    }  # fmt: skip


def emotion_row(frame: int, emotion: str) -> dict[str, Any]:
    """A row of `emotions`: the only face, sure of its feeling."""
    nullable = {field.name: None for field in TABLES_BY_NAME["emotions"].columns}
    chances = {name: 0.94 if name == emotion else 0.01 for name in EMOTIONS}
    own = {"frame_index": frame, "time_s": frame / 5, "face_index": 0, "is_largest": True, "face_confidence": 0.9, **BOX}
    return nullable | own | chances | {"dominant_emotion": emotion}


def word_rows(words: list[str]) -> dict[str, list[dict[str, Any]]]:
    """One segment of half-second words from second 1 on, and the words."""
    segment = {
        "segment_index": 0, "start_s": 1.0, "end_s": 1.0 + len(words) / 2, "text": " ".join(words), "language": "en",
        "language_probability": 0.9, "language_decision": "detected", "avg_logprob": -0.2, "no_speech_prob": 0.1, "compression_ratio": 1.0,
    }  # fmt: skip
    rows = [
        {
            "segment_index": 0,
            "word_index": n,
            "start_s": 1 + n / 2,
            "end_s": 1.5 + n / 2,
            "word": word,
            "normalized": word.lower(),
            "probability": 0.9,
        }
        for n, word in enumerate(words)
    ]
    return {"speech_segments": [segment], "words": rows}


def table_row(table: str, **values: Any) -> dict[str, Any]:
    """A row of any table: null wherever nothing is given."""
    return {field.name: None for field in TABLES_BY_NAME[table].columns} | values


def write_run(
    out: Path,
    entries: dict[str, dict[str, list[dict[str, Any]]]],
    *,
    tables: tuple[str, ...] | None = None,
    dead: tuple[str, ...] = (),
    keys: Mapping[str, str] | None = None,
    run_id: str = RUN_ID,
    at: datetime | None = None,
    **changes: Any,
) -> Run:
    """A finished run.

    Args:
        out: the directory for runs.
        entries: by entry id, the rows of each table; `videos` and `analyses` of the usual models are added where they are not given.
        tables: names of the tables the run can have, all of them by default.
        dead: entries that are dead letters.
        keys: keys of entries whose video there really is.
        run_id: its id.
        at: when it was started and its records were written, by default when they really were.
        changes: of the manifest.
    """
    if at is not None:
        changes["created_at"] = at
    names = tables or tuple(TABLES_BY_NAME)
    writer = RunWriter.create(
        out,
        manifest(run_id, **{"tables": {name: TABLES_BY_NAME[name].version for name in names}} | changes),
        {name: TABLES_BY_NAME[name] for name in names},
    )
    for entry, given in entries.items():
        usual = [analysis_row(model) for model in ("mediapipe", "yolo", "ocr", "emotion")]
        usual.append(analysis_row("whisper", frames_planned=None, frames_analyzed=None, frames_seen=None, audio_analyzed_s=9.9))
        rows = {"videos": [video_row(entry)], "analyses": usual} | given
        key = (keys or {}).get(entry, video_key(entry))
        declared = {name: TABLES_BY_NAME[name] for name in rows}
        writer.add({name: table.stamp(table.rows(rows[name]), run_id=run_id, video_key=key) for name, table in declared.items()})
        writer.commit([entry])
    for entry in dead:
        writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row(entry)], entry, run_id)})
        writer.commit([], [entry])
    writer.finish("partial" if dead else "complete", {})
    run = open_run(writer.run.uri())
    if at is None:
        return run
    for record in run.records:
        rewrite(run.store, record.model_copy(update={"written_at": at}))
    return run.again()


def plain_rows() -> dict[str, list[dict[str, Any]]]:
    """Rows of a video with somebody in it who is happy and says something, under a caption."""
    return {
        "objects": [object_row(frame) for frame in range(50)],
        "texts": [text_row(0, "BUY NOW"), text_row(5, "BUY NOW")],
        "emotions": [emotion_row(frame, "happiness") for frame in (0, 5, 10)],
        **word_rows(["hello", "there"]),
    }


def insight_rows() -> dict[str, list[dict[str, Any]]]:
    """Shots, text, sound, framing and windows of a video of 10 s with a face in its first half."""
    seconds = [
        table_row("person_framing_seconds", second=second, end_s=second + 1.0, face_frames=5, shot_type="close" if second < 5 else "none")
        for second in range(10)
    ]
    span = table_row(
        "text_spans", span_index=0, text="FOLLOW ME", start_s=2.0, end_s=4.0, first_seen_s=2.5, last_seen_s=3.5,
        seen_until_s=3.7, sightings=2,
        confidence=0.9, x1=0.0, y1=0.0, x2=10.0, y2=10.0, position="top", area_share=0.05, kind="overlay", is_call_to_action=True,
    )  # fmt: skip
    shots = [table_row("shots", shot_index=n, start_s=5.0 * n, end_s=5.0 * n + 5.0, duration_s=5.0, frames=150) for n in range(2)]
    framing = table_row(
        "person_framing", face_frames=50, person_frames=50, subject_count=1, face_visibility_rate=0.5, gaze_frames=0,
        dominant_shot_type="close", not_measured=["yolo: failed"],
    )  # fmt: skip
    hook = {"window_index": 0, "name": "hook", "start_s": 0.0, "end_s": 3.0, "words_per_minute": 120.0, "cuts_per_minute": 0.0}
    whole = {"window_index": 1, "name": "video", "start_s": 0.0, "end_s": 10.0, "words_per_minute": None, "cuts_per_minute": 6.0}
    windows = [table_row("windows", **window, not_measured=[]) for window in (hook, whole)]
    return {
        "shots": shots, "text_spans": [span], "person_framing": [framing], "person_framing_seconds": seconds, "windows": windows,
    }  # fmt: skip


__all__ = [
    "OLD_TABLES",
    "analysis_row",
    "emotion_row",
    "insight_rows",
    "plain_rows",
    "table_row",
    "text_row",
    "video_key",
    "video_row",
    "word_rows",
    "write_run",
]

"""Builds small runs with known content, without a model and without media."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rumiai_ray.provenance import GitState
from rumiai_ray.runs.commits import CommitRecord, record_path, seal
from rumiai_ray.runs.manifest import ModelRecord, RunManifest, WeightsRecord
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    import pyarrow as pa

    from rumiai_ray.storage import Store

RUN_ID = "20261122T150712Z-3f9a1c"
WEIGHTS = hashlib.sha256(b"weights").hexdigest()


def manifest(run_id: str = RUN_ID, **changes: Any) -> RunManifest:
    """A manifest with one model."""
    yolo = ModelRecord(
        name="yolo", backend="ultralytics/yolo11n", version="8.4.0", stand_in=False,
        files=(WeightsRecord(role="network", name="yolo11n.pt", sha256=WEIGHTS),), weights_sha256=WEIGHTS,
        device="cuda:0", precision="fp16", settings={"threads": 1, "confidence": 0.25}, result_settings={"confidence": 0.25},
    )  # fmt: skip
    values: dict[str, Any] = {
        "run_id": run_id, "created_at": datetime(2026, 11, 22, 15, 7, 12, tzinfo=UTC), "command": ("rumiai-ray", "batch", "m.csv"),
        "config": {"cells": 2}, "result_settings": {}, "source_sha256": "a" * 64, "git": GitState(None, None),
        "packages": {"python": "3.11.9"}, "models": (yolo,), "sampling": {"fps": 5},
        "tables": {name: table.version for name, table in TABLES_BY_NAME.items()},
    }  # fmt: skip
    return RunManifest(**(values | changes))


def video_key(entry: str) -> str:
    """A made-up content hash."""
    return hashlib.sha256(entry.encode()).hexdigest()


def stamped(table: str, records: list[dict[str, Any]], entry: str, run_id: str = RUN_ID) -> pa.Table:
    """Rows of a table as the engine hands them over."""
    declared = TABLES_BY_NAME[table]
    own = [record | ({"video_key": video_key(entry)} if table == "dead_letter" else {}) for record in records]
    return declared.stamp(declared.rows(own), run_id=run_id, video_key=video_key(entry))


def video_row(entry: str, **changes: Any) -> dict[str, Any]:
    """A row of `videos`: 10 s, 576×1024, 50 frames sampled at 5 fps."""
    nullable = {field.name: None for field in TABLES_BY_NAME["videos"].columns}
    return nullable | {
        "entry_id": entry, "input": f"{entry}.mp4", "frame_store": "miss", "frames_key": "k", "size_bytes": 1000, "container": "mp4",
        "video_codec": "h264", "audio_codec": "aac", "width_px": 576, "height_px": 1024, "rotation_deg": 0,
        "mirrored": False, "video_streams": 1, "audio_streams": 1, "video_stream": 0, "audio_stream": 0,
        "origin_s": 0.0, "repaired_stamps": 0,
        "duration_s": 10.0,
        "fps": 30.0, "frames_decoded": 300, "frames_sampled": 50, "sampling_fps": 5.0, "audio_duration_s": 9.9, "media_problems": [],
        "columns": [], "notes": [], "metadata_source": [],
    } | changes  # fmt: skip


def object_row(frame: int, index: int = 0, **changes: Any) -> dict[str, Any]:
    """A row of `objects`."""
    return {
        "frame_index": frame, "time_s": frame / 5, "object_index": index, "class_id": 0, "label": "person", "confidence": 0.9,
        "x1": 76.5, "y1": 430.4, "x2": 386.4, "y2": 1021.4,
    } | changes  # fmt: skip


def analysis_row(model: str, status: str = "ok", **changes: Any) -> dict[str, Any]:
    """A row of `analyses`."""
    return {
        "model_name": model, "model_version": "1.0", "backend": f"{model}/backend", "stand_in": False, "weights_sha256": WEIGHTS,
        "device": "cpu", "precision": "fp32", "settings": "{}", "status": status, "detail": None, "rows": 1, "frames_planned": 50,
        "frames_analyzed": 50, "frames_seen": list(range(50)), "audio_analyzed_s": None, "processing_time_s": 1.5, "attempts": 1,
        "error_class": None, "error_message": None,
    } | changes  # fmt: skip


def dead_letter_row(entry: str) -> dict[str, Any]:
    """A row of `dead_letter`."""
    return {
        "entry_id": entry, "input": f"{entry}.mp4", "stage": "ingest", "error_class": "InputError", "error_message": "no such file",
        "attempts": 1, "traceback_sha256": "0" * 64, "retryable": False, "manifest_line": None, "notes": [],
    }  # fmt: skip


def rows_of(entry: str, objects: int = 3, run_id: str = RUN_ID) -> dict[str, pa.Table]:
    """One committed entry: its row of `videos` and some of `objects`."""
    return {
        "videos": stamped("videos", [video_row(entry)], entry, run_id),
        "objects": stamped("objects", [object_row(frame) for frame in range(objects)], entry, run_id),
    }


def rewrite(run: Store, record: CommitRecord) -> None:
    """Put an altered but well-formed record in the place of the one with its number."""
    run.replace(record_path(record.sequence), seal(record))

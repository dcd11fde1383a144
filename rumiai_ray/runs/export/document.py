"""A run as the JSON documents that tools written for the system before this one read: five per video, from this run only.

Paths and field names are that system's. What differs, and is said in each document's `metadata`: a model that failed, was skipped or was
not part of the run is `processed: false` with the reason, its figures null; `frame_number` counts sampled frames; nothing is
filled in that was not measured.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from rumiai_ray.runs.export import expression, objects, people, speech, texts
from rumiai_ray.runs.export.folder import new_folder
from rumiai_ray.runs.export.video import RowsByVideo, VideoRows

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.reader import Run

FAMILIES = (people.FAMILY, objects.FAMILY, texts.FAMILY, speech.FAMILY, expression.FAMILY)

_VIDEO = ["run_id", "video_key", "entry_id", "width_px", "height_px", "duration_s", "audio_duration_s"]
_ANALYSIS = [
    *("video_key", "model_name", "model_version", "backend", "stand_in", "weights_sha256", "status", "detail"),
    *("frames_analyzed", "error_class", "error_message"),
]
_LONGEST_NAME = 120
"""File names hold 255 bytes on most file systems, the longest suffix included."""


def export_json(run: Run, directory: Path) -> list[Path]:
    """Write five documents for every committed entry of a run. A dead-lettered entry, whose video was never read, has none.

    Args:
        run: the run; nothing but its own committed files is read.
        directory: where the documents' directories go; new or empty, so that it never mixes two runs.

    Returns:
        The files written, in the order of the entries.

    Raises:
        ConfigError: `directory` is not empty, or the run was written in a schema that lacks a column the documents need.
        StorageError: the run is damaged, or the directory cannot be written.
    """
    tables = {
        name: RowsByVideo(run.table(name, ["video_key", *columns])) for family in FAMILIES for name, columns in family.columns.items()
    }
    analyses = RowsByVideo(run.table("analyses", _ANALYSIS))
    with new_folder(directory, "documents") as folder:
        for video in run.table("videos", _VIDEO).to_pylist():
            key = video["video_key"]
            rows = VideoRows(
                entry_id=video["entry_id"],
                video=video,
                analyses={analysis["model_name"]: analysis for analysis in analyses.of(key)},
                tables={name: table.of(key) for name, table in tables.items()},
            )
            for family in FAMILIES:
                with folder.file(family.path.format(name=file_name(rows.entry_id))) as sink:
                    sink.write(json.dumps(family.document(rows), ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n")
    return folder.written


def file_name(entry_id: str) -> str:
    """An entry's id as part of a file name: the id itself where it is harmless, else percent-encoded, and cut where it is too long."""
    name = quote(entry_id, safe="").replace(".", "%2E") if entry_id.startswith(".") else quote(entry_id, safe="")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}-{hashlib.sha256(entry_id.encode()).hexdigest()[:16]}"

"""A run as one wide row per video, for training models: figures as numbers, an absent figure absent.

Columns are named `<table>.<column>`, those of windows `windows.<window>.<column>`: `person_framing.eye_contact_rate`,
`windows.hook.words_per_minute`. Every column is there for every run of one version of the tables, and in the same order, so that files of
several runs can be put one below the other; only the manifest's own columns, last, are the manifest's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rumiai_ray.runs.protocols import RunTables

PER_VIDEO = "person_framing"
"""The table with one row per video."""
WINDOWS = "windows"
WINDOW_NAMES = ("hook", "middle_1", "middle_2", "middle_3", "middle_4", "middle_5", "closing", "video")
"""Values of `windows.name`. A short video lacks some of them: its columns are empty."""

_NAMES = ("entry_id", "video_key", "input")
_LEFT_OUT = {"run_id", "frame_store", "frames_key"}
"""Facts of the run rather than of the video."""


def features(run: RunTables) -> tuple[pa.Table, list[str]]:
    """One row per committed entry, in the order of the commits; of a corpus one row per video.

    Returns:
        The rows; and the tables this run does not have, whose columns are therefore not there.

    Raises:
        StorageError: the run is damaged.
    """
    known = run.tables()
    videos = run.table("videos")
    keys: list[Any] = videos["video_key"].to_pylist()
    own = [name for name in videos.column_names if name in _NAMES or (name not in _LEFT_OUT and not _is_nested(videos[name].type))]
    columns: dict[str, Any] = {name if name in _NAMES else f"videos.{name}": videos[name] for name in (*_NAMES, *own)}
    columns |= _statuses(run, keys)
    if PER_VIDEO in known:
        columns |= _pick(run.table(PER_VIDEO), keys, PER_VIDEO)
    if WINDOWS in known:
        rows = run.table(WINDOWS)
        for window in WINDOW_NAMES:
            columns |= _pick(rows.filter(pc.equal(rows["name"], pa.scalar(window))), keys, f"{WINDOWS}.{window}")
    columns |= _manifest_columns(videos)
    return pa.table(columns), [name for name in (PER_VIDEO, WINDOWS) if name not in known]


def _statuses(run: RunTables, keys: Iterable[str]) -> dict[str, Any]:
    """How each model ended on each video: why a figure is absent."""
    rows = run.table("analyses", ["video_key", "model_name", "status"]).to_pylist()
    statuses = {(row["video_key"], row["model_name"]): row["status"] for row in rows}
    names = sorted({name for _, name in statuses})
    return {f"status.{name}": pa.array([statuses.get((key, name)) for key in keys], pa.string()) for name in names}


def _pick(rows: pa.Table, keys: Iterable[str], prefix: str) -> dict[str, Any]:
    """The figures of rows of which every video has at most one; null where it has none."""
    places: dict[Any, int] = {key: place for place, key in enumerate(rows["video_key"].to_pylist())}
    wanted = pa.array([places.get(key) for key in keys], pa.int64())
    naming = {"run_id", "video_key", "name", "window_index"}
    return {
        f"{prefix}.{field.name}": rows[field.name].take(wanted)
        for field in rows.schema
        if field.name not in naming and not _is_nested(field.type)
    }


def _manifest_columns(videos: pa.Table) -> dict[str, Any]:
    """The manifest's further columns, where labels to train on usually are."""
    pairs: list[Any] = videos["columns"].to_pylist()
    given: list[dict[str, str]] = [dict(each) for each in pairs]
    names = sorted({name for columns in given for name in columns})
    return {f"manifest.{name}": pa.array([columns.get(name) for columns in given], pa.string()) for name in names}


def _is_nested(kind: pa.DataType) -> bool:
    return pa.types.is_nested(kind)

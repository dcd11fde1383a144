"""The view `summary`: one row per video, with what its source says of it and the figures of its hook, its closing and all of it."""

from __future__ import annotations

from rumiai_ray.corpus.choice import ENTRIES
from rumiai_ray.schema.run import VIDEOS
from rumiai_ray.schema.windows import CLOSING, HOOK, WHOLE, WINDOWS

SUMMARY = "summary"
NEEDS = (ENTRIES, VIDEOS.name, WINDOWS.name)
"""The views that it is made of."""

_OF_SOURCE = (
    *("title", "author", "hashtags", "source_url", "uploaded_at", "view_count", "like_count", "comment_count", "share_count", "save_count"),
    *("track", "artists", "sound_id"),
    *("duration_s", "width_px", "height_px", "loudness_lufs"),
)
_NAMING = {"run_id", "video_key", "window_index", "name", "not_measured"}
"""Columns of `windows` that are no figures."""


def summary_sql() -> str:
    """The SELECT statement of the view. Figures of a window have its name first: `hook_cuts_per_minute`, `video_word_count`."""
    figures = [name for name in WINDOWS.schema.names if name not in _NAMING]
    own = ", ".join(f"{VIDEOS.name}.{name}" for name in _OF_SOURCE)
    windows = (HOOK, CLOSING, WHOLE)
    columns = ", ".join(f"of_{window}.{name} AS {window}_{name}" for window in windows for name in figures)
    joins = "\n".join(
        f"LEFT JOIN (SELECT * FROM {WINDOWS.name} WHERE name = '{window}') AS of_{window} USING (video_key)"  # noqa: S608
        for window in windows
    )
    return f"""
        SELECT {VIDEOS.name}.video_key, named.entry_ids, named.inputs, {own}, {VIDEOS.name}."columns", {columns}
        FROM {VIDEOS.name}
        JOIN (
            SELECT video_key, list(entry_id ORDER BY input, entry_id) AS entry_ids, list(input ORDER BY input, entry_id) AS inputs
            FROM {ENTRIES} GROUP BY video_key
        ) AS named USING (video_key)
        {joins}
    """  # noqa: S608 -- names of our own tables and columns

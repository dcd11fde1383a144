"""A run of short videos with figures of a platform, in which the liked ones are cut faster in their hooks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from report_run import video_row, write_run
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.reader import Run

FIRST_DAY = datetime(2026, 9, 7, 12, tzinfo=UTC)
"""A Monday."""
VIDEOS = 60


def figures(window: str, index: int, **values: Any) -> dict[str, Any]:
    """A row of `windows` in which nothing else was measured."""
    plain = {"window_index": index, "name": window, "window": window, "not_measured": [], "start_s": 0.0, "end_s": 3.0}
    return {field.name: plain.get(field.name) for field in TABLES_BY_NAME["windows"].columns} | values


def write_liked_videos(out: Path, videos: int = VIDEOS, **of_every_video: Any) -> Run:
    """Write the run, of `liked_videos`, in the directory `out` for runs."""
    return write_run(out, liked_videos(videos, **of_every_video))


def liked_videos(videos: int = VIDEOS, **of_every_video: Any) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Rows of the videos, by entry id and table.

    Of the videos, the last sixth is liked most. These have more cuts in the hook and captions there, and are shorter. The others differ in
    nothing. One video has no likes, and four have the followers of their authors.

    Args:
        videos: how many.
        of_every_video: columns of `videos`.
    """
    rng = np.random.default_rng(4)
    entries: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for number in range(videos):
        liked = number >= videos * 5 / 6
        hook = figures(
            "hook",
            0,
            cuts_per_minute=float(rng.uniform(30, 60) if liked else rng.uniform(0, 35)),
            has_captions=bool(rng.random() < (0.95 if liked else 0.2)),
            word_count=int(rng.poisson(6)),
            face_frames=15,
        )
        whole = figures("video", 2, words_per_minute=float(rng.normal(140, 30)), energy_level=0.25)
        video = video_row(
            f"post-{number:02}",
            like_count=None if number == 0 else 1_000 + 10 * number,
            view_count=10_000 + number,
            uploaded_at=FIRST_DAY + timedelta(days=number / 3),
            author=f"author-{number % 20}",
            duration_s=float(rng.uniform(8, 15) if liked else rng.uniform(14, 60)),
            columns=[("Followers", f"{number},000")] if 0 < number <= 4 else [],
        )
        entries[f"post-{number:02}"] = {"videos": [video | of_every_video], "windows": [hook, whole]}
    return entries

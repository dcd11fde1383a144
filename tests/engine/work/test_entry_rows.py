"""The row of `videos`: what the source said, what the manifest said, and which of the two."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from rumiai_ray.engine.work.entry_rows import video_row
from rumiai_ray.frames.types import SourceFacts
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.video import FetchedVideo, VideoMetadata

if TYPE_CHECKING:
    from rumiai_ray.frames.store.stored import StoredVideo

FACTS = SourceFacts(
    size_bytes=1, container="mov", video_codec="h264", audio_codec=None, width_px=640, height_px=360, rotation_deg=0, duration_s=10.0,
    fps=30.0, frames_decoded=300, frames_sampled=50, sampling_fps=5.0, stored_width_px=640, stored_height_px=360, audio_start_s=None,
    audio_duration_s=None, video_streams=1, audio_streams=0, problems=(), lost_video=(), lost_audio=(),
)  # fmt: skip


def test_a_manifest_fills_the_columns_that_the_platform_left_empty_and_is_named() -> None:
    entry = Entry("a", "a.mp4", {"views": "12", "likes": "many", "label": "good", "author": "export"})
    video = FetchedVideo("k" * 64, Path("a.mp4"), 1, VideoMetadata(author="site"))
    stored = cast("StoredVideo", SimpleNamespace(facts=FACTS, origin="miss", key="f"))
    (row,) = video_row("run", entry, video, stored).to_pylist()
    assert (row["view_count"], row["like_count"], row["author"], row["title"]) == (12, None, "site", None)
    assert dict(row["metadata_source"]) == {"view_count": "manifest", "author": "source"}
    assert row["notes"] == ["likes: 'many' is no whole number, left out of the typed columns"]
    assert dict(row["columns"]) == dict(entry.columns)

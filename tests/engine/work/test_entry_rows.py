"""The row of `videos`: what the source said, what the manifest said, and which of the two."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from rumiai_ray.engine.work.entry_rows import video_row
from rumiai_ray.frames.types import SourceFacts
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.video import FetchedVideo, VideoMetadata
from rumiai_ray.schema.run import VIDEOS

if TYPE_CHECKING:
    from rumiai_ray.frames.store.stored import StoredVideo

FACTS = SourceFacts(
    size_bytes=1, container="mov", video_codec="h264", audio_codec=None, width_px=640, height_px=360, rotation_deg=0, duration_s=10.0,
    fps=30.0, frames_decoded=300, frames_sampled=50, sampling_fps=5.0, stored_width_px=640, stored_height_px=360, audio_start_s=None,
    audio_duration_s=None, video_streams=1, audio_streams=0, problems=(), lost_video=(), lost_audio=(),
)  # fmt: skip


def row_of(entry: Entry, metadata: VideoMetadata) -> dict[str, Any]:
    video = FetchedVideo("k" * 64, Path("a.mp4"), 1, metadata)
    stored = cast("StoredVideo", SimpleNamespace(facts=FACTS, origin="miss", key="f"))
    (row,) = video_row("run", entry, video, stored).to_pylist()
    return row


def test_what_the_platform_says_of_sound_and_subtitles_is_in_the_row_and_named() -> None:
    metadata = VideoMetadata(
        track="Song", artists=("A", "B"), sound_id="7", save_count=0, mentions=("x",), is_ad=False, subtitle_languages=(),
        auto_subtitle_languages=("en",), stated_duration_s=9.5, stated_width_px=576, stated_height_px=1024, language="pt-BR",
    )  # fmt: skip
    row = row_of(Entry("a", "a.mp4", {"saves": "9", "track": "Other"}), metadata)
    named = ("track", "artists", "sound_id", "save_count", "mentions", "is_ad", "subtitle_languages", "auto_subtitle_languages")
    assert [row[name] for name in named] == ["Song", ["A", "B"], "7", 0, ["x"], False, [], ["en"]]
    stated = ("stated_language", "stated_duration_s", "stated_width_px", "stated_height_px")
    assert [row[name] for name in stated] == ["pt-BR", 9.5, 576, 1024]
    assert dict(row["metadata_source"]) == dict.fromkeys(("track", "artists", "sound_id", "save_count", "is_ad"), "source")


def test_what_nobody_says_is_null() -> None:
    row = row_of(Entry("a", "a.mp4"), VideoMetadata())
    names = [name for name in VIDEOS.schema.names if name.startswith("stated_")]
    assert len(names) == 4
    names += ["track", "artists", "sound_id", "save_count", "mentions", "is_ad", "subtitle_languages", "auto_subtitle_languages"]
    assert {row[name] for name in names} == {None}
    assert row["metadata_source"] == []


def test_an_address_with_secrets_is_hidden_in_what_its_server_says() -> None:
    address = "https://h.example/a.mp4?sig=SECRET"
    entry = Entry("a", "https://h.example/a.mp4?…", location=address)
    assert entry.hides
    row = row_of(entry, VideoMetadata(track=address, artists=(address,), mentions=(address,), sound_id=address, language=address))
    assert "SECRET" not in str(row)


def test_a_manifest_fills_the_columns_that_the_platform_left_empty_and_is_named() -> None:
    entry = Entry("a", "a.mp4", {"views": "12", "likes": "many", "label": "good", "author": "export"})
    row = row_of(entry, VideoMetadata(author="site"))
    assert (row["view_count"], row["like_count"], row["author"], row["title"]) == (12, None, "site", None)
    assert dict(row["metadata_source"]) == {"view_count": "manifest", "author": "source"}
    assert row["notes"] == ["likes: 'many' is not a whole number, left out of the typed columns"]
    assert dict(row["columns"]) == dict(entry.columns)

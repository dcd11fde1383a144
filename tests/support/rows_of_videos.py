"""The row of `videos` that a file leaves in a run, by the way it takes there: decoded, put into a frame store, read from it, written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rumiai_ray.engine.work.entry_rows import video_row
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.video import FetchedVideo, VideoMetadata

if TYPE_CHECKING:
    from pathlib import Path


def row_of(path: Path) -> dict[str, Any]:
    """The row of a file; its frames are decoded anew."""
    store = FrameStore(path.parent / f"{path.name}.store", spec=SamplingSpec(), limits=DecodeLimits())
    key = sha256_of(path)
    with store.ensure(path, key) as stored:
        video = FetchedVideo(key, path, path.stat().st_size, VideoMetadata())
        (row,) = video_row("run", Entry("a", path.name, {}), video, stored).to_pylist()
    return dict(row)

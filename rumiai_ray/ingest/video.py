"""What `fetch` gives out: a video's bytes on this machine, and what its source says about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True)
class VideoMetadata:
    """What the source says. Everything is None where it says nothing: for files always, for media URLs all but the URL."""

    title: str | None = None
    description: str | None = None
    """Description or caption."""
    author: str | None = None
    """Author's handle."""
    hashtags: tuple[str, ...] | None = None
    """Without '#', in order of appearance; () where there is a text without hashtags."""
    uploaded_at: datetime | None = None
    """Publication, timezone-aware UTC, whole seconds."""
    view_count: int | None = None
    like_count: int | None = None
    comment_count: int | None = None
    share_count: int | None = None
    """Shares or reposts."""
    source_url: str | None = None
    """Canonical page where the site names one, else the URL that was asked for; None for files and stored objects."""
    language: str | None = None
    """Language tag of the speech, e.g. `en` or `pt-BR`; a stranger's text, to be checked by whoever uses it."""
    notes: tuple[str, ...] = ()
    """What of the above was changed so that a table can hold it, see `cleaning`; of a post of images also what its video is made of."""


@dataclass(frozen=True)
class FetchedVideo:
    """One video, readable at `path` while the context that gave it out is open."""

    video_key: str
    """SHA-256 of the bytes, 64 hex digits."""
    path: Path
    """Absolute; a local input in place, a download under a temporary name."""
    size_bytes: int
    metadata: VideoMetadata

    @property
    def source_url(self) -> str | None:
        """`metadata.source_url`."""
        return self.metadata.source_url

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
    save_count: int | None = None
    """Saves, bookmarks or favourites."""
    track: str | None = None
    """Title of the sound that the post names."""
    artists: tuple[str, ...] | None = None
    """Of the sound, at least one."""
    sound_id: str | None = None
    """The source's own id of the sound."""
    mentions: tuple[str, ...] | None = None
    """Handles without '@', each once: those that the caption links to where the source names them, else those in the caption's text; ()
    where there is a text without handles."""
    is_ad: bool | None = None
    """Whether the source marks the post as an ad or a paid partnership."""
    subtitle_languages: tuple[str, ...] | None = None
    """Language tags of subtitles that are not known to be automatic; () where the source names none, None where it does not say."""
    auto_subtitle_languages: tuple[str, ...] | None = None
    """Language tags of subtitles that were recognised or translated by a machine."""
    stated_duration_s: float | None = None
    """As the source states the length; over 0."""
    stated_width_px: int | None = None
    """Of the file that was fetched, as the source states the size; over 0, in 32 bits."""
    stated_height_px: int | None = None
    source_url: str | None = None
    """Canonical page where the site names one, else the URL that was asked for; None for files and stored objects."""
    language: str | None = None
    """Language tag of the speech, e.g. `en` or `pt-BR`; a stranger's text, to be checked before it is used."""
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

"""From yt-dlp's description of a post to `VideoMetadata`. The description is a stranger's: any key may hold anything."""

from __future__ import annotations

import logging
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rumiai_ray.ingest.cleaning import INPUT_CHARS, SHORT_CHARS, TEXT_CHARS, Cleaner, cleaned
from rumiai_ray.ingest.video import VideoMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOG = logging.getLogger(__name__)

_HASHTAG = re.compile(r"#(\w+)")
_MAX_TAGS = 1000
_HANDLES = {"Instagram": "channel", "InstagramStory": "channel", "Twitter": "uploader_id", "Youtube": "uploader_id"}
"""The field in which an extractor puts the handle, where that is not `uploader` (yt-dlp 2026)."""
_TAG_CHARS = 35
"""Longest language tag that BCP 47 wants software to hold."""


def metadata_from(info: Mapping[str, Any], url: str, photo_notes: Sequence[str] = ()) -> VideoMetadata:
    """What yt-dlp's info dict says; None for what it does not say. Never raises, whatever the values are.

    Args:
        info: as `YoutubeDL.extract_info` returns it.
        url: what was asked for, the source URL where the site names no canonical page.
        photo_notes: of a post of images what its video is made of, in words.
    """
    cleaner = Cleaner()
    for note in photo_notes:
        cleaner.note("photo post", cleaned(note, SHORT_CHARS))
    title, description = (_text(info, cleaner, TEXT_CHARS, name) for name in ("title", "description"))
    return VideoMetadata(
        title=title,
        description=description,
        author=_handle(info, cleaner),
        hashtags=_hashtags(info.get("tags"), description if description is not None else title, cleaner),
        uploaded_at=_uploaded_at(info.get("timestamp"), cleaner),
        view_count=cleaner.count("view_count", info.get("view_count")),
        like_count=cleaner.count("like_count", info.get("like_count")),
        comment_count=cleaner.count("comment_count", info.get("comment_count")),
        share_count=cleaner.count("share_count", info.get("repost_count")),
        source_url=_page(info.get("webpage_url"), cleaner) or cleaner.text("source_url", url, INPUT_CHARS),
        language=_text(info, cleaner, _TAG_CHARS, "language"),
        notes=cleaner.notes,
    )


def _handle(info: Mapping[str, Any], cleaner: Cleaner) -> str | None:
    """The author's handle without its `@`: most extractors call it `uploader`, which is a person's full name in some."""
    first = _HANDLES.get(str(info.get("extractor_key")), "uploader")
    handle = _text(info, cleaner, SHORT_CHARS, first, "uploader", "uploader_id", "channel")
    return handle.removeprefix("@") if handle else handle


def _text(info: Mapping[str, Any], cleaner: Cleaner, limit: int, *names: str) -> str | None:
    name = next((name for name in names if isinstance(info.get(name), str)), None)
    for other in names if name is None else ():
        _note_type(cleaner, other, info.get(other), "a text")
    return None if name is None else cleaner.text(name, info[name], limit)


def _note_type(cleaner: Cleaner, name: str, value: object, wanted: str) -> None:
    if value is not None:
        cleaner.note(name, f"a {type(value).__name__} where {wanted} belongs, left out")


def _page(value: object, cleaner: Cleaner) -> str | None:
    if not isinstance(value, str):
        return None
    if len(value) > INPUT_CHARS:  # half a URL leads nowhere
        cleaner.note("source_url", f"the canonical page has {len(value):,} characters: replaced by the URL that was asked for")
        return None
    return cleaner.text("source_url", value, INPUT_CHARS)


def _hashtags(tags: object, text: str | None, cleaner: Cleaner) -> tuple[str, ...] | None:
    """The site's own tags, else the hashtags in the description, else in the title; each once."""
    if not isinstance(tags, list | tuple):
        _note_type(cleaner, "hashtags", tags, "a list")
    if isinstance(tags, list | tuple) and tags:
        named = [tag for tag in tags if isinstance(tag, str)]
        if len(named) < len(tags):
            cleaner.note("hashtags", f"{len(tags) - len(named):,} of {len(tags):,} are no text, left out")
        found = [tag.removeprefix("#") for tag in named]
    elif text is not None:
        found = _HASHTAG.findall(text)
    else:
        return None
    if len(found) > _MAX_TAGS:
        cleaner.note("hashtags", f"{_MAX_TAGS:,} of {len(found):,} kept")
    return tuple(dict.fromkeys(cleaner.text("hashtags", tag, SHORT_CHARS) for tag in found[:_MAX_TAGS]))


def _uploaded_at(timestamp: object, cleaner: Cleaner) -> datetime | None:
    # Only an exact time: midnight of an upload_date would be a claim nobody made.
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float):
        _note_type(cleaner, "uploaded_at", timestamp, "a number")
        return None
    if math.isfinite(timestamp) if isinstance(timestamp, float) else True:
        try:
            return datetime.fromtimestamp(int(timestamp), UTC)
        except (OverflowError, ValueError, OSError) as error:
            _LOG.debug("the timestamp %r is no date: %s", timestamp, error)
    cleaner.note("uploaded_at", "a timestamp outside the years 1 to 9999, left out")
    return None

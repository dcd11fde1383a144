"""From yt-dlp's description of a post to `VideoMetadata`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rumiai_ray.ingest.video import VideoMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping

_HASHTAG = re.compile(r"#(\w+)")


def metadata_from(info: Mapping[str, Any], url: str) -> VideoMetadata:
    """What yt-dlp's info dict says; None for what it does not say.

    Args:
        info: as `YoutubeDL.extract_info` returns it.
        url: what was asked for, the source URL where the site names no canonical page.
    """
    return VideoMetadata(
        title=_text(info, "title"),
        description=_text(info, "description"),
        author=_text(info, "uploader", "uploader_id", "channel"),
        hashtags=_hashtags(info),
        uploaded_at=_uploaded_at(info.get("timestamp")),
        view_count=_count(info.get("view_count")),
        like_count=_count(info.get("like_count")),
        comment_count=_count(info.get("comment_count")),
        share_count=_count(info.get("repost_count")),
        source_url=_text(info, "webpage_url") or url,
    )


def _text(info: Mapping[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := info.get(name), str)), None)


def _hashtags(info: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The site's own tags, else the hashtags in the description, else in the title; each once."""
    tags = info.get("tags")
    if tags:
        found = [str(tag).removeprefix("#") for tag in tags]
    else:
        text = _text(info, "description", "title")
        if text is None:
            return None
        found = _HASHTAG.findall(text)
    return tuple(dict.fromkeys(found))


def _uploaded_at(timestamp: object) -> datetime | None:
    # Only an exact time: midnight of an upload_date would be a claim nobody made.
    return datetime.fromtimestamp(int(timestamp), UTC) if isinstance(timestamp, int | float) else None


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and value >= 0 else None

"""From yt-dlp's description of a post to `VideoMetadata`. The description is a stranger's: any key may hold anything."""

from __future__ import annotations

import logging
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rumiai_ray.ingest.cleaning import INPUT_CHARS, SHORT_CHARS, TEXT_CHARS, Cleaner, cleaned
from rumiai_ray.ingest.sites.post_facts import AUTOMATIC_SUBTITLES, IS_AD, MENTIONS, SOUND_ID, SUBTITLES
from rumiai_ray.ingest.video import VideoMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOG = logging.getLogger(__name__)

_HASHTAG = re.compile(r"#(\w+)")
_ACCENTED = r"\u00c0-\u024f\u0300-\u036f"
"""Latin letters with accents, and accents by themselves."""
_NO_PART = rf"(?<![A-Za-z0-9{_ACCENTED}_.%+/@=&?-])"
_MENTION = re.compile(rf"{_NO_PART}@((?>[A-Za-z0-9_](?:[A-Za-z0-9_.]*[A-Za-z0-9_])?))(?![{_ACCENTED}])")
"""A handle in a text: not the host of a mail address, nor a part of a web address, and without the full stop that ends a sentence.

Handles are ASCII. In scripts without blanks between words, text may stand right before and after one; a Latin letter with an accent would
be a part of the word, which then is no handle.
"""
_MENTIONS_OF: Mapping[str, re.Pattern[str]] = {"Youtube": re.compile(rf"{_NO_PART}@(\w(?:[\w.-]*\w)?)")}
"""In place of `_MENTION`, by extractor: YouTube's handles may be in any script, and have hyphens."""
_MAX_ITEMS = 1000
"""Most hashtags, mentions, artists or languages of a post."""
_HANDLES = {"Instagram": "channel", "InstagramStory": "channel", "Twitter": "uploader_id", "Youtube": "uploader_id"}
"""The field in which an extractor puts the handle, where that is not `uploader` (yt-dlp 2026)."""
_WITHOUT_TITLES = {"Instagram", "InstagramStory"}
"""Extractors of sites whose posts have no title: yt-dlp makes one up, `Video by alice`. Of others it does where it finds none."""
_TAG_CHARS = 35
"""Longest language tag that BCP 47 wants software to hold."""
_NO_LANGUAGES = {"live_chat", "rechat", "danmaku", "comments"}
"""What yt-dlp has among subtitles beside them."""
_RECOGNISED = "-orig"
"""Marks, among YouTube's automatic captions in a hundred languages, the one that was recognised and not translated from another."""
_MAX_DURATION_S = 10.0**7
_INT32_MAX = 2**31 - 1


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
    extractor = _extractor(info)
    # Of a post of images, sites state the length of the sound.
    duration_s = None if photo_notes else _duration_s(info.get("duration"), cleaner)
    return VideoMetadata(
        title=title,
        description=description,
        author=_handle(info, cleaner),
        hashtags=_hashtags(info.get("tags"), _with_hashtags(title, description, extractor), cleaner),
        uploaded_at=_uploaded_at(info.get("timestamp"), cleaner),
        view_count=cleaner.count("view_count", info.get("view_count")),
        like_count=cleaner.count("like_count", info.get("like_count")),
        comment_count=cleaner.count("comment_count", info.get("comment_count")),
        share_count=cleaner.count("share_count", info.get("repost_count")),
        source_url=_page(info.get("webpage_url"), cleaner) or cleaner.text("source_url", url, INPUT_CHARS),
        save_count=cleaner.count("save_count", info.get("save_count")),
        track=_filled_text(info, cleaner, "track"),
        artists=_texts("artists", info.get("artists"), cleaner) or None,
        sound_id=_filled_text(info, cleaner, SOUND_ID),
        mentions=_mentions(info.get(MENTIONS), description, _MENTIONS_OF.get(extractor, _MENTION), cleaner),
        is_ad=is_ad if isinstance(is_ad := info.get(IS_AD), bool) else None,
        subtitle_languages=_languages("subtitles", info, SUBTITLES, cleaner),
        auto_subtitle_languages=_languages("automatic_captions", info, AUTOMATIC_SUBTITLES, cleaner),
        stated_duration_s=duration_s,
        stated_width_px=_size_px("width", info.get("width"), cleaner),
        stated_height_px=_size_px("height", info.get("height"), cleaner),
        language=_filled_text(info, cleaner, "language", _TAG_CHARS),
        notes=cleaner.notes,
    )


def _handle(info: Mapping[str, Any], cleaner: Cleaner) -> str | None:
    handle = _text(info, cleaner, SHORT_CHARS, *handle_fields(info))
    return " ".join(handle.split()).removeprefix("@") or None if handle else None


def _extractor(info: Mapping[str, Any]) -> str:
    name = info.get("extractor_key") or info.get("ie_key")
    return name if isinstance(name, str) else ""


def handle_fields(info: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of a post or of an item of a list that may have its author's handle, the best first; `@` may stand before it.

    Most extractors call the handle `uploader`, which in some is a person's full name.
    """
    first = _HANDLES.get(_extractor(info), "uploader")
    return tuple(dict.fromkeys((first, "uploader", "uploader_id", "channel")))


def _text(info: Mapping[str, Any], cleaner: Cleaner, limit: int, *names: str) -> str | None:
    """The first of these texts that is not blank, else the first."""
    texts = [name for name in names if isinstance(info.get(name), str)]
    name = next((name for name in texts if info[name].strip()), texts[0] if texts else None)
    for other in names if name is None else ():
        _note_type(cleaner, other, info.get(other), "a text")
    return None if name is None else cleaner.text(name, info[name], limit)


def _filled_text(info: Mapping[str, Any], cleaner: Cleaner, name: str, limit: int = SHORT_CHARS) -> str | None:
    text = _text(info, cleaner, limit, name)
    return text if text and text.strip() else None


def _note_type(cleaner: Cleaner, name: str, value: object, wanted: str) -> None:
    if value is not None:
        cleaner.note(name, f"a {type(value).__name__} instead of {wanted}, left out")


def _page(value: object, cleaner: Cleaner) -> str | None:
    if not isinstance(value, str):
        return None
    if len(value) > INPUT_CHARS:  # half a URL leads nowhere
        cleaner.note("source_url", f"the canonical page has {len(value):,} characters: replaced by the URL that was asked for")
        return None
    return cleaner.text("source_url", value, INPUT_CHARS)


def _hashtags(tags: object, text: str | None, cleaner: Cleaner) -> tuple[str, ...] | None:
    """The site's own tags, else the hashtags in a text; each once."""
    if not isinstance(tags, list | tuple):
        _note_type(cleaner, "hashtags", tags, "a list")
    if isinstance(tags, list | tuple) and tags:
        found = [tag.removeprefix("#") for tag in _named("hashtags", tags, cleaner)]
    elif text is not None:
        found = _HASHTAG.findall(text)
    else:
        return None
    return _each_once("hashtags", found, cleaner)


def _with_hashtags(title: str | None, description: str | None, extractor: str) -> str | None:
    """The text of a post that may have its hashtags: the description, else a title that yt-dlp has not made up."""
    if title is None or (description and description.strip()):
        return description
    made_up = extractor in _WITHOUT_TITLES or title.casefold().startswith(f"{extractor} video #".casefold())
    return description if made_up else title


def _mentions(handles: object, text: str | None, pattern: re.Pattern[str], cleaner: Cleaner) -> tuple[str, ...] | None:
    """The handles that the site itself names, else those in the caption; each once."""
    if not isinstance(handles, list | tuple):
        _note_type(cleaner, "mentions", handles, "a list")
    elif named := [bare for handle in _named("mentions", handles, cleaner) if (bare := handle.strip().removeprefix("@"))]:
        return _each_once("mentions", named, cleaner)
    return None if text is None else _each_once("mentions", pattern.findall(text), cleaner)


def _languages(name: str, info: Mapping[str, Any], own: str, cleaner: Cleaner) -> tuple[str, ...] | None:
    """Languages of a post's subtitles: those that the page of the site names, else yt-dlp's.

    None where yt-dlp has none: most of its extractors do not look for subtitles that nobody has asked for.

    Args:
        name: yt-dlp's key of a dict by language, of which `described` passes on a list.
        info: what it says.
        own: key of a list that an extractor of ours has read off the page.
        cleaner: takes the notes.
    """
    found = info.get(own)
    if isinstance(found, list | tuple):
        return _each_once(name, _filled(name, found, cleaner), cleaner, _TAG_CHARS)
    tracks = info.get(name)
    if not isinstance(tracks, dict | list | tuple):
        _note_type(cleaner, name, tracks, "a list")
        return None
    tags = [tag for tag in _filled(name, list(tracks), cleaner) if tag not in _NO_LANGUAGES]
    if name == "automatic_captions":
        bare = [tag.removesuffix(_RECOGNISED) for tag in tags if tag.endswith(_RECOGNISED)]
        tags = [tag for tag in bare if tag.strip()] or [tag for tag in tags if tag != _RECOGNISED]
    return _each_once(name, tags, cleaner, _TAG_CHARS) or None


def _texts(name: str, values: object, cleaner: Cleaner) -> tuple[str, ...] | None:
    if not isinstance(values, list | tuple):
        _note_type(cleaner, name, values, "a list")
        return None
    return _each_once(name, _filled(name, values, cleaner), cleaner)


def _named(name: str, values: Sequence[object], cleaner: Cleaner) -> list[str]:
    """The texts in a list; the rest is noted."""
    named = [value for value in values if isinstance(value, str)]
    if len(named) < len(values):
        cleaner.note(name, f"{len(values) - len(named):,} of {len(values):,} are not text, left out")
    return named


def _filled(name: str, values: Sequence[object], cleaner: Cleaner) -> list[str]:
    return [text for text in _named(name, values, cleaner) if text.strip()]


def _each_once(name: str, found: Sequence[str], cleaner: Cleaner, limit: int = SHORT_CHARS) -> tuple[str, ...]:
    if len(found) > _MAX_ITEMS:
        cleaner.note(name, f"{_MAX_ITEMS:,} of {len(found):,} kept")
    return tuple(dict.fromkeys(cleaner.text(name, text, limit) for text in found[:_MAX_ITEMS]))


def _duration_s(value: object, cleaner: Cleaner) -> float | None:
    """A length in seconds; None for 0, by which sites say that they do not know."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        _note_type(cleaner, "duration", value, "a number")
        return None
    if value == 0:
        return None
    if not 0 < value <= _MAX_DURATION_S:  # which no NaN is
        cleaner.note("duration", f"not between 0 and {_MAX_DURATION_S:,.0f} seconds, left out")
        return None
    return round(float(value), 3) or None


def _size_px(name: str, value: object, cleaner: Cleaner) -> int | None:
    """A side of a picture in pixels; None for 0, by which sites say that they do not know."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        _note_type(cleaner, name, value, "a number")
        return None
    if value == 0:
        return None
    if not 1 <= value <= _INT32_MAX or int(value) != value:
        cleaner.note(name, "not a whole number of pixels, left out")
        return None
    return int(value)


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

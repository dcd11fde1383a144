"""What a manifest's own columns say of a post, for the columns of `videos` that its source left empty.

Exports of scrapers have the figures of the day on which they were made; the source's own are newer and come first.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from rumiai_ray.ingest.cleaning import SHORT_CHARS, TEXT_CHARS, Cleaner
from rumiai_ray.ingest.manifest.names import by_folded_name, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rumiai_ray.ingest.video import VideoMetadata

_LOG = logging.getLogger(__name__)

FigureOrigin = Literal["source", "manifest"]

_NAMES: Mapping[str, tuple[str, ...]] = {
    "title": ("title",),
    "description": ("description", "caption", "desc", "text"),
    "author": (
        *("author", "username", "author_name", "uploader", "ownerusername", "authormeta.name", "author.uniqueid", "author.unique_id"),
        *("channel.username", "owner.username"),
    ),
    "uploaded_at": (
        *("posted_at", "uploaded_at", "published_at", "create_time", "createtimeiso", "createtime", "uploadedat", "taken_at", "timestamp"),
    ),
    "view_count": (
        *("view_count", "views", "viewcount", "play_count", "playcount", "videoplaycount", "videoviewcount"),
        *("stats.playcount", "statistics.play_count", "videometa.playcount"),
    ),
    "like_count": (
        *("like_count", "likes", "likecount", "likescount", "digg_count", "diggcount", "stats.diggcount", "statistics.digg_count"),
    ),
    "comment_count": (*("comment_count", "comments", "commentcount", "commentscount", "stats.commentcount", "statistics.comment_count"),),
    "share_count": ("share_count", "shares", "sharecount", "stats.sharecount", "statistics.share_count"),
    "save_count": (
        *("save_count", "saves", "savecount", "collect_count", "collectcount", "bookmark_count", "bookmarks"),
        *("stats.collectcount", "statistics.collect_count"),
    ),
    "track": ("track", "music_title", "musicmeta.musicname", "music.title"),
    "artists": ("artists", "artist", "musicmeta.musicauthor", "music.authorname", "music.author"),
    "sound_id": ("sound_id", "music_id", "musicid", "musicmeta.musicid", "music.id"),
    "is_ad": ("is_ad", "isad", "is_sponsored", "issponsored", "is_paid_partnership"),
}
"""Names of manifest columns, compared as `folded`, by the column of `videos` that they fill; the first that can be read counts. A dot
leads into a nested value: a JSON object, or a column that an export has flattened, `authorMeta.name` or `authorMeta/name`."""
_NESTED = {name.partition(".")[0] for names in _NAMES.values() for name in names if "." in name}
_COUNT = re.compile(r"(\d+|\d{1,3}(?:,\d{3})+)(?:\.0+)?", re.ASCII)
"""Whole numbers, also with commas between thousands, or as a column of floats shows them. `1.2M` is no count that anybody counted."""
_SECONDS = re.compile(r"\d{9,10}(?:\.0+)?", re.ASCII)
_MILLISECONDS = re.compile(r"\d{12,13}(?:\.0+)?", re.ASCII)
_POWER_OF_TEN = re.compile(r"[+-]?\d+(?:[.,]\d+)?e[+-]?\d+", re.ASCII | re.IGNORECASE)
_WHOLE_FLOAT = re.compile(r"(\d+)\.0+", re.ASCII)
_EXACT_DIGITS = 15
"""Most digits that a column of floats or a spreadsheet keeps of any whole number."""
_NO_ID = {"0", "nan", "null", "none"}
"""How exports write that a post has no sound."""
_QUOTED = r"(?:'[^'\\]*'|\"[^\"\\]*\")"
_PYTHON_LIST = re.compile(rf"\[{_QUOTED}(?:\s*,\s*{_QUOTED})*\]")
"""A list of texts as pandas writes it to a CSV file."""
_MAX_ARTISTS = 1000
_LONGEST_SHOWN = 40
_BOOLEANS = {"true": True, "yes": True, "1": True, "1.0": True, "false": False, "no": False, "0": False, "0.0": False}


@dataclass(frozen=True)
class Told:
    """What is known of a post, and who said it."""

    metadata: VideoMetadata
    origins: Mapping[str, FigureOrigin]
    """By column of `videos`, for each of `_NAMES` that is known."""
    notes: tuple[str, ...]
    """Of the metadata, and what of the manifest's columns could not be read."""


def told(metadata: VideoMetadata, columns: Mapping[str, str]) -> Told:
    """Fill what `metadata` leaves open with what a manifest row says.

    Args:
        metadata: what the source says.
        columns: the manifest's further columns of the row.
    """
    texts = _flat(columns)
    cleaner = Cleaner()
    origins: dict[str, FigureOrigin] = {}
    given: dict[str, object] = {}
    for field, names in _NAMES.items():
        if getattr(metadata, field) is not None:
            origins[field] = "source"
            continue
        for name in names:
            value = _READERS.get(field, _count)(name, texts[name], cleaner) if texts.get(name) else None
            if value is not None:
                given[field], origins[field] = value, "manifest"
                break
    return Told(replace(metadata, **given), origins, (*metadata.notes, *cleaner.notes))  # type: ignore[arg-type] # each of its field's type


def given_author(columns: Mapping[str, str]) -> str | None:
    """The author that a manifest row names; None where it names none."""
    texts = _flat(columns)
    return next((texts[name] for name in _NAMES["author"] if texts.get(name)), None)


def _flat(columns: Mapping[str, str]) -> dict[str, str]:
    """The columns' texts by their folded names, and of those that hold a JSON object the texts and numbers in it instead."""
    flat: dict[str, str] = {}
    for name, text in by_folded_name(columns).items():
        dotted = name.replace("/", ".")
        inside = _object(text) if dotted in _NESTED else None
        if inside is None:
            flat.setdefault(dotted, text)
            continue
        for key, value in inside.items():
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                flat.setdefault(f"{dotted}.{folded(key)}", str(value).strip())
    return flat


def _object(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        _LOG.debug("a cell that begins like a JSON object is none: %s", error)
        return None
    return value if isinstance(value, dict) else None


def _count(name: str, text: str, cleaner: Cleaner) -> int | None:
    if not _COUNT.fullmatch(text):
        _note(name, text, "a whole number", cleaner)
        return None
    return cleaner.count(name, int(text.partition(".")[0].replace(",", "")[:_LONGEST_SHOWN]))


def _time(name: str, text: str, cleaner: Cleaner) -> datetime | None:
    """An ISO 8601 time with its distance from UTC, or seconds or milliseconds since 1970.

    A day, or a time of nobody knows where, is no exact time.
    """
    try:
        if _SECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(float(text)), UTC)
        if _MILLISECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text.partition(".")[0]) // 1000, UTC)
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        _LOG.debug("column %s is no time: %s", name, error)
    _note(name, text, "a time with its offset from UTC", cleaner)
    return None


def _artists(name: str, text: str, cleaner: Cleaner) -> tuple[str, ...] | None:
    """A list of texts, as JSON or as pandas writes it, or one text as it is: a comma may be part of a name."""
    if text in ("null", "[]"):
        return None
    listed = _list(text)
    if listed is None and text.startswith("[") and (text.endswith("]") or len(text) > SHORT_CHARS):
        listed = []  # a list in no form that is known
    texts = [text] if listed is None else [one for one in listed if isinstance(one, str)]
    names = [one for one in texts if one.strip()]
    if not names:
        _note(name, text, "a name or a list of names", cleaner)
        return None
    if listed is not None and len(texts) < len(listed):
        cleaner.note(name, f"{len(listed) - len(texts):,} of {len(listed):,} are not text, left out")
    if len(names) > _MAX_ARTISTS:
        cleaner.note(name, f"{_MAX_ARTISTS:,} of {len(names):,} kept")
    return tuple(dict.fromkeys(cleaner.text(name, one, SHORT_CHARS) for one in names[:_MAX_ARTISTS]))


def _list(text: str) -> list[object] | None:
    if not text.startswith("["):
        return None
    if _PYTHON_LIST.fullmatch(text):
        return [quoted[1:-1] for quoted in re.findall(_QUOTED, text)]
    try:
        value: list[object] = json.loads(text)
    except (ValueError, RecursionError) as error:
        _LOG.debug("a cell that begins like a JSON list is none: %s", error)
        return None
    return value


def _sound_id(name: str, text: str, cleaner: Cleaner) -> str | None:
    """An id as it is, but for numbers that have been through a float: of a long one, only the first digits would be those of the id."""
    if whole := _WHOLE_FLOAT.fullmatch(text):
        exact = len(whole[1]) <= _EXACT_DIGITS
        given = whole[1]
    else:
        exact, given = not _POWER_OF_TEN.fullmatch(text), text
    if not exact:
        _note(name, text, "an exact id", cleaner)
        return None
    return None if given.lower() in _NO_ID else cleaner.text(name, given, SHORT_CHARS)


def _boolean(name: str, text: str, cleaner: Cleaner) -> bool | None:
    said = _BOOLEANS.get(text.lower())
    if said is None:
        _note(name, text, "yes or no", cleaner)
    return said


def _note(name: str, text: str, wanted: str, cleaner: Cleaner) -> None:
    shown = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    cleaner.note(name, f"{shown!r} is not {wanted}, left out of the typed columns")


_READERS: Mapping[str, Callable[[str, str, Cleaner], str | datetime | int | tuple[str, ...] | None]] = {
    "title": lambda name, text, cleaner: cleaner.text(name, text, TEXT_CHARS),
    "description": lambda name, text, cleaner: cleaner.text(name, text, TEXT_CHARS),
    "author": lambda name, text, cleaner: cleaner.text(name, text, SHORT_CHARS),
    "uploaded_at": _time,
    "track": lambda name, text, cleaner: cleaner.text(name, text, SHORT_CHARS),
    "artists": _artists,
    "sound_id": _sound_id,
    "is_ad": _boolean,
}

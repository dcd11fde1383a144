"""What a manifest's own columns say of a post, for the columns of `videos` that its source left empty.

Exports of scrapers have the figures of the day on which they were made; the source's own are newer and come first.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from rumiai_ray.ingest.cleaning import SHORT_CHARS, TEXT_CHARS, Cleaner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rumiai_ray.ingest.video import VideoMetadata

_LOG = logging.getLogger(__name__)

FigureOrigin = Literal["source", "manifest"]

_NAMES: Mapping[str, tuple[str, ...]] = {
    "title": ("title",),
    "description": ("description", "caption", "desc"),
    "author": ("author", "username", "author_name", "authormeta.name"),
    "uploaded_at": ("posted_at", "uploaded_at", "published_at", "create_time", "createtimeiso"),
    "view_count": ("view_count", "views", "play_count", "playcount"),
    "like_count": ("like_count", "likes", "digg_count", "diggcount"),
    "comment_count": ("comment_count", "comments", "commentcount"),
    "share_count": ("share_count", "shares", "sharecount"),
}
"""Names of manifest columns, compared without case, by the column of `videos` that they fill; the first that is not blank counts."""
_COUNT = re.compile(r"(\d+|\d{1,3}(?:,\d{3})+)(?:\.0+)?", re.ASCII)
"""Whole numbers, also with commas between thousands, or as a column of floats shows them. `1.2M` is no count that anybody counted."""
_SECONDS = re.compile(r"\d{9,10}(?:\.0+)?", re.ASCII)
_LONGEST_SHOWN = 40


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
    folded = {name.strip().lower(): text.strip() for name, text in columns.items()}
    cleaner = Cleaner()
    origins: dict[str, FigureOrigin] = {}
    given: dict[str, object] = {}
    for field, names in _NAMES.items():
        if getattr(metadata, field) is not None:
            origins[field] = "source"
            continue
        name = next((name for name in names if folded.get(name)), None)
        value = None if name is None else _READERS.get(field, _count)(name, folded[name], cleaner)
        if value is not None:
            given[field], origins[field] = value, "manifest"
    return Told(replace(metadata, **given), origins, (*metadata.notes, *cleaner.notes))  # type: ignore[arg-type] # each of its field's type


def given_author(columns: Mapping[str, str]) -> str | None:
    """The author that a manifest row names; None where it names none."""
    folded = {name.strip().lower(): text.strip() for name, text in columns.items()}
    return next((folded[name] for name in _NAMES["author"] if folded.get(name)), None)


def _count(name: str, text: str, cleaner: Cleaner) -> int | None:
    if not _COUNT.fullmatch(text):
        _note(name, text, "whole number", cleaner)
        return None
    return cleaner.count(name, int(text.partition(".")[0].replace(",", "")[:_LONGEST_SHOWN]))


def _time(name: str, text: str, cleaner: Cleaner) -> datetime | None:
    """An ISO 8601 time with its distance from UTC, or seconds since 1970. A day, or a time of nobody knows where, is no exact time."""
    try:
        if _SECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(float(text)), UTC)
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        _LOG.debug("column %s is no time: %s", name, error)
    _note(name, text, "time with its distance from UTC", cleaner)
    return None


def _note(name: str, text: str, wanted: str, cleaner: Cleaner) -> None:
    shown = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    cleaner.note(name, f"{shown!r} is no {wanted}, left out of the typed columns")


_READERS: Mapping[str, Callable[[str, str, Cleaner], str | datetime | int | None]] = {
    "title": lambda name, text, cleaner: cleaner.text(name, text, TEXT_CHARS),
    "description": lambda name, text, cleaner: cleaner.text(name, text, TEXT_CHARS),
    "author": lambda name, text, cleaner: cleaner.text(name, text, SHORT_CHARS),
    "uploaded_at": _time,
}

"""Ids for entries that were not given one: readable, stable, unique."""

from __future__ import annotations

import logging
import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

_log = logging.getLogger(__name__)

_POST_ID = re.compile(r"[0-9]{5,25}")
_NOT_IN_ID = re.compile(r"[^\w.-]+")
_MAX_STEM = 80


def stem_of(text: str) -> str:
    """The id `text` suggests: a post's number from a URL, else the sanitised stem of the file name, else the host, else `video`.

    Args:
        text: a path, URL or URI that `locate` accepts.

    Returns:
        1 to 80 characters: letters and digits of any script, `_`, `.` and `-`, the first one a letter or a digit.
    """
    path, host = text, ""
    if "://" in text:
        try:
            parts = urlsplit(text)
            path, host = unquote(parts.path), parts.hostname or ""
        except ValueError as error:  # a file whose name holds "://[", for one
            _log.debug("%r is named as a path: %s", text[:200], error)
            return _sanitised(PurePosixPath(text).stem) or "video"
        for segment in reversed(path.split("/")):
            if _POST_ID.fullmatch(segment):
                return segment
    return _sanitised(PurePosixPath(path).stem) or _sanitised(host) or "video"


def _sanitised(name: str) -> str:
    return _NOT_IN_ID.sub("_", unicodedata.normalize("NFC", name)).strip("-._")[:_MAX_STEM]


class Namer:
    """Gives out ids, each once; knows where each was given."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._next: dict[str, int] = {}

    def claim(self, entry_id: str, place: str) -> str | None:
        """Take `entry_id` for `place` ("line 3"). Returns the place that already has it, or None."""
        holder = self._places.get(entry_id)
        if holder is None:
            self._places[entry_id] = place
        return holder

    def derive(self, text: str, place: str) -> str:
        """A free id for the input `text`: its stem, or its stem with -2, -3 and so on."""
        return self.free(stem_of(text), place)

    def free(self, stem: str, place: str) -> str:
        """A free id: `stem`, or `stem` with -2, -3 and so on."""
        number = self._next.get(stem, 1)
        while self.claim(candidate := stem if number == 1 else f"{stem}-{number}", place) is not None:
            number += 1
        self._next[stem] = number + 1
        return candidate

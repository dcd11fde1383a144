"""Names of columns and texts of cells, as people and spreadsheets write them."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOG = logging.getLogger(__name__)

INVISIBLE = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"
"""Marks without a width: copied along with an address, or left by files that were joined."""
_BETWEEN_WORDS = re.compile(r"[\s\-]+")
_BULLET = re.compile(r"(?:[-*•–]|[0-9]{1,6}[.)])\s+(?=https?://)", re.IGNORECASE)


def folded(name: str) -> str:
    """`name` for comparing: without case, invisible marks and blanks around it; `Video URL` is `video_url`."""
    return _BETWEEN_WORDS.sub("_", name.strip().strip(INVISIBLE).strip().casefold())


def by_folded_name(columns: Mapping[str, str | None]) -> dict[str, str]:
    """The texts of a row's columns by folded name, stripped; blank ones are left out, and of one name in two spellings the first counts."""
    texts: dict[str, str] = {}
    for name, text in columns.items():
        if filled := (text or "").strip():
            texts.setdefault(folded(name), filled)
    return texts


def visible(text: str) -> str:
    """`text` without blanks and invisible marks around it."""
    return text.strip().strip(INVISIBLE).strip()


def of_list(line: str) -> str:
    """The input in a line of a text list: an address without the list's bullet or number before it and the comma behind it."""
    text = _BULLET.sub("", visible(line), count=1)
    return text.rstrip(",;") if re.match("https?://", text, re.IGNORECASE) else text


def unwrapped(text: str) -> object:
    """What JSON in a text says, where it is an object or an array; else `text`.

    Some tools write each row of a JSON file as a text that holds JSON.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:  # a file may have such a name
        _LOG.debug("a text that begins like JSON stays a text: %s", error)
        return text
    return value

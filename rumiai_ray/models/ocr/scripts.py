"""Which script a text is written in, by the names of its characters in the Unicode database."""

from __future__ import annotations

import unicodedata
from collections import Counter

COMMON = "common"
"""The script of a text without letters: digits, punctuation and symbols belong to every script."""
UNKNOWN = "unknown"
"""The script of a text that was found and not read."""

_BY_FIRST_WORD = {"cjk": "han", "ideographic": "han", "kangxi": "han", "fullwidth": "latin", "modifier": "latin"}
"""Script by the first word of a character's name, where the word is not the script's name."""
_NO_SCRIPT = frozenset({"masculine", "feminine", "micro", "script", "double-struck", "superscript", "subscript", "circled", "mathematical"})
"""First words of the names of letters that are symbols."""


def script_of(text: str) -> str:
    """The script of most of the text's letters in lower case, e.g. `latin`, `cyrillic`, `han`; `common` where it has no letter.

    Japanese is `japanese` as soon as one kana stands in it: its other characters are shared with Chinese.
    """
    scripts = Counter(script for character in text if (script := _script(character)))
    if scripts["hiragana"] or scripts["katakana"]:
        kana = scripts.pop("hiragana", 0) + scripts.pop("katakana", 0)
        scripts["japanese"] = kana + scripts.pop("han", 0)
    # Of equals the one that stands first: the answer must not depend on the order of a set.
    return scripts.most_common(1)[0][0] if scripts else COMMON


def letters_in(text: str) -> int:
    """Number of characters that are letters of any script."""
    return sum(1 for character in text if _script(character))


def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    first = unicodedata.name(character, "").partition(" ")[0].partition("-")[0].lower()
    if not first or first in _NO_SCRIPT:
        return None
    return _BY_FIRST_WORD.get(first, first)

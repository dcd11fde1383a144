"""Text and numbers from outside, made fit for a table, with a note for every change.

An Arrow string must be valid UTF-8, an integer column holds 64 bits, and a text of 60 MB helps nobody. Values are cleaned once, where
they enter: the manifest's by `entries`, the platform's by `site_metadata`, an error's by the builder of dead letters.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from rumiai_ray.shown import shown, terminal_safe

if TYPE_CHECKING:
    from collections.abc import Sequence

INT64_MAX = 2**63 - 1

NAME_CHARS = 200
"""Longest name of a column, and longest id."""
INPUT_CHARS = 8192
"""Longest input kept. Longer URLs are refused by `locate`, and Linux allows paths of 4,096 bytes."""
CELL_CHARS = 500_000
"""Longest cell of a manifest's further columns."""
TEXT_CHARS = 100_000
"""Longest title or description of a post; platforms allow up to 63,206 (Facebook)."""
SHORT_CHARS = 1000
"""Longest author, hashtag or line of an error that names its input."""
MESSAGE_CHARS = 10_000
"""Longest error message."""

_NOTES = 50
_UNFIT = re.compile("[\0\ud800-\udfff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean(text: str, limit: int = MESSAGE_CHARS) -> tuple[str, list[str]]:
    """`text` as a table can hold it, and what was changed, in words.

    Surrogate pairs become the character they stand for; lone surrogates (also bytes that were no UTF-8, decoded with `surrogateescape`)
    and NUL become U+FFFD; what is longer than `limit` characters ends in `…`.
    """
    notes = []
    length = len(text)
    if length > limit:
        text = text[: limit - 1] + "…"
        notes.append(f"cut to {limit:,} of {length:,} characters")
    if _UNFIT.search(text):
        text, count = _UNFIT.subn(REPLACEMENT, _PAIR.sub(_joined, text))
        if count:
            what = "character that no table can hold" if count == 1 else "characters that no table can hold"
            notes.append(f"{count:,} {what} (NUL, a lone surrogate or a byte that is not UTF-8), replaced by {REPLACEMENT}")
    return text, notes


def cleaned(text: str, limit: int = MESSAGE_CHARS) -> str:
    """`clean` without its notes: for error messages, whose loss changes no data."""
    return clean(text, limit)[0]


def message_of(error: BaseException, known: Sequence[str] = ()) -> str:
    """What an error says, fit for a table and a terminal, even where its `__str__` raises.

    Args:
        error: of this package or of a library.
        known: full addresses that it may quote, in whole or in part; see `shown`.
    """
    try:
        return cleaned(terminal_safe(shown(str(error), known)))
    except Exception as broken:  # noqa: BLE001 -- foreign exception classes may do anything here, and a dead letter must not fail
        return f"(this error has no readable message: its __str__ raised {cleaned(type(broken).__name__, SHORT_CHARS)})"


class Cleaner:
    """Cleans the values of one entry and collects the notes."""

    def __init__(self) -> None:
        self._notes: dict[str, None] = {}
        self._more = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed, one item a change; at most 51."""
        more = (f"and {self._more:,} more changes",) if self._more else ()
        return (*self._notes, *more)

    def note(self, name: str, what: str) -> None:
        """Note a change of the value called `name`."""
        note = f"{cleaned(name, NAME_CHARS)}: {what}"
        if note in self._notes:
            return
        if len(self._notes) < _NOTES:
            self._notes[note] = None
        else:
            self._more += 1

    def text(self, name: str, value: str, limit: int) -> str:
        """`value`, cleaned."""
        text, notes = clean(value, limit)
        for note in notes:
            self.note(name, note)
        return text

    def count(self, name: str, value: object) -> int | None:
        """A count of 0 or more as a column of 64 bits can hold it; None for what is no count."""
        if value is None:
            return None
        # A bool is an int in Python, and no count.
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.note(name, f"a {cleaned(type(value).__name__, NAME_CHARS)} instead of a number, left out")
            return None
        if isinstance(value, float) and math.isnan(value):
            self.note(name, "not a number (NaN), left out")
            return None
        if value < 0:
            self.note(name, "negative, left out")
            return None
        if value > INT64_MAX:
            self.note(name, f"beyond 64 bits, stored as {INT64_MAX}")
            return INT64_MAX
        return int(value)


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")

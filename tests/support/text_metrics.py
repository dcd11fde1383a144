"""Error rates of what was read and heard, with the field's usual normalisation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGITS = dict(zip("0123456789", ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), strict=True))


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Levenshtein distance between two sequences of tokens."""
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, 1):
        previous, row[0] = row[0], i
        for j, got in enumerate(hypothesis, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (expected != got))
    return row[-1]


def spoken_tokens(text: str) -> list[str]:
    """Lower-case words; letters and digits that were run together are parted and digits spelled: 'F2' is 'f two'."""
    parted = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z\d])", " ", re.sub(r"[^a-z0-9 ]+", " ", text.lower()))
    return [_DIGITS.get(token, token) for token in parted.split()]


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Word errors over words of the reference."""
    expected = spoken_tokens(reference)
    return edit_distance(expected, spoken_tokens(hypothesis)) / len(expected)


def character_error_rate(reference: str, hypothesis: str) -> float:
    """Character errors over characters of the reference, case and punctuation aside."""
    expected, got = (" ".join(re.sub(r"[^A-Z0-9 ]+", " ", text.upper()).split()) for text in (reference, hypothesis))
    return edit_distance(expected, got) / len(expected)


def best_reading(caption: str, boxes: Sequence[str]) -> float:
    """The lowest character error rate of any run of neighbouring boxes (in reading order) taken as `caption`; 1 for no boxes."""
    runs = (" ".join(boxes[i:j]) for i in range(len(boxes)) for j in range(i + 1, len(boxes) + 1))
    return min((character_error_rate(caption, run) for run in runs), default=1.0)

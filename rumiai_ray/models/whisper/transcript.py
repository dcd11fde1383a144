"""From what Whisper says about one window to segments worth reporting: what is dropped, and where a segment ends."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import category, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rumiai_ray.models.whisper.language import Language

SEGMENT_PAUSE_S = 1.0
"""A pause between two words from which on they belong to two segments; within a sentence speakers rest for less."""
_SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")


@dataclass(frozen=True)
class Word:
    """One word as it was heard."""

    text: str
    """As Whisper gives it: a space in front in languages that have them, punctuation attached."""
    start_s: float
    end_s: float
    probability: float
    """Mean probability of its tokens, 0 to 1."""


@dataclass(frozen=True)
class DecodedWindow:
    """What one window was decoded to. The measures hold for the window as a whole: Whisper gives none for a part of it."""

    words: tuple[Word, ...]
    avg_logprob: float
    """Mean log-probability of the tokens, ≤ 0."""
    no_speech_prob: float
    """The model's own estimate that there is no speech, 0 to 1."""
    language: Language

    @property
    def text(self) -> str:
        """All that was heard."""
        return text_of(self.words)


@dataclass(frozen=True)
class Acceptance:
    """What a window must show to be reported."""

    max_no_speech_prob: float
    min_avg_logprob: float
    max_compression_ratio: float

    def accepts(self, heard: DecodedWindow) -> bool:
        """Whether `heard` is speech that was understood, rather than invented."""
        return (
            heard.no_speech_prob <= self.max_no_speech_prob
            and heard.avg_logprob >= self.min_avg_logprob
            and compression_ratio(heard.text) <= self.max_compression_ratio
        )


def text_of(words: Iterable[Word]) -> str:
    """The words put together."""
    return "".join(word.text for word in words).strip()


def normalized(word: str) -> str:
    """A word as it is counted: NFKC and lower case, without punctuation, spaces and invisible characters around it; maybe empty.

    Example:
        >>> normalized("“Free!”")
        'free'
    """
    text = normalize("NFKC", normalize("NFKC", word).lower())
    kept = [place for place, character in enumerate(text) if not _is_around_words(character)]
    return text[kept[0] : kept[-1] + 1] if kept else ""


def _is_around_words(character: str) -> bool:
    """Whether a character is punctuation, a space, or one that is not seen: Unicode's categories P, Z, Cc and Cf."""
    kind = category(character)
    return kind[0] in "PZ" or kind in {"Cc", "Cf"}


def compression_ratio(text: str) -> float:
    """Length of `text` in UTF-8 over its zlib length, as Whisper measures it: above 2.4 the text repeats itself.

    Source: `compression_ratio` in openai/whisper, utils.py.
    """
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded))


def segments(words: Sequence[Word]) -> Iterator[tuple[Word, ...]]:
    """`words` in runs that end with a sentence or a pause; runs that say nothing ("...") are left out."""
    run: list[Word] = []
    for word in words:
        if run and (run[-1].text.rstrip("\"'”’)").endswith(_SENTENCE_ENDS) or word.start_s - run[-1].end_s >= SEGMENT_PAUSE_S):
            yield from _spoken(run)
            run = []
        run.append(word)
    yield from _spoken(run)


def _spoken(run: list[Word]) -> Iterator[tuple[Word, ...]]:
    if any(character.isalnum() for word in run for character in word.text):
        yield tuple(run)

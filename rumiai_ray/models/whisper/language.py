"""Which language is spoken in each stretch of speech, from what the detector hears and what is known beside."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Decision = Literal["configured", "detected", "whole audio", "expected"]
TRUSTED = 0.5
"""Probability from which what a window sounds like decides; a shouted word, or a sentence of 1.4 s, is often below."""
_EXPECTED_WEIGHT = 10.0
"""So many times more probable the expected language is before anything is heard. Of 80 stretches of 1.4 to 8 s of English and German, the
detector (base) was wrong in one: French 0.29, English 0.14."""
_FIRST_WEIGHT = 2.0
"""So many times more probable the first of several candidates is before anything is heard. Of 1.4 s of English the detector (base) said
German 0.18, English 0.16 on one CPU and the reverse on another, whose kernels round otherwise: no evidence at all."""


@dataclass(frozen=True)
class Language:
    """What somebody speaks, and how that was decided."""

    code: str
    """ISO 639-1."""
    probability: float | None
    """The detector's, 0 to 1, among the candidates; None where it was not asked."""
    decision: Decision = "detected"


@dataclass(frozen=True)
class Expectation:
    """What is known of the language before anything is heard."""

    candidates: tuple[str, ...] = ()
    """No other language is considered; empty for all. Of two that are about as probable it is the first, unless one is expected."""
    expected: str | None = None
    """The language of the batch or, by its source, of the video; counts where the sound alone is weak evidence."""


def code_of(text: str | None, known: Collection[str]) -> str | None:
    """The ISO 639-1 code that a language tag (`en`, `en-US`, `pt_BR`) begins with; None where it is none of those known."""
    tag = (text or "").strip().lower().replace("_", "-").partition("-")[0]
    return tag if tag in known else None


def choose_languages(found: Sequence[Mapping[str, float]], lengths: Sequence[int], known: Expectation | None = None) -> list[Language]:
    """Each window's language: its own where the detector is sure of it, else the audio's, else the expected one if that may well be.

    Args:
        found: per window the probability of each language.
        lengths: the windows' lengths, which weigh them.
        known: what is known beside; None for nothing.
    """
    known = known or Expectation()
    among = [among_candidates(probabilities, known.candidates) for probabilities in found]
    whole: defaultdict[str, float] = defaultdict(float)
    for probabilities, length in zip(among, lengths, strict=True):
        for code, probability in probabilities.items():
            whole[code] += probability * length / sum(lengths)
    # Among candidates a probability says nothing of how well one was heard: of two candidates one always has half or more.
    heard_well = [max(probabilities.get(code, 0.0) for code in own) >= TRUSTED for probabilities, own in zip(found, among, strict=True)]
    return [_choose(own, whole, known, alone=len(among) == 1, sure=sure) for own, sure in zip(among, heard_well, strict=True)]


def _choose(own: Mapping[str, float], whole: Mapping[str, float], known: Expectation, *, alone: bool, sure: bool) -> Language:
    best = max(own, key=own.__getitem__) if sure else _most_probable(own, known)
    if own[best] >= TRUSTED:
        return Language(best, own[best])
    overall = _most_probable(whole, known)
    if whole[overall] >= TRUSTED or known.expected not in whole:
        return Language(overall, whole[overall], "detected" if alone else "whole audio")
    weighed = {code: probability * (_EXPECTED_WEIGHT if code == known.expected else 1) for code, probability in whole.items()}
    chosen = max(weighed, key=weighed.__getitem__)
    return Language(chosen, whole[chosen], "expected" if chosen == known.expected else "whole audio")


def _most_probable(probabilities: Mapping[str, float], known: Expectation) -> str:
    """The most probable language; of candidates that are about as probable, the first."""
    first = known.candidates[0] if known.candidates and known.expected not in known.candidates else None
    return max(probabilities, key=lambda code: probabilities[code] * (_FIRST_WEIGHT if code == first else 1))


def among_candidates(probabilities: Mapping[str, float], candidates: Sequence[str]) -> Mapping[str, float]:
    """The probabilities of the candidates, which then add up to 1."""
    if not candidates:
        return probabilities
    kept = {code: probabilities.get(code, 0.0) for code in candidates}
    total = sum(kept.values())
    return {code: probability / total if total else 1 / len(kept) for code, probability in kept.items()}


def changes_of_language(heard: Sequence[Mapping[str, float]], known: Expectation | None = None) -> list[int]:
    """Positions of the pieces, of one window and in order, that begin another language than the piece before.

    A piece that the detector is not sure of goes on with what was spoken before it.

    Args:
        heard: per piece the probability of each language.
        known: what is known beside; None for nothing.
    """
    found: list[int] = []
    spoken = ""
    for at, probabilities in enumerate(heard):
        among = among_candidates(probabilities, (known or Expectation()).candidates)
        best = max(among, key=among.__getitem__)
        if among[best] < SURE_OF_A_CHANGE:
            continue
        if spoken and best != spoken:
            found.append(at)
        spoken = best
    return found


SURE_OF_A_CHANGE = 0.8
"""Probability from which a piece of several seconds counts: of 30 pieces of 3 s or more in one language, none was as sure of another."""


def configured(code: str) -> Language:
    """A language that nobody had to detect."""
    return replace(Language(code, None), decision="configured")

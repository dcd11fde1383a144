"""Where within a window of speech the language changes: Whisper decodes a window in one language and loses the other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from rumiai_ray.models.whisper.language import SURE_OF_A_CHANGE, among_candidates, changes_of_language
from rumiai_ray.models.whisper.speech import SpeechWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rumiai_ray.models.whisper.language import Expectation
    from rumiai_ray.models.whisper.speech import Span

    Detect = Callable[[Sequence[SpeechWindow]], Sequence[Mapping[str, float]]]
    """The probability of each language, per window."""

SHORTEST_WINDOW_S = 6.0
"""Two languages need two pieces."""
_PIECE_S = 3.0
"""Shortest piece whose language is asked for: of shorter ones the detector is often wrong."""
_ONE_LANGUAGE = 0.95
"""A window in one language has at least this probability (of 8 s and more, measured: 0.95 to 1.0)."""


def split_by_language(
    window: SpeechWindow, heard: Mapping[str, float], pauses: Sequence[Span], detect: Detect, known: Expectation
) -> tuple[SpeechWindow, ...]:
    """The window, cut where another language begins; whole where it has one language.

    The last piece is listened to on its own. All pieces are where it is in another language than the window, or where the detector is not
    sure of the window: a piece costs as much as a window.

    Args:
        window: consecutive stretches of speech.
        heard: the probability of each language in it.
        pauses: stretches of speech as short as they come, in seconds of audio, in order; between them somebody rests.
        detect: asks the network.
        known: what is known of the language beside; one candidate leaves nothing to find.
    """
    if window.speech_s < SHORTEST_WINDOW_S or len(known.candidates) == 1:
        return (window,)
    pieces = _pieces(window, pauses)
    if len(pieces) == 1:
        return (window,)
    heard = among_candidates(heard, known.candidates)
    best = max(heard, key=heard.__getitem__)
    last = among_candidates(detect(pieces[-1:])[0], known.candidates)
    other = max(last, key=last.__getitem__)
    if heard[best] >= _ONE_LANGUAGE and (other == best or last[other] < SURE_OF_A_CHANGE):
        return (window,)
    starts = changes_of_language([*detect(pieces[:-1]), last], known)
    return tuple(
        SpeechWindow(_joined([span for piece in pieces[first:end] for span in piece.spans]))
        for first, end in zip([0, *starts], [*starts, len(pieces)], strict=True)
    )


def _pieces(window: SpeechWindow, pauses: Sequence[Span]) -> list[SpeechWindow]:
    """The window in pieces of at least `_PIECE_S` that meet in the middle of pauses."""
    pieces: list[list[Span]] = [[]]
    rests = [(before[1] + after[0]) / 2 for before, after in pairwise(pauses)]
    for start_s, end_s in window.spans:
        at_s = start_s
        for rest_s in (*(rest_s for rest_s in rests if start_s < rest_s < end_s), end_s):
            pieces[-1].append((at_s, rest_s))
            at_s = rest_s
            if sum(end - start for start, end in pieces[-1]) >= _PIECE_S:
                pieces.append([])
    if sum(end - start for start, end in pieces[-1]) < _PIECE_S and len(pieces) > 1:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return [SpeechWindow(tuple(piece)) for piece in pieces]


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Spans with those that adjoin made one."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1][1] == span[0]:
            joined[-1] = (joined[-1][0], span[1])
        else:
            joined.append(span)
    return tuple(joined)

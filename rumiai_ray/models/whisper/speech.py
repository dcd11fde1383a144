"""Where in a stretch of audio somebody speaks, and how that is packed into the 30-second windows Whisper decodes.

Long silences are cut out: Whisper invents speech in them and stamps the word after one far too early ("banana" after 22 s of
silence: at 30.0 instead of 40.0 s). Short pauses stay. Speech before and after a cut shares a window, because a lone word in
a window of its own is read badly ("banana": probability 0.08 alone, 0.79 after its sentence).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WINDOW_S = 30.0
"""What Whisper decodes at once; fixed by its training."""

Span = tuple[float, float]
"""Start and end of a stretch of speech, in seconds from the first sample."""


@dataclass(frozen=True)
class SpeechWindow:
    """Consecutive stretches of speech, decoded as if nothing lay between them; at most `WINDOW_S` long in all."""

    spans: tuple[Span, ...]

    @property
    def speech_s(self) -> float:
        """Length without what was cut out."""
        return sum(end - start for start, end in self.spans)

    def samples(self, audio: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
        """The window's part of `audio`, (n,) float32."""
        return np.concatenate([audio[round(start * rate_hz) : round(end * rate_hz)] for start, end in self.spans])

    def original(self, start_s: float, end_s: float) -> Span:
        """A word's times within the window turned into times within the audio.

        The word belongs to the stretch its middle falls into and never leaves it.
        """
        middle_s = (start_s + end_s) / 2
        before_s = 0.0
        for first_s, last_s in self.spans:
            length_s = last_s - first_s
            if middle_s <= before_s + length_s or (first_s, last_s) == self.spans[-1]:
                break
            before_s += length_s
        start, end = (min(max(first_s + t - before_s, first_s), last_s) for t in (start_s, end_s))
        return start, end


def find_speech(audio: NDArray[np.float32], rate_hz: int, *, threshold: float, min_silence_s: float, pad_s: float) -> list[Span]:
    """Stretches in which somebody speaks, none longer than `WINDOW_S`, by the Silero detector that faster-whisper carries.

    Args:
        audio: (n,) float32 in [-1, 1], mono.
        rate_hz: its sample rate; the detector was trained for 16000.
        threshold: probability from which a 32 ms frame counts as speech.
        min_silence_s: a shorter silence does not end a stretch.
        pad_s: kept before and after each stretch, so that a soft onset is not cut off.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps  # noqa: PLC0415 -- heavy

    options = VadOptions(
        threshold=threshold,
        min_silence_duration_ms=round(min_silence_s * 1000),
        speech_pad_ms=round(pad_s * 1000),
        max_speech_duration_s=WINDOW_S,
    )
    return [(found["start"] / rate_hz, found["end"] / rate_hz) for found in get_speech_timestamps(audio, options, rate_hz)]


def pack(spans: Sequence[Span]) -> list[SpeechWindow]:
    """As few windows as consecutive spans fill, in order; a span is never split."""
    windows: list[SpeechWindow] = []
    for span in spans:
        if windows and windows[-1].speech_s + span[1] - span[0] <= WINDOW_S:
            windows[-1] = SpeechWindow((*windows[-1].spans, span))
        else:
            windows.append(SpeechWindow((span,)))
    return windows

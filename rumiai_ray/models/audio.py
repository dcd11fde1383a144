"""Cuts a video's audio into stretches that a speech model takes in one call, in silence where there is any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.models.base import AudioChunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rumiai_ray.frames.types import Audio

MAX_CHUNK_S = 300.0
"""Longest stretch given to a model at once: bounds one call's memory and what is lost when it fails."""
_SEARCH_SHARE = 0.2
"""A cut is looked for in this last share of a stretch: far enough to meet a pause, not so far that stretches get short."""
_QUIET_S = 0.3
"""Length of the window whose energy is compared: longer than a plosive's closure, shorter than a pause between sentences."""


def chunks(audio: Audio, max_s: float = MAX_CHUNK_S, *, language: str | None = None) -> list[AudioChunk]:
    """`audio` in order, without gap or overlap, in stretches of at most `max_s` seconds.

    Args:
        audio: one video's audio; no samples give no chunk.
        max_s: longest stretch, in seconds.
        language: see `AudioChunk.language`.

    Returns:
        Read-only views into `audio.samples`.
    """
    return [
        AudioChunk(samples=_read_only(audio.samples[start:end]), start_s=audio.start_s + start / AUDIO_RATE_HZ, language=language)
        for start, end in quiet_stretches(audio.samples, max_s)
    ]


def quiet_stretches(samples: NDArray[np.int16], max_s: float) -> Iterator[tuple[int, int]]:
    """(start, end) sample indices of consecutive stretches of at most `max_s` seconds, each cut where it is quietest near its end.

    Args:
        samples: (n,) int16 mono PCM at `AUDIO_RATE_HZ`.
        max_s: longest stretch, in seconds; at least one sample.
    """
    longest = int(max_s * AUDIO_RATE_HZ)
    if longest < 1:
        raise ValueError(f"stretches of {max_s} s hold no sample")
    start = 0
    while len(samples) - start > longest:
        search = start + int(longest * (1 - _SEARCH_SHARE))
        end = max(search + _quietest(samples[search : start + longest]), start + 1)
        yield start, end
        start = end
    if start < len(samples):
        yield start, len(samples)


def _quietest(samples: NDArray[np.int16]) -> int:
    """Index of the middle of the window of `_QUIET_S` with the least energy; the middle of `samples` if they are shorter than one."""
    window = int(_QUIET_S * AUDIO_RATE_HZ)
    if len(samples) <= window:
        return len(samples) // 2
    energy = np.concatenate(([0], np.cumsum(samples.astype(np.int64) ** 2)))
    return int(np.argmin(energy[window:] - energy[:-window])) + window // 2


def _read_only(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    view = samples.view()
    view.flags.writeable = False
    return view

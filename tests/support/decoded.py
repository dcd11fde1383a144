"""What one decode pass gives, in one piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from quadrants import bgr
from rumiai_ray.frames.decode.parent import DecodedFrame, DecodedSound, DecodedThumbnails, decode
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.types import AUDIO_RATE_HZ, SourceFacts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Decoded:
    """Everything about one file."""

    frames: list[DecodedFrame]
    thumbnail_times_s: list[float]
    samples: NDArray[np.int16]
    facts: SourceFacts

    @property
    def pictures(self) -> list[NDArray[np.uint8]]:
        """(height, width, 3) BGR of every sampled frame."""
        return [bgr(frame.jpeg) for frame in self.frames]

    def rms(self, from_s: float = 0.0, to_s: float = float("inf")) -> float:
        """Loudness between two times on the video's time line; full scale is 1."""
        assert self.facts.audio_start_s is not None
        first = max(0, round((from_s - self.facts.audio_start_s) * AUDIO_RATE_HZ))
        last = len(self.samples) if to_s == float("inf") else round((to_s - self.facts.audio_start_s) * AUDIO_RATE_HZ)
        return float(np.sqrt(np.mean((self.samples[first:last] / 32768.0) ** 2)))


def decoded(path: Path, spec: SamplingSpec | None = None, limits: DecodeLimits | None = None) -> Decoded:
    """Decode a file."""
    pieces = list(decode(path, spec or SamplingSpec(), limits or DecodeLimits()))
    facts = pieces[-1]
    assert isinstance(facts, SourceFacts)
    return Decoded(
        frames=[piece for piece in pieces if isinstance(piece, DecodedFrame)],
        thumbnail_times_s=[time_s for piece in pieces if isinstance(piece, DecodedThumbnails) for time_s in piece.time_s],
        samples=np.frombuffer(b"".join(piece.samples for piece in pieces if isinstance(piece, DecodedSound)), "<i2"),
        facts=facts,
    )

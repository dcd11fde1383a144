"""Sound: how loud and how high, every 50 ms. Loudness is plain arithmetic, pitch is Praat's. No network, no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.models.base import AudioChunk, Model, ModelSettings, Prediction
from rumiai_ray.models.weights.files import Candidate
from rumiai_ray.schema import sound as schema
from rumiai_ray.settings import result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rumiai_ray.schema import Table

_STRETCH = AUDIO_RATE_HZ // 20
"""Samples of one row: 50 ms, short enough for a syllable, long enough for four periods of the lowest voice."""
_FULL_SCALE = 32768.0
_LEAST_FOR_OFFSET = AUDIO_RATE_HZ
"""Samples from which an offset can be told: of less than a second it is part of the sound."""
_DRIFT = AUDIO_RATE_HZ // 10
"""Samples of the mean that is the offset, taken twice: what is higher than 20 Hz loses less than 0.4 dB, what is constant goes."""
_PERIODS = 3
"""Of the lowest pitch that Praat wants to see at once; sounds shorter than that have no pitch it could tell."""


class SoundSettings(ModelSettings):
    """Settings of the sound meter."""

    silence_dbfs: float = result(-60.0, "loudness below which sound is silence (the default of ffmpeg's silencedetect)", ge=-90, le=0)
    pitch_floor_hz: float = result(75.0, "lowest pitch searched for (Praat's default)", ge=30, le=500)
    pitch_ceiling_hz: float = result(600.0, "highest pitch searched for (Praat's default)", ge=100, le=2000)


class Sound(Model[SoundSettings, AudioChunk]):
    """Energy, silence and pitch of the sound."""

    name: ClassVar[str] = "sound"
    tables: ClassVar[tuple[Table, ...]] = schema.TABLES
    packages: ClassVar[tuple[str, ...]] = ("praat-parselmouth",)

    @classmethod
    def candidates(cls, settings: SoundSettings) -> tuple[Candidate, ...]:
        """The one there is, in both profiles."""
        del settings
        return (
            Candidate(
                backend="numpy/rms+praat/autocorrelation",
                package="praat-parselmouth",
                files=(),
                profiles=("standard", "offline"),
                precision="fp64",
                runs_on_gpu=False,
                memory_gb=0.25,
                cpu_share=0.0,
            ),
        )

    def load(self) -> None:
        """See `Model.load`. There is nothing to load but the library."""
        import parselmouth  # noqa: F401, PLC0415 -- heavy, and the first call should not pay for it

    def predict(self, batch: AudioChunk) -> Prediction:
        """Rows of `audio_energy`, one for each 50 ms; the last may be shorter."""
        settings = self.settings
        count = len(batch.samples)
        edges = np.append(np.arange(0, count, _STRETCH), count)
        values = batch.samples.astype(np.float64) / _FULL_SCALE
        if count >= _LEAST_FOR_OFFSET:
            # A constant offset, as cheap microphones add, cannot be heard. Of the sound around: a voice is lopsided, and taking the mean
            # of everything off would make noise of the digital silence beside it; the median of a square wave is one of its levels.
            values -= _mean_around(_mean_around(values))
        rms = np.sqrt(np.add.reduceat(values**2, edges[:-1]) / np.diff(edges))
        loudness = 20 * np.log10(np.maximum(rms, 10 ** (schema.QUIETEST_DBFS / 20)))
        pitch = _pitch(values, (edges[:-1] + edges[1:]) / 2 / AUDIO_RATE_HZ, settings)
        times_s = batch.start_s + edges / AUDIO_RATE_HZ
        columns = (
            pa.array(times_s[:-1]),
            pa.array(times_s[1:]),
            pa.array(rms.astype(np.float32)),
            pa.array(np.maximum.reduceat(np.abs(values), edges[:-1]).astype(np.float32)),
            pa.array(loudness.astype(np.float32)),
            pa.array(loudness < settings.silence_dbfs),
            pa.array(pitch.astype(np.float32), mask=np.isnan(pitch)),
        )
        return Prediction({schema.AUDIO_ENERGY.name: pa.Table.from_arrays(columns, schema=schema.AUDIO_ENERGY.row_schema)})


def _mean_around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the mean of the `_DRIFT` samples around each of (n,), of which there are more; near the ends, of the first or last ones."""
    total = np.cumsum(np.concatenate(([0.0], values)))
    first = np.clip(np.arange(len(values)) - _DRIFT // 2, 0, len(values) - _DRIFT)
    mean: NDArray[np.float64] = (total[first + _DRIFT] - total[first]) / _DRIFT
    return mean


def _pitch(values: NDArray[np.float64], at_s: NDArray[np.float64], settings: SoundSettings) -> NDArray[np.float64]:
    """Pitch in Hz at each of `at_s`, seconds from the first sample; NaN where it is unvoiced or too near an end to tell.

    Args:
        values: (n,) samples, full scale = 1.
        at_s: (m,) times, ascending.
        settings: floor and ceiling.

    Returns:
        (m,), what Praat says of the nearest of its own frames, which are as far apart.
    """
    import parselmouth  # noqa: PLC0415 -- see `load`

    pitch = np.full(len(at_s), np.nan)
    step_s = _STRETCH / AUDIO_RATE_HZ
    if len(values) / AUDIO_RATE_HZ <= _PERIODS / settings.pitch_floor_hz + step_s:
        return pitch
    sound = parselmouth.Sound(values, AUDIO_RATE_HZ)
    found = sound.to_pitch_ac(time_step=step_s, pitch_floor=settings.pitch_floor_hz, pitch_ceiling=settings.pitch_ceiling_hz)
    times_s, hz = found.xs(), found.selected_array["frequency"]
    right = np.clip(np.searchsorted(times_s, at_s), 1, max(1, len(times_s) - 1))
    nearest = np.where(at_s - times_s[right - 1] <= times_s[np.minimum(right, len(times_s) - 1)] - at_s, right - 1, right)
    nearest = np.minimum(nearest, len(times_s) - 1)
    told = (np.abs(times_s[nearest] - at_s) <= step_s / 2 + 1e-9) & (hz[nearest] > 0)
    pitch[told] = hz[nearest][told]
    return pitch

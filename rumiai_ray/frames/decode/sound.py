"""The audio of one video as 16 kHz mono samples on the video's own time line. Runs inside the decoding subprocess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler

from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.loudness import LoudnessMeter, layout_of
from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.shown import counted, often

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction

    from av.audio.frame import AudioFrame
    from numpy.typing import NDArray

    from rumiai_ray.frames.decode.picture_track import Send

AUDIO_ERRORS = (av.FFmpegError, ValueError)
"""What PyAV raises for an audio packet or frame it cannot use."""
_BYTES_PER_SAMPLE = 2
SOUND_BYTES_A_MESSAGE = _BYTES_PER_SAMPLE * AUDIO_RATE_HZ
"""Of `SoundTrack.ready`, from which on it is sent to the parent."""
_FULL_SCALE = 32768.0
_PACKED = "flt"
"""All channels in one plane: PyAV 18.1 reads behind the planes of eight channels or more and crashes."""
_SIDE, _CENTRE, _SURROUND = 0.5, 0.7071, 0.3536
_WEIGHTS = {
    "FL": _SIDE, "FR": _SIDE, "FC": _CENTRE, "LFE": 0.0, "LFE2": 0.0,
    "SL": _SURROUND, "SR": _SURROUND, "BL": _SURROUND, "BR": _SURROUND, "BC": _SURROUND,
}  # fmt: skip
"""Half the sum of both sides of the stereo downmix of ITU-R BS.775-4, annex 4: speech in the centre keeps its level beside the rest."""
_OPPOSITE = -0.6
"""Correlation of two channels below which they are one sound in opposite phase."""
_GAP_S = 0.05
"""Timestamps may be off by this much before it counts: containers round to milliseconds, and speech 50 ms late is still in sync
with the picture (EBU R 37 allows 40 to 60 ms)."""
_ENCODER_SLACK_S = 0.3
"""Headers count an encoder's priming and padding or do not: up to two frames, of 0.128 s each for AAC at 8 kHz."""


class Downmix:
    """Mixes channels into one that no pair of them can cancel: sound in opposite phase is turned before it is added.

    The weights are those of `_WEIGHTS`; channels without a name count alike. Sums above full scale are clipped. Whether a channel
    runs against the loudest one is judged over all of the sound so far.
    """

    def __init__(self) -> None:
        self._against: NDArray[np.float64] = np.zeros(0)
        self._energy: NDArray[np.float64] = np.zeros(0)
        self._sign: NDArray[np.float64] = np.ones(0)

    def __call__(self, channels: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float64]:
        """Mix.

        Args:
            channels: (channels, n) samples, full scale = 1.
            names: of the channels, as libav has them.

        Returns:
            (n,) samples.
        """
        weights = np.array([_WEIGHTS.get(name, 1 / len(names)) for name in names])
        if len(weights) == 1:
            alone: NDArray[np.float64] = channels[0].astype(np.float64)
            return alone
        if len(self._sign) != len(weights):
            self._against, self._energy, self._sign = np.zeros(len(weights)), np.zeros(len(weights)), np.ones(len(weights))
        values = channels.astype(np.float64)
        lead = int(np.argmax(self._energy + (values**2).sum(axis=1) * (weights > 0)))
        self._against += values @ values[lead]
        self._energy += (values**2).sum(axis=1)
        likeness = self._against / np.sqrt(np.maximum(self._energy * self._energy[lead], 1e-12))
        self._sign = np.where(likeness < _OPPOSITE, -1.0, np.where(likeness > 0, 1.0, self._sign))
        mixed: NDArray[np.float64] = (weights * self._sign) @ values
        return mixed


class SoundTrack:
    """Turns decoded audio frames into s16 mono samples; what the timestamps leave out becomes silence.

    Args:
        time_base: seconds per tick of the audio stream; frames that a decoder held back to the end come without one.
        longest_gap_s: a longer one, longer than the video for instance, is no gap but a broken timestamp.
        max_duration_s: longer audio is refused.
        stamp_as_it_counts: a timestamp in seconds of file time without the jumps of joined recordings; None for one to ignore.
    """

    def __init__(
        self,
        time_base: Fraction,
        longest_gap_s: float,
        max_duration_s: float,
        *,
        stamp_as_it_counts: Callable[[float | None], float | None] = lambda stamp_s: stamp_s,
    ) -> None:
        self._time_base = time_base
        self._stamp_as_it_counts = stamp_as_it_counts
        self._longest_gap_s = max(longest_gap_s, _GAP_S)
        self._max_samples = int(max_duration_s * AUDIO_RATE_HZ)
        self._resampler: AudioResampler | None = None
        self._source: tuple[str, str, int] | None = None
        self._origin_s = 0.0
        """What file time the sample number 0 has, as things stand; moves where timestamps jump."""
        self._taken_s = 0.0
        """Seconds of source audio taken in since the origin, silence included."""
        self.start_s: float | None = None
        """The file's own timestamp of the first sample; None before there is one."""
        self.samples = 0
        """Samples made so far."""
        self.ready = bytearray()
        """The latest of them, s16le; the caller takes them out."""
        self._silence_s = 0.0
        self._jumps = 0
        self._downmix = Downmix()
        self._meter = LoudnessMeter()

    def take(self, frame: AudioFrame) -> None:
        """Take the next decoded frame; what is ready of it goes into `ready`.

        Raises:
            MediaError: the audio is longer than allowed.
        """
        self._reach(frame)
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or source != self._source:
            self.finish()
            self._resampler = AudioResampler(format=_PACKED, layout=frame.layout.name, rate=AUDIO_RATE_HZ)
            self._source = source
        self._taken_s += frame.samples / frame.sample_rate
        frame.pts = None  # gaps and jumps have just been dealt with
        self._meter.take(frame)
        self._resample(self._resampler, frame)

    def loudness_lufs(self) -> float | None:
        """See `LoudnessMeter.lufs`; to be asked once, at the end."""
        self._meter.finish()
        return self._meter.lufs

    def finish(self) -> None:
        """Put the samples the resampler still holds into `ready`."""
        if self._resampler is not None:
            resampler, self._resampler = self._resampler, None
            self._resample(resampler, None)

    def lost(self, errors: list[str], promised_s: float) -> list[str]:
        """What of the audio is missing, in words.

        Args:
            errors: one message per packet that could not be decoded.
            promised_s: how long the stream is by its header; 0 where it claims nothing.
        """
        found = []
        reached_s = self.samples / AUDIO_RATE_HZ
        if errors:
            found.append(f"{counted(len(errors), 'audio packet')} could not be decoded: {errors[0]}")
        if self.start_s is None:
            found.append("the audio stream holds no audio that can be decoded")
        elif reached_s < promised_s - _ENCODER_SLACK_S:
            found.append(f"{reached_s:.2f} of {promised_s:.2f} promised seconds of audio decoded")
        return found

    def repaired(self) -> list[str]:
        """What was wrong with the audio's timestamps and was made good, in words."""
        found = []
        if self._silence_s:
            found.append(f"{self._silence_s:.2f} s of missing audio filled with silence")
        if self._jumps:
            found.append(f"audio timestamps jump {often(self._jumps)}")
        return found + self._meter.notes()

    def _reach(self, frame: AudioFrame) -> None:
        """Fill the gap before `frame` with silence, where there is one."""
        stamp_s = self._stamp_as_it_counts(None if frame.pts is None else float(frame.pts * self._time_base))
        if self.start_s is None:
            self.start_s = self._origin_s = stamp_s or 0.0
        if stamp_s is None:
            return
        gap_s = stamp_s - self._origin_s - self._taken_s
        if not -_GAP_S <= gap_s <= self._longest_gap_s:
            self._jumps += 1
            self._origin_s += gap_s
        elif gap_s > _GAP_S:
            self.finish()
            self._taken_s += gap_s
            self._silence_s += gap_s
            missing = max(0, round(self._taken_s * AUDIO_RATE_HZ) - self.samples)
            self._give(bytes(missing * _BYTES_PER_SAMPLE))

    def _resample(self, resampler: AudioResampler, frame: AudioFrame | None) -> None:
        for piece in resampler.resample(frame):
            names = [channel.name for channel in AudioLayout(layout_of(piece.layout)).channels]
            mono = self._downmix(piece.to_ndarray().astype(np.float32, copy=False).reshape(-1, len(names)).T, names)
            self._give(np.clip(np.round(mono * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2").tobytes())

    def _give(self, samples: bytes) -> None:
        self.ready += samples
        self.samples += len(samples) // _BYTES_PER_SAMPLE
        if self.samples > self._max_samples:
            limit_s = self._max_samples / AUDIO_RATE_HZ
            raise MediaError(f"the audio is longer than {limit_s:g} s", hint="raise --limits-max-duration-s to allow it")


def send_sound(track: SoundTrack, send: Send) -> None:
    """Hand over what is ready of a track, if anything is."""
    if track.ready:
        send({"kind": "sound"}, bytes(track.ready))
        track.ready.clear()

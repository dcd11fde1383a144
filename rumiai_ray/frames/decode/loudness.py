"""How loud the sound is to the ear: integrated loudness after ITU-R BS.1770-4 (EBU R 128), by libav's `ebur128` filter.

Runs inside the decoding subprocess, on all channels at 48 kHz as they are decoded: before the downmix, before the samples become 16 bit.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.filter import Graph

if TYPE_CHECKING:
    from av.audio.layout import AudioLayout

_RATE_HZ = 48_000
_NOTHING_LUFS = -70.0
"""The absolute gate of BS.1770: what is quieter does not count, and the filter says this where nothing was louder."""
_ERRORS = (av.FFmpegError, ValueError)
_USUAL = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""What so many channels are where a file does not say: libav's `av_channel_layout_default`, which players follow."""


def layout_of(layout: AudioLayout) -> str:
    """The name of a channel layout; the usual one of so many channels where a file does not say what they are."""
    if all(channel.name == "NONE" for channel in layout.channels):
        return _USUAL.get(layout.nb_channels, layout.name)
    return layout.name


class LoudnessMeter:
    """Measures all sound of one track. Frames may change their rate and channels: they are converted to those of the first one."""

    def __init__(self) -> None:
        self._layout: str | None = None
        self._graph: Graph | None = None
        self._resampler: AudioResampler | None = None
        self._source: tuple[str, str, int] | None = None
        self._samples = 0
        self._integrated_lufs: float | None = None
        self._trouble = ""

    @property
    def lufs(self) -> float | None:
        """The integrated loudness so far; None below the gate of -70 LUFS, for less than 0.4 s of sound and after `trouble`."""
        measured = self._integrated_lufs
        return None if self._trouble or measured is None or measured <= _NOTHING_LUFS else measured

    def notes(self) -> list[str]:
        """Why there is no loudness, in words; nothing where there is one, or the sound is silent."""
        return [f"the loudness of this sound could not be measured: {self._trouble}"] if self._trouble else []

    def take(self, frame: AudioFrame) -> None:
        """Take the next decoded frame; its timestamp is taken off."""
        if self._trouble:
            return
        try:
            self._convert(frame)
        except MemoryError:
            raise
        except _ERRORS as error:
            self._trouble = str(error)

    def finish(self) -> None:
        """There are no more frames."""
        if self._trouble or self._resampler is None:
            return
        try:
            self._measure(self._resampler, None)
        except MemoryError:
            raise
        except _ERRORS as error:
            self._trouble = str(error)

    def _convert(self, frame: AudioFrame) -> None:
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self._source:
            self.finish()
            self._layout = self._layout or frame.layout.name
            self._resampler = AudioResampler(format="flt", layout=self._layout, rate=_RATE_HZ)
            self._source = source
        frame.pts = None
        if self._resampler is not None:
            self._measure(self._resampler, frame)

    def _measure(self, resampler: AudioResampler, frame: AudioFrame | None) -> None:
        for piece in resampler.resample(frame):
            layout = layout_of(piece.layout)
            if layout != piece.layout.name:
                piece = AudioFrame.from_ndarray(piece.to_ndarray(), format="flt", layout=layout)  # noqa: PLW2901 -- the same sound
            if self._graph is None:
                self._graph = _graph(layout)
            piece.rate = _RATE_HZ
            piece.pts, piece.time_base = self._samples, Fraction(1, _RATE_HZ)
            self._samples += piece.samples
            self._graph.push(piece)
            self._read(self._graph)

    def _read(self, graph: Graph) -> None:
        while True:
            try:
                measured = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            value = measured.metadata.get("lavfi.r128.I")
            if value is not None:
                self._integrated_lufs = float(value)


def _graph(layout: str) -> Graph:
    graph = Graph()
    entry = graph.add_abuffer(sample_rate=_RATE_HZ, format="flt", layout=layout, time_base=Fraction(1, _RATE_HZ))
    meter = graph.add("ebur128", "metadata=1:framelog=quiet")
    end = graph.add("abuffersink")
    entry.link_to(meter)
    meter.link_to(end)
    graph.configure()
    return graph

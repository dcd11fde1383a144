"""Clips of numbered pictures and a tone whose times begin late, apart from each other, or are trimmed by an edit list."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from synthetic_clips import picture

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FPS = 25
_RATE_HZ = 48_000
_SAMPLES_A_FRAME = 960


@dataclass(frozen=True)
class Kind:
    """How a clip is written."""

    container: str
    """A muxer's name."""
    video: str = "libx264"
    audio: str = "aac"
    options: dict[str, str] = field(default_factory=dict)
    """Of the muxer."""
    encoder: dict[str, str] = field(default_factory=lambda: {"preset": "veryfast", "bf": "2"})
    """Options of the video's encoder."""


KINDS = {
    "mp4": Kind("mp4"),
    "fragmented mp4": Kind("mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof+delay_moov"}),
    "mov": Kind("mov"),
    "mkv": Kind("matroska"),
    "webm": Kind("webm", "libvpx", "libopus", encoder={"deadline": "realtime", "cpu-used": "8"}),
    "ts": Kind("mpegts"),
    "flv": Kind("flv"),
    "ps": Kind("mpeg", "mpeg2video", "mp2", encoder={"bf": "2"}),
}


@dataclass(frozen=True)
class Part:
    """Pictures with their sound, and when each begins by the file's own time."""

    pictures_from_s: float
    seconds: float
    sound_from_s: float
    sound_seconds: float
    first_number: int = 0


def write_clip(path: Path, kind: Kind, part: Part) -> Path:
    """Write a clip."""
    with av.open(str(path), "w", format=kind.container, options=dict(kind.options)) as output:
        video: Any = output.add_stream(kind.video, rate=FPS, options={"g": str(FPS), "threads": "1", **kind.encoder})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio: Any = output.add_stream(kind.audio, rate=_RATE_HZ, layout="mono")
        packets: list[Any] = []
        packets += _shifted(_pictures(video, part), part.pictures_from_s)
        packets += _shifted(_tone(audio, part), part.sound_from_s)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            output.mux(packet)
    return path


def _pictures(video: Any, part: Part) -> Iterable[Any]:
    for number in range(round(part.seconds * FPS)):
        yield from video.encode(av.VideoFrame.from_ndarray(picture(part.first_number + number), format="rgb24"))
    yield from video.encode(None)


def _tone(audio: Any, part: Part) -> Iterable[Any]:
    for start in range(0, round(part.sound_seconds * _RATE_HZ), _SAMPLES_A_FRAME):
        samples = (np.sin((start + np.arange(_SAMPLES_A_FRAME)) * 2 * np.pi * 440 / _RATE_HZ) / 4).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="flt" if audio.codec_context.name == "libopus" else "fltp", layout="mono")
        frame.rate, frame.pts, frame.time_base = _RATE_HZ, start, Fraction(1, _RATE_HZ)
        yield from audio.encode(frame)
    yield from audio.encode(None)


def _shifted(packets: Iterable[Any], by_s: float) -> Iterable[Any]:
    for packet in packets:
        ticks = round(by_s / packet.time_base)
        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        yield packet


def trim_by_edit_list(path: Path, from_s: float, seconds: float) -> Path:
    """Let the edit lists of an MP4 file show so many seconds from a time on; the headers state the new length, as editors write them."""
    data = bytearray(path.read_bytes())
    ticks_a_second = _number(data, data.index(b"mvhd") + 16)
    length = round(seconds * ticks_a_second)
    _set_number(data, data.index(b"mvhd") + 20, length)
    at = -1
    while (at := data.find(b"trak", at + 1)) >= 0:
        _set_number(data, data.index(b"tkhd", at) + 24, length)
        entry = data.index(b"elst", at) + 12
        assert _number(data, entry - 4) == 1, "the muxer wrote more than one edit"
        media_ticks_a_second = _number(data, data.index(b"mdhd", at) + 16)
        _set_number(data, entry, length)
        _set_number(data, entry + 4, _number(data, entry + 4) + round(from_s * media_ticks_a_second))
    path.write_bytes(data)
    return path


def _number(data: bytearray, at: int) -> int:
    return int(struct.unpack_from(">I", data, at)[0])


def _set_number(data: bytearray, at: int, value: int) -> None:
    struct.pack_into(">I", data, at, value)

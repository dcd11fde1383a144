"""Two recordings in one file: transport streams of other sizes, aspects, orientations or pixel formats, written one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from quadrants import make_quadrant_clip

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 10
"""Of each part, at 20 a second."""


def joined(folder: Path, *parts: dict[str, Any]) -> Path:
    """Transport streams of half a second each, one written after the other, with times that go on."""
    path = folder / "joined.ts"
    with path.open("wb") as output:
        for number, part in enumerate(parts):
            piece = make_quadrant_clip(folder / f"{number}.mkv", frames=FRAMES, rate=20, **part["clip"])
            shifted = folder / f"{number}.ts"
            _shift(piece, shifted, number * FRAMES / 20, part.get("filter", ""))
            output.write(shifted.read_bytes())
    return path


def _shift(source: Path, target: Path, by_s: float, extra: str) -> None:
    with av.open(str(source)) as read, av.open(str(target), "w", format="mpegts") as write:
        video = read.streams.video[0]
        assert video.time_base is not None
        ticks = round(by_s / video.time_base)
        copy = write.add_stream_from_template(video)
        bsf = BitStreamFilterContext(f"h264_mp4toannexb{extra}", video, copy)
        for packet in read.demux(video):
            if packet.dts is None:
                continue
            packet.pts, packet.dts = (packet.pts or 0) + ticks, packet.dts + ticks
            for filtered in bsf.filter(packet):
                filtered.stream = copy
                write.mux(filtered)
        for filtered in bsf.filter(None):
            filtered.stream = copy
            write.mux(filtered)

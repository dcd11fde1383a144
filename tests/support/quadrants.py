"""Pictures of four colours, red and green over blue and white, by which a test can tell which way up a picture is shown."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

COLOURS = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255), "K": (0, 0, 0)}
UPRIGHT = "RGBW"
SHOWN_BY_EXIF = {1: "RGBW", 2: "GRWB", 3: "WBGR", 4: "BWRG", 5: "RBGW", 6: "BRWG", 7: "WGBR", 8: "GWRB"}
"""How the stored picture R G / B W is shown, row by row, under each EXIF orientation (CIPA DC-008, figure of tag 0x0112)."""
ROTATION_BY_EXIF = {
    1: (0, False), 2: (0, True), 3: (180, False), 4: (180, True), 5: (270, True), 6: (90, False), 7: (90, True), 8: (270, False),
}  # fmt: skip
"""(clockwise degrees, mirrored first) by EXIF orientation."""
_ONE, _W = 1 << 16, 1 << 30
MATRIX_BY_EXIF = {
    1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
    5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0),
}  # fmt: skip
"""a, b, c, d of the display matrix that shows the same."""


def quadrants(width_px: int = 96, height_px: int = 64, colours: str = UPRIGHT) -> NDArray[np.uint8]:
    """(height, width, 3) RGB."""
    picture = np.zeros((height_px, width_px, 3), np.uint8)
    halves = (slice(0, height_px // 2), slice(height_px // 2, None)), (slice(0, width_px // 2), slice(width_px // 2, None))
    for number, colour in enumerate(colours):
        picture[halves[0][number // 2], halves[1][number % 2]] = COLOURS[colour]
    return picture


def colours_in(picture: NDArray[np.uint8]) -> str:
    """The four colours of a (height, width, 3) BGR picture, row by row."""
    height, width = picture.shape[:2]
    found = [picture[int(height * y), int(width * x)][::-1].astype(int) for y in (0.25, 0.75) for x in (0.25, 0.75)]
    return "".join(min(COLOURS, key=lambda name: int(np.abs(np.array(COLOURS[name]) - rgb).sum())) for rgb in found)


def colour_at(picture: NDArray[np.uint8], x: float, y: float) -> str:
    """The colour of a BGR picture at a share of its width and height."""
    rgb = picture[int(picture.shape[0] * y), int(picture.shape[1] * x)][::-1].astype(int)
    return min(COLOURS, key=lambda name: int(np.abs(np.array(COLOURS[name]) - rgb).sum()))


def matrix(a: int, b: int, c: int, d: int) -> tuple[int, ...]:
    """The nine numbers of a `tkhd` box."""
    return (a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, 0, 0, _W)


def make_quadrant_clip(  # noqa: PLR0913 -- everything about a file, each by name
    path: Path,
    *,
    frames: int = 5,
    rate: int = 5,
    size_px: tuple[int, int] = (96, 64),
    sample_aspect: tuple[int, int] = (1, 1),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container: str | None = None,
    colours: str = UPRIGHT,
) -> Path:
    """A clip of one picture."""
    with av.open(str(path), "w", format=container) as output:
        options = {"crf": "5", "preset": "ultrafast"} if codec == "libx264" else {}
        stream: Any = output.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size_px
        stream.pix_fmt = pixel_format
        stream.codec_context.sample_aspect_ratio = Fraction(*sample_aspect)
        for _ in range(frames):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(quadrants(*size_px, colours), format="rgb24")))
        output.mux(stream.encode(None))
    return path


def set_track_matrix(path: Path, numbers: Sequence[int]) -> Path:
    """Write a display matrix into every `tkhd` box of an MP4 file."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    while at >= 0:
        start = at + 4 + (52 if data[at + 4] == 1 else 40)
        data[start : start + 36] = struct.pack(">9i", *numbers)
        at = data.find(b"tkhd", at + 4)
    path.write_bytes(data)
    return path


def insert_clap(path: Path, aperture: tuple[int, ...]) -> Path:
    """Put a `clap` box into the first visual sample entry of an MP4 file whose `moov` lies at its end.

    Args:
        path: of the file.
        aperture: width, height, horizontal and vertical offset, each as numerator and denominator.
    """
    data = bytearray(path.read_bytes())
    box = struct.pack(">I4s8i", 40, b"clap", *aperture)
    chain, at, end = [], 0, len(data)
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        at = _find(data, at, end, kind)
        chain.append(at)
        end = at + int.from_bytes(data[at : at + 4], "big")
        at += 16 if kind == b"stsd" else 8
    chain.append(at)  # the sample entry
    insert = at + int.from_bytes(data[at : at + 4], "big")
    data[insert:insert] = box
    for start in chain:
        data[start : start + 4] = (int.from_bytes(data[start : start + 4], "big") + len(box)).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def _find(data: bytearray, at: int, end: int, kind: bytes) -> int:
    while at < end:
        if data[at + 4 : at + 8] == kind:
            return at
        at += int.from_bytes(data[at : at + 4], "big")
    raise AssertionError(f"no box {kind!r}")


def bgr(jpeg: bytes) -> NDArray[np.uint8]:
    """(height, width, 3)."""
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)

"""What libav and Pillow do not tell of MP4, HEIF and AVIF files: clean apertures, display matrices, the properties of a picture.

A small reader of ISO base media boxes (ISO/IEC 14496-12). Files lie: whatever does not fit is taken as absent, never followed.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rumiai_ray.frames.decode.orientation import UPRIGHT, Orientation

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_BOXES = 100_000
_MAX_READ_BYTES = 2**20
_VISUAL_ENTRY_BYTES = 78
"""Of a sample entry, before the boxes in it."""
_WIDE_IDS_FROM = 1
"""Version of `ipma` from which item numbers have 32 bits."""


class Crop(NamedTuple):
    """A part of a stored picture, in its own pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Aperture:
    """A clean aperture (`clap`): size of the part that is shown, and how far its centre lies from the picture's."""

    width: float
    height: float
    right: float
    down: float

    def of(self, width_px: int, height_px: int) -> Crop | None:
        """The part of a picture of this size, whole pixels; None where it is all of the picture, or not inside it."""
        x = round((width_px - self.width) / 2 + self.right)
        y = round((height_px - self.height) / 2 + self.down)
        width, height = round(self.width), round(self.height)
        inside = width > 0 and height > 0 and x >= 0 and y >= 0 and x + width <= width_px and y + height <= height_px
        return Crop(x, y, width, height) if inside and (width, height) != (width_px, height_px) else None


@dataclass(frozen=True)
class ItemProperties:
    """How the primary picture of a HEIF or AVIF file is shown."""

    orientation: Orientation = UPRIGHT
    aperture: Aperture | None = None
    transfer: int | None = None
    """Transfer characteristics of `colr` (ITU-T H.273); None where it does not say."""


@dataclass(frozen=True)
class TrackHeader:
    """How the pictures of one track of an MP4 file are shown."""

    orientation: Orientation = UPRIGHT
    aperture: Aperture | None = None


class _Box(NamedTuple):
    kind: bytes
    start: int
    """First byte of its contents."""
    end: int


class _Reader:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = _MAX_BOXES
        self.size = os.fstat(descriptor).st_size

    def bytes_of(self, start: int, end: int) -> bytes:
        return os.pread(self._descriptor, max(0, min(end - start, _MAX_READ_BYTES)), start)

    def boxes(self, start: int, end: int) -> Iterator[_Box]:
        at = start
        while at + 8 <= end and self._left > 0:
            self._left -= 1
            head = os.pread(self._descriptor, 16, at)
            if len(head) < 8:  # noqa: PLR2004 -- size and kind
                return
            size, begin = int.from_bytes(head[:4], "big"), at + 8
            if size == 1 and len(head) == 16:  # noqa: PLR2004 -- with a large size
                size, begin = int.from_bytes(head[8:16], "big"), at + 16
            stop = end if size == 0 else at + size
            if stop < begin or stop > end:
                return
            yield _Box(head[4:8], begin, stop)
            at = stop

    def inside(self, start: int, end: int, *path: bytes) -> Iterator[_Box]:
        """Boxes at `path`, one kind of box inside another."""
        for box in self.boxes(start, end):
            if box.kind == path[0]:
                if len(path) == 1:
                    yield box
                else:
                    yield from self.inside(box.start, box.end, *path[1:])


def track_header(descriptor: int, track_id: int) -> TrackHeader | None:
    """What an MP4 or QuickTime file says of one of its tracks; None where there is no such track.

    Args:
        descriptor: of the file.
        track_id: as in its `tkhd` box.
    """
    reader = _Reader(descriptor)
    for track in reader.inside(0, reader.size, b"moov", b"trak"):
        for box in reader.inside(track.start, track.end, b"tkhd"):
            content = reader.bytes_of(box.start, box.end)
            long = content[:1] == b"\1"
            number, matrix = (20, 52) if long else (12, 40)
            if len(content) < matrix + 36 or int.from_bytes(content[number : number + 4], "big") != track_id:
                continue
            return TrackHeader(
                Orientation.of_matrix(struct.unpack(">9i", content[matrix : matrix + 36])), _aperture_of_track(reader, track)
            )
    return None


def _aperture_of_track(reader: _Reader, track: _Box) -> Aperture | None:
    for table in reader.inside(track.start, track.end, b"mdia", b"minf", b"stbl", b"stsd"):
        for entry in reader.boxes(table.start + 8, table.end):
            for clap in reader.inside(entry.start + _VISUAL_ENTRY_BYTES, entry.end, b"clap"):
                return _aperture(reader.bytes_of(clap.start, clap.end))
    return None


def item_properties(descriptor: int) -> ItemProperties:
    """How the primary picture of a HEIF or AVIF file is shown."""
    reader = _Reader(descriptor)
    for meta in reader.inside(0, reader.size, b"meta"):
        start = meta.start + 4
        primary = next((reader.bytes_of(box.start, box.end) for box in reader.inside(start, meta.end, b"pitm")), b"")
        item = int.from_bytes(primary[4:8] if primary[:1] == b"\1" else primary[4:6], "big")
        properties = [box for parent in reader.inside(start, meta.end, b"iprp", b"ipco") for box in reader.boxes(parent.start, parent.end)]
        wanted = [
            index
            for box in reader.inside(start, meta.end, b"iprp", b"ipma")
            for index in _associated(reader.bytes_of(box.start, box.end), item)
        ]
        return _properties(reader, [properties[index - 1] for index in wanted if 0 < index <= len(properties)])
    return ItemProperties()


def _properties(reader: _Reader, boxes: list[_Box]) -> ItemProperties:
    quarters, axis, aperture, transfer = 0, None, None, None
    for box in boxes:
        content = reader.bytes_of(box.start, box.end)
        if box.kind == b"irot" and content:
            quarters = content[0] & 3
        elif box.kind == b"imir" and content:
            axis = content[0] & 1
        elif box.kind == b"clap":
            aperture = _aperture(content)
        elif box.kind == b"colr" and content[:4] == b"nclx" and len(content) >= 8:  # noqa: PLR2004 -- up to the transfer
            transfer = int.from_bytes(content[6:8], "big")
    return ItemProperties(Orientation.of_item(quarters, axis), aperture, transfer)


def _associated(content: bytes, item: int) -> Iterator[int]:
    """Numbers, from 1, of the properties that an `ipma` box gives to an item."""
    if len(content) < 8:  # noqa: PLR2004 -- version, flags and count
        return
    wide_ids, wide_indices = content[0] >= _WIDE_IDS_FROM, content[3] & 1
    at = 8
    for _ in range(int.from_bytes(content[4:8], "big")):
        id_bytes = 4 if wide_ids else 2
        number = int.from_bytes(content[at : at + id_bytes], "big")
        at += id_bytes
        if at >= len(content):
            return
        count, at = content[at], at + 1
        for _ in range(count):
            if wide_indices:
                index, at = int.from_bytes(content[at : at + 2], "big") & 0x7FFF, at + 2
            else:
                index, at = (content[at] & 0x7F if at < len(content) else 0), at + 1
            if number == item:
                yield index


def _aperture(content: bytes) -> Aperture | None:
    if len(content) < 32:  # noqa: PLR2004 -- four fractions
        return None
    fractions = struct.unpack(">8i", content[:32])
    tops, bottoms = fractions[::2], fractions[1::2]
    if min(bottoms) <= 0:
        return None
    return Aperture(*(top / bottom for top, bottom in zip(tops, bottoms, strict=True)))

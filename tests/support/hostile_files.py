"""Malformed files, each a function of a sound file and a seeded generator: damage as it happens, and lies as an attacker tells them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from real_media import MEDIA
from synthetic_clips import grid_times_s, make_clip

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MOST_BYTES = 1_300_000
"""Larger sound files only cost time."""
_NESTING = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"edts", b"dinf", b"mvex", b"moof", b"traf"}
_FOURCCS = (
    b"avc1",
    b"hvc1",
    b"av01",
    b"vp09",
    b"mp4v",
    b"mjpg",
    b"png ",
    b"mp4a",
    b"Opus",
    b"alac",
    b"text",
    b"tmcd",
    b"raw ",
    b"\0\0\0\0",
)
_EBML_IDS = (
    b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"\x15\x49\xa9\x66", b"\xae", b"\xa3", b"\xe0",
    b"\xe1", b"\x63\xa2", b"\x86", b"\xb0", b"\xba",
)  # fmt: skip
_EXTREMES = (0, 1, 7, 8, 0x7F, 0x80, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
_HEAD_BYTES = 4096


def sound_files(folder: Path) -> list[Path]:
    """Sound files of every codec of the shared media that are small enough; else clips made into `folder`."""
    if MEDIA.is_dir():
        found = [path for path in sorted(MEDIA.glob("*/*")) if path.suffix not in {".txt", ".tsv", ".align", ".json"}]
        return [path for path in found if 0 < path.stat().st_size <= _MOST_BYTES]
    made = []
    for container in ("mp4", "matroska", "mpegts", "avi", "mov", "flv"):
        path = folder / f"clip.{container}"
        made.append(path if path.exists() else make_clip(path, grid_times_s(10, 1), sound_from_to_s=[(0, 1)], container=container))
    return made


def truncated(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """The end is missing."""
    del other
    return data[: dice.randrange(len(data))]


def beheaded(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """The beginning is missing."""
    del other
    return data[dice.randrange(1, min(len(data), 2 * _HEAD_BYTES)) :]


def bits_flipped(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """Single bits, few or many, anywhere."""
    del other
    for _ in range(dice.choice((1, 10, 100, 2000))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return data


def head_noise(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """Random bytes among the first 4 KB, or the last, where indexes lie."""
    del other
    start = dice.choice((0, max(0, len(data) - _HEAD_BYTES)))
    for _ in range(dice.choice((1, 5, 50))):
        data[min(len(data) - 1, start + dice.randrange(_HEAD_BYTES))] = dice.randrange(256)
    return data


def zeroed(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """A run of zeros, as a lost block of a disk leaves it."""
    del other
    start = dice.randrange(len(data))
    length = min(dice.choice((16, 512, 65_536)), len(data) - start)
    data[start : start + length] = bytes(length)
    return data


def repeated(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """A stretch stands there many times."""
    del other
    start = dice.randrange(len(data))
    piece = data[start : start + dice.choice((8, 188, 4096))]
    return data[:start] + piece * dice.choice((2, 50, 1000)) + data[start:]


def cut_out(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """A stretch in the middle is missing."""
    del other
    start = dice.randrange(len(data))
    return data[:start] + data[start + dice.choice((1, 3, 1000, 50_000)) :]


def extreme_numbers(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """Lengths and counts in the header say 0, -1, or more than there is."""
    del other
    zone = min(len(data) - 4, dice.choice((256, _HEAD_BYTES, len(data) - 4)))
    for _ in range(dice.choice((1, 4, 16))):
        at = dice.randrange(max(1, zone))
        struct.pack_into(dice.choice((">I", "<I")), data, at, dice.choice(_EXTREMES))
    return data


def heads_swapped(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """Another file's header before this file's body."""
    at = dice.choice((32, 512, _HEAD_BYTES))
    return bytearray(other[:at]) + data[at:]


def spliced(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """A stretch of another file's body in the middle."""
    at, start = dice.randrange(len(data)), dice.randrange(max(1, len(other)))
    piece = other[start : start + dice.choice((100, 10_000))]
    data[at : at + len(piece)] = piece
    return data


def box_length(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """MP4: a box lies about its length. Matroska: an element does."""
    del other
    boxes = list(_boxes(data))
    if boxes:
        at, length, _ = dice.choice(boxes)
        struct.pack_into(">I", data, at, dice.choice((*_EXTREMES, length - 1, length + 1, length * 2)) & 0xFFFFFFFF)
        return data
    return _ebml(data, dice, lambda: bytes([dice.choice((0x00, 0x01, 0x08, 0x80, 0xFF, 0xFE))]))


def box_type(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """MP4: a box, or a sample entry, changes its type: another codec's decoder gets the data. Matroska: an element's id changes."""
    del other
    places = [at + 4 for at, _, _ in _boxes(data)] + [at for name in _FOURCCS if (at := data.find(name)) > 0 and name.strip(b"\0")]
    if not list(_boxes(data)):
        return _ebml(data, dice, lambda: dice.randbytes(2))
    at = dice.choice(places)
    data[at : at + 4] = dice.choice((*_FOURCCS, *_NESTING, dice.randbytes(4)))
    return data


def box_nested(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """MP4: boxes in boxes, thousands deep, or a box inside itself. Others: the file inside itself."""
    boxes = [box for box in _boxes(data) if box[2] in _NESTING]
    if not boxes:
        return repeated(data, other, dice)
    at, length, kind = dice.choice(boxes)
    deep = dice.choice((3, 200, 5000))
    shell = bytearray()
    for left in range(deep, 0, -1):
        shell += struct.pack(">I4s", min(length + 8 * left, 0xFFFFFFFF), dice.choice((kind, b"trak", b"udta")))
    return data[:at] + shell + data[at:]


def box_moved(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """MP4: two boxes change places. Others: two stretches do."""
    del other
    boxes = list(_boxes(data)) or [(dice.randrange(len(data)), 500, b"")] * 2
    one, two = dice.choice(boxes), dice.choice(boxes)
    first, second = data[one[0] : one[0] + one[1]], data[two[0] : two[0] + two[1]]
    moved = data.replace(bytes(first), b"\1" * 16 + b"swap", 1).replace(bytes(second), bytes(first), 1)
    return moved.replace(b"\1" * 16 + b"swap", bytes(second), 1)


def tables_lie(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """MP4: sample sizes, offsets, times and dimensions say what is not so. Others: numbers of the header."""
    wanted = (b"stsz", b"stco", b"stts", b"stsc", b"ctts", b"tkhd", b"mvhd", b"mdhd", b"elst", b"stsd", b"avcC", b"hvcC", b"esds", b"colr")
    places = [at for name in wanted if (at := data.find(name)) > 0]
    if not places:
        return extreme_numbers(data, other, dice)
    for at in dice.sample(places, min(len(places), dice.choice((1, 3)))):
        for _ in range(dice.choice((1, 4))):
            where = min(len(data) - 4, at + 4 + 4 * dice.randrange(24))
            struct.pack_into(">I", data, where, dice.choice(_EXTREMES))
    return data


def streams_swapped(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """This file's index over another file's media data."""
    at = data.find(b"mdat")
    body = bytearray(other[dice.randrange(max(1, len(other) // 2)) :]) or bytearray(b"\0")
    if at < 0:
        at = min(len(data), _HEAD_BYTES)
        return data[:at] + body
    end = min(len(data), at - 4 + int.from_bytes(data[at - 4 : at], "big"))
    room = max(0, end - at - 4)
    data[at + 4 : end] = (body * (1 + room // len(body)))[:room]
    return data


CHANGES: tuple[Callable[[bytearray, bytes, random.Random], bytearray], ...] = (
    truncated, beheaded, bits_flipped, head_noise, zeroed, repeated, cut_out, extreme_numbers, heads_swapped, spliced, box_length, box_type,
    box_nested, box_moved, tables_lie, streams_swapped,
)  # fmt: skip
PLAIN_CHANGES = (truncated, beheaded, bits_flipped, head_noise, zeroed, repeated, cut_out, extreme_numbers, spliced)
"""Those that know no container."""


def changed(kind: str, data: bytes, other: bytes, dice: random.Random) -> bytes:
    """`data` after the change of that name; `other` is a second sound file."""
    change = next(one for one in CHANGES if one.__name__ == kind)
    return bytes(change(bytearray(data), other, dice))


def _boxes(data: bytearray, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, bytes]]:
    """(offset, length, type) of the boxes of an MP4 file, nested ones included; nothing for other files."""
    end = len(data) if end is None else end
    if start == 0 and bytes(data[4:8]) not in {b"ftyp", b"moov", b"mdat", b"free", b"wide"}:
        return
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        if length < 8 or start + length > end:
            return
        yield start, length, kind
        if kind in _NESTING:
            yield from _boxes(data, start + 8, start + length)
        start += length


def _ebml(data: bytearray, dice: random.Random, value: Callable[[], bytes]) -> bytearray:
    places = [at + len(name) for name in _EBML_IDS if (at := data.find(name)) >= 0]
    for _ in range(dice.choice((1, 3))):
        at = dice.choice(places or [dice.randrange(len(data))])
        piece = value()
        data[at : at + len(piece)] = piece
    return data

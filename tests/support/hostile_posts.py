"""Posts that mean harm: parts that cannot be joined, images that are none, pages that lie about both."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif
from PIL import Image

import hostile_files
import hostile_origins
from post_sites import IMAGES, MUSIC, PHOTO_POST, post_sites
from rumiai_ray.ingest.entries import entries_from_inputs
from rumiai_ray.ingest.fetch import FetchLimits, fetch
from rumiai_ray.ingest.sites import joining
from sound_files import make_sound
from synthetic_clips import grid_times_s, make_clip

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from post_sites import PostSites

_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "TIFF", "BMP")
"""The last two are not taken: whatever says that it is one of the others may be one of them."""
_LIMITS = FetchLimits(max_bytes=8 * 2**20, total_s=40, stall_s=10, attempts=1, site_cpu_s=20)
_END_S = 40.0
DAMAGED_PARTS = tuple(change.__name__ for change in hostile_files.CHANGES)


def join(kind: str, scratch: Path, sound: list[Path], dice: random.Random) -> str:
    """A post's pictures and sound, one of them or both damaged, joined; also two files that are none of a post."""
    pictures, tone = make_clip(scratch / "pictures.mp4", grid_times_s(10, 1)), make_sound(scratch / "sound.m4a", 1.0)
    if dice.random() < 0.5:
        pictures.write_bytes(dice.choice(sound).read_bytes())
    for part in dice.choice(((pictures,), (tone,), (pictures, tone))):
        other = dice.choice(sound).read_bytes()
        part.write_bytes(hostile_files.changed(kind, part.read_bytes(), other, dice) or b"\0")
    target = scratch / "joined"
    sizes = pictures.stat().st_size + tone.stat().st_size
    joining.join(pictures, tone, target, "https://h.example/post", _LIMITS, remaining_s=lambda: _END_S, look=lambda: None)
    if target.stat().st_size > sizes + sizes // 20 + 2**20:
        raise AssertionError("the process wrote more than it may")
    return "analysed"


def _encoded(picture_format: str, size_px: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    if picture_format == "HEIF":
        pillow_heif.register_heif_opener()
    noise = np.random.default_rng(1).integers(0, 255, (size_px[1], size_px[0], 3), np.uint8)
    Image.fromarray(noise).save(buffer, picture_format)
    return buffer.getvalue()


def _sizes_lie(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """Wherever the picture's width or height stands, another number."""
    del other
    extreme = dice.choice((0, 1, 0x7FFF, 0x8000, 0xFFFF))
    for number in (64, 48):
        for form in (">H", "<H", ">I", "<I"):
            wanted = struct.pack(form, number)
            data = data.replace(wanted, struct.pack(form, extreme), dice.choice((1, 1, -1)))
    return data


def _frames_lie(data: bytearray, other: bytes, dice: random.Random) -> bytearray:
    """An animation of a thousand frames, or one whose frames end early."""
    del other
    buffer = io.BytesIO()
    frames = [Image.new("L", (64, 48), shade % 256) for shade in range(dice.choice((2, 1000)))]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    whole = bytearray(buffer.getvalue())
    return whole[: dice.randrange(len(whole) // 2, len(whole))] if dice.random() < 0.5 else whole + data


_PICTURES: dict[str, Callable[[bytearray, bytes, random.Random], bytearray]] = {
    **{change.__name__: change for change in hostile_files.PLAIN_CHANGES},
    "sizes_lie": _sizes_lie,
    "frames_lie": _frames_lie,
}
DAMAGED_IMAGES = tuple(_PICTURES)


def show(kind: str, scratch: Path, dice: random.Random) -> str:
    """A post of a good image and of damaged ones of every format, with sound that is damaged, too, or without."""
    images = {1: scratch / "good"}
    images[1].write_bytes(_encoded("JPEG"))
    for place, picture_format in enumerate(_FORMATS, 2):
        images[place] = scratch / f"image-{place}"
        data = _PICTURES[kind](bytearray(_encoded(picture_format)), _encoded(dice.choice(_FORMATS)), dice)
        images[place].write_bytes(bytes(data) or b"\0")
    tone = make_sound(scratch / "sound.m4a", 1.0) if dice.random() < 0.5 else None
    if tone is not None and dice.random() < 0.5:
        tone.write_bytes(hostile_files.changed("bits_flipped", tone.read_bytes(), b"\0", dice))
    shown, notes = joining.show(
        images, tone, scratch / "shown", "https://h.example/post", _LIMITS, remaining_s=lambda: _END_S, look=lambda: None
    )
    if not 1 <= shown <= len(images) or shown + len(notes) != len(images):
        raise AssertionError(f"{shown} images are shown and {len(notes)} are left out, of {len(images)}")
    return "analysed"


def _nested(depth: int) -> Any:
    value: Any = "https://h.example/"
    for _ in range(depth):
        value = [value]
    return value


def _images(*addresses: Any) -> dict[str, Any]:
    return {"imagePost": {"images": [{"imageURL": {"urlList": [one]}} for one in addresses]}}


def _pages(trap: str) -> dict[str, dict[str, Any]]:
    """Parts of the description of a post, in place of the usual ones."""
    good = f"https://{IMAGES}/good.webp"
    return {
        "images-no-list": {"imagePost": {"images": {"0": {"imageURL": {"urlList": good}}}}},
        "images-of-other-types": {
            "imagePost": {"images": [None, 5, "x", [], {"imageURL": 7}, {"imageURL": {"urlList": [1, None, {}, good]}}]}
        },
        "images-by-the-thousand": _images(*[f"https://{IMAGES}/none-{number}" for number in range(30)], *[good] * 20_000),
        "images-nested": {"imagePost": {"images": _nested(400)}},
        "address-inside": _images(good, f"{trap}/x", "https://[::1]/x", "https://169.254.169.254/latest/"),
        "address-of-a-file": _images("file:///etc/passwd", "ftp://h/x", "//", "data:image/png;base64,AAAA"),
        "address-with-controls": _images("https://h.example/\r\nX: y", "https://h.exam\0ple/", "https://h example/", good),
        "address-with-a-password": _images("https://u:p@h.example/x", good),
        "address-without-end": _images(f"https://{IMAGES}/" + "a" * 500_000, good),
        "texts-and-numbers": _images(good)
        | {"desc": "\ud800\0\x1b[31m" * 2000, "createTime": 1e300, "stats": {"playCount": 10**40, "diggCount": -1, "shareCount": "many"}},
        "authors": _images(good) | {"author": {"uniqueId": ["x"], "nickname": {"a": 1}, "id": None}, "id": "../../etc"},
        "music-of-other-types": _images(good) | {"music": {"playUrl": {"a": 1}, "title": 5, "duration": "long"}},
        "music-inside": _images(good) | {"music": {"id": "2", "title": "t", "playUrl": f"{trap}/sound.m4a"}},
        "video-of-other-types": _images(good) | {"video": [{"playAddr": 5, "bitrateInfo": "x"}]},
    }


_BROKEN = tuple(f"page-{change.__name__}" for change in hostile_files.PLAIN_CHANGES)
PAGES = (*_pages(""), *_BROKEN)


def page(kind: str, scratch: Path, trap: str, dice: random.Random) -> str:
    """A page of a site that lies about its post, or is damaged, read by yt-dlp in its process."""
    with _sites(scratch) as sites:
        good = sites.serve(f"https://{IMAGES}/good.webp", _encoded("WEBP"))
        pages = _pages(trap)
        music = {
            "id": "2",
            "title": "t",
            "playUrl": sites.serve(f"https://{MUSIC}/sound.m4a", make_sound(scratch / "s.m4a", 1.0).read_bytes()),
        }
        sites.serve_tiktok(**({"music": music} | pages.get(kind, _images(good))))
        if kind not in pages:
            for url, (status, body, headers) in sites.answers.items():
                if b"<script" in body:
                    damaged = hostile_files.changed(kind.removeprefix("page-"), body, json.dumps(music).encode(), dice)
                    sites.answers[url] = status, damaged or b"\0", headers
        limits = dataclasses.replace(_LIMITS, proxy=sites.proxy)
        work = scratch / "work"
        work.mkdir()
        with fetch(entries_from_inputs([PHOTO_POST])[0], limits, work) as video:
            said = video.metadata
            for text in (said.title, said.description, said.author, *said.notes):
                (text or "").encode()
                if "\0" in (text or ""):
                    raise AssertionError("a NUL in a table's text")
    return "analysed"


@contextmanager
def _sites(scratch: Path) -> Iterator[PostSites]:
    """The sites, at the address that counts as public, and trusted."""
    folder = scratch / "sites"
    folder.mkdir()
    before = os.environ.get("SSL_CERT_FILE")
    with post_sites(folder, hostile_origins.ORIGIN) as sites:
        os.environ["SSL_CERT_FILE"] = str(sites.certificate)
        try:
            yield sites
        finally:
            os.environ.pop("SSL_CERT_FILE") if before is None else os.environ.__setitem__("SSL_CERT_FILE", before)

"""Still pictures and sequences of them: tiles, transparency, colours, animations, and files that hold more than one picture."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageDraw

from decoded import decoded
from quadrants import colour_at, colours_in, make_quadrant_clip, quadrants
from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.picture_files import format_of, is_motion_jpeg
from rumiai_ray.frames.limits import DecodeLimits

if TYPE_CHECKING:
    from pathlib import Path

pillow_heif.register_heif_opener()


@pytest.mark.parametrize(
    ("size_px", "tile_px"), [((2048, 1536), 512), ((1000, 700), 256), ((600, 900), 512), ((1025, 513), 512), ((512, 1536), 512)]
)
def test_a_tiled_heic_is_put_together(tmp_path: Path, size_px: tuple[int, int], tile_px: int) -> None:
    path = tmp_path / "photo.heic"
    Image.fromarray(quadrants(*size_px)).save(path, quality=90, grid_tile_size=tile_px)
    result = decoded(path)
    assert (result.facts.width_px, result.facts.height_px) == size_px
    assert colours_in(result.pictures[0]) == "RGBW"
    assert result.facts.frames_decoded == 1
    assert result.facts.problems == ()


def test_the_tiled_photo_of_a_public_report_is_whole(reported: Path) -> None:
    result = decoded(reported / "grid_4x3_tiles.heic")
    assert (result.facts.width_px, result.facts.height_px) == (2048, 1536)
    assert colours_in(result.pictures[0]) == "RGBW"


def transparent(mode: str) -> Image.Image:
    """A black square in the middle of nothing, whose hidden colour is black too."""
    image = Image.new("RGBA", (96, 64), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((32, 16, 63, 47), fill=(0, 0, 0, 255))
    if mode == "P":
        palette = Image.new("P", (96, 64), 0)
        palette.putpalette([0, 0, 0, 0, 0, 0])
        ImageDraw.Draw(palette).rectangle((32, 16, 63, 47), fill=1)
        palette.info["transparency"] = 0
        return palette
    return image.convert(mode)


TRANSPARENT: list[tuple[str, str, dict[str, Any]]] = [
    ("png", "RGBA", {}),
    ("png", "LA", {}),
    ("png", "P", {}),
    ("webp", "RGBA", {"lossless": True}),
    ("avif", "RGBA", {"quality": 95}),
    ("heic", "RGBA", {"quality": 95}),
    ("tif", "RGBA", {}),
    ("gif", "P", {}),
]


@pytest.mark.parametrize(("ending", "mode", "options"), TRANSPARENT)
def test_what_is_transparent_is_white(tmp_path: Path, ending: str, mode: str, options: dict[str, Any]) -> None:
    path = tmp_path / f"picture.{ending}"
    transparent(mode).save(path, **options)
    picture = decoded(path).pictures[0]
    assert colour_at(picture, 0.5, 0.5) == "K"
    assert {colour_at(picture, x, y) for x in (0.1, 0.9) for y in (0.1, 0.9)} == {"W"}


def test_half_transparent_is_half_white(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGBA", (64, 64), (0, 0, 0, 128)).save(path)
    assert decoded(path).pictures[0].mean() == pytest.approx(127, abs=2)


def test_a_transparent_colour_of_an_opaque_picture_is_white(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    image = Image.fromarray(quadrants())
    image.save(path, transparency=(255, 0, 0))
    assert colours_in(decoded(path).pictures[0]) == "WGBW"


def png(depth: int, colour: int, row: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 64 × 16 pixels whose rows are all alike."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 16, depth, colour, 0, 0, 0))
    middle = b"".join(chunk(*one) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + header + middle + chunk(b"IDAT", zlib.compress((b"\0" + row) * 16)) + chunk(b"IEND", b"")


GREY, RGB, PALETTE = 0, 2, 3


@pytest.mark.parametrize(
    ("depth", "colour", "pixels", "clear", "is_clear"),
    [
        (1, GREY, b"\x00" * 8, b"\0\0", True),
        (2, GREY, b"\x55" * 16, b"\0\1", True),
        (4, GREY, b"\x33" * 32, b"\0\3", True),
        (4, GREY, b"\x33" * 32, b"\0\2", False),
        (8, GREY, b"\x00" * 64, b"\0\0", True),
        (16, GREY, b"\x12\x34" * 64, b"\x12\x34", True),
        (16, GREY, b"\x12\x34" * 64, b"\x12\x35", False),
        (8, RGB, b"\x12\x12\x00" * 64, b"\0\x12\0\x12\0\0", True),
        (16, RGB, b"\x12\x34\x12\x00\x00\x12" * 64, b"\x12\x34\x12\x00\x00\x12", True),
        (16, RGB, b"\x12\x34\x12\x00\x00\x12" * 64, b"\x12\x34\x22\x00\x00\x12", False),
        (16, RGB, b"\x12\x34\x12\x00\x00\x12" * 64, b"\x12\x35\x12\x00\x00\x12", False),
        (16, RGB, b"\x12\x34\x12\x00\x00\x12" * 64, b"\x12\x34\x12\x00\x00\x13", False),
        (16, RGB, b"\x12\x34\x12\x00\x00\x12" * 64, b"\x13\x34\x12\x00\x00\x12", False),
        (16, RGB, b"\x00\x01" * 192, b"\x00\x00" * 3, False),
    ],
)
def test_the_one_transparent_colour_of_a_png_is_white_at_any_depth(
    tmp_path: Path, depth: int, colour: int, pixels: bytes, clear: bytes, *, is_clear: bool
) -> None:
    path = tmp_path / "clear.png"
    path.write_bytes(png(depth, colour, pixels, (b"tRNS", clear)))
    assert colours_in(decoded(path).pictures[0]) == ("WWWW" if is_clear else "KKKK")


def test_of_one_deep_picture_only_the_pixels_of_exactly_the_clear_colour_are_white(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    clear, near = b"\x12\x34\x12\x00\x00\x12", b"\x12\x34\x12\x01\x00\x12"
    path.write_bytes(png(16, RGB, clear * 32 + near * 32, (b"tRNS", clear)))
    assert colours_in(decoded(path).pictures[0]) == "WKWK"
    path.write_bytes(path.read_bytes()[:-20])
    assert decoded(path).pictures[0].shape[:2] == (16, 64)


@pytest.mark.parametrize(
    ("ending", "options"),
    [("gif", {"disposal": 2}), ("png", {"disposal": 1, "blend": 0}), ("webp", {"lossless": True}), ("webp", {"quality": 95}), ("avif", {})],
)
def test_where_no_frame_of_an_animation_covers_the_canvas_it_is_white(tmp_path: Path, ending: str, options: dict[str, Any]) -> None:
    frames = []
    for colour, x in (((255, 0, 0, 255), 0), ((0, 255, 0, 255), 48)):
        frame = Image.new("RGBA", (96, 160), (0, 0, 0, 0))
        frame.paste(Image.new("RGBA", (48, 160), colour), (x, 0))
        frames.append(frame)
    path = tmp_path / f"sticker.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=500, **options)
    assert [colours_in(picture) for picture in decoded(path).pictures] == ["RWRW", "WGWG"]


def test_black_text_on_nothing_can_be_read(reported: Path) -> None:
    picture = decoded(reported / "transparent_text.png").pictures[0]
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture.min() < 40


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)]
ANIMATED: list[tuple[str, list[int], dict[str, Any]]] = [
    ("webp", [500, 500, 500], {"lossless": True}),
    ("webp", [40, 1000, 200, 40], {"lossless": True}),
    ("webp", [100, 300, 100, 100, 500], {"quality": 90}),
    ("webp", [2000, 40], {"quality": 95, "method": 6, "minimize_size": True}),
    ("webp", [200, 1000, 200], {"quality": 95, "allow_mixed": True, "kmin": 1, "kmax": 2}),
    ("png", [100, 300, 100, 100, 500], {}),
    ("png", [2000, 40], {}),
    ("png", [500, 500, 500], {"disposal": 1, "blend": 0}),
    ("png", [40, 1000, 200, 40], {"disposal": 2, "blend": 1}),
    ("png", [200, 1000, 200], {"optimize": True}),
    ("avif", [500, 500, 500], {"quality": 95}),
    ("avif", [200, 1000, 200], {"quality": 95}),
    ("avif", [40, 1000, 200, 40], {"quality": 100, "subsampling": "4:4:4"}),
    ("avif", [2000, 40], {"quality": 90, "subsampling": "4:2:2", "speed": 10}),
    ("avif", [100, 300, 100, 100, 500], {"quality": 95, "range": "limited"}),
    ("gif", [100, 300, 100, 500], {}),
    ("gif", [500, 500, 500], {"disposal": 1}),
    ("gif", [2000, 40], {"disposal": 2}),
    ("gif", [200, 1000, 200], {"interlace": False}),
    ("gif", [40, 1000, 200, 40, 100], {"optimize": True}),
]


@pytest.mark.parametrize(("ending", "durations_ms", "options"), ANIMATED)
def test_an_animation_is_a_video(tmp_path: Path, ending: str, durations_ms: list[int], options: dict[str, Any]) -> None:
    path = tmp_path / f"picture.{ending}"
    first, *others = [Image.new("RGB", (96, 64), COLOURS[number]) for number in range(len(durations_ms))]
    first.save(path, save_all=True, append_images=others, duration=durations_ms, loop=0, **options)
    result = decoded(path)
    starts_s = np.cumsum([0, *durations_ms[:-1]]) / 1000
    assert result.facts.frames_decoded == len(durations_ms)
    assert result.facts.duration_s == pytest.approx(sum(durations_ms) / 1000, abs=0.011)
    assert result.thumbnail_times_s == pytest.approx(starts_s.tolist(), abs=0.002)
    for frame, picture in zip(result.frames, result.pictures, strict=True):
        expected = COLOURS[frame.source_frame]
        assert np.abs(picture[32, 48][::-1].astype(int) - expected).max() < 30
    assert all(b.time_s > a.time_s for a, b in pairwise(result.frames))
    assert result.facts.problems == ()


def test_the_animation_of_a_public_report_has_three_frames(reported: Path) -> None:
    result = decoded(reported / "animated_3_frames.webp")
    assert result.facts.frames_decoded == 3
    assert result.facts.duration_s == pytest.approx(1.5)
    assert len({tuple(picture[120, 160].tolist()) for picture in result.pictures}) == 3


@pytest.mark.parametrize("durations_ms", [[0, 0, 0], [10, 10, 10], [0, 500, 0], [10, 40, 500], [500, 10, 0]])
@pytest.mark.parametrize("ending", ["webp", "png", "avif", "gif"])
def test_a_frame_that_asks_for_no_time_is_shown_for_a_tenth_of_a_second_as_browsers_do(
    tmp_path: Path, ending: str, durations_ms: list[int]
) -> None:
    path = tmp_path / f"picture.{ending}"
    first, *others = [Image.new("RGB", (96, 64), colour) for colour in COLOURS[:3]]
    first.save(path, save_all=True, append_images=others, duration=durations_ms)
    shown_s = [(asked_ms if asked_ms > 10 else 100) / 1000 for asked_ms in durations_ms]
    result = decoded(path)
    assert result.facts.duration_s == pytest.approx(sum(shown_s))
    assert result.thumbnail_times_s == pytest.approx([0.0, shown_s[0], shown_s[0] + shown_s[1]])
    assert result.facts.problems == ()


def test_the_still_picture_before_an_animation_is_none_of_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    still, *others = [Image.new("RGB", (96, 64), colour) for colour in COLOURS[:4]]
    still.save(path, save_all=True, append_images=others, duration=200, default_image=True)
    result = decoded(path)
    assert result.facts.frames_decoded == 3
    assert [colour_at(picture, 0.5, 0.5) for picture in result.pictures] == ["G", "B", "W"]


def jpeg(size_px: tuple[int, int] = (96, 64), colours: str = "RGBW", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(quadrants(*size_px, colours)).save(buffer, format="JPEG", quality=95, **options)
    return buffer.getvalue()


def multi_picture(second_colours: str) -> bytes:
    """A JPEG with a multi-picture index, as cameras write them: a gain map, a depth map or another view follows."""
    buffer = io.BytesIO()
    Image.fromarray(quadrants()).save(
        buffer, format="MPO", save_all=True, append_images=[Image.fromarray(quadrants(48, 32, second_colours))], quality=95
    )
    return buffer.getvalue()


def with_gain_map() -> bytes:
    """Ultra HDR: XMP announces the gain map that follows."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description hdrgm:Version="1.0"/></x:xmpmeta>'
    return jpeg(xmp=xmp) + jpeg((24, 16), "KKKK")


@pytest.mark.parametrize(
    "data",
    [
        multi_picture("KKKK"),
        multi_picture("WBGR"),
        with_gain_map(),
        jpeg() + b"\0\0\0\x18ftypmp42" + bytes(2000),
        jpeg() + bytes(5000),
        jpeg(progressive=True) + b"MotionPhoto_Data" + bytes(100),
    ],
    ids=["gain map by index", "second view by index", "gain map by XMP", "motion photo", "padding", "trailer"],
)
def test_a_jpeg_with_something_behind_it_is_one_picture(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    result = decoded(path)
    assert result.facts.frames_decoded == 1
    assert (result.facts.width_px, result.facts.height_px) == (96, 64)
    assert colours_in(result.pictures[0]) == "RGBW"
    assert result.facts.problems == ()


def test_jpegs_one_after_another_are_a_video(tmp_path: Path) -> None:
    path = tmp_path / "stream.mjpeg"
    path.write_bytes(b"".join(jpeg() for _ in range(12)))
    with path.open("rb") as file:
        assert is_motion_jpeg(file.fileno())
    assert decoded(path).facts.frames_decoded == 12


LOSSLESS_JPEG_XL = base64.b64decode("/wpDQCQIAgEAXABLGIsVANSMMRjHC0QAQEgkEObfD2qLBg==")
"""16 × 16 red pixels by libjxl, bare."""
JPEG_XL = {
    "lossy": base64.b64decode("/wpDBgASiAIA4ABd5RIAABUqo4wbvJzr+fJDh8W0jesMbbVtYUmiyDg2SSdwSBKLIO4mxwMAAELMs3AAdoKhKSpJAA=="),
    "lossless": LOSSLESS_JPEG_XL,
    "grey": base64.b64decode("/wpBQFDcCAgCAQBEAEsYixXCQQFOPgAAAAAAAAAA"),
    "with transparency": base64.b64decode("/wpBwEoICBAAZABLGIsVwkkC5gUkANj//tD5AQAAAAAAAAAA"),
    "damaged": b"\xff\x0a" + bytes(100),
}


def boxed_jpeg_xl(*boxes: tuple[bytes, bytes]) -> bytes:
    """A JPEG XL in its container (ISO/IEC 18181-2)."""
    kinds = ((b"JXL ", b"\r\n\x87\n"), (b"ftyp", b"jxl \0\0\0\0jxl "), *boxes)
    return b"".join(struct.pack(">I", 8 + len(data)) + kind + data for kind, data in kinds)


JPEG_XL |= {
    "boxed": boxed_jpeg_xl((b"jxlc", LOSSLESS_JPEG_XL)),
    "boxed in two parts": boxed_jpeg_xl((b"jxlp", b"\0\0\0\0" + LOSSLESS_JPEG_XL[:20]), (b"jxlp", b"\x80\0\0\1" + LOSSLESS_JPEG_XL[20:])),
    "with its level and EXIF": boxed_jpeg_xl((b"jxll", b"\x0a"), (b"Exif", b"\0\0\0\0MM\0*\0\0\0\x08\0\0"), (b"jxlc", LOSSLESS_JPEG_XL)),
    "made from a JPEG": boxed_jpeg_xl((b"jbrd", bytes(40)), (b"jxlc", LOSSLESS_JPEG_XL)),
}


@pytest.mark.parametrize("ending", ["jxl", "jpg"])
@pytest.mark.parametrize("data", JPEG_XL.values(), ids=JPEG_XL)
def test_jpeg_xl_is_refused_in_a_clear_word(tmp_path: Path, data: bytes, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"JPEG XL pictures cannot be decoded here.*convert it"):
        decoded(path)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "I;16", "LA"])
def test_pictures_of_any_colour_mode_keep_light_and_dark(tmp_path: Path, mode: str) -> None:
    grey = np.zeros((64, 96), np.uint8)
    grey[:, 48:] = 200 if mode != "1" else 255
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    image.save(path)
    picture = decoded(path).pictures[0].astype(int)
    assert picture[32, 10].max() < 10
    assert picture[32, 80].min() > 190


def with_red_and_blue_exchanged() -> bytes:
    """A colour profile of sRGB's curves whose first channel means blue and whose third means red."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12)}
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "xxxx".encode("utf-16-be")).replace(b"sRGB built-in", b"exchanged    ")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif", "heic", "tif"])
def test_a_colour_profile_is_followed(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(quadrants()).save(path, icc_profile=with_red_and_blue_exchanged())
    assert colours_in(decoded(path).pictures[0]) == "BGRW"


def test_a_damaged_colour_profile_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(jpeg(icc_profile=b"no profile" * 20))
    assert colours_in(decoded(path).pictures[0]) == "RGBW"


@pytest.mark.parametrize(("ending", "share"), [("jpg", 0.6), ("jpg", 0.9), ("png", 0.6), ("webp", 0.7), ("bmp", 0.5)])
def test_half_a_picture_is_shown_and_told_or_refused(tmp_path: Path, ending: str, share: float) -> None:
    path = tmp_path / f"picture.{ending}"
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 255, (200, 300, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    try:
        result = decoded(path)
    except MediaError as error:
        assert f"picture.{ending}" in str(error)  # noqa: PT017 -- either is right
    else:
        assert result.facts.lost_video
        assert (result.facts.width_px, result.facts.height_px) == (300, 200)


def test_a_picture_above_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.new("1", (20_000, 20_000)).save(path)
    with pytest.raises(MediaError, match=r"20000×20000 is more than .* pixels"):
        decoded(path)
    with pytest.raises(MediaError, match="96×64 is more than 100 pixels"):
        decoded(make_quadrant_clip(tmp_path / "clip.mp4"), limits=DecodeLimits(max_pixels=100))


def test_an_animation_above_the_limit_of_time_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.webp"
    Image.new("RGB", (96, 64)).save(path, save_all=True, append_images=[Image.new("RGB", (96, 64), (9, 9, 9))], duration=60_000)
    with pytest.raises(MediaError, match=r"120\.0 s, is above 100 s"):
        decoded(path, limits=DecodeLimits(max_duration_s=100))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WEBP"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"RIFF\0\0\0\0AVI LIST", None),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_a_format_is_told_by_its_first_bytes(head: bytes, name: str | None) -> None:
    found = format_of(head)
    assert (found.name if found else None) == name

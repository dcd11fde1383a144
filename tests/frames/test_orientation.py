"""Every file is shown the way up, cropped and stretched as its metadata asks: all eight orientations, in pictures and in videos."""

from __future__ import annotations

import struct
from itertools import product
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from decoded import decoded
from quadrants import (
    MATRIX_BY_EXIF,
    ROTATION_BY_EXIF,
    SHOWN_BY_EXIF,
    colour_at,
    colours_in,
    insert_clap,
    make_quadrant_clip,
    matrix,
    quadrants,
    set_track_matrix,
)
from rumiai_ray.frames.decode.boxes import Aperture
from rumiai_ray.frames.decode.orientation import Orientation

if TYPE_CHECKING:
    from pathlib import Path

pillow_heif.register_heif_opener()
FORMATS: dict[str, dict[str, Any]] = {
    "jpg": {"quality": 95},
    "png": {},
    "webp": {"lossless": True},
    "avif": {"quality": 95},
    "heic": {"quality": 95},
    "tif": {},
}


def save(path: Path, orientation: int, **options: Any) -> Path:
    image = Image.fromarray(quadrants())
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize(("ending", "orientation"), list(product(FORMATS, SHOWN_BY_EXIF)))
def test_a_picture_is_shown_as_its_orientation_asks(tmp_path: Path, ending: str, orientation: int) -> None:
    result = decoded(save(tmp_path / f"picture.{ending}", orientation, **FORMATS[ending]))
    assert colours_in(result.pictures[0]) == SHOWN_BY_EXIF[orientation]
    assert (result.facts.width_px, result.facts.height_px) == ((64, 96) if orientation >= 5 else (96, 64))
    assert (result.facts.rotation_deg, result.facts.mirrored) == ROTATION_BY_EXIF[orientation]
    assert result.facts.problems == ()


@pytest.mark.parametrize(("container", "orientation"), [*product(["mp4"], MATRIX_BY_EXIF), ("mov", 4), ("mov", 7)])
def test_a_video_is_shown_as_its_display_matrix_asks(tmp_path: Path, container: str, orientation: int) -> None:
    path = set_track_matrix(make_quadrant_clip(tmp_path / f"clip.{container}"), matrix(*MATRIX_BY_EXIF[orientation]))
    result = decoded(path)
    assert {colours_in(picture) for picture in result.pictures} == {SHOWN_BY_EXIF[orientation]}
    assert (result.facts.width_px, result.facts.height_px) == ((64, 96) if orientation >= 5 else (96, 64))
    assert (result.facts.rotation_deg, result.facts.mirrored) == ROTATION_BY_EXIF[orientation]
    assert result.facts.problems == ()


@pytest.mark.parametrize(
    ("codec", "pixel_format", "orientation"),
    [("mjpeg", "yuvj420p", 2), ("mjpeg", "yuvj420p", 5), ("png", "rgb24", 4), ("png", "rgb24", 7), ("mpeg4", "yuv420p", 6)],
)
def test_a_codec_of_pictures_in_a_video_is_turned_too(tmp_path: Path, codec: str, pixel_format: str, orientation: int) -> None:
    path = make_quadrant_clip(tmp_path / "clip.mov", codec=codec, pixel_format=pixel_format)
    result = decoded(set_track_matrix(path, matrix(*MATRIX_BY_EXIF[orientation])))
    assert {colours_in(picture) for picture in result.pictures} == {SHOWN_BY_EXIF[orientation]}


def test_a_mirrored_clip_of_a_public_report_is_mirrored(reported: Path) -> None:
    result = decoded(reported / "mirrored_hflip_matrix.mp4")
    assert {colours_in(picture) for picture in result.pictures} == {"GRWB"}
    assert (result.facts.rotation_deg, result.facts.mirrored) == (0, True)


@given(st.sampled_from(sorted(MATRIX_BY_EXIF)), st.floats(-40, 40), st.floats(0.1, 30))
def test_a_crooked_or_scaled_matrix_is_the_nearest_of_the_eight(orientation: int, crooked_deg: float, scale: float) -> None:
    a, b, c, d = MATRIX_BY_EXIF[orientation]
    turn = np.deg2rad(crooked_deg)
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    (a2, b2), (c2, d2) = (np.array([[a, b], [c, d]]) @ spin * scale * 65536).round().astype(int)
    assert Orientation.of_matrix((int(a2), int(b2), 0, int(c2), int(d2), 0, 0, 0, 1 << 30)) == Orientation(*ROTATION_BY_EXIF[orientation])


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=9, max_size=9))
def test_any_matrix_means_one_of_the_eight(numbers: list[int]) -> None:
    assert Orientation.of_matrix(numbers).rotation_deg in (0, 90, 180, 270)


@pytest.mark.parametrize("value", [None, 0, 9, -1, "6", 6.0, (6,)])
def test_an_orientation_that_exif_does_not_know_means_upright(value: object) -> None:
    assert Orientation.of_exif(value) == Orientation()


def test_an_orientation_in_xmp_alone_turns_nothing(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(quadrants()).save(path, xmp=xmp)
    assert colours_in(decoded(path).pictures[0]) == "RGBW"


@pytest.mark.parametrize(
    "junk", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"no exif at all", b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_damaged_exif_turns_nothing_and_loses_nothing(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "picture.jpg"
    Image.fromarray(quadrants()).save(path, exif=junk, quality=95)
    result = decoded(path)
    assert colours_in(result.pictures[0]) == "RGBW"
    assert result.facts.problems == ()


APERTURES = [  # (width, height, right, down), each as a fraction; the corner colours and the size shown
    ((48, 1, 32, 1, -24, 1, -16, 1), "RRRR", (48, 32)),
    ((48, 1, 32, 1, 24, 1, -16, 1), "GGGG", (48, 32)),
    ((48, 1, 32, 1, 24, 1, 16, 1), "WWWW", (48, 32)),
    ((96, 1, 32, 1, 0, 1, 16, 1), "BWBW", (96, 32)),
    ((48, 1, 32, 1, 0, 1, 0, 1), "RGBW", (48, 32)),
    ((96, 2, 64, 1, -48, 2, 0, 1), "RRBB", (48, 64)),
]


@pytest.mark.parametrize(
    ("aperture", "colours", "size_px", "orientation"),
    [*((*case, 1) for case in APERTURES), (*APERTURES[0], 2), (*APERTURES[1], 6), (*APERTURES[3], 6)],
)
def test_a_video_s_clean_aperture_is_all_that_is_shown(
    tmp_path: Path, aperture: tuple[int, ...], colours: str, size_px: tuple[int, int], orientation: int
) -> None:
    path = insert_clap(make_quadrant_clip(tmp_path / "clip.mp4"), aperture)
    result = decoded(set_track_matrix(path, matrix(*MATRIX_BY_EXIF[orientation])))
    shown = {1: "{0}{1}{2}{3}", 2: "{1}{0}{3}{2}", 6: "{2}{0}{3}{1}"}[orientation].format(*colours)
    assert {colours_in(picture) for picture in result.pictures} == {shown}
    assert (result.facts.width_px, result.facts.height_px) == (size_px[::-1] if orientation == 6 else size_px)


@pytest.mark.parametrize(
    "aperture",
    [
        (0, 1, 0, 1, 0, 1, 0, 1),
        (200, 1, 64, 1, 0, 1, 0, 1),
        (96, 0, 64, 1, 0, 1, 0, 1),
        (48, 1, 32, 1, 60, 1, 0, 1),
        (96, 1, 64, 1, 0, 1, 0, 1),
    ],
)
def test_an_aperture_that_makes_no_sense_crops_nothing(tmp_path: Path, aperture: tuple[int, ...]) -> None:
    result = decoded(insert_clap(make_quadrant_clip(tmp_path / "clip.mp4"), aperture))
    assert colours_in(result.pictures[0]) == "RGBW"
    assert (result.facts.width_px, result.facts.height_px) == (96, 64)


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(-500, 500), st.floats(-500, 500))
def test_an_aperture_is_always_inside_the_picture(width: float, height: float, right: float, down: float) -> None:
    crop = Aperture(width, height, right, down).of(96, 64)
    if crop is not None:
        assert crop.x >= 0 <= crop.y
        assert 0 < crop.x + crop.width <= 96
        assert 0 < crop.y + crop.height <= 64


@pytest.mark.parametrize(("angle", "axis"), [(1, None), (2, None), (3, None), (0, 0), (0, 1), (1, 0), (3, 1)])
@pytest.mark.parametrize("ending", ["heic", "avif"])
def test_a_picture_is_turned_and_mirrored_by_its_item_s_properties(tmp_path: Path, ending: str, angle: int, axis: int | None) -> None:
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(quadrants()).save(path, quality=95)
    data = _with_item_property(path.read_bytes(), struct.pack(">I4sB", 9, b"irot", angle)) if angle else path.read_bytes()
    path.write_bytes(data if axis is None else _with_item_property(data, struct.pack(">I4sB", 9, b"imir", axis)))
    expected = np.rot90(quadrants(), angle)
    if axis is not None:
        expected = expected[::-1] if axis == 0 else expected[:, ::-1]
    result = decoded(path)
    assert colours_in(result.pictures[0]) == colours_in(expected[..., ::-1])
    height, width = expected.shape[:2]
    assert (result.facts.width_px, result.facts.height_px) == (width, height)
    assert result.facts.rotation_deg is not None
    assert result.facts.mirrored is not None
    upright = Orientation(result.facts.rotation_deg, result.facts.mirrored).apply(quadrants())
    assert np.array_equal(upright, expected)


@pytest.mark.parametrize("ending", ["avif", "heic"])
def test_the_aperture_of_a_picture_is_all_that_is_shown(tmp_path: Path, ending: str) -> None:
    for aperture, colours, size_px in APERTURES:
        path = tmp_path / f"picture.{ending}"
        Image.fromarray(quadrants()).save(path, quality=95)
        path.write_bytes(_with_item_property(path.read_bytes(), struct.pack(">I4s8i", 40, b"clap", *aperture)))
        result = decoded(path)
        assert colours_in(result.pictures[0]) == colours
        assert (result.facts.width_px, result.facts.height_px) == size_px


def _with_item_property(data: bytes, box: bytes) -> bytes:
    """An AVIF or HEIC file with one more property for its first item; the picture's offset in `iloc` moves along."""
    at = data.index(b"ipco") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    number, where = 0, at + 8
    while where < at + size:
        number, where = number + 1, where + int.from_bytes(data[where : where + 4], "big")
    grown = bytearray(data)
    ipma = data.index(b"ipma") - 4
    # version and flags, entry count, item id, association count
    count_at = ipma + 8 + 4 + 4 + 2
    grown[count_at] += 1
    associations = count_at + 1 + data[count_at]
    grown[associations:associations] = bytes([0x80 | (number + 1)])
    grown[at + size : at + size] = box
    for kind, more in ((b"ipco", len(box)), (b"ipma", 1), (b"iprp", len(box) + 1), (b"meta", len(box) + 1)):
        start = grown.index(kind) - 4
        grown[start : start + 4] = (int.from_bytes(grown[start : start + 4], "big") + more).to_bytes(4, "big")
    mdat_before, mdat_after = data.index(b"mdat") + 4, bytes(grown).index(b"mdat") + 4
    iloc = bytes(grown).index(b"iloc")
    end = iloc - 4 + int.from_bytes(grown[iloc - 4 : iloc], "big")
    old, new = mdat_before.to_bytes(4, "big"), mdat_after.to_bytes(4, "big")
    found = bytes(grown[iloc:end]).find(old)
    assert found >= 0
    grown[iloc + found : iloc + found + 4] = new
    return bytes(grown)


ASPECTS = [((2, 1), (192, 64)), ((1, 2), (48, 64)), ((4, 3), (128, 64)), ((10, 11), (87, 64)), ((1, 1), (96, 64)), ((8, 9), (85, 64))]


@pytest.mark.parametrize(
    ("aspect", "size_px", "container"), [*((*case, "mp4") for case in ASPECTS), (*ASPECTS[0], "matroska"), (*ASPECTS[1], "mpegts")]
)
def test_pixels_that_are_not_square_are_stretched(
    tmp_path: Path, aspect: tuple[int, int], size_px: tuple[int, int], container: str
) -> None:
    result = decoded(make_quadrant_clip(tmp_path / "clip", sample_aspect=aspect, container=container))
    assert (result.facts.width_px, result.facts.height_px) == size_px
    assert colours_in(result.pictures[0]) == "RGBW"


def test_a_turned_video_is_stretched_before_it_is_turned(tmp_path: Path) -> None:
    path = make_quadrant_clip(tmp_path / "clip.mp4", sample_aspect=(2, 1))
    result = decoded(set_track_matrix(path, matrix(*MATRIX_BY_EXIF[6])))
    assert (result.facts.width_px, result.facts.height_px) == (64, 192)
    assert colour_at(result.pictures[0], 0.25, 0.25) == "B"


@pytest.mark.parametrize("orientation", [2, 7])
def test_a_display_matrix_in_any_track_number_is_found(tmp_path: Path, orientation: int) -> None:
    """Sound first: the video is track 2."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=48_000, layout="mono")
        stream = output.add_stream("png", rate=5)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb24"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 48_000
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(quadrants(), format="rgb24")))
        output.mux(stream.encode(None))
    result = decoded(set_track_matrix(path, matrix(*MATRIX_BY_EXIF[orientation])))
    assert {colours_in(picture) for picture in result.pictures} == {SHOWN_BY_EXIF[orientation]}

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from decoded import Decoded, decoded
from hdr_files import HLG, PQ, make_hdr_clip, make_hdr_picture
from quadrants import UPRIGHT, colours_in, quadrants
from rumiai_ray.frames.decode.tonemap import to_sdr

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {PQ: "smpte2084", HLG: "arib-std-b67"}


def grey(signal: float, transfer: int) -> int:
    code = np.full((1, 1, 3), round(signal * 65535), np.uint16)
    b, g, r = to_sdr(code, transfer)[0, 0].tolist()
    assert max(b, g, r) - min(b, g, r) <= 2  # grey stays grey
    return int(g)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_brighter_hdr_never_becomes_darker_sdr(transfer: int) -> None:
    levels = [grey(signal, transfer) for signal in np.linspace(0, 1, 33)]
    assert levels == sorted(levels)
    assert levels[0] <= 1
    assert levels[-1] >= 253


def test_reference_white_of_both_curves_is_nearly_sdr_white() -> None:
    # ITU-R BT.2408: 203 nits is 58 % of PQ and 75 % of HLG
    assert 225 <= grey(0.58, PQ) <= 250
    assert 225 <= grey(0.75, HLG) <= 250


def test_mid_grey_of_both_curves_is_mid_grey() -> None:
    # ITU-R BT.2408, table 1: an 18 % grey card is 38 % of PQ and HLG
    assert 95 <= grey(0.38, PQ) <= 145
    assert 95 <= grey(0.38, HLG) <= 145


def test_a_saturated_colour_keeps_its_hue_and_order_of_channels() -> None:
    red = np.array([[[40000, 15000, 15000]]], np.uint16)
    b, g, r = to_sdr(red, HLG)[0, 0].tolist()
    assert r > g + 50
    assert r > b + 50


def assert_shown_in_sdr(result: Decoded, transfer: int) -> None:
    """The file's pictures look as they were before they became HDR: bright colours of BT.709, which a flat reading leaves grey."""
    assert result.facts.color_transfer == NAMES[transfer]
    assert {colours_in(picture) for picture in result.pictures} == {UPRIGHT}
    for picture in result.pictures:
        height, width = picture.shape[:2]
        difference = np.abs(picture[..., ::-1].astype(int) - quadrants(width, height))
        assert np.percentile(difference, 95) < 40  # but for the seams
    assert result.facts.problems == ()


@pytest.mark.parametrize("transfer", NAMES, ids=["PQ", "HLG"])
@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("phone.mp4", "libx265", "yuv420p10le"),
        ("phone.mov", "libx265", "yuv422p10le"),
        ("master.mkv", "libx265", "yuv444p12le"),
        ("camera.mov", "libx264", "yuv422p10le"),
        ("site.webm", "libsvtav1", "yuv420p10le"),
        ("broadcast.ts", "libx265", "yuv420p10le"),
        ("edit.mov", "prores_ks", "yuv422p10le"),
    ],
)
def test_an_hdr_clip_looks_as_in_sdr(tmp_path: Path, name: str, codec: str, pixel_format: str, transfer: int) -> None:
    assert_shown_in_sdr(decoded(make_hdr_clip(tmp_path / name, codec, pixel_format, transfer)), transfer)


@pytest.mark.parametrize("transfer", NAMES, ids=["PQ", "HLG"])
@pytest.mark.parametrize("pixel_format", ["yuv422p10le", "yuv444p10le"])
def test_what_the_frames_leave_open_the_container_says(tmp_path: Path, pixel_format: str, transfer: int) -> None:
    clip = make_hdr_clip(tmp_path / "edit.mov", "prores_ks", pixel_format, transfer, frames_say=False)
    with av.open(str(clip)) as opened:
        assert next(opened.decode(video=0)).color_trc not in NAMES
    assert_shown_in_sdr(decoded(clip), transfer)


@pytest.mark.parametrize("matrix", [0, 3, 8, 10, 11, 12, 13, 14, 77, 65535])
def test_a_matrix_that_cannot_be_converted_costs_no_frame(tmp_path: Path, matrix: int) -> None:
    """YCgCo, ICtCp, BT.2020 with constant luminance, and numbers that libav itself does not know, stated by the container alone."""
    clip = make_hdr_clip(tmp_path / "edit.mov", "prores_ks", "yuv422p10le", HLG, frames_say=False)
    data = bytearray(clip.read_bytes())
    at = data.index(b"colrnclc") + len(b"colrnclc") + 4
    data[at : at + 2] = matrix.to_bytes(2, "big")
    clip.write_bytes(data)
    found = decoded(clip)
    assert found.facts.frames_decoded == 3
    assert [f"matrix ({matrix} in ISO 23091-2)" in problem for problem in found.facts.problems] == (
        [True] if matrix in {3, 8, 10, 11, 12, 13, 14} else []
    )


@pytest.mark.parametrize("transfer", NAMES, ids=["PQ", "HLG"])
@pytest.mark.parametrize("name", ["photo.heic", "photo.avif"])
def test_an_hdr_picture_looks_as_in_sdr(tmp_path: Path, name: str, transfer: int) -> None:
    assert_shown_in_sdr(decoded(make_hdr_picture(tmp_path / name, transfer)), transfer)

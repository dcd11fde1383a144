"""Videos whose pictures change size, aspect, orientation or pixel format on the way: each is shown whole, in the first one's canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from decoded import decoded
from joined_streams import FRAMES, joined
from quadrants import UPRIGHT, colours_in
from rumiai_ray.frames.decode.picture import fit

if TYPE_CHECKING:
    from pathlib import Path

    from decoded import Decoded


def check(result: Decoded, canvas_px: tuple[int, int], second_px: tuple[int, int], colours: str = UPRIGHT) -> None:
    """The second half lies whole in the middle of the first one's canvas, and shows `colours`."""
    assert (result.facts.width_px, result.facts.height_px) == canvas_px
    assert result.facts.duration_s == pytest.approx(2 * FRAMES / 20, abs=0.06)
    place = fit(second_px, canvas_px)
    for frame, picture in zip(result.frames, result.pictures, strict=True):
        assert picture.shape[:2] == canvas_px[::-1]
        if frame.source_frame >= FRAMES:
            picture = picture[place.y : place.y + place.height, place.x : place.x + place.width]  # noqa: PLW2901 -- what is shown of it
        assert colours_in(picture) == (UPRIGHT if frame.source_frame < FRAMES else colours)


SIZES = [(192, 128), (48, 32), (64, 96), (128, 64), (96, 96), (640, 360)]


@pytest.mark.parametrize("second_px", SIZES)
def test_pictures_of_another_size_are_fitted_into_the_first_one_s_canvas_and_told(tmp_path: Path, second_px: tuple[int, int]) -> None:
    result = decoded(joined(tmp_path, {"clip": {"size_px": (96, 64)}}, {"clip": {"size_px": second_px}}))
    check(result, (96, 64), second_px)
    told = " ".join(result.facts.problems)
    assert f"{second_px[0]}×{second_px[1]}" in told
    place = fit(second_px, (96, 64))
    assert bool(result.facts.lost_video) == (place.width < 0.75 * second_px[0] and place.height < 0.75 * second_px[1])


@pytest.mark.parametrize("aspect", [(2, 1), (1, 2), (4, 3), (16, 11), (3, 4)])
def test_pictures_of_another_sample_aspect_keep_their_own(tmp_path: Path, aspect: tuple[int, int]) -> None:
    result = decoded(joined(tmp_path, {"clip": {}}, {"clip": {"sample_aspect": aspect}}))
    check(result, (96, 64), (round(96 * aspect[0] / aspect[1]), 64))
    assert any("aspect" in problem for problem in result.facts.problems)


@pytest.mark.parametrize(
    ("orientation", "second_px", "colours"),
    [
        ("rotate=90", (64, 96), "GWRB"),
        ("rotate=180", (96, 64), "WBGR"),
        ("rotate=270", (64, 96), "BRWG"),
        ("flip=horizontal", (96, 64), "GRWB"),
        ("flip=vertical", (96, 64), "BWRG"),
    ],
)
def test_pictures_that_turn_on_the_way_are_shown_upright(
    tmp_path: Path, orientation: str, second_px: tuple[int, int], colours: str
) -> None:
    turned = {"clip": {}, "filter": f",h264_metadata=display_orientation=insert:{orientation}"}
    check(decoded(joined(tmp_path, {"clip": {}}, turned)), (96, 64), second_px, colours)


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p", "yuvj420p", "yuv420p10le", "yuv444p10le", "gray"])
def test_another_pixel_format_changes_nothing(tmp_path: Path, pixel_format: str) -> None:
    colours = {} if pixel_format != "gray" else {"colours": "WKKW"}
    first = {"clip": colours}
    result = decoded(joined(tmp_path, first, {"clip": {"pixel_format": pixel_format, **colours}}))
    assert result.facts.frames_decoded == 2 * FRAMES
    assert {colours_in(picture) for picture in result.pictures} == {colours.get("colours", UPRIGHT)}
    assert result.facts.problems == ()

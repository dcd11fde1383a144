from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from captions import as_stored, fonts
from rumiai_ray.models.ocr.crops import cut, same, sample

WHOLE = np.array([[0, 0], [400, 0], [400, 60], [0, 60]], np.float32)


def shown(text: str, ground: int = 90, letters: int = 250) -> np.ndarray:
    image = Image.new("RGB", (400, 60), (ground,) * 3)
    ImageDraw.Draw(image).text((20, 8), text, font=ImageFont.truetype(fonts()[0], 36), fill=(letters,) * 3)
    return as_stored(image)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("00:01", "00:02"),
        ("1,001", "1,007"),
        ("wait for it", "wait for me"),
        ("SALE", "SALE!"),
        ("POV: i", "POV: l"),
        ("", "x"),
        ("30%", "80%"),
    ],
)
def test_a_single_changed_character_is_a_change(one: str, other: str) -> None:
    assert not same(sample(shown(one), WHOLE), sample(shown(other), WHOLE))
    assert not same(sample(shown(one, 120, 160), WHOLE), sample(shown(other, 120, 160), WHOLE))


def test_noise_of_the_encoder_is_no_change() -> None:
    still = shown("wait for it")
    noise = np.random.default_rng(1).integers(-4, 5, still.shape)
    assert same(sample(still, WHOLE), sample(np.clip(still.astype(int) + noise, 0, 255).astype(np.uint8), WHOLE))


def test_a_fading_text_is_the_same_for_a_while_only() -> None:
    first = sample(shown("wait for it", letters=250), WHOLE)
    verdicts = [same(first, sample(shown("wait for it", letters=level), WHOLE)) for level in range(250, 90, -10)]
    assert verdicts[0]
    assert not any(verdicts[5:])


def test_a_tilted_line_is_cut_out_upright() -> None:
    image = Image.fromarray(shown("wait for it")).rotate(20, expand=True)
    centre, angle = np.array([image.width / 2, image.height / 2]), np.deg2rad(-20)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    polygon = ((WHOLE - WHOLE.mean(axis=0)) @ turn.T + centre).astype(np.float32)
    line = cut(np.array(image, np.uint8), polygon)
    assert abs(line.shape[0] - 60) <= 1
    assert abs(line.shape[1] - 400) <= 1
    assert np.abs(line[2:58, 4:-4].astype(int).mean() - shown("wait for it")[2:58, 4:-4].astype(int).mean()) < 2


@pytest.mark.parametrize(
    "polygon", [[[5, 5], [5, 5], [5, 5], [5, 5]], [[399, 59], [400, 59], [400, 60], [399, 60]], [[0, 0], [400, 0], [400, 0.5], [0, 0.5]]]
)
def test_a_quadrilateral_of_hardly_any_size_is_still_a_picture(polygon: list[list[float]]) -> None:
    corners = np.array(polygon, np.float32)
    assert min(cut(shown("x"), corners).shape) >= 1
    assert sample(shown("x"), corners).shape[0] == 32

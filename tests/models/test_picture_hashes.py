"""Perceptual hashes of thumbnails: the same however a video is cut into stretches, blind to bars, and silent about plain pictures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray.corpus.duplicates.hashes import distance, from_hex, mirrored
from rumiai_ray.engine.work.planner import _strip
from rumiai_ray.models.signals.shots import Shots, ShotsSettings
from rumiai_ray.models.weights.choice import resolve
from rumiai_ray.schema.picture_hashes import CROPS, INSET, WHOLE

FPS = 30.0
Rows = list[dict[str, Any]]


def _scene(seed: int, size: tuple[int, int] = (96, 128)) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture of soft blobs: (height, width, 3)."""
    noise = np.random.default_rng(seed).uniform(0, 255, (9, 12, 3)).astype(np.float32)
    return np.asarray(np.clip(cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 255), np.uint8)


def _jpeg(picture: np.ndarray[Any, Any]) -> bytes:
    height, width = picture.shape[:2]
    scale = 64 / max(height, width)
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def _rows(jpegs: tuple[bytes, ...], seams: tuple[int, ...] = ()) -> Rows:
    times_s, duration_s = np.arange(len(jpegs)) / FPS, len(jpegs) / FPS
    model = Shots(resolve(Shots, ShotsSettings(), profile="offline", directories=[]))
    model.load()
    edges = [0, *seams, len(jpegs)]
    parts = [model.predict(_strip(jpegs, times_s, first, end, duration_s)).tables for first, end in pairwise(edges)]
    found: Rows = Shots.join(parts)["picture_hashes"].to_pylist()
    return found


def _hashes(picture: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, np.dtype[np.uint8]]]:
    return {row["view"]: np.frombuffer(bytes.fromhex(row["hash"]), np.uint8) for row in _rows((_jpeg(picture),))}


def test_a_still_has_the_hash_of_the_whole_and_of_every_part() -> None:
    rows = _rows((_jpeg(_scene(1)),))
    assert [row["view"] for row in rows] == [WHOLE, *CROPS]
    assert {(len(row["hash"]), row["time_s"]) for row in rows} == {(64, 0.0)}


def test_a_picture_that_is_held_is_hashed_once() -> None:
    shown = [_jpeg(_scene(1))] * 90 + [_jpeg(_scene(2))] * 45
    rows = _rows(tuple(shown))
    assert [row["time_s"] for row in rows if row["view"] == WHOLE] == [0.0, 3.0]
    assert [row["time_s"] for row in rows if row["view"] == INSET] == [0.0, 3.0]


def test_what_changes_is_hashed_four_times_a_second_and_its_parts_once() -> None:
    rows = _rows(tuple(_jpeg(_scene(number // 4)) for number in range(60)))
    assert [row["time_s"] for row in rows if row["view"] == WHOLE] == pytest.approx(np.arange(8) / 4, abs=1 / FPS)
    assert [row["time_s"] for row in rows if row["view"] == "top"] == pytest.approx([0, 1], abs=1 / FPS)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), min_size=1, max_size=5), st.data())
def test_cutting_a_video_into_stretches_changes_no_hash(scenes: list[tuple[int, int]], data: st.DataObject) -> None:
    jpegs = tuple(
        _jpeg(_scene(scene)) if scene else _jpeg(np.zeros((96, 128, 3), np.uint8)) for scene, count in scenes for _ in range(count)
    )
    seams = data.draw(st.lists(st.integers(1, max(1, len(jpegs) - 1)), max_size=3, unique=True)) if len(jpegs) > 1 else []
    assert _rows(jpegs, tuple(sorted(seams))) == _rows(jpegs)


@pytest.mark.parametrize("grey", [0, 17, 128, 255])
def test_a_plain_picture_has_no_hash(grey: int) -> None:
    noise = np.random.default_rng(1).normal(0, 2, (96, 128, 3))
    for picture in (np.full((96, 128, 3), grey, np.uint8), np.clip(grey + noise, 0, 255).astype(np.uint8)):
        assert {row["hash"] for row in _rows((_jpeg(picture),))} == {None}


def test_a_plain_picture_between_others_is_told_from_a_picture_that_is_held() -> None:
    black = _jpeg(np.zeros((96, 128, 3), np.uint8))
    rows = [row for row in _rows((_jpeg(_scene(1)),) * 30 + (black,) * 30 + (_jpeg(_scene(1)),) * 30) if row["view"] == WHOLE]
    assert [(row["time_s"], row["hash"] is None) for row in rows] == [(0.0, False), (1.0, True), (2.0, False)]


@pytest.mark.parametrize("grey", [0, 200, 255])
def test_bars_and_bars_within_bars_are_not_hashed(grey: int) -> None:
    picture = _scene(5, (480, 640))
    wide = cv2.copyMakeBorder(picture, 150, 150, 0, 0, cv2.BORDER_CONSTANT, value=(grey, grey, grey))
    both = cv2.copyMakeBorder(wide, 0, 0, 150, 150, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    plain = _hashes(picture)[WHOLE]
    # Of the picture inside both, a thumbnail has 44 x 33 pixels, half as many lines. Not cut, it differs by 115 bits and more.
    for changed, most in ((wide, 20), (both, 40)):
        assert int(distance(_hashes(changed)[WHOLE], plain)) <= most


def test_a_picture_on_a_blurred_copy_of_itself_is_found_as_an_inset() -> None:
    picture = cv2.resize(_scene(6, (180, 320)) // 2 + np.indices((180, 320)).sum(axis=0)[..., None].astype(np.uint8) % 97, (320, 180))
    ground = cv2.GaussianBlur(cv2.resize(picture, (320, 568)), (0, 0), 25)
    ground[194:374] = picture
    found = _hashes(ground)
    assert int(distance(found[INSET], _hashes(picture)[WHOLE])) < int(distance(found[WHOLE], _hashes(picture)[WHOLE]))
    assert int(distance(found[INSET], _hashes(picture)[WHOLE])) <= 32


def test_the_hash_of_a_mirrored_picture_is_the_mirrored_hash() -> None:
    for seed in range(5):
        picture = _scene(seed)
        assert int(distance(_hashes(picture[:, ::-1])[WHOLE], mirrored(_hashes(picture)[WHOLE]))) <= 2


@pytest.mark.parametrize(
    ("view", "part"),
    [("centre_90", (0.05, 0.05)), ("top_left", (0.0, 0.0)), ("bottom_right", (0.1, 0.1))],
)
def test_the_hash_of_a_part_is_that_of_the_picture_from_which_the_rest_was_cut(view: str, part: tuple[float, float]) -> None:
    picture = _scene(8, (480, 640))
    x, y = round(part[0] * 640), round(part[1] * 480)
    cut = picture[y : y + 432, x : x + 576]
    assert int(distance(_hashes(picture)[view], _hashes(cut)[WHOLE])) <= 16
    assert int(distance(_hashes(picture)[WHOLE], _hashes(cut)[WHOLE])) > int(distance(_hashes(picture)[view], _hashes(cut)[WHOLE]))


def test_hashes_are_read_from_hex_and_null_stays_unknown() -> None:
    import pyarrow as pa  # noqa: PLC0415

    hashes, known = from_hex(pa.chunked_array([pa.array(["0f" * 32, None]), pa.array(["a0" * 32])]))
    assert known.tolist() == [True, False, True]
    assert hashes[0].tolist() == [0x0F] * 32
    assert hashes[2].tolist() == [0xA0] * 32

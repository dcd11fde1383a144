"""Shots: cuts where the clips have them, the same however a video is cut into stretches."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray.engine.work.planner import _strip
from rumiai_ray.models.base import AudioChunk, Thumbnails
from rumiai_ray.models.signals.shots import Shots, ShotsSettings
from rumiai_ray.models.weights.choice import resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rumiai_ray.frames.store.stored import StoredVideo

FPS = 30.0


def _model(**changes: Any) -> Shots:
    shots = Shots(resolve(Shots, ShotsSettings(**changes), profile="offline", directories=[]))
    shots.load()
    return shots


def _picture(seed: int) -> bytes:
    """A JPEG of random blocks: two of them have nothing in common."""
    blocks = np.random.default_rng(seed).integers(0, 255, (6, 4, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", cv2.resize(blocks, (36, 64), interpolation=cv2.INTER_NEAREST))[1])


def _video(*shots: int) -> tuple[tuple[bytes, ...], Any, float]:
    """Thumbnails, times and duration of a video of shots of so many frames."""
    jpegs = tuple(_picture(number) for number, count in enumerate(shots) for _ in range(count))
    return jpegs, np.arange(len(jpegs)) / FPS, len(jpegs) / FPS


def _rows(video: tuple[tuple[bytes, ...], Any, float], seams: tuple[int, ...] = (), **changes: Any) -> list[dict[str, Any]]:
    jpegs, times_s, duration_s = video
    edges = [0, *seams, len(jpegs)]
    model = _model(**changes)
    parts = [model.predict(_strip(jpegs, times_s, first, end, duration_s)).tables for first, end in pairwise(edges)]
    rows: list[dict[str, Any]] = Shots.join(parts)["shots"].to_pylist()
    return rows


def test_a_video_without_cuts_is_one_shot_from_start_to_end() -> None:
    assert _rows(_video(45)) == [{"shot_index": 0, "start_s": 0.0, "end_s": 1.5, "duration_s": 1.5, "frames": 45}]


def test_a_still_is_one_shot() -> None:
    (row,) = _rows(((_picture(1),), np.array([0.0]), 0.04))
    assert (row["start_s"], row["end_s"], row["frames"]) == (0.0, 0.04, 1)


def test_shots_begin_at_their_first_frame_and_leave_no_gap() -> None:
    rows = _rows(_video(30, 45, 60))
    assert [row["start_s"] for row in rows] == [0.0, 1.0, 2.5]
    assert [row["end_s"] for row in rows] == [1.0, 2.5, 4.5]
    assert [row["frames"] for row in rows] == [30, 45, 60]


def test_a_flash_is_no_shot() -> None:
    assert len(_rows(_video(30, 2, 30))) == 2, "one cut at most"
    assert len(_rows(_video(30, 2, 30), min_shot_s=0.01, neighbours=1)) == 3


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(15, 90), min_size=1, max_size=4), st.data())
def test_cutting_a_video_into_stretches_changes_nothing(shots: list[int], data: st.DataObject) -> None:
    video = _video(*shots)
    seams = data.draw(st.lists(st.integers(1, max(1, sum(shots) - 1)), unique=True, max_size=3).map(sorted))
    seams = [seam for seam in seams if seam < sum(shots)]
    assert _rows(video, tuple(seams)) == _rows(video)


def test_a_thumbnail_that_does_not_decode_is_an_error_and_no_shot() -> None:
    with pytest.raises(ValueError, match="thumbnail 0"):
        _model().predict(Thumbnails((b"no jpeg",), np.array([0.0]), 0, 1, 1.0))


def test_shots_does_not_listen() -> None:
    with pytest.raises(TypeError):
        _model().answer(AudioChunk(np.zeros(10, np.int16), 0.0))


@pytest.mark.model("shots")
@pytest.mark.parametrize(
    ("clip", "cuts_s"),
    [
        ("a_speech/nasa_13013_multistream.mp4", [8.008]),
        ("d_emotion/pyfeat_face_then_noface.mov", [2.4]),
        ("d_gesture/asl_yes.mkv", []),
    ],
)
def test_cuts_are_where_the_clips_have_them(media: Path, stored: Callable[[Path], StoredVideo], clip: str, cuts_s: list[float]) -> None:
    with stored(media / clip) as video:
        rows = _rows((*video.thumbnails(), video.facts.duration_s))
    assert [row["start_s"] for row in rows[1:]] == pytest.approx(cuts_s, abs=0.1)

"""Shots: cuts where the clips have them, the same however a video is cut into stretches."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray.engine.work.planner import _strip
from rumiai_ray.models.base import AudioChunk, Thumbnails
from rumiai_ray.models.signals.cuts import Changes, CutRule, cuts
from rumiai_ray.models.signals.shots import Shots, ShotsSettings
from rumiai_ray.models.weights.choice import resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rumiai_ray.frames.store.stored import StoredVideo
    from rumiai_ray.frames.types import SourceFacts

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


def _rows(
    video: tuple[tuple[bytes, ...], Any, float], seams: tuple[int, ...] = (), *, is_slide_show: bool = False, **changes: Any
) -> list[dict[str, Any]]:
    jpegs, times_s, duration_s = video
    facts = cast("SourceFacts", SimpleNamespace(duration_s=duration_s, is_slide_show=is_slide_show))
    edges = [0, *seams, len(jpegs)]
    model = _model(**changes)
    parts = [model.predict(_strip(jpegs, times_s, first, end, facts)).tables for first, end in pairwise(edges)]
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
    assert len(_rows(_shown([(1, 1.0), (2, 0.07), (1, 1.0)], fps=30))) == 1, "the shot goes on after the flash"
    assert len(_rows(_video(30, 2, 30), min_shot_s=0.01, neighbours=1)) == 3


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(15, 90), min_size=1, max_size=4), st.data())
def test_cutting_a_video_into_stretches_changes_nothing(shots: list[int], data: st.DataObject) -> None:
    video = _video(*shots)
    seams = data.draw(st.lists(st.integers(1, max(1, sum(shots) - 1)), unique=True, max_size=3).map(sorted))
    seams = [seam for seam in seams if seam < sum(shots)]
    assert _rows(video, tuple(seams)) == _rows(video)


Shown = list[tuple[int, float]]
"""(picture, seconds) of what is on screen, one after the other."""
SHOTS_BY_TIME: dict[str, tuple[Shown, list[float]]] = {
    "four slides of 3 s": ([(1, 3.0), (2, 3.0), (3, 3.0), (4, 3.0)], [3, 6, 9]),
    "two slides": ([(1, 2.0), (2, 2.0)], [2]),
    "the picture before the cut is held": ([(1, 6.0), (2, 0.5), (1, 2.5)], [6, 6.5]),
    "a cut half a second after the start": ([(1, 0.5), (2, 4.5)], [0.5]),
    "a cut half a second before the end": ([(1, 4.5), (2, 0.5)], [4.5]),
    "slides of a second": ([(number, 1.0) for number in range(7)], [1, 2, 3, 4, 5, 6]),
    "slides of 0.4 s": ([(number, 0.4) for number in range(6)], [0.4, 0.8, 1.2, 1.6, 2.0]),
}


def _shown(pictures: Shown, *, fps: float | None) -> tuple[tuple[bytes, ...], Any, float]:
    """Thumbnails, times and duration; each picture once where `fps` is None, else repeated at that rate."""
    starts_s = np.cumsum([0.0, *(seconds for _, seconds in pictures)])
    if fps is None:
        return tuple(_picture(number) for number, _ in pictures), starts_s[:-1], float(starts_s[-1])
    times_s = np.arange(round(starts_s[-1] * fps)) / fps
    at = np.clip(np.searchsorted(starts_s, times_s + 1e-6, side="right") - 1, 0, len(pictures) - 1)
    return tuple(_picture(pictures[number][0]) for number in at), times_s, float(starts_s[-1])


@pytest.mark.parametrize("kind", SHOTS_BY_TIME)
@pytest.mark.parametrize("fps", [None, 5, 10, 25, 60])
def test_pictures_that_are_held_are_shots_however_often_a_file_repeats_them(kind: str, fps: float | None) -> None:
    pictures, cuts_s = SHOTS_BY_TIME[kind]
    rows = _rows(_shown(pictures, fps=fps))
    assert [row["start_s"] for row in rows] == pytest.approx([0, *cuts_s], abs=1 / fps if fps else 1e-6)
    assert rows[-1]["end_s"] == pytest.approx(sum(seconds for _, seconds in pictures))


@pytest.mark.parametrize("kind", ["four slides of 3 s", "two slides", "slides of a second"])
def test_slides_at_one_frame_a_second_are_shots(kind: str) -> None:
    pictures, cuts_s = SHOTS_BY_TIME[kind]
    assert [row["start_s"] for row in _rows(_shown(pictures, fps=1))] == [0, *cuts_s]


@pytest.mark.parametrize("min_shot_s", [0.0, 0.01, 0.1, 0.3])
@pytest.mark.parametrize(
    ("kind", "fps"), [("slides of a second", 1), ("slides of 0.4 s", 60), ("slides of 0.4 s", None), ("two slides", 2)]
)
def test_a_shortest_shot_below_the_distance_of_frames_changes_no_slide_show(kind: str, fps: float | None, min_shot_s: float) -> None:
    pictures, cuts_s = SHOTS_BY_TIME[kind]
    rows = _rows(_shown(pictures, fps=fps), min_shot_s=min_shot_s)
    assert [row["start_s"] for row in rows] == pytest.approx([0, *cuts_s], abs=1 / fps if fps else 1e-6)


@pytest.mark.parametrize(("frames", "min_shot_s", "shots"), [(2, 0.01, 3), (2, 0.05, 1), (12, 0.01, 3), (12, 0.1, 3), (12, 0.3, 1)])
def test_a_flash_is_a_shot_where_the_shortest_shot_is_no_longer(frames: int, min_shot_s: float, shots: int) -> None:
    assert len(_rows(_shown([(1, 1.0), (2, frames / 60), (1, 1.0)], fps=60), min_shot_s=min_shot_s)) == shots


def test_four_slides_in_five_frames_are_four_shots() -> None:
    jpegs = tuple(_picture(number) for number in (1, 2, 3, 4, 4))
    rows = _rows((jpegs, np.array([0.0, 3.0, 6.0, 9.0, 11.96]), 12.0))
    assert [(row["start_s"], row["end_s"], row["frames"]) for row in rows] == [(0, 3, 1), (3, 6, 1), (6, 9, 1), (9, 12, 2)]


def _cards(seconds: float, count: int = 4) -> tuple[tuple[bytes, ...], Any, float]:
    """Thumbnails of a series of white cards, each a single frame with its own line of text."""
    jpegs = []
    for number in range(count):
        card = np.full((640, 360, 3), 255, np.uint8)
        cv2.putText(card, "ABCDEFG"[number] * 5, (60, 320), cv2.FONT_HERSHEY_SIMPLEX, 2.5, (0, 0, 0), 8)
        jpegs.append(bytes(cv2.imencode(".jpg", cv2.resize(card, (36, 64), interpolation=cv2.INTER_AREA))[1]))
    return tuple(jpegs), np.arange(count) * seconds, count * seconds


@pytest.mark.parametrize("seams", [(), (1,), (2, 3)])
def test_cards_of_one_series_are_shots_though_they_differ_in_their_text_alone(seams: tuple[int, ...]) -> None:
    assert [row["start_s"] for row in _rows(_cards(3.0), seams, is_slide_show=True)] == [0, 3, 6, 9]
    assert len(_rows(_cards(3.0, 1), is_slide_show=True)) == 1


@pytest.mark.parametrize("seconds", [1.0, 2.0, 2.999, 3.0, 3.001, 10.0])
def test_pictures_that_stay_as_long_as_the_images_of_a_post_are_no_post(seconds: float) -> None:
    assert len(_rows(_cards(seconds))) == 1


@pytest.mark.parametrize("seconds", [1 / 60, 1 / 25, 0.1, 0.5])
def test_of_a_video_that_falsely_says_to_be_a_post_of_images_the_movement_is_no_slide(seconds: float) -> None:
    assert len(_rows(_cards(seconds, 7), is_slide_show=True)) == 1
    assert _rows(_video(30, 45, 60), is_slide_show=True) == _rows(_video(30, 45, 60))


def test_a_still_that_is_encoded_again_every_three_seconds_is_one_shot() -> None:
    changes = Changes(np.array([0.0, 0.02, 0.03, 0.01]), np.array([0.0, 3.0, 6.0, 9.0]), 12.0, is_to_the_end=True, is_slide_show=True)
    assert cuts(changes, CutRule(3.0, 15.0, 2, 0.3), lambda _first, _second: 0.02) == []


def test_the_same_slide_again_is_no_shot() -> None:
    jpegs, times_s, duration_s = _cards(3.0)
    assert [row["start_s"] for row in _rows(((jpegs[0], *jpegs[:3]), times_s, duration_s), is_slide_show=True)] == [0, 6, 9]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0.4, 5.0).map(lambda s: round(s, 1)), min_size=1, max_size=8), st.sampled_from([10, 20, 30, 50]), st.data())
def test_dropping_repeated_pictures_changes_no_shot(lengths_s: list[float], fps: int, data: st.DataObject) -> None:
    jpegs, times_s, duration_s = _shown(list(enumerate(lengths_s)), fps=fps)
    repeats = [at for at in range(1, len(jpegs)) if jpegs[at] == jpegs[at - 1]]
    dropped = set(data.draw(st.lists(st.sampled_from(repeats), unique=True)) if repeats else [])
    kept = [at for at in range(len(jpegs)) if at not in dropped]
    fewer = tuple(jpegs[at] for at in kept), times_s[kept], duration_s
    spans = [[(row["start_s"], row["end_s"]) for row in _rows(video)] for video in ((jpegs, times_s, duration_s), fewer)]
    assert spans[0] == spans[1]
    assert len(spans[0]) == len(lengths_s)


@pytest.mark.parametrize("fps", [5, 10, 25, 30, 60])
@pytest.mark.parametrize("min_shot_s", [0.0, 0.01, 0.1, 0.3])
def test_a_moving_camera_is_one_shot_at_any_frame_rate_and_for_any_shortest_shot(fps: int, min_shot_s: float) -> None:
    wide = cv2.resize(np.random.default_rng(7).integers(0, 255, (8, 60, 3), np.uint8), (1200, 64), interpolation=cv2.INTER_CUBIC)
    times_s = np.arange(4 * fps) / fps
    jpegs = tuple(bytes(cv2.imencode(".jpg", wide[:, int(at) : int(at) + 114])[1]) for at in times_s * 200)
    assert len(_rows((jpegs, times_s, 4.0), min_shot_s=min_shot_s)) == 1


@pytest.mark.parametrize("at_s", [0.04, 0.2, 3.8, 3.96])
def test_a_change_so_near_an_end_that_no_shot_fits_is_no_cut(at_s: float) -> None:
    assert len(_rows(_shown([(1, at_s), (2, 4.0 - at_s)], fps=25))) == 1


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

"""Which sampled frame stands for each shot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.insights.key_frames import ShotPlace, places
from synthetic_video import FPS, at, video


def shots(*starts_s: float, end_s: float = 4.0) -> list[dict[str, Any]]:
    ends_s = (*starts_s[1:], end_s)
    return [
        {"shot_index": number, "start_s": start, "end_s": end, "duration_s": end - start, "frames": 1}
        for number, (start, end) in enumerate(zip(starts_s, ends_s, strict=True))
    ]


def key_frames(rows: list[dict[str, Any]], found: list[ShotPlace]) -> list[tuple[int | None, int]]:
    return [(place.shot_index, row["frame_index"]) for row, place in zip(rows, found, strict=True) if place.is_key_frame]


def test_the_frame_nearest_to_the_middle_of_each_shot_is_its_key_frame() -> None:
    rows = [at(frame) for frame in range(20)]
    found = places(video(shots=shots(0.0, 1.0, 3.0)), rows)
    assert [place.shot_index for place in found] == [0] * 5 + [1] * 10 + [2] * 5
    assert key_frames(rows, found) == [(0, 2), (1, 10), (2, 17)]


def test_of_two_frames_equally_near_the_earlier_one_is_taken_whatever_the_order() -> None:
    rows = [{"frame_index": index, "time_s": time_s} for index, time_s in ((7, 2.5), (3, 1.5))]
    assert key_frames(rows, places(video(), rows)) == [(0, 3)]


def test_equally_near_frames_are_told_apart_from_the_rounding_of_times() -> None:
    rows = [at(frame) for frame in range(40)]
    found = places(video(8.0, shots=shots(0.0, 5.6, 6.2, end_s=8.0)), rows)
    assert (1, 29) in key_frames(rows, found)


def test_a_frame_that_is_held_over_the_middle_of_its_shot_is_the_key_frame() -> None:
    made = replace(video(4.0), shown_until_s=(3.0, *video(4.0).shown_until_s[1:]))
    rows = [at(0), at(15)]
    assert key_frames(rows, places(made, rows)) == [(0, 0)]


def test_a_frame_on_a_cut_belongs_to_the_shot_that_begins() -> None:
    assert [place.shot_index for place in places(video(shots=shots(0.0, 1.0)), [at(FPS - 1), at(FPS)])] == [0, 1]


def test_a_shot_without_a_frame_has_no_key_frame() -> None:
    rows = [at(0), at(15)]
    assert key_frames(rows, places(video(shots=shots(0.0, 1.0, 1.1)), rows)) == [(0, 0), (2, 15)]


def test_all_rows_of_a_key_frame_say_so() -> None:
    rows = [at(10), at(10), at(19)]
    assert [place.is_key_frame for place in places(video(), rows)] == [True, True, False]


@pytest.mark.parametrize("ending", ["failed", "skipped", "not asked"])
def test_without_shots_nobody_claims_to_know(ending: str) -> None:
    made = video(without={"shots": ending}, shots=[])
    assert places(made, [at(3)]) == [ShotPlace(None, None)]


def test_no_rows_are_no_places() -> None:
    assert places(video(), []) == []


@given(st.lists(st.integers(0, 39), unique=True, max_size=20), st.lists(st.integers(1, 38), unique=True, max_size=8), st.randoms())
def test_every_shot_with_a_frame_has_exactly_one_whatever_the_order(frames: list[int], cuts: list[int], random: Any) -> None:
    rows = [at(frame) for frame in frames]
    made = video(8.0, shots=shots(0.0, *(cut / FPS for cut in sorted(cuts)), end_s=8.0))
    found = places(made, rows)
    assert sorted(shot or 0 for shot, _ in key_frames(rows, found)) == sorted({place.shot_index or 0 for place in found})
    again = random.sample(rows, len(rows))
    assert sorted(key_frames(again, places(made, again))) == sorted(key_frames(rows, found))

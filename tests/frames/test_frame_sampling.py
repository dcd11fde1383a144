from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.errors import ConfigError
from rumiai_ray.frames.sampling import GridSampler, SamplingSpec, grid_fps, subset

NTSC = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(1), Fraction(12)]


def sampled(times_s: list[float], fps: float, end_s: float) -> list[tuple[int, float]]:
    sampler: GridSampler[int] = GridSampler(fps)
    picked = [sample for number, time_s in enumerate(times_s) for sample in sampler.push(number, time_s, number)]
    picked += sampler.finish(end_s)
    assert all(sample.frame == sample.source_frame for sample in picked)
    return [(sample.source_frame, sample.time_s) for sample in picked]


@pytest.mark.parametrize("rate", NTSC, ids=str)
@pytest.mark.parametrize("duration_s", [0.05, 1, 7.3, 29.9, 45, 119, 300])
def test_the_whole_of_a_constant_rate_video_is_covered_to_its_last_second(rate: Fraction, duration_s: float) -> None:
    times_s = [float(number / rate) for number in range(max(1, int(duration_s * rate)))]
    end_s = times_s[-1] + float(1 / rate)
    fps = grid_fps(end_s)
    picked = sampled(times_s, fps, end_s)
    picked_s = [time_s for _, time_s in picked]
    assert picked_s[0] == 0
    assert times_s[-1] - picked_s[-1] <= 1 / fps + 1e-6
    widest_gap_s = max((b - a for a, b in pairwise(picked_s)), default=0.0)
    assert widest_gap_s <= max(1.5 / fps, float(1 / rate)) + 1e-6
    expected = min(len(times_s), end_s * fps)
    assert abs(len(picked) - expected) <= 2


@given(
    gaps_s=st.lists(st.floats(0.001, 3.0), max_size=120),
    fps=st.sampled_from([0.5, 1.0, 2.0, 3.0, 5.0, 7.5]),
    last_frame_s=st.floats(0.001, 4.0),
)
def test_any_variable_rate_video_is_covered_and_no_frame_is_taken_twice(gaps_s: list[float], fps: float, last_frame_s: float) -> None:
    times_s = [0.0, *np.cumsum(gaps_s).tolist()]
    picked = sampled(times_s, fps, times_s[-1] + last_frame_s)
    numbers = [number for number, _ in picked]
    assert numbers == sorted(set(numbers))
    assert all(times_s[number] == time_s for number, time_s in picked)
    assert numbers[0] == 0
    assert times_s[-1] - picked[-1][1] <= 1 / fps + 1e-5
    for (first, a), (second, b) in pairwise(picked):
        # the nearest frame lies at most half a source gap from its grid time, on either side
        assert b - a <= 1 / fps + max(np.diff(times_s[first : second + 1])) + 1e-5


@given(gaps_s=st.lists(st.floats(0.001, 1.0), min_size=1, max_size=60), fps=st.sampled_from([1.0, 3.0, 5.0]))
def test_every_grid_time_gets_the_frame_that_is_on_screen(gaps_s: list[float], fps: float) -> None:
    times_s = np.array([0.0, *np.cumsum(gaps_s)])
    numbers = {number for number, _ in sampled(times_s.tolist(), fps, times_s[-1] + 0.001)}
    for grid_s in np.arange(0, times_s[-1], 1 / fps):
        # within the millisecond to which containers round
        on_screen = {int(np.searchsorted(times_s, at_s, side="right")) - 1 for at_s in (grid_s - 1.1e-3, grid_s, grid_s + 1.1e-3)}
        assert on_screen & numbers


@given(
    pictures=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    rates=st.lists(st.sampled_from([25, 50, 100]), min_size=2, max_size=2, unique=True),
    fps=st.sampled_from([1.0, 2.0, 5.0]),
)
def test_the_pictures_on_the_grid_do_not_depend_on_how_often_each_is_repeated(pictures: list[int], rates: list[int], fps: float) -> None:
    """Each picture stays for so many 25ths of a second; the file repeats it at one rate, at another, or not at all."""
    starts_s = np.cumsum([0, *pictures]) / 25

    def shown_on_the_grid(times_s: list[float]) -> list[int]:
        sampler: GridSampler[int] = GridSampler(fps)
        samples = [s for number, time_s in enumerate(times_s) for s in sampler.push(number, time_s, number)]
        samples += sampler.finish(float(starts_s[-1]))
        assert all(s.shown_until_s == (times_s[s.source_frame + 1] if s.source_frame + 1 < len(times_s) else starts_s[-1]) for s in samples)
        found = []
        for grid_s in np.arange(0, starts_s[-1] - 2e-3, 1 / fps):
            [sample] = [s for s in samples if s.time_s <= grid_s + 1e-3 < s.shown_until_s]
            found.append(int(np.searchsorted(starts_s, sample.time_s + 1e-6, side="right")) - 1)
        return found

    once = shown_on_the_grid(starts_s[:-1].tolist())
    for rate in rates:
        assert shown_on_the_grid([number / rate for number in range(round(starts_s[-1] * rate))]) == once


def test_a_held_frame_is_sampled_once_and_lasts() -> None:
    sampler: GridSampler[str] = GridSampler(5)
    samples = sampler.push(0, 0.0, "held")
    samples += sampler.push(1, 6.0, "next")
    samples += sampler.finish(6.04)
    assert [(s.frame, s.time_s, s.shown_until_s) for s in samples] == [("held", 0.0, 6.0), ("next", 6.0, 6.04)]


def test_the_last_frame_is_taken_where_it_is_shown_at_a_grid_time_of_its_own() -> None:
    assert [number for number, _ in sampled([0.0, 0.2, 0.21], 5, end_s=3.0)] == [0, 1, 2]


def test_a_single_frame_is_sampled_once() -> None:
    assert sampled([0.0], 5, end_s=10.0) == [(0, 0.0)]


def test_no_frame_means_no_sample() -> None:
    assert GridSampler[int](5).finish(1.0) == []


@pytest.mark.parametrize(("duration_s", "fps"), [(0, 5), (29.99, 5), (30, 3), (59.9, 3), (60, 2), (119, 2), (120, 1), (3600, 1)])
def test_longer_videos_are_sampled_more_sparsely(duration_s: float, fps: float) -> None:
    assert grid_fps(duration_s) == fps
    assert SamplingSpec().fps_for(duration_s) == fps
    assert SamplingSpec(fps=10).fps_for(duration_s) == 10


def test_specs_differ_in_digest_exactly_where_they_differ_in_anything() -> None:
    specs = [
        SamplingSpec(),
        SamplingSpec(fps=5),
        SamplingSpec(long_side_px=640),
        SamplingSpec(jpeg_quality=90),
        SamplingSpec(thumbnail_quality=91),
    ]
    assert len({spec.digest() for spec in specs}) == len(specs)
    assert SamplingSpec().digest() == SamplingSpec(fps=None).digest()


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": float("nan")}, {"long_side_px": 0}, {"jpeg_quality": 101}, {"thumbnail_quality": 0}])
def test_a_spec_that_makes_no_sense_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SamplingSpec(**wrong)  # type: ignore[arg-type]


@given(
    count=st.integers(0, 400),
    grid=st.sampled_from([1.0, 2.0, 3.0, 5.0]),
    fps=st.none() | st.sampled_from([0.25, 0.5, 1.0, 2.0, 9.0]),
    max_frames=st.none() | st.integers(1, 150),
)
def test_a_subset_spreads_over_the_whole_video_and_is_never_a_prefix(
    count: int, grid: float, fps: float | None, max_frames: int | None
) -> None:
    time_s = np.arange(count) / grid
    duration_s = count / grid
    positions = subset(time_s, time_s + 0.04, duration_s, fps=fps, max_frames=max_frames)
    assert np.all(np.diff(positions) > 0)
    assert len(positions) <= (max_frames if max_frames is not None else count)
    if fps is not None:
        assert len(positions) <= np.ceil(duration_s * fps)
    if count == 0:
        return
    assert len(positions) >= 1
    if len(positions) > 1:
        assert positions[0] == 0
        assert positions[-1] == count - 1
        assert np.diff(positions).max() <= 2 * np.diff(positions).min() + 1
    else:
        assert positions[0] == count // 2


def test_a_hundred_of_159_frames_reach_the_end_of_the_video() -> None:
    time_s = np.arange(159) / 2
    positions = subset(time_s, time_s + 0.04, 79.5, fps=None, max_frames=100)
    assert len(positions) == 100
    assert positions[-1] == 158
    halves = np.histogram(time_s[positions], bins=2)[0]
    assert abs(halves[0] - halves[1]) <= 2


def test_a_subset_of_an_unevenly_timed_video_is_even_in_time() -> None:
    time_s = np.concatenate([np.arange(0, 1, 0.05), np.arange(1, 21)])
    positions = subset(time_s, time_s + 0.04, 21, fps=0.5, max_frames=None)
    assert np.diff(time_s[positions]).max() <= 4
    assert (time_s[positions] < 1).sum() <= 2

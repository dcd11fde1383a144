"""Times of frames whose timestamps are missing, wrong, out of order or of several recordings."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray.frames.decode import clock as clock_module
from rumiai_ray.frames.decode.clock import REORDER_DEPTH, PresentationClock
from rumiai_ray.frames.decode.stamps import PacketTime, Stamps, cadence_s, judge, measure

PERIODS_S = [1 / 60, 1001 / 30000, 1 / 25, 1 / 10, 1.0]


def timed(stamps_s: list[float | None], period_s: float) -> tuple[PresentationClock[int], list[float], list[int]]:
    """The clock after all frames, their times, and their numbers in the order in which they came out."""
    packets = [PacketTime(stamp_s, 0.0) for stamp_s in stamps_s if stamp_s is not None]
    cadence = cadence_s([packet.start_s for packet in packets], 1 / 25)
    counted = judge(packets, [], cadence, joins=False)
    clock: PresentationClock[int] = PresentationClock(cadence if packets else period_s)
    released = [piece for number, stamp_s in enumerate(stamps_s) for piece in clock.push(counted.close(stamp_s), None, number)]
    released += clock.finish()
    return clock, [time_s for time_s, _ in released], [number for _, number in released]


def damaged(rng: Random, count: int, period_s: float, start_s: float) -> list[float | None]:
    """Stamps of frames in a decoder's order, up to a third of them missing, equal to another, negative or wild."""
    depth = rng.randint(1, REORDER_DEPTH // 2)
    order = sorted(range(count), key=lambda number: number + rng.uniform(0, depth))
    stamps_s: list[float | None] = [start_s + number * period_s for number in order]
    for victim in rng.sample(range(count), rng.randint(0, count // 3)):
        stamps_s[victim] = rng.choice(
            [None, start_s + order[max(0, victim - 1)] * period_s, start_s - rng.uniform(1e3, 1e6), start_s + rng.uniform(1e4, 1e7)]
        )
    return stamps_s


@pytest.mark.parametrize("period_s", PERIODS_S)
def test_good_timestamps_are_kept(period_s: float) -> None:
    stamps_s = [5 + number * period_s for number in range(100)]
    clock, times_s, order = timed(list(stamps_s), period_s)
    assert times_s == pytest.approx([number * period_s for number in range(100)])
    assert order == list(range(100))
    assert clock.origin_s == pytest.approx(5)
    assert clock.notes() == []


@given(data=st.data(), count=st.integers(2, 120), period_s=st.sampled_from(PERIODS_S))
@settings(max_examples=150, deadline=None)
def test_frames_that_come_out_of_order_are_put_in_order(data: st.DataObject, count: int, period_s: float) -> None:
    order = _shuffled(data, count)
    clock, times_s, released = timed([number * period_s for number in order], period_s)
    assert times_s == pytest.approx([number * period_s for number in range(count)])
    assert [order[number] for number in released] == list(range(count))
    assert clock.notes() == []


@given(data=st.data(), count=st.integers(12, 150), period_s=st.sampled_from(PERIODS_S), start_s=st.sampled_from([0.0, 3.0, 3600.0]))
@settings(max_examples=300, deadline=None)
def test_up_to_a_third_of_damaged_timestamps_cost_no_more_than_a_frame(
    data: st.DataObject, count: int, period_s: float, start_s: float
) -> None:
    order = list(range(count))
    stamps_s: list[float | None] = [start_s + number * period_s for number in order]
    victims = data.draw(st.lists(st.integers(0, count - 1), unique=True, max_size=count // 3), label="damaged")
    for victim in victims:
        kind = data.draw(st.sampled_from(["missing", "equal", "negative", "wild"]))
        if kind == "missing":
            stamps_s[victim] = None
        elif kind == "equal":
            stamps_s[victim] = start_s + order[max(0, victim - 1)] * period_s
        elif kind == "negative":
            stamps_s[victim] = start_s - data.draw(st.floats(1e3, 1e6))
        else:
            stamps_s[victim] = start_s + data.draw(st.floats(1e4, 1e7))
    clock, times_s, released = timed(stamps_s, period_s)
    assert sorted(released) == list(range(count))
    assert all(b > a for a, b in pairwise(times_s))
    assert times_s[0] == 0
    assert clock.end_s == pytest.approx(count * period_s, abs=1.01 * period_s)


@given(data=st.data(), count=st.integers(12, 150), period_s=st.sampled_from(PERIODS_S), start_s=st.sampled_from([0.0, 3.0, 3600.0]))
@settings(max_examples=1200, deadline=None, derandomize=True)
def test_frames_out_of_order_with_up_to_a_third_of_stamps_damaged_last_as_long_as_they_are(
    data: st.DataObject, count: int, period_s: float, start_s: float
) -> None:
    stamps_s = damaged(data.draw(st.randoms(use_true_random=True), label="generator"), count, period_s, start_s)
    clock, times_s, released = timed(stamps_s, period_s)
    assert sorted(released) == list(range(count))
    assert all(b > a for a, b in pairwise(times_s))
    assert clock.end_s == pytest.approx(count * period_s, abs=1.01 * period_s)


@pytest.mark.parametrize("share", [0.4, 0.5, 0.6, 0.75, 0.9, 1.0])
@pytest.mark.parametrize(
    "kinds", [("missing",), ("equal",), ("negative",), ("wild",), ("missing", "equal", "negative", "wild")], ids="+".join
)
def test_with_more_than_a_third_of_stamps_damaged_the_cadence_tells_the_length_and_it_is_said(kinds: tuple[str, ...], share: float) -> None:
    for seed in range(60):
        rng = Random(f"{kinds} {share} {seed}")
        count, period_s, start_s = rng.randint(24, 150), rng.choice(PERIODS_S), rng.choice([0.0, 3.0, 3600.0])
        good_s = [start_s + number * period_s for number in range(count)]
        stamps_s: list[float | None] = [*good_s]
        for victim in rng.sample(range(count), round(share * count)):
            damage = {
                "missing": None,
                "equal": good_s[max(0, victim - 1)],
                "negative": start_s - rng.uniform(1e3, 1e6),
                "wild": start_s + rng.uniform(1e4, 1e7),
            }
            stamps_s[victim] = damage[rng.choice(kinds)]
        packets = [PacketTime(stamp_s, 0.0) for stamp_s in stamps_s if stamp_s is not None]
        cadence, counted = measure(packets, [], count, period_s, joins=False)
        clock: PresentationClock[int] = PresentationClock(cadence)
        released = [piece for number, stamp_s in enumerate(stamps_s) for piece in clock.push(counted.close(stamp_s), None, number)]
        released += clock.finish()
        assert sorted(number for _, number in released) == list(range(count))
        assert all(b > a for a, b in pairwise(time_s for time_s, _ in released))
        assert clock.end_s == pytest.approx(count * period_s, abs=2.01 * period_s)
        assert "without a usable timestamp" in clock.notes()[0]


def test_the_first_stamp_after_many_frames_without_one_is_no_jump() -> None:
    stamps_s: list[float | None] = [None if number < 40 else 3600 + number / 25 for number in range(75)]
    clock: PresentationClock[int] = PresentationClock(1 / 25)
    released = [piece for number, stamp_s in enumerate(stamps_s) for piece in clock.push(stamp_s, None, number)] + clock.finish()
    assert [time_s for time_s, _ in released] == pytest.approx([number / 25 for number in range(75)])
    assert clock.origin_s == pytest.approx(3600)
    assert clock.repaired == 40


@pytest.mark.parametrize("recordings", [3, 5, 8])
def test_recordings_each_of_which_begins_earlier_than_the_one_before_are_no_disorder(recordings: int) -> None:
    video = [PacketTime(100.0 * (recordings - part) + number / 25, 1 / 25) for part in range(recordings) for number in range(50)]
    period_s, stamps = measure(video, [], len(video), 1 / 25, joins=False)
    assert period_s == pytest.approx(1 / 25)
    assert stamps == Stamps()


def halved(first: int, last: int) -> list[int]:
    """The places between two frames in the order in which a hierarchical pyramid has them decoded."""
    middle = (first + last) // 2
    return [middle, *halved(first, middle), *halved(middle, last)] if last - first > 1 else []


PYRAMIDS = {
    "x264, bframes 3": [0, 4, 2, 1, 3, 8, 6, 5, 7],
    "x264, bframes 7": [0, 8, 4, 1, 2, 3, 5, 6, 7],
    "x264, bframes 15": [0, 16, 8, *range(1, 8), *range(9, 16)],
    "AV1, mini-groups of 16": [0, 16, *halved(0, 16)],
    "AV1, two mini-groups of 16": [0, 16, *halved(0, 16), 32, *halved(16, 32)],
    "AV1, mini-groups of 32": [0, 32, *halved(0, 32)],
    "no B-frames": list(range(10)),
}


@pytest.mark.parametrize("order", PYRAMIDS.values(), ids=list(PYRAMIDS))
def test_pictures_held_for_irregular_times_in_a_pyramid_are_no_disorder(order: list[int]) -> None:
    for seed in range(200):
        rng = Random(seed)
        times_s = list(accumulate([rng.uniform(0.3, 3.6) for _ in order], initial=rng.choice([0.0, 3600.0])))
        video = [PacketTime(times_s[place], 0.04) for place in order]
        assert measure(video, [], len(video), 0.04, joins=False)[1] == Stamps()


@pytest.mark.parametrize("order", PYRAMIDS.values(), ids=list(PYRAMIDS))
@pytest.mark.parametrize("held_s", [0.04, 3.0, 5.0, 60.0])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_slides_in_a_pyramid_and_joined_with_themselves_are_no_disorder(order: list[int], held_s: float, times: int) -> None:
    group = max(order) + 1
    for first_s in (0.0, group * held_s):  # joined recordings begin anew, or go on
        stamps_s = [part * first_s + place * held_s for part in range(times) for place in order]
        video = [PacketTime(stamp_s, 0.04) for stamp_s in stamps_s]
        period_s, stamps = measure(video, [], len(video), 0.04, joins=False)
        assert period_s == pytest.approx(held_s)
        assert stamps == Stamps()


@pytest.mark.parametrize("every_s", [3.0, 20.0, 60.0])
def test_pictures_that_are_all_held_are_no_disorder(every_s: float) -> None:
    video = [PacketTime(burst * every_s + number / 25, 0.0) for burst in range(20) for number in (1, 0)]
    assert measure(video, [], len(video), 1 / 25, joins=False)[1] == Stamps()


SCREENS = {
    "still, then moving": [0, 40, 80, *(120 + number / 25 for number in range(200))],
    "moving, then still": [*(number / 25 for number in range(200)), 50, 100, 150],
    "a long still on both sides": [0, *(550 + number / 25 for number in range(20)), 1100],
    "two that move": [0, *(35 + number / 25 for number in range(30)), 100, *(140 + number / 25 for number in range(50)), 190, 260],
}


@pytest.mark.parametrize("times_s", SCREENS.values(), ids=list(SCREENS))
def test_a_recorded_screen_on_which_nothing_happens_for_minutes_is_no_damage(times_s: list[float]) -> None:
    for origin_s in (0.0, 3600.0):
        stamps_s = [origin_s + time_s for time_s in times_s]
        for late in range(len(stamps_s)):  # B-frames: one is decoded two places early
            order = [*stamps_s]
            order.insert(max(0, late - 2), order.pop(late))
            assert measure([PacketTime(stamp_s, 0.0) for stamp_s in order], [], len(order), 0.04, joins=False)[1] == Stamps()


@pytest.mark.parametrize("place", [-1, -2, 0, 1])
def test_where_recordings_may_be_joined_one_stamp_far_away_is_damage(place: int) -> None:
    stamps_s = [3600 + number / 25 for number in range(250)]
    stamps_s[place] += 400 if place < 0 else -400
    stamps = measure([PacketTime(stamp_s, 1 / 25) for stamp_s in stamps_s], [], 250, 1 / 25, joins=True)[1]
    assert stamps == Stamps(wild=((stamps_s[place], stamps_s[place]),))


@pytest.mark.parametrize("times_s", SCREENS.values(), ids=list(SCREENS))
def test_a_wild_stamp_in_the_midst_of_a_recorded_screen_is_damage(times_s: list[float]) -> None:
    for wild_s in (max(times_s) + 90, 5000.0, -70.0):
        middle = len(times_s) // 2
        order = [*times_s[:middle], wild_s, *times_s[middle:]]
        assert measure([PacketTime(stamp_s, 0.0) for stamp_s in order], [], len(order), 0.04, joins=False)[1].close(wild_s) is None


def test_frames_before_the_first_stamp_are_counted_right_and_seldom_one_off(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[float | None], float]] = []
    move_before = clock_module._move_before

    def spy(times: list[float], trusted: list[float | None], period_s: float) -> None:
        asked.append((trusted, period_s))
        move_before(times, trusted, period_s)

    monkeypatch.setattr(clock_module, "_move_before", spy)
    off = Counter[int]()
    for seed in range(300):
        rng = Random(seed)
        count, period_s = rng.randint(12, 150), rng.choice(PERIODS_S)
        asked.clear()
        timed(damaged(rng, count, period_s, 0.0), period_s)
        for trusted, period_s in asked[:1]:
            stamps_s = [stamp_s for stamp_s in trusted if stamp_s is not None]
            off[clock_module._frames_before(trusted, period_s) - round(min(stamps_s) / period_s)] += 1
    assert set(off) <= {-1, 0, 1}
    assert off[0] >= 0.95 * off.total()


HELD_BACK = [3, 0, 1, 5, 2, 6, 4, 8, 7, 9, 10, 12, 11, 14, 17, 13, 15, 16, 19, 21, 18, 22, 23, 20, 24, *range(25, 60)]
"""Frames in a decoder's order; those that presentation begins with come after a later one."""


@pytest.mark.parametrize("lost", [(0,), (1,), (0, 1), (0, 1, 7), (0, 1, 7, 12), (0, 1, 2), (3, 0, 1)])
@pytest.mark.parametrize("period_s", PERIODS_S)
def test_the_first_frames_have_no_stamp_and_come_after_a_later_one(lost: tuple[int, ...], period_s: float) -> None:
    stamps_s = [None if number in lost else 3600 + number * period_s for number in HELD_BACK]
    clock, times_s, released = timed(stamps_s, period_s)
    assert sorted(released) == list(range(60))
    assert all(b > a for a, b in pairwise(times_s))
    assert clock.end_s == pytest.approx(60 * period_s, abs=1.01 * period_s)


@pytest.mark.parametrize("twins", [{65: 62, 63: 58}, {65: 62}, {65: 64}, {64: 61, 65: 61}, {62: 58, 63: 58, 65: 61}])
def test_the_last_frames_repeat_the_stamps_of_earlier_ones(twins: dict[int, int]) -> None:
    order = [*range(54), 56, 55, 54, 57, 58, 63, 60, 59, 64, 61, 62, 65]
    stamps_s: list[float | None] = [twins.get(number, number) / 60 for number in order]
    clock, _, _ = timed(stamps_s, 1 / 60)
    assert clock.end_s == pytest.approx(66 / 60, abs=1.01 / 60)


@pytest.mark.parametrize("every", [3, 5, 7, 10, 25])
@pytest.mark.parametrize("back_frames", [1, 2, 5, 12])
def test_a_step_back_every_few_frames_changes_no_length(every: int, back_frames: int) -> None:
    stamps_s: list[float | None] = [(number - back_frames * (number % every == every - 1)) / 25 for number in range(75)]
    clock, times_s, _ = timed(stamps_s, 1 / 25)
    assert clock.end_s == pytest.approx(3.0, abs=0.05)
    assert all(b > a for a, b in pairwise(times_s))
    assert max(b - a for a, b in pairwise(times_s)) < 3.1 / 25


def test_a_wild_stamp_lies_between_its_neighbours() -> None:
    stamps_s: list[float | None] = [number / 25 for number in range(50)]
    stamps_s[20] = 95_443.7
    clock, times_s, order = timed(stamps_s, 1 / 25)
    assert times_s == pytest.approx([number / 25 for number in range(50)])
    assert order == list(range(50))
    assert clock.repaired == 1
    assert "placed between their neighbours" in clock.notes()[0]


@pytest.mark.parametrize("held_s", [0.5, 2.5, 6.0, 40.0])
@pytest.mark.parametrize("at", [0, 30, 58])
def test_a_picture_that_is_held_stays_held(held_s: float, at: int) -> None:
    packets = [PacketTime(number / 20 + held_s * (number > at), held_s + 1 / 20 if number == at else 1 / 20) for number in range(60)]
    counted = judge(packets, [], 1 / 20, joins=False)
    clock: PresentationClock[int] = PresentationClock(1 / 20)
    released = [piece for number, p in enumerate(packets) for piece in clock.push(counted.close(p.start_s), p.duration_s, number)]
    released += clock.finish()
    assert [time_s for time_s, _ in released] == pytest.approx([packet.start_s for packet in packets])
    assert clock.end_s == pytest.approx(3.0 + held_s)
    assert clock.notes() == []


def test_the_slides_of_a_slide_show_are_no_damage() -> None:
    packets = [PacketTime(30.0 * number, 0.0) for number in range(20)]
    assert judge(packets, [], 30.0, joins=False).wild == ()


@pytest.mark.parametrize("to_s", [4000.0, 124.0, 36.0, 90_000.0])
def test_a_jump_of_joined_recordings_is_closed(to_s: float) -> None:
    video = [PacketTime(start_s + number / 25, 1 / 25) for start_s in (20.0, to_s) for number in range(75)]
    audio = [PacketTime(start_s - 0.02 + number * 0.0213, 0.0213) for start_s in (20.0, to_s) for number in range(141)]
    counted = judge(video, audio, 1 / 25, joins=True)
    closed = [counted.close(packet.start_s) for packet in video]
    assert closed[0] == 20
    assert closed[-1] == pytest.approx(20 + 6 - 1 / 25, abs=0.1)
    assert "the gap was closed" in counted.notes()[0]


def test_a_picture_that_is_held_before_the_last_one_of_three_is_no_jump() -> None:
    video = [PacketTime(start_s, 0.0) for start_s in (0.0, 0.5, 20.0)]
    assert judge(video, [], 0.5, joins=True).joints == ()


@pytest.mark.parametrize("frames", [2, 3])
def test_a_jump_of_recordings_of_few_frames_is_closed(frames: int) -> None:
    video = [PacketTime(start_s + number, 1.0) for start_s in (20.0, 4000.0) for number in range(frames)]
    counted = judge(video, [], 1.0, joins=True)
    assert [counted.close(packet.start_s) for packet in video] == pytest.approx([20.0 + number for number in range(2 * frames)])


def test_a_gap_that_sound_fills_is_a_held_picture() -> None:
    video = [PacketTime(start_s + number / 25, 1 / 25) for start_s in (0.0, 30.0) for number in range(75)]
    audio = [PacketTime(number * 0.02, 0.02) for number in range(1650)]
    assert judge(video, audio, 1 / 25, joins=True).joints == ()


@given(st.lists(st.none() | st.floats(-1e9, 1e9), max_size=60), st.sampled_from(PERIODS_S))
@settings(deadline=None)
def test_whatever_the_stamps_say_every_frame_comes_out_once_and_time_goes_on(stamps_s: list[float | None], period_s: float) -> None:
    _, times_s, released = timed(stamps_s, period_s)
    assert sorted(released) == list(range(len(stamps_s)))
    assert all(b > a for a, b in pairwise(times_s))


def _shuffled(data: st.DataObject, count: int) -> list[int]:
    """The numbers from 0, none further from its place than decoders may hold frames back."""
    depth = data.draw(st.integers(1, REORDER_DEPTH // 2), label="depth")
    return sorted(range(count), key=lambda number: number + data.draw(st.floats(0, depth)))

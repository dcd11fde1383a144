"""`tests/benchmarks/beside_plain.py`: what it makes of what both sides took and found. `make bench` runs it on real clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from program_module import program_module

SCRIPT = Path(__file__).with_name("beside_plain.py")


beside = program_module(SCRIPT)
sides = st.floats(0, 1000, width=32)
corners = st.builds(lambda x, y, width, height: (x, y, x + width, y + height), sides, sides, st.floats(1, 500), st.floats(1, 500))


def _found(boxes: dict[float, list[Any]], texts: dict[float, list[str]] | None = None, words: str = "") -> Any:
    return beside.Found(boxes, texts or {}, words)


def _cost(scale: float, others: float = 0.0) -> Any:
    return beside.Cost(6 * scale, 9 * scale, 300 * scale, 500 * scale, others)


@given(corners, corners)
def test_overlap_is_symmetric_and_between_none_and_all(one: Any, other: Any) -> None:
    share = beside.overlap(one, other)
    assert 0 <= share <= 1
    assert share == pytest.approx(beside.overlap(other, one))
    assert beside.overlap(one, one) == pytest.approx(1)


def test_half_a_box_overlaps_by_half() -> None:
    assert beside.overlap((0, 0, 10, 10), (0, 0, 10, 5)) == pytest.approx(0.5)
    assert beside.overlap((0, 0, 10, 10), (20, 0, 30, 10)) == 0


@given(st.lists(st.tuples(st.sampled_from(["dog", "cat"]), corners), max_size=6))
def test_a_side_finds_all_of_its_own_boxes_again_each_once(pairs: list[Any]) -> None:
    boxes = [beside.Box(label, box) for label, box in pairs]
    assert beside.found_again(boxes, boxes[::-1]) == len(boxes)
    assert beside.found_again(boxes, []) == 0


def test_a_box_that_is_measured_otherwise_is_near_and_not_the_same() -> None:
    mine, theirs = beside.Box("dog", (0, 0, 10, 10)), beside.Box("dog", (0, 0, 10, 7))
    assert beside.found_again([mine], [theirs]) == 0
    assert beside.found_again([mine], [theirs], beside.NEAR_BOX) == 1


def test_one_box_stands_for_one_only_and_never_for_another_label() -> None:
    dog, cat = beside.Box("dog", (0, 0, 10, 10)), beside.Box("cat", (0, 0, 10, 10))
    assert beside.found_again([dog, dog], [dog]) == 1
    assert beside.found_again([dog], [cat]) == 0


def test_boxes_are_sought_in_the_frame_of_the_same_time_and_faces_apart_from_objects() -> None:
    face, dog = beside.Box(beside.FACE, (0, 0, 10, 10)), beside.Box("dog", (50, 50, 90, 90))
    mine = {"a_00.mp4": _found({0.0: [face, dog], 0.2: [dog]})}
    theirs = {"a_00.mp4": _found({0.001: [face, dog], 0.2: []})}
    assert beside.agreement(mine, theirs, faces=False) == (2, 1)
    assert beside.agreement(mine, theirs, faces=True) == (1, 1)


def test_two_sides_that_looked_at_different_frames_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"a_00\.mp4 at 0\.200 s: 0 frames on the other side"):
        beside.agreement({"a_00.mp4": _found({0.2: []})}, {"a_00.mp4": _found({0.0: []})}, faces=False)


def test_a_piece_knows_what_its_clip_shows_at_its_own_time() -> None:
    shown = {"tt_dog_voiceover_720x1280_01.mp4": _found({}, {1.0: ["wait for it"], 2.9: ["LINK IN BIO"]})}
    assert beside.character_errors(shown) == [0]
    later = {"tt_dog_voiceover_720x1280_02.mp4": _found({}, {1.0: ["wait for it"]})}
    assert beside.character_errors(later)[0] > 0.5


@pytest.mark.parametrize(("at_s", "text"), [(0.0, "01:00:00:00"), (1.4, "01:00:01:12"), (2.8, "01:00:02:24"), (9.9999, "01:00:10:00")])
def test_the_timecode_is_known_at_every_time(at_s: float, text: str) -> None:
    assert beside.captions_at(beside.TIMECODE, at_s) == [text]


def test_words_count_against_the_sentence_of_the_piece() -> None:
    found = {"grid_bbaf2n_00.mp4": _found({}, words="Bin blue at F2 now."), "sam2_juggle_00.mp4": _found({}, words="Hello")}
    assert beside.word_errors(found) == [0]


def test_the_share_on_the_clock_weighs_calls_with_their_cpu_time() -> None:
    watched = {
        "calls": {"slow": 10, "quick": 10, "idle": 0},
        "begun_before": {"slow": 1, "quick": 5},
        "cpu_s": {"slow": 90.0, "quick": 5.0},
    }
    assert beside.counted_share(watched) == pytest.approx(95 / 110)


def test_the_table_has_the_ratios_and_says_when_the_machine_was_not_quiet() -> None:
    clip = {
        "grid_bbaf2n_00.mp4": _found(
            {0.0: [beside.Box("dog", (0, 0, 9, 9)), beside.Box(beside.FACE, (0, 0, 9, 9))]}, words="bin blue at f two now"
        )
    }
    captions = {"tt_dog_voiceover_720x1280_00.mp4": _found({}, {1.0: ["POV my dog loves fetch"]})}
    found = {"plain": clip | captions, "ours": clip | captions}
    quiet = beside.table({"plain": _cost(1), "warm": _cost(0.2), "cold": _cost(0.25)}, found, 40)
    assert "| seconds a clip, steady state | 6.00 | 1.20 | **5.0** | 1.50 | **4.0** |" in quiet
    assert "| of the other side's objects, at IoU ≥ 0.9 | 1.000 | 1.000 |" in quiet
    assert "| captions, character error rate | 0.0000 (1) | 0.0000 (1) |" in quiet
    assert "not quiet" not in quiet
    noisy = beside.table({"plain": _cost(1, 0.06), "warm": _cost(0.2), "cold": _cost(0.25)}, found, 40)
    assert noisy.endswith("6.0% of the cores: not quiet, the CPU-seconds alone can be believed.")

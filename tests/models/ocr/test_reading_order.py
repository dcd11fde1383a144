from __future__ import annotations

from rumiai_ray.models.ocr.reading_order import blocks_in_order, reading_order


def test_words_of_a_line_are_read_from_left_to_right_and_lines_from_the_top() -> None:
    boxes = [(300, 12, 400, 52), (10, 100, 90, 140), (10, 10, 90, 50), (100, 8, 290, 60)]
    assert reading_order(boxes) == [2, 3, 0, 1]
    assert reading_order(boxes, right_to_left=True) == [0, 3, 2, 1]


def test_lines_that_touch_stay_lines() -> None:
    boxes = [(10, 50, 200, 100), (50, 4, 150, 55), (30, 96, 120, 140)]
    assert reading_order(boxes) == [1, 0, 2]


def test_nothing_is_in_order() -> None:
    assert reading_order([]) == []


def test_lines_of_one_caption_are_a_block_and_a_block_is_read_to_its_end() -> None:
    left = [(10, 10, 200, 50), (20, 55, 180, 95)]
    right = [(400, 30, 600, 70), (400, 75, 560, 115)]
    assert blocks_in_order([right[1], left[1], right[0], left[0]]) == [(0, 3), (0, 1), (1, 2), (1, 0)]


def test_lines_far_apart_or_of_other_heights_are_blocks_of_their_own() -> None:
    assert blocks_in_order([(10, 10, 200, 50), (10, 120, 200, 160)]) == [(0, 0), (1, 1)]
    assert blocks_in_order([(10, 10, 200, 110), (10, 115, 200, 145)]) == [(0, 0), (1, 1)]
    assert blocks_in_order([(10, 10, 200, 50), (300, 10, 500, 50)]) == [(0, 0), (1, 1)]


def test_every_box_is_in_one_block_once() -> None:
    boxes = [(float(x), float(y), x + 30.0, y + 9.0) for x in range(0, 300, 40) for y in range(0, 200, 17)]
    order = blocks_in_order(boxes)
    assert sorted(place for _, place in order) == list(range(len(boxes)))
    assert [block for block, _ in order] == sorted(block for block, _ in order)

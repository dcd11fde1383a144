"""Text spans: what was on the screen from when to when, and whether it repeats the speech."""

from __future__ import annotations

from typing import Any

import pytest

from rumiai_ray.insights.calls_to_action import calls_to_action
from synthetic_video import THRESHOLDS, derived, said, text, video

EVERY_SECOND = tuple(range(0, 30, 5))


def _spans(made: Any, **changes: Any) -> list[dict[str, Any]]:
    return derived(made, **changes)["text_spans"]


def _read(*frames: int, words: str = "SALE TODAY", **changes: Any) -> list[dict[str, Any]]:
    return [text(frame, words, **changes) for frame in frames]


def _made(texts: list[dict[str, Any]], **more: Any) -> Any:
    return video(6.0, seen={"ocr": EVERY_SECOND}, texts=texts, **more)


def test_a_span_lasts_until_the_next_frame_that_was_looked_at_and_no_further_than_the_video() -> None:
    (row,) = _spans(_made(_read(5, 10, 15)))
    assert (row["start_s"], row["end_s"], row["first_seen_s"], row["last_seen_s"], row["sightings"]) == (1.0, 4.0, 1.0, 3.0, 3)
    (row,) = _spans(_made(_read(*EVERY_SECOND)))
    assert (row["start_s"], row["end_s"]) == (0.0, 6.0)
    (row,) = _spans(video(0.04, texts=_read(0)))
    assert (row["start_s"], row["end_s"]) == (0.0, 0.04)


def test_one_missed_reading_is_bridged_and_two_are_not() -> None:
    assert len(_spans(_made(_read(0, 10, 15)))) == 1
    assert [(row["first_seen_s"], row["last_seen_s"]) for row in _spans(_made(_read(0, 15, 20)))] == [(0.0, 0.0), (3.0, 4.0)]


def test_at_dense_sampling_a_second_without_a_reading_is_bridged() -> None:
    assert len(_spans(video(6.0, texts=_read(*range(5), *range(10, 15))))) == 1
    assert len(_spans(video(6.0, texts=_read(*range(5), *range(11, 16))))) == 2


def test_readings_that_differ_by_a_letter_are_one_text_and_the_most_frequent_one_is_it() -> None:
    texts = [text(0, "SALE T0DAY", confidence=0.99), *_read(5, 10)]
    (row,) = _spans(_made(texts))
    assert (row["text"], row["confidence"]) == ("SALE TODAY", pytest.approx(0.99))


def test_another_text_in_the_same_place_is_another_span() -> None:
    rows = _spans(_made([*_read(0, 5), *_read(10, 15, words="LAST CHANCE")]))
    assert [(row["text"], row["end_s"]) for row in rows] == [("SALE TODAY", 2.0), ("LAST CHANCE", 4.0)]


def test_the_same_text_elsewhere_in_the_picture_is_another_span() -> None:
    rows = _spans(_made([row for frame in EVERY_SECOND for row in (text(frame, "SALE", y1=5.0), text(frame, "SALE", y1=80.0, index=1))]))
    assert [(row["position"], row["sightings"]) for row in rows] == [("top", 6), ("bottom", 6)]


def test_a_doubtful_reading_goes_on_with_a_span_and_begins_none() -> None:
    doubtful = [text(frame, "SALE TODAY", confidence=0.1) for frame in (5, 10)]
    assert _spans(_made(doubtful)) == []
    (row,) = _spans(_made([*_read(0), *doubtful]))
    assert (row["sightings"], row["last_seen_s"]) == (3, 2.0)


def test_what_has_no_letters_is_no_text() -> None:
    assert _spans(_made(_read(0, 5, words="…!"))) == []


def test_place_and_size_are_those_of_the_box() -> None:
    (row,) = _spans(_made([text(frame, "SALE", y1=46.0) for frame in EVERY_SECOND]))
    assert (row["position"], row["area_share"]) == ("middle", pytest.approx(0.048))


@pytest.mark.parametrize(("words", "kind", "overlap"), [("we bake bread daily", "caption", 1.0), ("we sell shoes online", "overlay", 0.25)])
def test_what_repeats_the_speech_is_a_caption(words: str, kind: str, overlap: float) -> None:
    (row,) = _spans(_made(_read(0, 5, 10, words=words), **said(0.0, 2.0, "We bake bread daily.")))
    assert (row["kind"], row["speech_overlap"]) == (kind, overlap)


def test_what_was_said_long_before_makes_no_caption() -> None:
    (row,) = _spans(_made(_read(20, 25, words="we bake bread"), **said(0.0, 2.0, "we bake bread")))
    assert (row["kind"], row["speech_overlap"]) == ("overlay", 0.0)


def test_a_word_written_twice_must_be_spoken_twice() -> None:
    (row,) = _spans(_made(_read(0, 5, words="no no no no"), **said(0.0, 2.0, "no way")))
    assert row["speech_overlap"] == 0.25


@pytest.mark.parametrize(("status", "kind"), [("empty", "overlay"), ("skipped", None), ("failed", None), ("not asked", None)])
def test_without_speech_to_compare_with_the_kind_is_not_known(status: str, kind: str | None) -> None:
    (row,) = _spans(_made(_read(0, 5), without={"whisper": status}))
    assert row["kind"] == kind
    assert row["speech_overlap"] == (0.0 if kind else None)


@pytest.mark.parametrize("words", ["Follow me!", "LINK IN BIO", "so, SUBSCRIBE"])
def test_calls_to_action_are_found_as_whole_words(words: str) -> None:
    assert calls_to_action(words, THRESHOLDS.call_to_action)


@pytest.mark.parametrize("words", ["followers", "bookshop", "tapestry", "the link is in my bio", ""])
def test_parts_of_words_call_to_nothing(words: str) -> None:
    assert not calls_to_action(words, THRESHOLDS.call_to_action)


def test_one_good_reading_is_enough_for_a_call_to_action() -> None:
    (row,) = _spans(_made([*_read(0, 5, words="LNK IN BIO"), *_read(10, words="LINK IN BIO")]))
    assert (row["text"], row["is_call_to_action"]) == ("LNK IN BIO", True)


def test_the_phrases_are_a_setting() -> None:
    (row,) = _spans(_made(_read(0, 5)), call_to_action=["sale"])
    assert row["is_call_to_action"] is True


@pytest.mark.parametrize("made", ["00:00:{:02d};00", "{}.001", "Frame {}", "Day {} of running", "{},{:02d}9 views"])
def test_a_running_counter_is_as_many_texts_as_it_shows(made: str) -> None:
    texts = [text(frame, made.format(frame, frame)) for frame in range(10, 20)]
    assert [row["text"] for row in _spans(video(6.0, texts=texts))] == [row["text"] for row in texts]


def test_a_number_that_stays_is_one_text_even_where_a_digit_was_once_read_as_a_letter() -> None:
    words = ["30% OFF", "3O% OFF", "30% OFF", "30% 0FF", "30% OFF"]
    (row,) = _spans(video(6.0, texts=[text(frame, shown) for frame, shown in enumerate(words)]))
    assert (row["text"], row["sightings"]) == ("30% OFF", 5)


def test_a_countdown_that_shows_a_number_for_a_while_has_one_span_a_number() -> None:
    texts = [text(frame, str(3 - frame // 5)) for frame in range(15)]
    assert [(row["text"], row["sightings"]) for row in _spans(video(6.0, texts=texts))] == [("3", 5), ("2", 5), ("1", 5)]


def test_the_lines_of_a_caption_are_one_text_in_their_common_box() -> None:
    lines = [
        text(frame, words, y1=y1, index=index) | {"block_index": 0}
        for frame in range(5) for index, (words, y1) in enumerate([("link in", 40.0), ("bio", 50.0)])
    ]  # fmt: skip
    (row,) = _spans(video(2.0, texts=lines))
    assert (row["text"], row["sightings"], row["is_call_to_action"]) == ("link in bio", 5, True)
    assert (row["y1"], row["y2"]) == (40.0, 58.0)


def test_a_text_that_could_not_be_read_is_in_no_span() -> None:
    unread = [text(frame, "") | {"text": None, "confidence": None} for frame in range(5)]
    assert _spans(video(2.0, texts=unread)) == []
    (row,) = _spans(video(2.0, texts=[*unread, *(text(frame, "SALE", index=1) | {"block_index": 0} for frame in range(5))]))
    assert row["text"] == "SALE"

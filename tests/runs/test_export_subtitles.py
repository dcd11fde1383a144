"""Transcripts as SubRip and WebVTT: WebVTT is read back by webvtt-py, SubRip by its own grammar."""

from __future__ import annotations

import re
import unicodedata
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
import webvtt
from hypothesis import example, given
from hypothesis import strategies as st

from report_run import analysis_row, word_rows, write_run
from rumiai_ray.errors import ConfigError
from rumiai_ray.runs.export.subtitles import LINE_COLUMNS, LONGEST_MS, SHORTEST_MS, as_srt, as_vtt, columns, cues_of, export_subtitles
from rumiai_ray.shown import terminal_safe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rumiai_ray.runs.export.subtitles import Cue

SRT_TIMES = re.compile(r"(\d{2,}):(\d\d):(\d\d),(\d{3}) --> (\d{2,}):(\d\d):(\d\d),(\d{3})")


def segment(index: int, text: str, start_s: float, end_s: float) -> dict[str, Any]:
    return {
        "segment_index": index, "start_s": start_s, "end_s": end_s, "text": text, "language": "en", "language_probability": 0.9,
        "language_decision": "detected", "avg_logprob": -0.25, "no_speech_prob": 0.125, "compression_ratio": 1.5,
    }  # fmt: skip


def words_of(index: int, text: str, start_s: float, end_s: float) -> list[dict[str, Any]]:
    """The words of a text, evenly spread over its time."""
    words = text.split()
    step = (end_s - start_s) / max(1, len(words))
    return [
        {
            "segment_index": index, "word_index": n, "start_s": start_s + n * step, "end_s": start_s + (n + 1) * step, "word": word,
            "probability": 0.5,
        }
        for n, word in enumerate(words)
    ]  # fmt: skip


def spoken(*said: tuple[str, float, float]) -> list[Cue]:
    segments = [segment(index, *one) for index, one in enumerate(said)]
    return cues_of(segments, [word for index, one in enumerate(said) for word in words_of(index, *one)])


def srt_blocks(text: str) -> list[tuple[int, int, str]]:
    """What a player reads: blocks that a blank line ends, each a number, a line of times, and text."""
    found = []
    for number, block in enumerate(text.strip("\n").split("\n\n"), start=1):
        first, times, *lines = block.split("\n")
        assert first == str(number)
        matched = SRT_TIMES.fullmatch(times)
        assert matched, times
        h1, m1, s1, ms1, h2, m2, s2, ms2 = map(int, matched.groups())
        found.append(
            (((h1 * 60 + m1) * 60 + s1) * 1000 + ms1, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2, "\n".join(lines)),
        )
    return found


def visible(text: str) -> str:
    """The characters that a viewer sees."""
    seen = (one for one in text if not one.isspace() and unicodedata.category(one) not in {"Cc", "Cf"} and terminal_safe(one) == one)
    return "".join(one for one in seen if one not in "\u115f\u1160\u3164\uffa0")


def test_a_sentence_is_one_subtitle_and_a_long_one_is_cut_between_words_when_they_are_spoken() -> None:
    long = "we took the train to the coast in the morning and then we walked along the beach until the sun went down"
    first, second, third = spoken(("Hello there.", 0.5, 2.0), (long, 3.0, 9.0))
    assert (first.start_ms, first.end_ms, first.lines) == (500, 2000, ("Hello there.",))
    assert [second.start_ms, third.end_ms] == [3000, 9000]
    assert second.end_ms == third.start_ms
    assert " ".join((*second.lines, *third.lines)) == long
    # 22 words in 6 s: the cut is when the first word of the second subtitle is spoken
    assert third.start_ms == pytest.approx(3000 + 6000 * len(" ".join(second.lines).split()) / 22, abs=1)
    assert min(len(line) for line in (*second.lines, *third.lines)) > 15, "no word is left alone"


def test_chinese_is_broken_without_spaces_into_lines_of_sixteen_and_no_line_begins_with_punctuation() -> None:
    text = "我们早上坐火车去海边,然后沿着海滩走,一直走到太阳下山。晚上我们吃了很多好吃的东西,大家都很开心。"
    cues = spoken((text, 0.0, 9.0))
    lines = [line for cue in cues for line in cue.lines]
    assert "".join(lines) == text
    assert max(map(len, lines)) <= 16
    assert not any(line.startswith((",", "。")) for line in lines)


def test_what_is_said_at_once_is_shown_in_order_long_enough_to_read() -> None:
    cues = spoken(("Yes.", 1.0, 1.1), ("No.", 1.3, 1.3), ("x" * 80, 1.4, 1.4), ("y" * 80, 1.4, 1.4))
    assert cues[0].lines == ("Yes. No.",)
    assert [cue.end_ms - cue.start_ms for cue in cues] == [SHORTEST_MS] * 3
    assert [cue.start_ms for cue in cues] == [1000, 1000 + SHORTEST_MS, 1000 + 2 * SHORTEST_MS]


def test_a_stretch_that_goes_on_for_a_minute_is_not_shown_for_a_minute() -> None:
    (cue,) = spoken(("Hm.", 0.0, 60.0))
    assert (cue.start_ms, cue.end_ms) == (0, LONGEST_MS)


def test_sound_that_begins_before_the_first_picture_is_shown_from_its_first_moment() -> None:
    (cue,) = spoken(("Hi there.", -0.4, 1.2))
    assert (cue.start_ms, cue.end_ms) == (0, 1200)


TEXTS = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("a bé \n\t->,.<&ا\u200e\u202e\u0301界。ー")), max_size=300)
TIMES = st.floats(-2, 600)


@given(st.lists(st.tuples(TEXTS, TIMES, st.floats(0, 40)), max_size=8))
@example([("a --> b\n\nc", 0.0, 1.0), ("00:00:01,000 --> 00:00:02,000", 1.0, 1.0)])
@example([("x" * 500, 0.0, 0.0), ("<b>&amp;\u202eevil</b>", 0.0, 0.0)])
@example([("界" * 200, 5.0, 3.0), ("\u0301" * 100, 5.0, 3.0)])
def test_whatever_is_said_players_read_all_of_it_and_the_rules_hold(said: Sequence[tuple[str, float, float]]) -> None:
    cues = spoken(*((text, start_s, start_s + length_s) for text, start_s, length_s in said))
    for place, cue in enumerate(cues):
        assert cue.start_ms >= 0
        assert SHORTEST_MS <= cue.end_ms - cue.start_ms <= LONGEST_MS
        assert place == 0 or cues[place - 1].end_ms <= cue.start_ms
        assert 1 <= len(cue.lines) <= 2
        assert all(line.strip() == line != "" and columns(line) <= LINE_COLUMNS for line in cue.lines)
    shown = visible("".join(line for cue in cues for line in cue.lines))
    assert sorted(shown) == sorted(visible("".join(text for text, _, _ in said)))
    if not cues:
        return
    timed = [(cue.start_ms, cue.end_ms, "\n".join(cue.lines)) for cue in cues]
    assert srt_blocks(as_srt(cues)) == [(start, end, text.replace("-->", "→").replace("<", "‹")) for start, end, text in timed]
    captions = webvtt.from_buffer(StringIO(as_vtt(cues))).captions
    read = [(round(one.start_in_seconds * 1000 // 1000), one.raw_text) for one in captions]
    unescaped = [(start_s, text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")) for start_s, text in read]
    assert unescaped == [(start // 1000, text) for start, _, text in timed]
    assert not any("<" in text or "-->" in text for _, text in read)


def test_webvtt_py_reads_times_and_texts() -> None:
    cues = spoken(("Cats & dogs --> <rain>", 61.5, 63.25))
    (caption,) = webvtt.from_buffer(StringIO(as_vtt(cues))).captions
    assert (caption.start, caption.end, caption.raw_text) == ("00:01:01.500", "00:01:03.250", "Cats &amp; dogs --&gt; &lt;rain&gt;")


def test_each_entry_with_speech_has_a_file_and_the_others_are_counted_by_reason(tmp_path: Path) -> None:
    rows = word_rows(["Hello."])
    skipped = analysis_row("whisper", "skipped", detail="no audio stream")
    run = write_run(
        tmp_path / "runs",
        {
            "../../evil": rows,
            "x" * 300: rows,
            "silent": {"analyses": [analysis_row("whisper", "empty")]},
            "mute": {"analyses": [skipped]},
            "pictures": {"analyses": [analysis_row("yolo")]},
        },
    )
    written, without = export_subtitles(run, tmp_path / "to", "vtt")
    assert [path.parent for path in written] == [tmp_path / "to"] * 2
    assert [path.name[:10] for path in written] == ["%2E%2E%2F%", "xxxxxxxxxx"]
    assert all(len(path.name) < 255 and path.suffix == ".vtt" for path in written)
    assert [caption.text for caption in webvtt.read(str(written[0])).captions] == ["Hello."]
    assert without == {"no speech": 1, "whisper: skipped": 1, "whisper: not run": 1}
    with pytest.raises(ConfigError, match="not empty"):
        export_subtitles(run, tmp_path / "to", "srt")


@pytest.mark.parametrize("word", ["เปลี่ยนแปลง", "ເຮັດວຽກ", "ကျွန်တော်", "ស្រឡាញ់"])
def test_scripts_of_south_east_asia_are_broken_between_words(word: str) -> None:
    text = word * 20
    words = words_of(0, " ".join([word] * 20), 0.0, 20.0)
    lines = [line for cue in cues_of([segment(0, text, 0.0, 20.0)], words) for line in cue.lines]
    assert "".join(lines) == text
    assert len(lines) > 2
    assert all(line == word * (len(line) // len(word)) for line in lines)


@pytest.mark.parametrize("of_characters", [True, False])
def test_without_words_no_syllable_is_cut(*, of_characters: bool) -> None:
    text = "เแกเปลี่ยนแปลงไปแล้วกะทำ" * 12
    words = words_of(0, " ".join(text), 0.0, 20.0) if of_characters else []
    lines = [line for cue in cues_of([segment(0, text, 0.0, 20.0)], words) for line in cue.lines]
    assert "".join(lines) == text
    assert len(lines) > 4
    for line in lines:
        assert not "\u0e40" <= line[-1] <= "\u0e44"
        assert unicodedata.category(line[0]) != "Mn"
        assert line[0] not in "ะาำ"


def test_marks_of_direction_and_controls_are_left_out_and_a_subtitle_shows_something() -> None:
    cues = spoken(("a\u200fb\u200e c\x85d\u2028e\x00", 0.0, 2.0), *((blank * 2, 3.0, 5.0) for blank in "\u200b\u00ad\u3164\0"))
    assert [cue.lines for cue in cues] == [("ab c d e",)]


def test_players_find_no_tags_in_subrip() -> None:
    assert "‹i>a‹/i> ‹font color=red>b" in as_srt(spoken(("<i>a</i> <font color=red>b", 0.0, 2.0)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("e" + "\u0301" * 200_000, []),
        (("e" + "\u0301" * 50 + " ") * 2000, []),
        ("ab " * 3000, []),
        ("ab " * 3000, [f"no {n}" for n in range(10_000)]),
        ("a " * 4000, ["a"] * 10_000),
    ],
    ids=["marks without end", "marks on each", "many words", "words that are not in it", "more words than in it"],
)
def test_a_transcript_of_a_strangers_run_that_says_too_much_takes_no_long_time(text: str, words: list[str]) -> None:
    # What grows with the square of the length would take hours here, and the suite's limit for a test would end it.
    said = [{"segment_index": 0, "word_index": n, "start_s": n / 100, "end_s": n / 100, "word": word} for n, word in enumerate(words)]
    cues = cues_of([segment(0, text, 0.0, 300.0)], said)
    assert visible("".join(line for cue in cues for line in cue.lines)) == visible(text)

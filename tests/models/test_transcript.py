"""What is kept of what Whisper says, where segments end, and what language a window is taken for."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.models.whisper.language import Language
from rumiai_ray.models.whisper.speech import SpeechWindow, pack
from rumiai_ray.models.whisper.transcript import Acceptance, DecodedWindow, Word, compression_ratio, normalized, segments, text_of

ACCEPTANCE = Acceptance(max_no_speech_prob=0.6, min_avg_logprob=-1.0, max_compression_ratio=2.4)


def words(*spoken: tuple[str, float, float]) -> list[Word]:
    return [Word(text, start_s, end_s, 0.9) for text, start_s, end_s in spoken]


def heard(text: str, avg_logprob: float = -0.3, no_speech_prob: float = 0.05) -> DecodedWindow:
    return DecodedWindow((Word(text, 0, 1, 0.9),), avg_logprob, no_speech_prob, Language("en", 0.9))


def test_a_segment_ends_with_a_sentence_or_a_long_pause() -> None:
    said = words((" Hi", 0, 0.2), (" there.", 0.2, 0.5), (" Now", 0.6, 0.8), (" then", 2.0, 2.2), (" go", 2.3, 2.5))
    assert [text_of(segment) for segment in segments(said)] == ["Hi there.", "Now", "then go"]


def test_closing_quotes_do_not_hide_the_end_of_a_sentence() -> None:
    assert len(list(segments(words((' "Go!"', 0, 0.4), (" he", 0.5, 0.6), (" said.", 0.6, 0.9))))) == 2


@pytest.mark.parametrize("nothing", [" ...", " .", " - –", " ♪♪"])
def test_punctuation_alone_is_no_speech(nothing: str) -> None:
    assert list(segments(words((nothing, 0, 1)))) == []


def test_letters_of_every_script_and_digits_are_speech() -> None:
    for text in (" 你好", " привет", " 42"):
        assert len(list(segments(words((text, 0, 1))))) == 1


@pytest.mark.parametrize(
    ("word", "normal"),
    [
        ("Hello,", "hello"),
        ("“Don’t!”", "don’t"),
        ("#Ad", "ad"),
        ("co-op.", "co-op"),
        ("U.S.A.", "u.s.a"),
        ("$20", "$20"),
        ("ＦＲＥＥ！", "free"),
        ("ﬁne…", "fine"),
        ("¿Qué?", "qué"),
        ("\u200bfree\u00a0", "free"),
        ("안녕하세요。", "안녕하세요"),
        ("–", ""),
    ],
)
def test_a_word_is_counted_under_one_spelling(word: str, normal: str) -> None:
    assert normalized(word) == normal


@given(st.text(max_size=12))
def test_the_normal_form_of_a_word_is_its_own(word: str) -> None:
    normal = normalized(word)
    assert normalized(normal) == normal == normalized(f" “{word}”, ")
    assert normal == unicodedata.normalize("NFKC", normal).lower()


def test_what_the_model_doubts_or_repeats_is_not_accepted() -> None:
    assert ACCEPTANCE.accepts(heard("ask what you can do"))
    assert not ACCEPTANCE.accepts(heard("you", no_speech_prob=0.7))
    assert not ACCEPTANCE.accepts(heard("Bimble of Tuner", avg_logprob=-1.2))
    assert not ACCEPTANCE.accepts(heard("4x" * 200))


def test_the_compression_ratio_of_plain_text_is_near_one_and_of_a_loop_far_above() -> None:
    assert 0.8 < compression_ratio("And so my fellow Americans, ask not what your country can do for you") < 1.3
    assert compression_ratio("yw'n " * 100) > 10


def test_a_word_after_a_cut_silence_is_put_back_where_it_was_said() -> None:
    window = SpeechWindow(((1.0, 3.0), (40.0, 41.0)))
    assert window.original(0.5, 0.9) == pytest.approx((1.5, 1.9))
    assert window.original(2.2, 2.6) == pytest.approx((40.2, 40.6))


def test_a_word_stays_within_the_stretch_its_middle_lies_in() -> None:
    window = SpeechWindow(((1.0, 3.0), (40.0, 41.0)))
    assert window.original(1.5, 2.3) == pytest.approx((2.5, 3.0))
    assert window.original(1.9, 2.5) == pytest.approx((40.0, 40.5))
    assert window.original(2.8, 3.9) == pytest.approx((40.8, 41.0))


def test_stretches_are_packed_into_as_few_windows_as_hold_them_and_never_more_than_thirty_seconds() -> None:
    packed = pack([(0, 12), (20, 30), (50, 58), (60, 65), (100, 130)])
    assert [window.spans for window in packed] == [((0, 12), (20, 30), (50, 58)), ((60, 65),), ((100, 130),)]

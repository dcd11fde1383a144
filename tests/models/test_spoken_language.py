"""Which language is spoken, and where another one begins. Wiring: the detector is a fake that says what it is told; see `test_whisper`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.models.whisper.language import Expectation, changes_of_language, choose_languages, code_of
from rumiai_ray.models.whisper.speech import SpeechWindow
from rumiai_ray.models.whisper.turns import split_by_language

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WEAK = {"da": 0.32, "en": 0.21, "nn": 0.12, "nl": 0.06}
"""What a network hears in an English sentence of 1.4 s."""


def test_each_window_keeps_a_language_the_detector_is_sure_of() -> None:
    chosen = choose_languages([{"en": 0.98, "de": 0.02}, {"de": 0.9, "en": 0.1}], [10, 10])
    assert [(language.code, language.decision) for language in chosen] == [("en", "detected"), ("de", "detected")]
    assert chosen[1].probability == 0.9


def test_a_window_too_short_to_tell_takes_the_language_of_the_whole_audio() -> None:
    chosen = choose_languages([{"en": 0.98, "ru": 0.0}, {"ru": 0.15, "en": 0.12}], [17, 1])
    assert [language.code for language in chosen] == ["en", "en"]
    assert chosen[1].probability == pytest.approx((0.98 * 17 + 0.12) / 18)
    assert chosen[1].decision == "whole audio"


@pytest.mark.parametrize(
    ("known", "code", "decision"),
    [
        (Expectation(), "da", "detected"),
        (Expectation(expected="en"), "en", "expected"),
        (Expectation(candidates=("en", "de")), "en", "detected"),
        (Expectation(candidates=("da", "en"), expected="en"), "da", "detected"),
        (Expectation(expected="pl"), "da", "whole audio"),
        (Expectation(expected="xx"), "da", "detected"),
    ],
)
def test_a_short_sentence_is_in_the_expected_language_or_a_candidate_where_that_may_well_be(
    known: Expectation, code: str, decision: str
) -> None:
    (chosen,) = choose_languages([WEAK | {"pl": 0.001}], [1], known)
    assert (chosen.code, chosen.decision) == (code, decision)


def test_what_is_heard_well_counts_whatever_is_expected() -> None:
    (chosen,) = choose_languages([{"de": 0.97, "en": 0.02}], [1], Expectation(expected="en"))
    assert (chosen.code, chosen.probability, chosen.decision) == ("de", 0.97, "detected")


def test_among_candidates_that_the_detector_did_not_hear_one_is_chosen_and_its_probability_says_how_little_that_means() -> None:
    (chosen,) = choose_languages([{"da": 1.0}], [1], Expectation(candidates=("en", "de")))
    assert chosen.code in ("en", "de")
    assert chosen.probability == 0.5


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("en", "en"),
        ("en-US", "en"),
        ("pt_BR", "pt"),
        (" DE ", "de"),
        ("haw", "haw"),
        ("English", None),
        ("", None),
        (None, None),
        ("e", None),
    ],
)
def test_a_language_tag_is_read_by_its_beginning(text: str | None, code: str | None) -> None:
    assert code_of(text, ("en", "pt", "de", "haw")) == code


class Ear:
    """Hears what is spoken when; sure of what is in one language, unsure of the rest."""

    def __init__(self, *turns: tuple[float, str]) -> None:
        self._turns = turns
        self.asked = 0

    def __call__(self, windows: Sequence[SpeechWindow]) -> list[Mapping[str, float]]:
        self.asked += len(windows)
        return [self._hear(window) for window in windows]

    def _hear(self, window: SpeechWindow) -> Mapping[str, float]:
        shares: dict[str, float] = {}
        begin_s = 0.0
        for end_s, code in self._turns:
            inside = sum(max(0.0, min(end, end_s) - max(start, begin_s)) for start, end in window.spans)
            shares[code] = shares.get(code, 0.0) + inside / window.speech_s
            begin_s = end_s
        return {code: 0.99 * share for code, share in shares.items()}


def sentences(until_s: float, length_s: float = 2.0) -> list[tuple[float, float]]:
    return [(at * length_s + 0.1, (at + 1) * length_s) for at in range(int(until_s / length_s))]


@pytest.mark.parametrize(
    ("turns", "cuts_s"),
    [
        (((8.0, "en"), (16.0, "de")), [8.0]),
        (((8.0, "de"), (16.0, "en")), [8.0]),
        (((20.0, "en"), (28.0, "de")), [20.0]),
        (((4.0, "en"), (28.0, "de")), [4.0]),
        (((8.0, "en"), (16.0, "de"), (24.0, "en")), [8.0, 16.0]),
        (((8.0, "en"), (16.0, "de"), (24.0, "fr")), [8.0, 16.0]),
    ],
)
def test_a_second_language_later_in_the_clip_has_a_window_of_its_own(turns: tuple[tuple[float, str], ...], cuts_s: list[float]) -> None:
    whole, ear = SpeechWindow(((0.0, turns[-1][0]),)), Ear(*turns)
    windows = split_by_language(whole, ear([whole])[0], sentences(turns[-1][0]), ear, Expectation())
    assert [window.spans[0][0] for window in windows[1:]] == pytest.approx(cuts_s, abs=0.1)
    assert sum(window.speech_s for window in windows) == pytest.approx(whole.speech_s)
    chosen = choose_languages(ear(windows), [1] * len(windows))
    assert [language.code for language in chosen] == [code for _, code in turns]


def test_one_language_costs_one_more_look_and_none_where_it_is_short_or_the_only_candidate() -> None:
    for length_s, known, asked in ((24.0, Expectation(), 1), (4.0, Expectation(), 0), (24.0, Expectation(("en",)), 0)):
        ear, whole = Ear((length_s, "en")), SpeechWindow(((0.0, length_s),))
        assert split_by_language(whole, {"en": 0.99}, sentences(length_s), ear, known) == (whole,)
        assert ear.asked == asked


def test_a_piece_that_could_be_anything_changes_no_language() -> None:
    assert changes_of_language([{"en": 0.99}, {"da": 0.32, "en": 0.2}, {"en": 0.9}]) == []
    assert changes_of_language([{"da": 0.32}, {"en": 0.99}, {"de": 0.79}, {"de": 0.9}]) == [3]


@given(st.lists(st.tuples(st.floats(1, 9), st.sampled_from(["en", "de", "fr"])), min_size=1, max_size=4), st.integers(1, 3))
def test_cutting_by_language_loses_no_speech_and_keeps_its_order(parts: list[tuple[float, str]], length_s: int) -> None:
    ends: list[tuple[float, str]] = []
    for seconds, code in parts:
        ends.append(((ends[-1][0] if ends else 0.0) + seconds, code))
    whole, ear = SpeechWindow(((0.0, ends[-1][0]),)), Ear(*ends)
    windows = split_by_language(whole, ear([whole])[0], sentences(ends[-1][0], length_s), ear, Expectation())
    spans = [span for window in windows for span in window.spans]
    assert spans == sorted(spans)
    assert sum(end - start for start, end in spans) == pytest.approx(whole.speech_s)


@given(st.integers(1, 10**7), st.dictionaries(st.sampled_from(["en", "de", "fr", "da"]), st.floats(0.01, 0.2), min_size=2))
def test_a_window_alone_is_never_decided_by_the_whole_audio(length: int, heard: dict[str, float]) -> None:
    (language,) = choose_languages([heard], [length])
    assert language.decision == "detected"


def test_a_change_between_two_candidates_is_heard_though_a_third_language_seems_likelier() -> None:
    def detect(windows: Sequence[SpeechWindow]) -> list[dict[str, float]]:
        return [{"nl": 0.9, **({"en": 0.095, "de": 0.005} if w.spans[0][0] < 8 else {"en": 0.005, "de": 0.095})} for w in windows]

    window = SpeechWindow(((0.0, 16.0),))
    pauses = [(start, start + 0.9) for start in range(16)]
    parts = split_by_language(window, {"nl": 0.96, "en": 0.02, "de": 0.02}, pauses, detect, Expectation(candidates=("en", "de")))
    assert len(parts) == 2


@pytest.mark.parametrize(("candidates", "code"), [(("en", "de"), "en"), (("de", "en"), "de"), (("fr", "en", "de"), "fr")])
def test_of_candidates_that_are_about_as_probable_the_first_is_taken_with_its_own_probability(
    candidates: tuple[str, ...], code: str
) -> None:
    heard = {"fr": 0.17, "de": 0.176, "en": 0.159, "sv": 0.4}
    (chosen,) = choose_languages([heard], [1], Expectation(candidates))
    assert chosen.code == code
    assert chosen.probability == pytest.approx(heard[code] / sum(heard[one] for one in candidates))


@given(st.floats(0.01, 0.49), st.floats(0.5, 1))
def test_the_order_of_candidates_is_nothing_beside_a_language_that_was_heard_well(english: float, german: float) -> None:
    heard = {"en": english, "de": german}
    chosen = {choose_languages([heard], [1], Expectation(order))[0].code for order in (("en", "de"), ("de", "en"))}
    assert chosen == {"de"}


@given(st.floats(0.01, 0.49), st.floats(0.01, 0.49))
def test_the_order_of_candidates_decides_between_near_ties_only(english: float, german: float) -> None:
    heard = {"en": english, "de": german}
    chosen = {choose_languages([heard], [1], Expectation(order))[0].code for order in (("en", "de"), ("de", "en"))}
    ratio = max(english, german) / min(english, german)
    assert len(chosen) == (2 if ratio < 2 - 1e-9 else 1) or abs(ratio - 2) < 1e-6

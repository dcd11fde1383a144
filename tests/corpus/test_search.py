"""`corpus search`: words in what is said, written and seen, in any script, and no query of a stranger that is a syntax error."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from report_run import table_row, video_key, video_row, write_run
from rumiai_ray.corpus.reader import Corpus, open_corpus
from rumiai_ray.corpus.search import MOST_WORDS, _as_indexed, _marked, search
from rumiai_ray.errors import ConfigError
from synthetic_run import object_row

if TYPE_CHECKING:
    from pathlib import Path

SAID = {
    "english": "The dog runs on the beach",
    "french": "Un café crème, déjà vu",
    "chinese": "我喜欢这只狗在跑步",
    "japanese": "昨日は東京タワーに行きました",
    "korean": "강아지가 공원에서 뛰어요",
    "russian": "Собака бежит",
    "arabic": "خصم عشرين بالمئة",
    "thai": "สุนัขวิ่งเร็วมาก",
    "quoted": 'She said "don\'t" AND left NEAR noon: 50% off*',
    "plural": "Two dogs were running away",
}


def said(text: str) -> dict[str, Any]:
    segment = {
        "segment_index": 0, "start_s": 1.0, "end_s": 3.0, "text": text, "language": "en", "language_probability": 0.9,
        "language_decision": "detected", "avg_logprob": -0.2, "no_speech_prob": 0.1, "compression_ratio": 1.0,
    }  # fmt: skip
    return {"speech_segments": [segment]}


def span(text: str, start_s: float) -> dict[str, Any]:
    times = {"start_s": start_s, "end_s": start_s + 2, "first_seen_s": start_s, "last_seen_s": start_s, "seen_until_s": start_s + 2}
    box = {"x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0, "position": "top", "area_share": 0.1}
    return table_row("text_spans", span_index=0, text=text, sightings=1, confidence=0.9, is_call_to_action=False, **times, **box)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A video a language; in one of them a dog is seen and named on the screen."""
    entries: dict[str, dict[str, list[dict[str, Any]]]] = {name: {"videos": [video_row(name)], **said(text)} for name, text in SAID.items()}
    entries["seen"] = {
        "objects": [object_row(frame, label="dog") for frame in (3, 9)] + [object_row(0, label="sports ball")],
        "text_spans": [span("DOG FOOD 50% OFF", 4.0)],
    }
    return open_corpus([write_run(tmp_path_factory.mktemp("corpus"), entries).store.uri()])


def found(corpus: Corpus, words: str, **options: Any) -> list[str]:
    return [row["entry_id"] for row in search(corpus, words, **options)[0].to_pylist()]


def test_places_with_more_of_the_words_come_first_marked_and_with_their_times(corpus: Corpus) -> None:
    rows, total = search(corpus, "dog runs")
    both, others = rows.to_pylist()[:2], rows.to_pylist()[2:]
    assert total == 4
    assert [(row["kind"], row["words"]) for row in both] == [("speech", 2)] * 2
    assert {row["entry_id"]: row for row in both}["english"] == {
        "entry_id": "english", "input": "english.mp4", "kind": "speech", "start_s": 1.0, "end_s": 3.0, "words": 2,
        "text": "The [[dog]] [[runs]] on the beach", "video_key": video_key("english"), "run_id": corpus.runs[0].run_id,
    }  # fmt: skip
    assert "Two [[dogs]] were [[running]] away" in {row["text"] for row in both}
    assert {row["kind"]: (row["text"], row["start_s"], row["end_s"], row["words"]) for row in others} == {
        "object": ("[[dog]]", 0.6, 1.8, 1),
        "screen": ("[[DOG]] FOOD 50% OFF", 4.0, 6.0, 1),
    }


@pytest.mark.parametrize(
    ("words", "entry", "marked"),
    [
        ("cafe CREME", "french", "[[café]] [[crème]]"),
        ("狗", "chinese", "[[狗]]"),
        ("跑步", "chinese", "[[跑步]]"),
        ("東京", "japanese", "[[東京]]"),
        ("タワー", "japanese", "[[タワー]]"),
        ("강아지", "korean", "[[강아지]]"),
        ("공원", "korean", "[[공원]]"),
        ("собака", "russian", "[[Собака]]"),
        ("خصم", "arabic", "[[خصم]]"),
        ("สุนัข", "thai", "[[สุนัข]]"),
        ("don't", "quoted", "[[don't]]"),
    ],
)
def test_words_are_found_in_every_script_whatever_their_length_and_accents(corpus: Corpus, words: str, entry: str, marked: str) -> None:
    rows = search(corpus, words)[0].to_pylist()
    assert [row["entry_id"] for row in rows] == [entry]
    assert marked in rows[0]["text"]
    assert rows[0]["text"].replace("[[", "").replace("]]", "") == SAID[entry]


def test_characters_that_follow_one_another_elsewhere_are_not_a_word(corpus: Corpus) -> None:
    assert found(corpus, "步跑") == []


@pytest.mark.parametrize(
    "words", ['"dog', "dog*", "NEAR( dog", "dog:", "(dog)", "^dog", "-dog", "dog\0", "dog\udce9 dog", "dog + ---", "{dog}:"]
)
def test_operators_of_a_stranger_are_text(corpus: Corpus, words: str) -> None:
    assert "english" in found(corpus, words)


def test_words_that_are_operators_are_words(corpus: Corpus) -> None:
    assert search(corpus, "NEAR AND")[0].to_pylist()[0]["text"].count("[[") == 2


@settings(deadline=None)
@given(st.text(max_size=60))
@example('"')
@example("NOT")
@example("text:dog")
@example("界\u200b\u0301\u0e31")
def test_no_words_are_a_syntax_error(corpus: Corpus, words: str) -> None:
    if not any(character.isalnum() for character in unicodedata.normalize("NFKC", words)):
        with pytest.raises(ConfigError, match="no word to look for"):
            search(corpus, words)
    else:
        rows, total = search(corpus, words)
        assert rows.num_rows <= total


def test_a_raw_query_has_operators_and_an_error_in_it_is_told(corpus: Corpus) -> None:
    assert found(corpus, "dog NOT beach", raw=True, limit=10)
    assert "english" not in found(corpus, "dog NOT beach", raw=True)
    assert found(corpus, "跑步", raw=True) == ["chinese"]
    for wrong in ('"dog', "dog AND", "nosuch:dog", "*", ""):
        with pytest.raises(ConfigError, match="FTS5"):
            search(corpus, wrong, raw=True)


def test_no_words_too_many_words_and_no_places(corpus: Corpus) -> None:
    with pytest.raises(ConfigError, match="no word to look for"):
        search(corpus, " -- ")
    with pytest.raises(ConfigError, match=f"at most {MOST_WORDS}"):
        search(corpus, " ".join(f"w{number}" for number in range(MOST_WORDS + 1)))
    rows, total = search(corpus, "zebra")
    assert (rows.num_rows, total) == (0, 0)
    rows, total = search(corpus, "dog", limit=1)
    assert (rows.num_rows, total) == (1, 4)


def test_runs_without_a_table_are_searched_in_the_others(tmp_path: Path) -> None:
    run = write_run(tmp_path, {"a": said("dog")}, tables=("videos", "analyses", "dead_letter", "speech_segments"))
    assert found(open_corpus([run.store.uri()]), "dog") == ["a"]


WRITTEN = {
    "decomposed": unicodedata.normalize("NFD", "안녕 여러분 ガラス café"),
    "composed": "안녕하세요 ガム カメラ",
    "fullwidth": "ＤＯＧ ｆｏｏｄ ½ off",
    "halfwidth": "ﾊﾝｶｸ ｶﾞｽ",
    "kana": "ハンカク",
    "blanks": "zero\u200bwidth \0 \x02nul\x03 zebra",
    "marked": "a [[zebra]]",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A video for each way to encode a word."""
    entries = {name: {"videos": [video_row(name)], **said(text)} for name, text in WRITTEN.items()}
    return open_corpus([write_run(tmp_path_factory.mktemp("written"), entries).store.uri()])


@pytest.mark.parametrize(
    ("words", "marked"),
    [
        ("안녕", {"decomposed": "[[안녕]]", "composed": "[[안녕]]하세요"}),
        ("ガ", {"decomposed": "[[ガ]]ラス", "composed": "[[ガ]]ム", "halfwidth": "[[ｶﾞ]]ｽ"}),
        ("カ", {"composed": "[[カ]]メラ", "halfwidth": "ﾊﾝ[[ｶ]]ｸ", "kana": "ハン[[カ]]ク"}),
        ("café", {"decomposed": "[[café]]"}),
        ("dog", {"fullwidth": "[[ＤＯＧ]]"}),
        ("1 2", {"fullwidth": "[[½]]"}),
        ("ハンカク", {"halfwidth": "[[ﾊﾝｶｸ]]", "kana": "[[ハンカク]]"}),
        ("nul", {"blanks": "\x02[[nul]]\x03"}),
        ("width", {"blanks": "zero\u200b[[width]]"}),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("raw", [False, True])
def test_a_word_is_found_however_it_is_encoded_and_the_text_is_shown_as_it_was(
    written: Corpus, words: str, marked: dict[str, str], form: Any, *, raw: bool
) -> None:
    query = unicodedata.normalize(form, " OR ".join(words.split()) if raw else words)
    rows = {row["entry_id"]: row["text"] for row in search(written, query, raw=raw)[0].to_pylist()}
    assert rows.keys() == marked.keys()
    for entry, part in marked.items():
        assert unicodedata.normalize("NFD", part) in unicodedata.normalize("NFD", rows[entry])
        assert rows[entry].replace("[[", "").replace("]]", "") == WRITTEN[entry]


@settings(deadline=None)
@given(
    st.text(
        st.one_of(st.characters(codec="utf-8"), st.sampled_from("dx½ﾞｶㄱㅏ\u1100\u1161\u11a8\u0302\u0323\u0344\u200b\0\x02\x03")),
        max_size=20,
    )
)
@example("d\u0302\u0323dog")
def test_a_marked_text_is_the_original_with_marks(text: str) -> None:
    indexed = _as_indexed(text)
    assert _marked(text, indexed) == text
    if text:
        assert _marked(text, f"\x02{indexed}\x03") == f"[[{text}]]"


@pytest.mark.parametrize("raw", [False, True])
def test_bytes_that_are_not_utf_8_are_no_crash(corpus: Corpus, *, raw: bool) -> None:
    assert "english" in found(corpus, '"dog" OR "\udce9"', raw=raw)


@pytest.mark.parametrize("words", ["Dog dog beach", "dog DOGS beach", "dog ｄｏｇ beach", "beach dog beaches"])
def test_words_that_are_the_same_to_the_index_count_once(corpus: Corpus, words: str) -> None:
    rows = {row["entry_id"]: row["words"] for row in search(corpus, words)[0].to_pylist() if row["kind"] == "speech"}
    assert rows == {"english": 2, "plural": 1}


def test_the_hint_of_a_wrong_query_has_a_whole_address(corpus: Corpus) -> None:
    with pytest.raises(ConfigError, match=r"https://sqlite\.org/fts5\.html\)$"):
        search(corpus, '"dog', raw=True)

"""Calls to action in nine languages, as whole words, in text and speech."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.insights.calls_to_action import EVERY_PHRASE, PHRASES, called_for, calls_to_action, joined_words
from synthetic_video import derived, said, text, video

CALLS = [
    ("en", "FOLLOW for more!"), ("en", "🔗 Link in my bio"), ("en", "Tap 👇"), ("en", "＃ＦＯＬＬＯＷ"),
    ("de", "Jetzt bestellen!"), ("de", "LINK IN DER BIO"), ("de", "Schreibt's gern – oder schreibt mir in die Kommentare"),
    ("fr", "Abonne-toi !"), ("fr", "ABONNEZ VOUS"), ("fr", "suivez‑moi pour la suite"), ("fr", "ACHETE MAINTENANT"),
    ("es", "¡Suscríbete!"), ("es", "SIGUEME PARA MÁS"), ("es", "haz clic aquí"),
    ("pt", "Inscreva-se no canal"), ("pt", "LINK NA DESCRICAO"), ("pt", "Deixe seu comentário"),
    ("ru", "Подпишись на канал"), ("ru", "ЖМИ СЮДА"), ("ru", "ссылка в шапке профиля"),
    ("ja", "フォローしてね"), ("ja", "チャンネル登録お願いします"), ("ja", "ｸﾘｯｸして"), ("ja", "リンクはプロフィールから"),
    ("ko", "구독과 좋아요 부탁드려요"), ("ko", "지금구매"), ("ko", "팔로우해주세요"),
    ("zh", "记得点赞关注我"), ("zh", "點擊連結了解更多"), ("zh", "马上下单吧"),
]  # fmt: skip
NO_CALLS = [
    "followers", "bookshop", "tapestry", "shareholder", "unfollowed", "commentary", "the link is in my house", "workshop", "buyers",
    "Kommentierung", "Verfolge mirabellen", "abonniertes", "Teilen", "écliquez", "cliquetis", "la curta noche", "compra", "comentarista",
    "подписка", "пожми", "заказ", "нажмитель", "フォローアップ", "フォロワー", "タップダンス", "シェアハウス", "ステップ",
    "チャンネル登録者数", "구독자", "공유기", "팔로워", "关注", "订阅者", "购买力", "收藏家", "点赞数", "", "…",
]  # fmt: skip


@pytest.mark.parametrize(("language", "words"), CALLS, ids=[f"{language}-{words}" for language, words in CALLS])
def test_a_call_is_found_in_its_language(language: str, words: str) -> None:
    assert calls_to_action(words, PHRASES[language])
    assert calls_to_action(words, EVERY_PHRASE)


@pytest.mark.parametrize("words", NO_CALLS)
def test_what_only_looks_like_a_call_is_none(words: str) -> None:
    assert list(called_for(words, EVERY_PHRASE)) == []


@pytest.mark.parametrize("phrase", EVERY_PHRASE)
def test_every_phrase_is_found_in_capitals_and_alone(phrase: str) -> None:
    assert phrase in called_for(phrase, [phrase])
    assert phrase in called_for(f"«{phrase.upper()}»!", [phrase])


SPACED = [phrase for language in ("en", "de", "fr", "es", "pt", "ru") for phrase in PHRASES[language]]


@given(st.sampled_from(SPACED), st.sampled_from(string.ascii_letters + string.digits + "éßяñ_"), st.booleans())
def test_a_letter_beside_a_phrase_makes_it_another_word(phrase: str, letter: str, before: bool) -> None:  # noqa: FBT001 -- hypothesis gives it
    words = letter + phrase if before else phrase + letter
    assert not calls_to_action(words, [phrase])


@given(st.sampled_from(EVERY_PHRASE), st.text(" .,!?–—…\n👇🔥«»()", max_size=4), st.text(" .,!?–—…\n👇🔥«»()", max_size=4))
def test_marks_beside_a_phrase_change_nothing(phrase: str, before: str, after: str) -> None:
    assert calls_to_action(before + phrase + after, [phrase])


@given(st.text(), st.lists(st.text(max_size=8), max_size=4))
def test_any_text_and_any_phrases_are_searched_without_harm(words: str, phrases: list[str]) -> None:
    assert set(called_for(words, phrases)) <= set(phrases)


def test_words_of_speech_are_joined_as_their_script_writes_them() -> None:
    assert joined_words(["link", "in", "bio"]) == "link in bio"
    assert joined_words(["フォロー", "して", "ね"]) == "フォローしてね"
    assert joined_words(["구독", "부탁"]) == "구독 부탁"


def test_calls_that_are_said_count_each_once_where_all_of_their_words_begin() -> None:
    made = video(6.0, **said(1.0, 5.0, "follow me and follow us: link in bio"))  # words of half a second: `link` at 3.5 s
    windows = {row["name"]: row["spoken_call_to_action_count"] for row in derived(made)["windows"]}
    assert windows == {"hook": 1, "closing": 1, "video": 2}
    parted = {row["name"]: row["spoken_call_to_action_count"] for row in derived(video(6.0, **said(2.5, 4.0, "link in bio")))["windows"]}
    assert parted == {"hook": 0, "closing": 0, "video": 1}
    assert {row["spoken_call_to_action_count"] for row in derived(video(6.0, without={"whisper": "failed"}))["windows"]} == {None}


def test_a_text_in_another_language_calls_too() -> None:
    (span,) = derived(video(6.0, texts=[text(frame, "Подпишись!") for frame in range(5)]))["text_spans"]
    assert span["is_call_to_action"] is True

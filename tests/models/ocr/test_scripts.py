from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.models.ocr.scripts import letters_in, script_of


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("LES ARTS DÉCORATIFS", "latin"), ("Việt Nam", "latin"), ("ＦＵＬＬ", "latin"), ("愚园路", "han"), ("東京タワー", "japanese"),
        ("ひらがな", "japanese"), ("КРАСОТА", "cyrillic"), ("좋아요", "hangul"), ("สวัสดี", "thai"), ("مرحبا", "arabic"),
        ("नमस्ते", "devanagari"),
        ("Ελλάδα", "greek"), ("00:00:01;00", "common"), ("👍 100 %", "common"), ("", "common"), ("①②", "common"), ("µ²", "common"),
        ("ok 좋아요!", "hangul"), ("iPhone 15 для всех", "cyrillic"),
    ],
)  # fmt: skip
def test_the_script_of_a_text_is_that_of_most_of_its_letters(text: str, script: str) -> None:
    assert script_of(text) == script


@given(st.text())
def test_any_text_has_a_script_and_common_is_that_of_texts_without_letters(text: str) -> None:
    assert (script_of(text) == "common") == (letters_in(text) == 0)


@given(st.text(), st.text(alphabet="0123456789 .,!?-_#@%&()"))
def test_digits_and_punctuation_change_no_script(text: str, more: str) -> None:
    assert script_of(text + more) == script_of(text)

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.entries import Entry, entries_from_inputs
from rumiai_ray.ingest.identity import stem_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "entry_id"),
    [
        ("https://www.tiktok.com/@leenabhushan/video/6748451240264420610?lang=en", "6748451240264420610"),
        ("https://www.tiktok.com/@x/photo/7253412088251534594", "7253412088251534594"),
        ("https://vm.tiktok.com/ZTR45GpSF/", "ZTR45GpSF"),
        ("https://cdn.example.com/a/my%20clip.mp4?token=1", "my_clip"),
        ("https://example.com/1234/clip.mp4", "clip"),
        ("https://example.com", "example.com"),
        ("s3://bucket/day/12345/clip.final.mp4", "12345"),
        ("clips/日本 の動画.mp4", "日本_の動画"),
        ("file:///tmp/a%20b.mp4", "a_b"),
        ("-rf.mp4", "rf"),
        ("a \"quoted\" 'name'.mp4", "a_quoted_name"),
        ("two\nlines.mp4", "two_lines"),
        ("🎬.mp4", "video"),
        ("...", "video"),
    ],
)
def test_an_input_suggests_a_readable_id(text: str, entry_id: str) -> None:
    assert entries_from_inputs([text])[0].entry_id == entry_id


@settings(deadline=None)
@given(st.text(min_size=1).filter(lambda text: "://" not in text))
def test_an_id_is_always_short_and_plain(text: str) -> None:
    stem = stem_of(text)
    assert 1 <= len(stem) <= 80
    assert stem[0] not in "-."
    assert not set(stem) & set("/\\ \n\t\"'")


def test_repeated_inputs_get_ids_of_their_own() -> None:
    entries = entries_from_inputs(["a/clip.mp4", "b/clip.mp4", "clip-2.mp4", "c/clip.mov"])
    assert [entry.entry_id for entry in entries] == ["clip", "clip-2", "clip-2-2", "clip-3"]


def test_the_input_is_kept_as_it_was_given_and_found_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    entry = entries_from_inputs(["clips/a.mp4"])[0]
    assert (entry.input, entry.location) == ("clips/a.mp4", str(tmp_path / "clips" / "a.mp4"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("ftp://host/a.mp4", "unsupported scheme ftp"),
        ("javascript://alert", "unsupported scheme"),
        ("sftp://10.0.0.1/etc/passwd", "unsupported scheme"),
        ("s3://bucket/a.zip::file:///etc/passwd", "chained"),
        ("http://", "without a host"),
        ("https:///a.mp4", "without a host"),
        ("http://host:99999/a.mp4", "not a valid URL"),
        ("http://[::1/a.mp4", "not a valid URL"),
        ("http://host/a\r\nHost: inside", "control characters"),
        ("file://server/share/a.mp4", "another machine"),
        ("file:///a.mp4?x=1", "percent-encoded"),
        ("a\0b.mp4", "NUL"),
        ("bad-\udcff.mp4", "UTF-8"),
    ],
)
def test_an_unusable_argument_is_refused_by_name_before_anything_is_fetched(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        entries_from_inputs(["good.mp4", text])
    assert "argument 2" in str(caught.value)
    assert caught.value.hint


def test_what_only_looks_like_a_url_is_a_file_name() -> None:
    entries = entries_from_inputs(["file:relative", "simplecache::s3://bucket/a.mp4", "http:example"])
    assert all(entry.location.startswith("/") for entry in entries)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        entries_from_inputs(["https://user:secret@host/a.mp4"])
    assert "secret" not in str(caught.value)


def test_entries_cross_process_borders() -> None:
    entry = Entry("1", "a.mp4", {"tag": "x"})
    assert pickle.loads(pickle.dumps(entry)) == entry  # noqa: S301 -- what Ray does


@pytest.mark.parametrize(
    ("columns", "language"),
    [({"language": "en"}, "en"), ({"Language": " pt-BR "}, "pt-BR"), ({"language": " "}, None), ({"lang": "en"}, None), ({}, None)],
)
def test_the_column_language_names_a_video_s_language(columns: dict[str, str], language: str | None) -> None:
    assert Entry("1", "a.mp4", columns).language == language

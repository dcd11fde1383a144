"""A manifest's own figures fill what the source left open, and it is told apart who said what."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.ingest.given import given_author, told
from rumiai_ray.ingest.manifest.values import as_text
from rumiai_ray.ingest.video import VideoMetadata

NOTHING = VideoMetadata()


def test_what_the_source_says_comes_before_what_the_manifest_says() -> None:
    known = told(VideoMetadata(view_count=7, author="site"), {"view_count": "5", "likes": "3", "author": "export", "label": "x"})
    assert (known.metadata.view_count, known.metadata.like_count, known.metadata.author) == (7, 3, "site")
    assert known.origins == {"view_count": "source", "author": "source", "like_count": "manifest"}
    assert known.notes == ()


def test_a_measured_zero_of_the_source_is_kept() -> None:
    known = told(VideoMetadata(like_count=0), {"like_count": "9"})
    assert (known.metadata.like_count, known.origins) == (0, {"like_count": "source"})


def test_columns_named_as_people_write_them_are_read() -> None:
    columns = {
        "View Count": "5", "Like-Count": "6", "\ufeffComments ": "7", "Author Name": "zoe", "Posted-At": "2024-05-01T12:00:00Z",
        "Share Count": "", "share_count": "8", "Author Meta/Name": "no such export",
    }  # fmt: skip
    said = told(NOTHING, columns).metadata
    assert (said.view_count, said.like_count, said.comment_count, said.share_count) == (5, 6, 7, 8)
    assert (said.author, said.uploaded_at) == ("zoe", datetime(2024, 5, 1, 12, tzinfo=UTC))
    assert given_author({"Author Name": "zoe"}) == "zoe"


def test_an_export_of_a_scraper_is_understood() -> None:
    columns = {
        "text": "not a title", "playCount": "1200000", "diggCount": "34", "commentCount": "5.0", "shareCount": "1,234",
        "createTimeISO": "2024-05-01T12:00:00.000Z", "authorMeta.name": "someone", "desc": "a caption",
    }  # fmt: skip
    known = told(NOTHING, columns)
    said = known.metadata
    assert (said.view_count, said.like_count, said.comment_count, said.share_count) == (1_200_000, 34, 5, 1234)
    assert (said.author, said.description, said.title) == ("someone", "a caption", None)
    assert said.uploaded_at == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert set(known.origins.values()) == {"manifest"}


def test_a_sound_saves_and_an_ad_mark_of_an_export_are_understood() -> None:
    music = '{"musicId": "6956990112127585029", "musicName": "Build a Btch", "musicAuthor": "Poarch, Bella"}'
    known = told(NOTHING, {"musicMeta": music, "collectCount": "12", "isAd": "False"})
    said = known.metadata
    assert (said.sound_id, said.track, said.artists) == ("6956990112127585029", "Build a Btch", ("Poarch, Bella",))
    assert (said.save_count, said.is_ad, known.notes) == (12, False, ())
    assert known.origins == dict.fromkeys(("sound_id", "track", "artists", "save_count", "is_ad"), "manifest")


def _of_artists(what: str) -> tuple[str, ...]:
    return (f"artists: {what}",)


@pytest.mark.parametrize(
    ("text", "artists", "notes"),
    [
        ('["A", "A", " ", "B"]', ("A", "B"), ()),
        ('["A", 5, "B"]', ("A", "B"), _of_artists("1 of 3 are not text, left out")),
        ("['A', \"It's\" , 'Poarch, B', 'A']", ("A", "It's", "Poarch, B"), ()),
        ("[A", ("[A",), ()),
        ("null", None, ()),
        ("[]", None, ()),
        ("[1]", None, _of_artists("'[1]' is not a name or a list of names, left out of the typed columns")),
        ("[A]", None, _of_artists("'[A]' is not a name or a list of names, left out of the typed columns")),
        ("['A' 'B']", None, _of_artists("\"['A' 'B']\" is not a name or a list of names, left out of the typed columns")),
        (r"['\x41']", None, _of_artists(r""""['\\x41']" is not a name or a list of names, left out of the typed columns""")),
        ("[1" * 3000, None, _of_artists(f"'{'[1' * 19}[…' is not a name or a list of names, left out of the typed columns")),
        ("[" * 3000 + "]", None, _of_artists(f"'{'[' * 39}…' is not a name or a list of names, left out of the typed columns")),
        (json.dumps([str(at) for at in range(3000)]), tuple(map(str, range(1000))), _of_artists("1,000 of 3,000 kept")),
    ],
)
def test_artists_are_one_text_or_a_list_of_texts(text: str, artists: tuple[str, ...] | None, notes: tuple[str, ...]) -> None:
    known = told(NOTHING, {"artists": text})
    assert (known.metadata.artists, known.notes) == (artists, notes)


@pytest.mark.parametrize(
    ("text", "sound_id", "noted"),
    [
        ("7123456789012345678", "7123456789012345678", False),
        ("original-7", "original-7", False),
        ("123456789012345.0", "123456789012345", False),
        ("7.12346E+18", None, True),
        ("7,12346E+18", None, True),
        ("7e18", None, True),
        ("7123456789012345678.0", None, True),
        ("0", None, False),
        ("0.0", None, False),
        ("NaN", None, False),
    ],
)
def test_a_number_that_has_lost_digits_is_no_sound_id(text: str, sound_id: str | None, *, noted: bool) -> None:
    for name, columns in (("sound_id", {"sound_id": text}), ("music.id", {"music": json.dumps({"id": text})})):
        known = told(NOTHING, columns)
        assert known.metadata.sound_id == sound_id
        assert known.notes == ((f"{name}: {text!r} is not an exact id, left out of the typed columns",) if noted else ())


@pytest.mark.parametrize(
    ("number", "sound_id"),
    [(7123456789012345678, "7123456789012345678"), (7.123456789012345678e18, None), (123456.0, "123456"), (0, None), (0.0, None)],
)
def test_a_sound_id_that_is_a_number_is_kept_digit_by_digit_or_not_at_all(number: float, sound_id: str | None) -> None:
    assert told(NOTHING, {"music_id": as_text(number)}).metadata.sound_id == sound_id
    assert told(NOTHING, {"musicMeta": json.dumps({"musicId": number})}).metadata.sound_id == sound_id


@pytest.mark.parametrize(("text", "is_ad"), [("1", True), ("1.0", True), ("0.0", False), ("TRUE", True), ("no", False)])
def test_an_ad_mark_is_read_as_exports_write_it(text: str, *, is_ad: bool) -> None:
    known = told(NOTHING, {"is_ad": text})
    assert (known.metadata.is_ad, known.notes) == (is_ad, ())


def test_an_ad_mark_that_is_neither_yes_nor_no_stays_null_and_is_noted() -> None:
    known = told(NOTHING, {"is_ad": "perhaps"})
    assert (known.metadata.is_ad, known.notes) == (None, ("is_ad: 'perhaps' is not yes or no, left out of the typed columns",))


@pytest.mark.parametrize("text", ["1.2M", "-5", "1,2", "about 7", "nan", "7e3", "0x10", "٣", "1.5"])
def test_what_is_no_count_stays_null_and_is_noted(text: str) -> None:
    known = told(NOTHING, {"views": text})
    assert (known.metadata.view_count, known.origins) == (None, {})
    assert known.notes == (f"views: {text!r} is not a whole number, left out of the typed columns",)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1714564800", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("1714564800.0", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("1714564800999", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("2024-05-01T14:00:00+02:00", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("2024-05-01", None),
        ("2024-05-01 12:00:00", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_only_an_exact_time_is_one(text: str, at: datetime | None) -> None:
    known = told(NOTHING, {"posted_at": text})
    assert known.metadata.uploaded_at == at
    assert bool(known.notes) == (at is None)


def test_the_first_column_that_is_not_blank_counts() -> None:
    known = told(NOTHING, {"views": " ", " Play_Count ": "8"})
    assert (known.metadata.view_count, known.notes) == (8, ())


def test_a_count_beyond_64_bits_is_bounded_and_noted() -> None:
    known = told(NOTHING, {"likes": "9" * 5000})
    assert known.metadata.like_count == 2**63 - 1
    assert any("beyond 64 bits" in note for note in known.notes)


FILLING = ("views", "likes", "posted_at", "author", "title", "caption", "saves", "track", "artists", "sound_id", "is_ad", "music")


@given(st.dictionaries(st.sampled_from(FILLING), st.text() | st.sampled_from(['{"id": 5}', "[[1]]", "[" * 5000, '{"a": NaN}'])))
def test_no_text_ends_in_an_exception(columns: dict[str, str]) -> None:
    known = told(NOTHING, columns)
    assert {name for name, who in known.origins.items() if who == "manifest"} == set(known.origins)


@pytest.mark.parametrize(
    "columns",
    [
        {"author": "zoe"},
        {"authorMeta/name": "zoe"},
        {"authorMeta.name": "zoe"},
        {"authorMeta": '{"name": "zoe"}'},
        {"author": '{"uniqueId": "zoe"}'},
    ],
)
def test_the_author_of_a_row_is_the_same_whether_or_not_its_video_was_read(columns: dict[str, str]) -> None:
    assert given_author(columns) == told(NOTHING, columns).metadata.author == "zoe"

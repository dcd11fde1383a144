"""Manifests that users sent in, and further ones of the same kinds: each is read, or refused with what to do."""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.entries import Problem, entries_from_inputs, read_manifest
from rumiai_ray.ingest.given import told
from rumiai_ray.ingest.manifest import json_file, text_file
from rumiai_ray.ingest.video import VideoMetadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def reported(media: Path) -> Path:
    return media.parent / "reported"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], str]:
    def to(name: str, content: bytes | str) -> str:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return str(tmp_path / name)

    return to


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("utf16.csv", {"caption": "hi"}),
        ("cr_only.csv", {"caption": "hi"}),
        ("trailing_empty_rows.csv", {"caption": "hi"}),
        ("hugefield.csv", {"caption": "x" * 200_000}),
        ("decimal_column.parquet", {"rate": "1.50"}),
    ],
)
def test_a_reported_manifest_gives_its_one_entry(reported: Path, name: str, columns: dict[str, str]) -> None:
    (entry,) = read_manifest(str(reported / name))
    assert (entry.input, entry.columns, entry.notes, entry.problem) == ("clip.mp4", columns, (), None)


def test_blanks_around_the_cells_of_a_reported_manifest_are_no_part_of_them(reported: Path) -> None:
    entries = list(read_manifest(str(reported / "spaces_around_cells.csv")))
    assert [(entry.entry_id, entry.location) for entry in entries] == [
        ("1", "https://www.tiktok.com/@x/video/7301234567890123456"),
        ("2", "/some/where/clip.mp4"),
    ]


ROWS = "id,url,caption\n1,/v/ä.mp4,ö\n2,/v/b.mp4,日本\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_line_ends_and_separators_change_nothing(
    write: Callable[[str, bytes | str], str], encoding: str, newline: str, separator: str
) -> None:
    text = ROWS.replace("\n", newline).replace(",", separator)
    entries = list(read_manifest(write("m.tsv" if separator == "\t" else "m.csv", text.encode(encoding))))
    assert [(entry.entry_id, entry.input, entry.columns) for entry in entries] == [
        ("1", "/v/ä.mp4", {"caption": "ö"}),
        ("2", "/v/b.mp4", {"caption": "日本"}),
    ]


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_a_line_end_of_two_characters_may_lie_across_two_reads(write: Callable[[str, bytes | str], str], size: int) -> None:
    head = "input,caption\r\n/v/a.mp4,"
    filled = head + "x" * (size - len(head) - 1)
    entries = list(read_manifest(write("m.csv", f"{filled}\r\n/v/b.mp4,y\r\n")))
    assert [(entry.input, entry.line) for entry in entries] == [("/v/a.mp4", 2), ("/v/b.mp4", 3)]


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nurl;note\n/v/a.mp4;x, y\n",
        ',,\nurl,note,\n/v/a.mp4,"x, y",\n,,\n,,\n',
        'note;url;;\n"x, y";/v/a.mp4;;\n;;;\n',
        'url\tnote\n"/v/a.mp4"\tx, y\n',
        "url, note\n'/v/a.mp4', \"x, y\"\n",
        'url,note\n  "/v/a.mp4","x, y"\n',
        'url , note\n"/v/a.mp4" , "x, y"  \n',
        'url,note\n“/v/a.mp4”,"x, y"\n',
    ],
)
def test_spreadsheets_add_rows_cells_and_quotes(write: Callable[[str, bytes | str], str], text: str) -> None:
    (entry,) = read_manifest(write("m.csv", text))
    assert (entry.input, entry.columns) == ("/v/a.mp4", {"note": "x, y"})


def test_a_table_with_an_index_column_keeps_it_under_a_name(write: Callable[[str, bytes | str], str]) -> None:
    (entry,) = read_manifest(write("m.csv", ",url\n0,/v/a.mp4\n"))
    assert (entry.input, entry.columns) == ("/v/a.mp4", {"column_1": "0"})


def test_columns_can_be_named(write: Callable[[str, bytes | str], str]) -> None:
    uri = write("m.csv", "input;Video Link;post\nx;/v/a.mp4;17\n")
    (entry,) = read_manifest(uri, input_column="video link", id_column="post")
    assert (entry.entry_id, entry.input, entry.columns) == ("17", "/v/a.mp4", {"input": "x"})
    with pytest.raises(InputError, match=r"no column with the input .*--input-column; the columns here are: input, Video Link, post"):
        list(read_manifest(uri, input_column="link"))
    with pytest.raises(InputError, match="no column 'key'"):
        list(read_manifest(uri, id_column="key"))


def test_of_several_input_columns_the_first_that_is_not_blank_is_taken(write: Callable[[str, bytes | str], str]) -> None:
    entries = list(read_manifest(write("m.csv", "path,url\n/v/a.mp4,https://h/a\n,https://h/b\n")))
    assert [entry.input for entry in entries] == ["/v/a.mp4", "https://h/b"]


@pytest.mark.parametrize("name", ["webVideoUrl", "video_url", "share_url"])
def test_the_columns_of_common_scrapers_are_known(write: Callable[[str, bytes | str], str], name: str) -> None:
    uri = write("m.jsonl", f'{{"id": "7301234567890123456", "{name}": "https://h/a.mp4"}}\n')
    assert [(entry.entry_id, entry.input) for entry in read_manifest(uri)] == [("7301234567890123456", "https://h/a.mp4")]


def test_ids_keep_their_digits(tmp_path: Path, write: Callable[[str, bytes | str], str]) -> None:
    number = 7301234567890123456
    assert [entry.entry_id for entry in read_manifest(write("m.jsonl", f'{{"id": {number}, "url": "/v/a"}}\n'))] == [str(number)]
    pq.write_table(pa.table({"id": pa.array([number]), "url": ["/v/a"]}), tmp_path / "m.parquet")
    assert [entry.entry_id for entry in read_manifest(str(tmp_path / "m.parquet"))] == [str(number)]


@pytest.mark.parametrize("cell", ['"=""7301234567890123456"""', "'7301234567890123456", "'7301234567890123456'", " 7301234567890123456 "])
def test_an_id_that_was_guarded_against_a_spreadsheet_is_its_digits(write: Callable[[str, bytes | str], str], cell: str) -> None:
    assert [entry.entry_id for entry in read_manifest(write("m.csv", f"url,id\n/v/a.mp4,{cell}\n"))] == ["7301234567890123456"]


def test_ids_that_lost_their_digits_are_refused_with_the_reason(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": pa.array([7301234567890123456.0]), "url": ["/v/a"]}), tmp_path / "m.parquet")
    with pytest.raises(InputError, match=r"rounded by a spreadsheet or a float column.*as text"):
        list(read_manifest(str(tmp_path / "m.parquet")))


def test_parquet_s_types_are_their_plain_text(tmp_path: Path) -> None:
    path, key = tmp_path / "m.parquet", uuid.uuid4()
    duckdb.sql(
        f"""COPY (SELECT '/v/a.mp4' AS url, '{key}'::UUID AS id, 1.50::DECIMAL(5,2) AS rate,
        INTERVAL '1 year 2 months 3 days 04:05:06.789' AS age, 'abc'::BLOB AS words, '\\xAA\\x00'::BLOB AS raw,
        'infinity'::TIMESTAMP AS forever, [1.5::DECIMAL(3,1)] AS rates, TIMESTAMP_NS '2026-01-02 03:04:05.123456789' AS at,
        INTERVAL '0 days' AS none) TO '{path}'"""
    )
    (entry,) = read_manifest(str(path))
    assert (entry.entry_id, entry.input) == (str(key), "/v/a.mp4")
    assert entry.columns == {
        "rate": "1.50",
        "age": "14 months 3 days 04:05:06.789",
        "words": "abc",
        "raw": "aa00",
        "rates": '["1.5"]',
        "at": "2026-01-02T03:04:05.123456789",
        "none": "00:00:00",
        "forever": "infinity",
    }


def test_a_decimal_is_written_digit_by_digit(tmp_path: Path) -> None:
    values = pa.array([Decimal("0.00000001"), Decimal("12345678901234567890.00000000")], pa.decimal128(38, 8))
    pq.write_table(pa.table({"url": ["/v/a", "/v/b"], "x": values}), tmp_path / "m.parquet")
    assert [entry.columns["x"] for entry in read_manifest(str(tmp_path / "m.parquet"))] == ["0.00000001", "12345678901234567890.00000000"]


def test_a_parquet_string_that_is_no_utf_8_costs_a_note(tmp_path: Path) -> None:
    broken = pa.array([b"a\xffb", b"fine"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"url": ["/v/a", "/v/b"], "caption": broken, "when": [datetime(2026, 1, 2), None]}), tmp_path / "m.parquet")  # noqa: DTZ001 -- a column without a zone
    entries = list(read_manifest(str(tmp_path / "m.parquet")))
    assert [entry.columns["caption"] for entry in entries] == ["a�b", "fine"]
    assert ["caption" in note for entry in entries for note in entry.notes] == [True]


def test_a_parquet_file_with_a_header_only_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": pa.array([], pa.string())}), tmp_path / "m.parquet")
    with pytest.raises(InputError, match="no rows"):
        list(read_manifest(str(tmp_path / "m.parquet")))


def test_a_null_input_in_parquet_costs_its_own_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": pa.array([None, "/v/b"], pa.string())}), tmp_path / "m.parquet")
    entries = list(read_manifest(str(tmp_path / "m.parquet")))
    assert [(entry.line, entry.problem is None) for entry in entries] == [(1, False), (2, True)]


def test_a_home_directory_may_be_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[str, bytes | str], str]) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write("m.csv", "url\n~/clips/a.mp4\n'~/b.mp4'\n~nobody-of-that-name.mp4\n")
    monkeypatch.chdir(tmp_path)
    assert [(entry.input, entry.location) for entry in read_manifest("~/m.csv")] == [
        ("~/clips/a.mp4", f"{tmp_path}/clips/a.mp4"),
        ("~/b.mp4", f"{tmp_path}/b.mp4"),
        ("~nobody-of-that-name.mp4", f"{tmp_path}/~nobody-of-that-name.mp4"),
    ]
    assert entries_from_inputs(["~/a.mp4"])[0].location == f"{tmp_path}/a.mp4"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "clips/b.mp4",
        "clips/a.MOV",
        "clips/deep/c.webm",
        "clips/notes.txt",
        "clips/.hidden.mp4",
        "clips/.git/d.mp4",
        "x [id].mp4",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_a_folder_stands_for_the_media_in_it_and_says_what_it_leaves_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("deep/post.JPG", "song.mp3", "README", "b.en.srt", "c.srt"):
        (folder / "clips" / name).write_bytes(b"x")
    entries = entries_from_inputs(["clips"])
    media = ["clips/a.MOV", "clips/b.mp4", "clips/deep/c.webm", "clips/deep/post.JPG", "clips/song.mp3"]
    assert [entry.input for entry in entries] == media
    assert caplog.messages == ["clips: taking 5 files, 5 left out: 2 .srt, 1 .txt, 1 hidden, 1 without an ending"]
    for name in ("deep/post.JPG", "song.mp3"):
        (folder / "clips" / name).unlink()
    entries = entries_from_inputs(["clips"])
    assert [entry.location for entry in entries] == [f"{folder}/{entry.input}" for entry in entries]
    assert [entry.entry_id for entry in entries] == ["a", "b", "c"]
    assert [entry.input for entry in read_manifest("clips")] == [entry.input for entry in entries]
    assert [entry.input for entry in entries_from_inputs([f"{folder}/clips/"])] == [entry.location for entry in entries]


def test_a_pattern_stands_for_the_files_that_match(folder: Path) -> None:
    assert [entry.input for entry in entries_from_inputs(["clips/*.mp4"])] == ["clips/b.mp4"]
    assert [entry.input for entry in entries_from_inputs(["clips/**/*.webm"])] == ["clips/deep/c.webm"]
    assert [entry.input for entry in entries_from_inputs(["x [id].mp4"])] == ["x [id].mp4"], "a file of that very name is no pattern"
    assert [entry.input for entry in entries_from_inputs(["none*.mp4"])] == ["none*.mp4"], "a name that no file has is told as such later"
    assert [entry.input for entry in entries_from_inputs([str(folder / "clips/*.mp4")])] == [str(folder / "clips/b.mp4")]


@pytest.mark.parametrize("argument", [".", "./", "*/*.mp4", "../*/*/*.mp4"])
def test_a_folder_called_like_a_home_directory_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    here = tmp_path / "here"
    for name in ("~root", "~"):
        (here / name).mkdir(parents=True)
        (here / name / "v.mp4").write_bytes(b"x")
    monkeypatch.chdir(here)
    for entries in (entries_from_inputs([argument]), list(read_manifest(argument))):
        assert [os.path.normpath(entry.location) for entry in entries] == [f"{here}/~/v.mp4", f"{here}/~root/v.mp4"]
        assert [entries_from_inputs([entry.input])[0].location for entry in entries] == [entry.location for entry in entries]


@pytest.mark.parametrize("argument", ["clips", "clips/*.mp4"])
def test_a_name_that_is_no_utf_8_costs_that_file_alone(folder: Path, argument: str) -> None:
    (folder / "clips" / os.fsdecode(b"bad\xff.mp4")).write_bytes(b"x")
    for entries in (entries_from_inputs([argument]), list(read_manifest(argument))):
        (bad,) = [entry for entry in entries if entry.problem is not None]
        assert "clips/b.mp4" in [entry.input for entry in entries if entry.problem is None]
        assert bad.input.encode().startswith(b"clips/bad")
        assert bad.problem == Problem(
            "the name is not valid UTF-8",
            f"{argument}: 'clips/bad\\udcff.mp4'",
            "rename the file: no table can hold such a name",
        )
    assert len({entry.entry_id for entry in entries}) == len(entries)


@pytest.mark.parametrize("scheme", ["file://", "FILE://", "File://localhost"])
def test_a_folder_of_a_file_address_stands_for_paths_whatever_the_case_of_its_scheme(folder: Path, scheme: str) -> None:
    entries = entries_from_inputs([f"{scheme}{folder}/clips/deep"])
    assert [(entry.input, entry.location) for entry in entries] == [(f"{folder}/clips/deep/c.webm", f"{folder}/clips/deep/c.webm")]


def test_a_folder_without_videos_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert [entry.input for entry in entries_from_inputs([str(tmp_path)])] == [str(tmp_path)]
    with pytest.raises(InputError, match="a folder without videos, pictures or sound"):
        list(read_manifest(str(tmp_path)))


def test_a_path_may_be_quoted_as_file_managers_copy_it(folder: Path) -> None:
    assert [entry.input for entry in entries_from_inputs(["'clips/b.mp4'", '"https://h/a.mp4"'])] == ["clips/b.mp4", "https://h/a.mp4"]
    (folder / "'odd'").write_bytes(b"x")
    assert entries_from_inputs(["'odd'"])[0].location == f"{folder}/'odd'", "a file of that very name"


APIFY = {
    "id": "7301234567890123456",
    "text": "Dance #one",
    "createTimeISO": "2026-01-02T03:04:05.000Z",
    "authorMeta": {"id": "1", "name": "someone", "fans": 7},
    "videoMeta": {"height": 1024, "duration": 12},
    "diggCount": 3,
    "playCount": 50,
    "commentCount": 0,
    "shareCount": 1,
    "webVideoUrl": "https://www.tiktok.com/@someone/video/7301234567890123456",
    "videoUrl": "https://cdn.example/expires.mp4",
    "hashtags": [{"name": "one"}],
}
FLAT = {f"{name}/{key}": inner for name, value in APIFY.items() if isinstance(value, dict) for key, inner in value.items()} | {
    name: value for name, value in APIFY.items() if not isinstance(value, dict | list)
}


def as_csv(row: dict[str, object]) -> str:
    paper = io.StringIO()
    writer = csv.DictWriter(paper, list(row))
    writer.writeheader()
    writer.writerow(row)
    return paper.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.json", json.dumps([APIFY])),
        ("m.json", json.dumps({"items": [APIFY], "total": 1}, indent=2)),
        ("m.json", json.dumps(APIFY)),
        ("m.json", f"\ufeff{json.dumps(APIFY)}\n"),
        ("m.jsonl", json.dumps(APIFY)),
        ("m.csv", as_csv(FLAT)),
        ("m.csv", as_csv({name.replace("/", "."): value for name, value in FLAT.items()})),
    ],
)
def test_a_scraper_s_export_is_a_manifest_whose_figures_are_understood(
    write: Callable[[str, bytes | str], str], name: str, content: str
) -> None:
    (entry,) = read_manifest(write(name, content))
    assert (entry.problem, entry.entry_id, entry.input) == (None, APIFY["id"], APIFY["webVideoUrl"])
    known = told(VideoMetadata(), entry.columns).metadata
    assert (known.author, known.description, known.uploaded_at) == ("someone", "Dance #one", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert (known.view_count, known.like_count, known.comment_count, known.share_count) == (50, 3, 0, 1)


def test_another_scraper_s_nested_author_and_statistics_are_understood(write: Callable[[str, bytes | str], str]) -> None:
    item = {
        "aweme_id": "7301234567890123456",
        "desc": "Dance",
        "create_time": 1767323045,
        "author": {"unique_id": "someone", "nickname": "S"},
        "statistics": {"play_count": 50, "digg_count": 3, "comment_count": 0, "share_count": 1},
        "share_url": "https://www.tiktok.com/@someone/video/7301234567890123456",
    }
    (entry,) = read_manifest(write("m.json", json.dumps([item])))
    known = told(VideoMetadata(), entry.columns).metadata
    assert (entry.entry_id, known.author, known.description) == ("7301234567890123456", "someone", "Dance")
    assert (known.view_count, known.like_count, known.comment_count, known.share_count) == (50, 3, 0, 1)


@pytest.mark.parametrize("name", ["postPage", "post_url", "permalink", "videoUrl", "shareUrl"])
def test_further_names_of_the_address_are_known(write: Callable[[str, bytes | str], str], name: str) -> None:
    assert [entry.input for entry in read_manifest(write("m.json", json.dumps([{name: "https://h/a"}])))] == ["https://h/a"]


def test_a_post_s_page_comes_before_its_media_file_whose_address_expires(write: Callable[[str, bytes | str], str]) -> None:
    row = {"video_url": "https://cdn/a.mp4", "postPage": "https://h/1"}
    assert [entry.input for entry in read_manifest(write("m.json", json.dumps([row])))] == ["https://h/1"]


@pytest.mark.parametrize("rounded", ["7301234567890120000", "7301234567890124000", "7301234567890123776"])
def test_an_id_that_kept_its_length_and_lost_its_last_digits_is_refused(write: Callable[[str, bytes | str], str], rounded: str) -> None:
    url = "https://www.tiktok.com/@x/video/7301234567890123456"
    with pytest.raises(InputError, match=rf"{rounded} has been rounded.*as text"):
        list(read_manifest(write("m.csv", f"id,url\n{rounded},{url}\n")))
    other = "7301234567890199999"
    assert [entry.entry_id for entry in read_manifest(write("m.csv", f"id,url\n{other},{url}\n"))] == [other]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[{"url": "/v/a"}, {"url": "/v/b"} {"url": "/v/c"}]', "row 3: broken JSON: a comma"),
        ('[{"url": "/v/a"},]', "row 2: broken JSON: a comma before"),
        ('[{"url": "/v/a"}', "row 2: broken JSON: a comma or a closing"),
        ('[{"url": "/v/a"}, {"url": ', "row 2: broken JSON: Expecting value"),
        ('[{"n": ' + "9" * 5000 + "}]", "a number that cannot be read"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "no rows"),
        ("", "no rows"),
        ("[1, null]", "row 1: .*a JSON int, not an object"),
        ('{"a": 1}', "no column with the input"),
    ],
)
def test_a_broken_json_manifest_is_refused_where_it_breaks(write: Callable[[str, bytes | str], str], content: str, complaint: str) -> None:
    uri = write("m.json", content)
    with pytest.raises(InputError, match=complaint) as caught:
        list(read_manifest(uri))
    assert uri in str(caught.value)


def test_a_json_array_of_addresses_is_a_list_of_inputs(write: Callable[[str, bytes | str], str]) -> None:
    assert [entry.input for entry in read_manifest(write("m.json", '["https://h/a", "/v/b.mp4"]'))] == ["https://h/a", "/v/b.mp4"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.none() | st.text() | st.integers() | st.floats(allow_nan=False), max_size=4), max_size=5
    ),
    st.integers(1, 60),
    st.sampled_from([None, 1]),
)
def test_json_reads_the_same_wherever_its_pieces_end(rows: list[dict[str, object]], size: int, indent: int | None) -> None:
    for text, wanted in ((json.dumps(rows, indent=indent), rows), ("\n".join(json.dumps(row) for row in rows * 2), rows * 2)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_file, "_CHUNK_BYTES", size)
            read = list(json_file.values(io.BytesIO(text.encode()), "m.json", ()))
        assert read == wanted


def test_an_object_with_too_many_values_is_refused_before_they_fill_the_memory(
    write: Callable[[str, bytes | str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_file, "_VALUE_SIGNS", 100_000)
    with pytest.raises(InputError, match="more than 100,000 values"):
        list(read_manifest(write("m.json", '{"data":[' + ",".join(["{}"] * 200_000) + "]}")))

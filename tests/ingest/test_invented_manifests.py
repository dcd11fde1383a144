"""Manifests as spreadsheets, scrapers and people make them: each is read, or refused with what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.entries import Entry, entries_from_inputs, read_manifest
from rumiai_ray.ingest.fetch import FetchLimits, fetch

if TYPE_CHECKING:
    from pathlib import Path

A, B = "https://h/a.mp4", "https://h/b.mp4"


def inputs(path: Path) -> list[str]:
    entries = list(read_manifest(str(path)))
    assert not [entry.problem for entry in entries if entry.problem]
    return [entry.input for entry in entries]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", f"Post link,Views\n{A},5\n{B},6\n"),
        ("m.csv", f"Post URL;Rate\n{A};3,5\n{B};0,25\n"),
        ("m.csv", f"Rate;Video-URL\n3,5;{A}\n0,25;{B}\n"),
        ("m.csv", f"\u00a0url\u00a0,t\n\u00a0{A}\u00a0,x\n\u200b{B},y\n"),
        ("m.csv", f"input\n{A}\n\ufeff{B}\n"),
        ("m.csv", f"\ufeff\ufeffinput\n{A}\n{B}\n"),
        ("m.csv", f"input,t\n{A},x\n{B},y\n".encode("utf-16-le")),
        ("m.csv", f"input,t\n{A},x\n{B},y\n".encode("utf-16-be")),
        ("m.tsv", f'Video link\tViews\tNotes\r\n{A}\t1,234\t"two\nlines"\r\n{B}\t5\t\r\n'),
        ("m.txt", f"- {A}\n2. {B}\n"),
        ("m.txt", f"{A},\n<{B}>\n"),
        ("m.json", json.dumps([json.dumps({"url": A}), json.dumps({"url": B})])),
        ("m.jsonl", json.dumps(json.dumps({"url": A})) + "\n" + json.dumps(B) + "\n"),
        ("m.jsonl", f'{{"url": "{A}"}}\n\ufeff{{"url": "{B}"}}\n'),
    ],
)
def test_tables_of_people_are_read(tmp_path: Path, name: str, content: str | bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert inputs(path) == [A, B]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("m.csv", f"TikTok posts,,\n,,\nurl,views,likes\n{A},5,6\n", "line 1: .*are in line 3, not .*delete the lines above line 3"),
        ("m.csv", f"Export of 12.11.2026;;\nurl;views;likes\n{A};5;6\n", "are in line 2, not .*delete"),
        ("m.csv", f"{A}\n{B}\n", "holds an address, not .*add a first line with the column names, one of them `input`"),
        ("m.csv", f"{A},5\n{B},6\n", "holds an address"),
        ("m.csv", f"link,kind\n{A},url\n{B},url\n", "no column with the input .*--input-column; the columns here are: link, kind"),
        ("m.csv", "link,kind\na.mp4,path\nb.mp4,path\n", "no column with the input .*--input-column"),
        ("m.csv", f"link\tkind\tnote\nurl\t\t\n{A}\tx\ty\n", "no column with the input .*--input-column"),
        ("m.csv", f"Posts, likes of 2026\nurl;views\n{A};5\n", "are in line 2, not .*delete"),
        ("m.csv", "views,likes\n5,6\n", "line 2: no column with the input"),
        ("m.csv", f"url,,\n{A},x,y\n", "name every column in the first line"),
        ("m.csv", "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "a web page"),
        ("m.json", "\n  <html lang=en>", "a web page"),
        ("m.json", json.dumps(json.dumps([{"url": A}])), "row 1: .*a JSON list"),
        ("m.xlsx", "PK", "a spreadsheet.*save the sheet as CSV"),
        ("m.csv.gz", "", "decompress it first"),
    ],
)
def test_what_is_no_table_of_videos_is_refused_with_what_to_do(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=complaint):
        list(read_manifest(str(path)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", f"Video URL,video_url\n,{A}\n{B},\n"),
        ("m.csv", f"video_url,Video-URL,VIDEO URL\n,,{A}\n , {B},\n"),
        ("m.jsonl", f'{{"Video URL": null, "video_url": "{A}"}}\n{{"Video URL": "{B}", "video_url": null}}\n'),
        ("m.json", json.dumps([{"Video URL": "", "video_url": A}, {"Video URL": B, "video_url": A}])),
    ],
)
def test_of_columns_with_one_name_in_two_spellings_the_one_that_is_filled_counts(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert inputs(path) == [A, B]


def test_of_two_spellings_of_the_column_of_ids_the_one_that_is_filled_counts(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"input,ID,id\n{A},,first\n{B},second,\n")
    assert [entry.entry_id for entry in read_manifest(str(path))] == ["first", "second"]


def test_a_row_that_looks_like_a_header_below_a_header_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "joined.csv"
    path.write_text(f"input,id\n{A},1\ninput,id\n{B},2\n")
    assert inputs(path) == [A, "input", B]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([A, B]).dictionary_encode(),
        pa.array([[A], [B]]),
        pa.array([A, B], pa.large_string()),
        pa.array([A, B], pa.string_view()),
        pa.array([A.encode(), B.encode()], pa.binary()),
    ],
)
def test_parquet_columns_of_any_kind_that_hold_addresses_are_read(tmp_path: Path, column: pa.Array[Any]) -> None:
    pq.write_table(pa.table({"input": column}), tmp_path / "m.parquet")
    assert inputs(tmp_path / "m.parquet") == [A, B]


def test_a_row_of_a_parquet_file_is_called_a_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"input": [A, "ftp://h/b"]}), tmp_path / "m.parquet")
    good, bad = read_manifest(str(tmp_path / "m.parquet"))
    assert (good.problem, bad.entry_id) == (None, "row-2")
    assert bad.problem
    assert bad.problem.subject.startswith(f"{tmp_path}/m.parquet, row 2")


def test_a_parquet_file_without_rows_is_refused_without_a_word_of_a_header(tmp_path: Path) -> None:
    pq.write_table(pa.table({"input": pa.array([], pa.string())}), tmp_path / "m.parquet")
    with pytest.raises(InputError, match=r"no rows \(add one row per video\)"):
        list(read_manifest(str(tmp_path / "m.parquet")))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("www.tiktok.com/@x/video/1", "begin with https://"),
        ("tiktok.com/@x/video/1", "begin with https://"),
        ("https:/www.tiktok.com/@x/video/1", "begin with https://"),
        ("C:\\Users\\me\\clip.mp4", "a Windows path"),
        ("C:/Users/me/a.mp4", "a Windows path"),
        ("//www.tiktok.com/@x/video/1", "begin with https://"),
        ("/nowhere/example.com/clip.mp4", "check the path"),
        ("/nowhere/www.tiktok.com/7300.mp4", "check the path"),
        ("nowhere/my.io/x.mp4", "check the path"),
        ("/nowhere/C:/x.mp4", "check the path"),
        ("my.com.mp4", "check the path"),
        ("some/clip.com", "check the path"),
    ],
)
def test_a_path_that_leads_nowhere_is_told_what_it_may_have_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such file") as caught, fetch(Entry("e", text), FetchLimits(), tmp_path):
        pass
    assert hint in caught.value.hint


def test_a_missing_file_in_a_directory_that_is_called_like_a_host_is_no_web_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "example.com").mkdir()
    monkeypatch.chdir(tmp_path / "example.com")
    (entry,) = entries_from_inputs(["clips/none.mp4"])
    with pytest.raises(InputError, match="no such file") as caught, fetch(entry, FetchLimits(), tmp_path):
        pass
    assert "check the path" in caught.value.hint

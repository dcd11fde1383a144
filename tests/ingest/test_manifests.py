from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rumiai_ray.errors import InputError
from rumiai_ray.ingest import entries
from rumiai_ray.ingest.entries import Entry, read_manifest
from rumiai_ray.ingest.outcomes import ManifestRowError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], str]:
    def to(name: str, content: bytes | str) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return to


def test_a_csv_gives_entries_with_their_further_columns(write: Callable[[str, str], str]) -> None:
    uri = write("m.csv", '\ufeffID, Input ,tag\nfirst,/v/a.mp4,"x, y"\r\n\n,https://h/6748451240264420610,\n')
    assert list(read_manifest(uri)) == [
        Entry("first", "/v/a.mp4", {"tag": "x, y"}, "/v/a.mp4", 2),
        Entry("6748451240264420610", "https://h/6748451240264420610", {"tag": ""}, "https://h/6748451240264420610", 4),
    ]


@pytest.mark.parametrize("name", ["path", "URL", "input"])
def test_the_input_column_has_three_names(write: Callable[[str, str], str], name: str) -> None:
    assert [entry.input for entry in read_manifest(write("m.csv", f"{name}\n/v/a.mp4\n"))] == ["/v/a.mp4"]


def test_quoted_names_may_hold_newlines_quotes_and_emoji(write: Callable[[str, str], str]) -> None:
    entries = list(read_manifest(write("m.csv", 'input\n"/v/two\nlines.mp4"\n"/v/a ""b"".mp4"\n/v/🎬.mp4\n')))
    assert [entry.input for entry in entries] == ["/v/two\nlines.mp4", '/v/a "b".mp4', "/v/🎬.mp4"]


def test_json_lines_carry_values_as_text(write: Callable[[str, str], str]) -> None:
    row = {"url": "https://h/a.mp4", "id": "1", "views": 12, "ok": True, "tags": ["é"], "gone": None}
    entries = list(read_manifest(write("m.jsonl", f"{json.dumps(row)}\n\n")))
    assert entries == [Entry("1", "https://h/a.mp4", {"views": "12", "ok": "true", "tags": '["é"]'}, "https://h/a.mp4", 1)]


def test_parquet_rows_become_entries(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    when = datetime(2026, 1, 2, tzinfo=UTC)
    pq.write_table(pa.table({"path": ["/v/a.mp4", "/v/b.mp4"], "id": [1, None], "when": [when, None]}), path)
    assert list(read_manifest(str(path))) == [
        Entry("1", "/v/a.mp4", {"when": "2026-01-02T00:00:00+00:00"}, "/v/a.mp4", 1),
        Entry("b", "/v/b.mp4", {}, "/v/b.mp4", 2),
    ]


def test_a_text_list_has_one_input_a_line(write: Callable[[str, str], str]) -> None:
    entries = list(read_manifest(write("m.txt", "# clips\n/v/a b.mp4\r\n\n  https://h/c.mp4\n/v/a b.mp4")))
    assert [(entry.entry_id, entry.input) for entry in entries] == [
        ("a_b", "/v/a b.mp4"),
        ("c", "https://h/c.mp4"),
        ("a_b-2", "/v/a b.mp4"),
    ]


def test_a_manifest_may_lie_in_a_store() -> None:
    with fsspec.open("memory://manifests/m.csv", "wb") as stream:
        stream.write(b"input\n/v/a.mp4\n")
    assert [entry.input for entry in read_manifest("memory://manifests/m.csv")] == ["/v/a.mp4"]


def test_a_manifest_may_be_a_file_url(write: Callable[[str, str], str]) -> None:
    assert len(list(read_manifest(Path(write("m 1.txt", "/v/a.mp4")).as_uri()))) == 1


@pytest.mark.parametrize(
    ("name", "content", "line", "complaint"),
    [
        ("m.csv", "input\n/v/a.mp4\nftp://h/b.mp4\n", 3, "unsupported scheme ftp"),
        ("m.csv", "input\n/v/a.mp4\nhttp:///x\n", 3, "without a host"),
        ("m.csv", "id,input\nx,/v/a.mp4\ny,/v/b.mp4\nx,/v/c.mp4\n", 4, "'x' is already taken by .*line 2"),
        ("m.csv", "input,id\n/v/a.mp4,\n/v/b.mp4,a\n", 3, "'a' is already taken by .*line 2"),
        ("m.csv", "input,tag\n/v/a.mp4,x\n/v/b.mp4\n", 3, "1 fields where the header has 2"),
        ("m.csv", "input\n/v/a.mp4\n/v/b.mp4,x\n", 3, "2 fields where the header has 1"),
        ("m.csv", "input,tag\n,x\n/v/a.mp4,x\n", 2, "empty input"),
        ("m.csv", 'input\n"/v/a.mp4\n/v/b.mp4\n', 2, "broken CSV"),
        ("m.csv", b"input\n/v/\xff.mp4\n/v/a.mp4\n", 2, "not valid UTF-8"),
        ("m.csv", 'id,input\n"a\tb",/v/a.mp4\n1,/v/b.mp4\n', 2, "unusable id"),
        ("m.csv", "id;input\n7,30123E+18;/v/a.mp4\n1;/v/b.mp4\n", 2, "rounded by a spreadsheet"),
        ("m.csv", "id,input\n7.3E+18,/v/a.mp4\n1,/v/b.mp4\n", 2, "rounded by a spreadsheet"),
        ("m.jsonl", '{"input": "/v/a.mp4"}\n{"input": \n', 2, "not valid JSON"),
        ("m.jsonl", '["/v/a.mp4"]\n{"input": "/v/a.mp4"}\n', 1, "a JSON list"),
        ("m.jsonl", '{"input": null}\n{"input": "/v/a.mp4"}\n', 1, "an empty input"),
        ("m.jsonl", '{"file": "/v/a.mp4"}\n{"input": "/v/a.mp4"}\n', 1, "no column with the input"),
        ("m.jsonl", '{"input": "/v/a.mp4", "n": ' + "9" * 5000 + '}\n{"input": "/v/a.mp4"}\n', 1, "a number that cannot be read"),
        ("m.jsonl", '{"input": ' + "[" * 200_000 + '\n{"input": "/v/a.mp4"}\n', 1, "nested too deeply"),
        ("m.jsonl", '{"input": "/v/a.mp4", "id": 7.3e+18}\n{"input": "/v/b.mp4"}\n', 1, "rounded by a spreadsheet"),
        ("m.jsonl", '{"input": "/v/a.mp4", "id": "\\ud800"}\n{"input": "/v/b.mp4"}\n', 1, "unusable id"),
        ("m.txt", "/v/a.mp4\nhttp://\n", 2, "without a host"),
        ("m.txt", "/v/a.mp4\nhttp://user:secret@h/x\n", 2, "a user name or password"),
        ("m.txt", "/v/a.mp4\nhttp://h/" + "x" * 10_000 + "\n", 2, "the URL has 10,009 characters"),
    ],
)
def test_a_bad_row_costs_only_itself_and_is_named_by_file_and_line(
    write: Callable[[str, bytes | str], str], name: str, content: bytes | str, line: int, complaint: str
) -> None:
    uri = write(name, content)
    entries = list(read_manifest(uri))
    (bad,) = [entry for entry in entries if entry.problem]
    good = [entry for entry in entries if not entry.problem]
    assert bad.line == line
    assert good
    assert len({entry.entry_id for entry in entries}) == len(entries)
    with pytest.raises(ManifestRowError, match=complaint) as caught:
        bad.check()
    assert f"{uri}, line {line}" in str(caught.value)
    assert caught.value.hint
    assert "secret" not in f"{bad}"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("m.csv", "file,tag\n/v/a.mp4,x\n", "line 2: no column with the input"),
        ("m.csv", "input,input\n/v/a.mp4,x\n", "line 1: the column 'input' appears twice"),
        ("m.csv", "input,tag\n", "no rows"),
        ("m.txt", "# nothing yet\n", "no rows"),
        ("m.jsonl", "\n", "no rows"),
        ("m.csv", "input\nftp://h/b.mp4\nhttp:///x\n", "line 2.*not one row can be used; the first problem: unsupported scheme"),
        ("m.csv", b"PK\x03\x04" + bytes(100), "an Excel workbook"),
        ("m.csv", b"\x1f\x8b" + bytes(100), "a gzip archive"),
        ("m.jsonl", b"PAR1" + bytes(100), "a Parquet file under another ending"),
    ],
)
def test_a_manifest_that_cannot_be_read_as_a_whole_is_refused(
    write: Callable[[str, bytes | str], str], name: str, content: bytes | str, complaint: str
) -> None:
    uri = write(name, content)
    with pytest.raises(InputError, match=complaint) as caught:
        list(read_manifest(uri))
    assert uri in str(caught.value)
    assert caught.value.hint


def test_a_quote_that_is_never_closed_costs_its_own_line_and_no_other(write: Callable[[str, str], str]) -> None:
    rows = [f'/v/{number}.mp4,"caption\nof {number}"\n' for number in range(50)]
    uri = write("m.csv", "input,caption\n" + "".join(rows) + '/v/bad.mp4,"never closed\n' + "".join(rows).replace("/v/", "/w/"))
    entries = list(read_manifest(uri))
    assert [entry.line for entry in entries if entry.problem] == [102]
    assert [entry.input for entry in entries if not entry.problem] == [f"/{at}/{n}.mp4" for at in "vw" for n in range(50)]
    assert {entry.columns["caption"] for entry in entries if not entry.problem} == {f"caption\nof {n}" for n in range(50)}


@pytest.mark.parametrize(
    ("name", "complaint"), [("m.xlsx", "not a manifest format"), ("clip.mp4", "not a known manifest format"), ("no.csv", "no such file")]
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, name: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        list(read_manifest(str(tmp_path / name)))


@pytest.mark.parametrize(("name", "complaint"), [("m.csv", "empty CSV"), ("m.parquet", "unreadable Parquet")])
def test_an_empty_file_is_refused(write: Callable[[str, str], str], name: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        list(read_manifest(write(name, "")))


def test_a_manifest_that_is_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.csv")
    with pytest.raises(InputError, match="named pipe"):
        list(read_manifest(str(tmp_path / "m.csv")))


_MEASURED = """
import sys, tracemalloc
from rumiai_ray.ingest.entries import read_manifest
list(read_manifest(sys.argv[1]))  # what is imported on the way is not the manifest's memory
tracemalloc.start()
entries = sum(1 for _ in read_manifest(sys.argv[2]))
print(entries, tracemalloc.get_traced_memory()[1])
"""
"""Runs in a process of its own: in this one, threads that earlier tests have left use memory too."""


def test_a_long_manifest_is_streamed(write: Callable[[str, str], str]) -> None:
    padding = "x" * 2000
    uri = write("m.csv", "input,note\n" + "".join(f"/v/{number}.mp4,{padding}\n" for number in range(5000)))
    first = write("first.csv", "input\n/v/1.mp4\n")
    ran = subprocess.run([sys.executable, "-c", _MEASURED, first, uri], capture_output=True, text=True, check=True)
    entries, peak_bytes = map(int, ran.stdout.split())
    assert entries == 5000
    assert 100_000 < peak_bytes < 5_000_000, "the file is 10 MB, the ids under 2"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "txt", "parquet"])
@pytest.mark.parametrize(("limit", "value", "what"), [("_MOST_ROWS", 50, "50 rows"), ("_MOST_CHARS", 3000, "3,000 characters")])
def test_a_manifest_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, limit: str, value: int, what: str
) -> None:
    inputs = [f"http://h.example/{number:080}.mp4" for number in range(100)]
    path = tmp_path / f"list.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.table({"input": inputs}), path)
    else:
        lines = [json.dumps({"input": one}) for one in inputs] if suffix == "jsonl" else inputs
        path.write_text("\n".join(["input", *lines] if suffix == "csv" else lines) + "\n")
    assert len(list(read_manifest(str(path)))) == 100
    monkeypatch.setattr(entries, limit, value)
    given: list[object] = []
    with pytest.raises(InputError, match=f"more than {what}"):
        given.extend(read_manifest(str(path)))

"""A run's rows as files for other programs: CSV, Parquet, one wide row per video."""

from __future__ import annotations

import csv
import io
import json
import re
from io import StringIO
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray import open_run
from rumiai_ray.errors import ConfigError
from rumiai_ray.runs.export.tables import export_features, export_tables
from rumiai_ray.runs.text import write_csv, write_json
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.shown import terminal_safe
from synthetic_run import analysis_row, manifest, object_row, stamped, video_row

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.reader import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two videos: one with a label in the manifest and views at its source, one with a failed model and neither."""
    writer = RunWriter.create(tmp_path / "runs", manifest())
    first = video_row("a", title='He said "hi",\nthen left', view_count=7, media_problems=["cut short"], columns=[("label", "good")])
    for entry, video, status in (("a", first, "ok"), ("b", video_row("b"), "failed")):
        tables: dict[str, list[dict[str, Any]]] = {
            "videos": [video],
            "analyses": [analysis_row("yolo", status)],
            "objects": [object_row(0)],
        }
        writer.add({name: stamped(name, rows, entry) for name, rows in tables.items()})
        writer.commit([entry])
    writer.finish("partial", {})
    return open_run(writer.run.uri())


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_file_for_each_table_with_null_as_an_empty_cell_and_lists_as_json(run: Run, tmp_path: Path) -> None:
    written = export_tables(run, tmp_path / "csv", "csv")
    assert {path.stem for path in written} == set(run.tables())
    first, second = lines(tmp_path / "csv/videos.csv")
    assert first["title"] == 'He said "hi",\nthen left'
    assert (first["view_count"], second["view_count"]) == ("7", "")
    assert json.loads(first["media_problems"]) == ["cut short"]
    assert json.loads(first["columns"]) == {"label": "good"}
    assert lines(tmp_path / "csv/texts.csv") == []


def test_parquet_keeps_rows_types_and_the_data_dictionary(run: Run, tmp_path: Path) -> None:
    export_tables(run, tmp_path / "parquet", "parquet")
    objects = pq.read_table(tmp_path / "parquet/objects.parquet")
    assert objects.to_pylist() == run.table("objects").to_pylist()
    assert objects.schema.metadata[b"definition"] == b"One detected object in one sampled frame."
    declared = TABLES_BY_NAME["objects"].schema.field("confidence").metadata
    assert declared
    assert (objects.schema.field("confidence").metadata or {}).items() >= declared.items()


def test_features_are_one_row_per_video_with_what_the_manifest_said_of_it(run: Run, tmp_path: Path) -> None:
    export_features(run, tmp_path / "features.csv")
    first, second = lines(tmp_path / "features.csv")
    assert (first["entry_id"], first["videos.duration_s"], first["videos.view_count"]) == ("a", "10.0", "7")
    assert (second["videos.view_count"], second["manifest.label"]) == ("", "")
    assert (first["status.yolo"], second["status.yolo"]) == ("ok", "failed")
    assert first["manifest.label"] == "good"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_of_two_runs_never_mix(run: Run, tmp_path: Path, kind: Any) -> None:
    export_tables(run, tmp_path / "there", kind)
    with pytest.raises(ConfigError, match="not empty"):
        export_tables(run, tmp_path / "there", kind)


def test_features_are_never_written_over_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(ConfigError, match="already exists"):
        export_features(run, tmp_path / "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "mine"


def test_rows_as_text_say_what_they_are() -> None:
    stamp = pa.array([0], pa.timestamp("ms", tz="UTC"))
    rows = pa.table({"b": [True], "f": [float("nan")], "n": pa.array([None], pa.int32()), "t": stamp, "l": [[1.5, None]]})
    sink = StringIO()
    write_json(rows, sink)
    assert json.loads(sink.getvalue()) == [{"b": True, "f": None, "n": None, "t": "1970-01-01T00:00:00+00:00", "l": [1.5, None]}]
    sink = StringIO()
    write_csv(rows, sink)
    assert sink.getvalue() == 'b,f,n,t,l\ntrue,nan,,1970-01-01T00:00:00+00:00,"[1.5, null]"\n'


def test_no_rows_are_an_empty_array_and_a_line_of_names() -> None:
    rows = pa.table({"a": pa.array([], pa.int32())})
    as_json, as_csv = StringIO(), StringIO()
    write_json(rows, as_json)
    write_csv(rows, as_csv)
    assert json.loads(as_json.getvalue()) == []
    assert as_csv.getvalue() == "a\n"


@settings(deadline=None)
@given(st.text(st.characters()))
def test_no_cell_of_csv_is_a_formula_and_none_speaks_to_a_terminal(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    for start in ("", "=", "+", "-", "@", "\t", "\r", "a;=", "a\t@", "＝", "a\n="):
        sink = io.StringIO()
        write_csv(pa.table({"=name": [start + text]}), sink)
        sink.seek(0)
        (header,), (cell,) = csv.reader(sink)
        assert header == "'=name"
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
        assert not re.search(r"[;\t\n]\s*[=+\-@]", cell)
        assert terminal_safe(cell) == cell


def test_raw_csv_has_the_texts_as_they_are_and_numbers_never_change() -> None:
    rows = pa.table({"text": ["=1+1", "\x1b[31m", "plain"], "number": [-1.5, -2.0, 3.0]})
    raw, harmless = io.StringIO(), io.StringIO()
    write_csv(rows, raw, raw=True)
    write_csv(rows, harmless)
    assert raw.getvalue() == "text,number\n=1+1,-1.5\n\x1b[31m,-2.0\nplain,3.0\n"
    assert harmless.getvalue() == "text,number\n'=1+1,-1.5\n\N{REPLACEMENT CHARACTER}[31m,-2.0\nplain,3.0\n"

"""A run directory that somebody else has made: whatever stands in it, nothing is written, opened or believed outside it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from report_run import plain_rows, video_row, write_run
from rumiai_ray import open_run
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import open_store
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.report.annotate import annotate
from rumiai_ray.report.write import write_report
from rumiai_ray.runs.commits import record_path
from rumiai_ray.runs.datafile import DataFile
from rumiai_ray.runs.diff import compare_runs
from rumiai_ray.runs.export.tables import export_tables
from rumiai_ray.runs.find import list_runs
from rumiai_ray.runs.writer import MANIFEST, SUMMARY, RunWriter
from synthetic_run import manifest, object_row, rewrite, rows_of, stamped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rumiai_ray.runs.reader import Run

KEPT = b"mine"


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A directory with files of the user's beside the run."""
    (tmp_path / "precious.csv").write_bytes(KEPT)
    (tmp_path / "precious.parquet").write_bytes(KEPT)
    return tmp_path


def everything(directory: Path, *, but: str = "") -> dict[str, bytes]:
    """All files under a directory with their content, those below `but` left out."""
    return {
        name: path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not (name := str(path.relative_to(directory))).startswith(but or "\0")
    }


def committed_run(out: Path) -> RunWriter:
    writer = RunWriter.create(out, manifest())
    writer.add(rows_of("a"))
    writer.commit(["a"])
    return writer


def with_table_named(out: Path, name: str) -> Run:
    """A run whose record says that its rows of `objects` are of another table."""
    writer = committed_run(out)
    run = open_run(writer.run.uri())
    (record,) = run.records
    files = tuple(file.model_copy(update={"table": name}) if file.table == "objects" else file for file in record.files)
    rewrite(run.store, record.model_copy(update={"files": files}))
    return run.again()


NAMES = ["../precious", "../new", "/rumiai-escaped", "a/b", ".", "..", "", "a\0b", "A B", "objects\n", "x" * 300, "videos"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", NAMES)
def test_a_crafted_table_name_makes_the_run_damaged_and_export_writes_nothing_elsewhere(workplace: Path, name: str, kind: Any) -> None:
    run = with_table_named(workplace / "runs", name)
    before = everything(workplace)
    with pytest.raises(StorageError, match="is damaged"):
        export_tables(run, workplace / "to", kind)
    assert everything(workplace) == before


@given(st.text(max_size=80))
def test_a_data_file_has_no_table_but_the_one_its_path_names(name: str) -> None:
    path = f"{name}/part-{0:08d}-{'0' * 32}.parquet"
    try:
        file = DataFile(table=name, path=path, rows=0, size_bytes=1, sha256="0" * 64)
    except ValidationError:
        return
    assert file.table.isascii()
    assert file.table.replace("_", "a").isalnum()
    assert file.table == file.table.lower()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_export_follows_no_link_that_appears_in_its_directory(workplace: Path, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    """Somebody who may write to the directory puts a link there after it was found empty."""
    run = open_run(committed_run(workplace / "runs").run.uri())
    tables = type(run).tables

    def planted(self: Run) -> list[str]:
        (workplace / "to" / f"objects.{kind}").symlink_to(workplace / f"precious.{kind}")
        return tables(self)

    monkeypatch.setattr(type(run), "tables", planted)
    with pytest.raises(StorageError, match="cannot write the file"):
        export_tables(run, workplace / "to", kind)
    assert (workplace / f"precious.{kind}").read_bytes() == KEPT


@pytest.mark.parametrize(
    "key", ["./../outside", "./../../outside", "TMP/outside", "outside", "..", ".", "", "a\0b", "x" * 5000, "ab/../../../outside", "A" * 64]
)
def test_a_crafted_frames_key_creates_nothing_and_the_report_goes_without_pictures(tmp_path: Path, key: str) -> None:
    key = key.replace("TMP", str(tmp_path))
    (tmp_path / "outside").mkdir()
    run = write_run(tmp_path / "runs", {"clip": {**plain_rows(), "videos": [video_row("clip", frames_key=key)]}})
    store = open_store(load_config(None, {"store": str(tmp_path / "store")}))
    before = set(tmp_path.rglob("*"))
    written = write_report(run, tmp_path / "report", store)
    assert "not in the frame store" in written[1].read_text(encoding="utf-8")
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "report")} == before


def test_a_report_follows_no_link_that_appears_in_its_directory(tmp_path: Path) -> None:
    (tmp_path / "precious.html").write_bytes(KEPT)
    run = write_run(tmp_path / "runs", {"clip": plain_rows()})

    def plant(_: str) -> None:
        (tmp_path / "report/index.html").symlink_to(tmp_path / "precious.html")

    with pytest.raises(StorageError, match="cannot write the file"):
        write_report(run, tmp_path / "report", None, told=plant)
    assert (tmp_path / "precious.html").read_bytes() == KEPT


def test_an_annotated_video_is_not_written_through_a_link_to_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": plain_rows()})
    (tmp_path / "clip.mp4").write_bytes(b"video")
    (tmp_path / "out.mp4").symlink_to(tmp_path / "created.mp4")
    limits = open_store(load_config(None, {"store": str(tmp_path / "store")})).limits
    with pytest.raises(ConfigError, match="already exists"):
        annotate(run, "clip", tmp_path / "out.mp4", limits, source=tmp_path / "clip.mp4")
    assert (tmp_path / "out.mp4").is_symlink()
    assert not (tmp_path / "created.mp4").exists()


@pytest.mark.parametrize("link", ["summary", "table", "commits", "log"])
def test_a_run_that_goes_on_writes_through_no_link_in_its_directory(workplace: Path, link: str) -> None:
    writer = committed_run(workplace / "runs")
    run = writer.run
    directory = workplace / "runs" / manifest().run_id
    (workplace / "outside").mkdir()
    if link == "summary":
        (directory / SUMMARY).symlink_to(workplace / "precious.csv")
    elif link == "log":
        (directory / "logs").symlink_to(workplace / "outside")
    else:
        place = directory / {"table": "objects", "commits": "commits"}[link]
        place.rename(workplace / "elsewhere")
        place.symlink_to(workplace / "elsewhere")
    before = everything(workplace, but="runs")
    with suppress(StorageError):  # the link may be refused, or be replaced
        resumed = RunWriter.resume(open_run(run.uri()), manifest())
        run.append_private("logs/x.jsonl", b"{}\n")
        resumed.add({"objects": stamped("objects", [object_row(0)], "b")})
        resumed.commit(["b"])
        resumed.finish("complete", {})
    assert everything(workplace, but="runs") == before


@pytest.mark.parametrize("name", [MANIFEST, record_path(0)])
@pytest.mark.timeout(30)
def test_a_pipe_or_device_in_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    run = committed_run(tmp_path / "runs").run
    path = tmp_path / "runs" / manifest().run_id / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StorageError, match="not a regular file"):
        open_run(run.uri()).verify()
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(StorageError, match="not a regular file"):
        open_run(run.uri()).verify()


def test_a_record_with_an_absurd_number_costs_no_time_and_is_damage(tmp_path: Path) -> None:
    run = committed_run(tmp_path / "runs").run
    run.create(record_path(99_999_999), b"{}\n")
    assert any("missing" in problem for problem in open_run(run.uri()).verify())


@pytest.mark.parametrize("change", [{"tables": {"../x": 1}}, {"entries_sha256": "../../etc/passwd"}, {"run_id": "../x"}, {"run_id": "a\n"}])
def test_names_in_a_manifest_that_name_places_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    run = committed_run(tmp_path / "runs").run
    run.replace(MANIFEST, json.dumps(json.loads(run.read(MANIFEST)) | change).encode())
    with pytest.raises(StorageError, match="unreadable manifest"):
        _ = open_run(run.uri()).manifest


def test_other_runs_are_listed_beside_a_crafted_one(tmp_path: Path) -> None:
    committed_run(tmp_path / "runs")
    (tmp_path / "runs/crafted").mkdir()
    os.mkfifo(tmp_path / "runs/crafted" / MANIFEST)
    assert [run.run_id for run in list_runs(tmp_path / "runs")] == [manifest().run_id, "crafted"]


def with_objects(out: Path, rows: pa.Table) -> Run:
    """A run whose file of `objects` holds these rows, under a digest that fits."""
    run = open_run(committed_run(out).run.uri())
    (record,) = run.records
    (old,) = (file for file in record.files if file.table == "objects")
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    data = sink.getvalue().to_pybytes()
    facts = DataFile(
        table="objects",
        path=f"objects/part-00000000-{'c' * 32}.parquet",
        rows=rows.num_rows,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    run.store.create(facts.path, data)
    rewrite(run.store, record.model_copy(update={"files": tuple(facts if file == old else file for file in record.files)}))
    return run.again()


@pytest.mark.parametrize("column", ["label", "confidence", "frame_index", "x1", "video_key"])
@pytest.mark.parametrize("values", [b"\xff", [1], {"a": 1}, True, None], ids=["bytes", "list", "struct", "bool", "null"])
def test_a_column_of_another_type_is_damage(workplace: Path, column: str, values: object) -> None:
    sound = rows_of("a")["objects"]
    crafted = sound.set_column(sound.column_names.index(column), column, pa.array([values] * sound.num_rows))
    run = with_objects(workplace / "runs", crafted.replace_schema_metadata(sound.schema.metadata))
    # Keys that say whose a row is are looked at before a file's own version is.
    said = "'video_key' is .*, it must be string" if column == "video_key" else f"not those of schema version.*{column}"
    with pytest.raises(StorageError, match=said):
        run.table("objects")
    with pytest.raises(StorageError, match=said.partition(".*")[0]):
        run.table("objects", [column])
    assert any(re.search(said, problem) for problem in run.verify())


@pytest.mark.parametrize("name", ["../more", "=1+1", "\x1b[2J", "", "more\n"])
def test_a_column_too_few_is_damage_and_one_with_a_name_that_does_harm(workplace: Path, name: str) -> None:
    sound = rows_of("a")["objects"]
    for number, crafted in enumerate((sound.append_column(name, pa.nulls(sound.num_rows)), sound.drop_columns(["label"]))):
        run = with_objects(workplace / f"runs{number}", crafted)
        with pytest.raises(StorageError, match="not those of schema version"):
            run.table("objects")


def test_a_column_that_edited_code_has_added_is_read(workplace: Path) -> None:
    sound = rows_of("a")["objects"]
    run = with_objects(workplace / "runs", sound.append_column("area_px", pa.array([1.5] * sound.num_rows)))
    assert run.table("objects")["area_px"].to_pylist() == [1.5] * sound.num_rows


def test_times_that_no_calendar_has_are_damage(workplace: Path) -> None:
    run = write_run(workplace / "runs", {"a": {"videos": [video_row("a")]}})
    (record, *_) = run.records
    (old,) = (file for file in record.files if file.table == "videos")
    rows = run.table("videos")
    late = pa.array([2**62], pa.int64()).cast(rows.schema.field("uploaded_at").type)
    sink = pa.BufferOutputStream()
    pq.write_table(rows.set_column(rows.column_names.index("uploaded_at"), rows.schema.field("uploaded_at"), late), sink)
    data = sink.getvalue().to_pybytes()
    facts = old.model_copy(update={"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    run.store.replace(old.path, data)
    rewrite(run.store, record.model_copy(update={"files": tuple(facts if file == old else file for file in record.files)}))
    with pytest.raises(StorageError, match="'uploaded_at' holds times out of range"):
        run.again().table("videos")


def with_rows_changed(out: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> Run:
    """A run of an older version of a table, whose file was changed and whose record names the changed file."""
    writer = committed_run(out)
    run = open_run(writer.run.uri())
    (record,) = run.records
    files = []
    for file in record.files:
        if file.table == table:
            rows = run.table(table)
            sink = pa.BufferOutputStream()
            pq.write_table(change(rows).replace_schema_metadata({"table": table, "version": "0"}), sink)
            data = sink.getvalue().to_pybytes()
            run.store.replace(file.path, data)
            facts = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            files.append(file.model_copy(update=facts))
        else:
            files.append(file)
    rewrite(run.store, record.model_copy(update={"files": tuple(files)}))
    (out / run.run_id / MANIFEST).write_bytes(manifest(tables=manifest().tables | {table: 0}).to_json())
    return open_run(run.store.uri())


@pytest.mark.parametrize("table", ["videos", "objects"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.append_column("x", rows["video_key"]).rename_columns([*rows.column_names, "video_key"]), "two columns named"),
        (lambda rows: rows.drop_columns(["video_key"]), "no column 'video_key'"),
        (lambda rows: rows.drop_columns(["run_id"]), "no column 'run_id'"),
        (lambda rows: rows.set_column(0, rows.column_names[0], pa.array([1] * rows.num_rows)), "int64"),
    ],
)
def test_a_file_whose_rows_are_nobody_s_is_damaged(tmp_path: Path, table: str, change: Any, said: str) -> None:
    run = with_rows_changed(tmp_path, table, change)
    with pytest.raises(StorageError, match=said):
        run.table(table)
    with pytest.raises(StorageError, match=said):
        compare_runs(run, run)
    assert any(said in problem for problem in run.verify())

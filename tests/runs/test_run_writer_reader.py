from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb
import fsspec
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import synthetic_run
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.commits import CommitLog, record_path
from rumiai_ray.runs.datafile import write_data_file
from rumiai_ray.runs.find import find_run, list_runs
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.remove import remove_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema import SchemaError
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.storage import Store
from synthetic_run import RUN_ID, dead_letter_row, manifest, object_row, rewrite, rows_of, stamped, video_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_server import S3Server


def write_run(out: Path | str, run_id: str = RUN_ID, entries: tuple[str, ...] = ("a", "b")) -> str:
    """A finished run; returns its address."""
    writer = RunWriter.create(out, manifest(run_id))
    for entry in entries:
        writer.add(rows_of(entry, run_id=run_id))
        writer.commit([entry])
    writer.finish("complete", {"videos": len(entries)})
    return writer.run.uri()


def content(address: str) -> dict[str, bytes]:
    """Every file under an address, past this package."""
    files, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
    return {path: files.cat_file(path) for path in files.find(root)}


def test_what_was_committed_is_what_is_read(out: str) -> None:
    writer = RunWriter.create(out, manifest())
    writer.add(rows_of("a", objects=2))
    writer.add(rows_of("b", objects=1))
    assert writer.buffered_bytes > 0
    writer.commit(["a", "b"])
    writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row("c")], "c")})
    writer.commit([], ["c"])
    writer.finish("partial", {"videos": 2})
    run = open_run(f"{out}/{RUN_ID}")
    assert run.manifest == manifest()
    assert (run.status, run.summary) == ("partial", {"videos": 2})
    assert run.entries() == {"a": "committed", "b": "committed", "c": "dead_lettered"}
    objects = run.table("objects")
    assert objects["video_key"].to_pylist() == [video_key("a"), video_key("a"), video_key("b")]
    assert objects["time_s"].to_pylist() == [0.0, 0.2, 0.0]
    assert run.table("objects", ["label"]).column_names == ["label"]
    assert run.verify() == []


def test_the_data_dictionary_travels_with_the_rows(tmp_path: Path) -> None:
    objects = open_run(write_run(tmp_path)).table("objects")
    assert objects.schema.equals(TABLES_BY_NAME["objects"].schema, check_metadata=True)
    assert (objects.schema.field("confidence").metadata or {})[b"range"] == b"0..1"


@pytest.mark.parametrize("finished", [False, True])
def test_a_table_without_rows_has_its_columns(out: str, *, finished: bool) -> None:
    writer = RunWriter.create(out, manifest())
    if finished:
        writer.finish("complete", {})
    texts = open_run(f"{out}/{RUN_ID}").table("texts")
    assert texts.num_rows == 0
    assert texts.schema.equals(TABLES_BY_NAME["texts"].schema)


def test_an_unknown_table_or_column_is_named_in_the_error(tmp_path: Path) -> None:
    run = open_run(write_run(tmp_path))
    with pytest.raises(ConfigError, match=r"no table 'objcts' \(it has analyses, "):
        run.table("objcts")
    with pytest.raises(ConfigError, match="no column 'colour'"):
        run.table("objects", ["colour"])
    assert set(run.tables()) == set(TABLES_BY_NAME)


def sql(statement: str) -> duckdb.DuckDBPyRelation:
    answer = duckdb.sql(statement)
    assert answer is not None
    return answer


def test_one_line_of_sql_opens_every_table_of_a_finished_run(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    assert len(sql(f"FROM read_parquet('{run}/objects/*.parquet')").fetchall()) == 6
    for table in TABLES_BY_NAME:
        assert sql(f"FROM read_parquet('{run}/{table}/*.parquet')").columns == open_run(run).table(table).column_names


def test_the_committed_files_can_be_given_to_sql_while_a_run_goes_on(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    writer.add(rows_of("a"))
    writer.commit(["a"])
    run = open_run(tmp_path / RUN_ID)
    assert run.status == "incomplete"
    assert run.summary == {}
    assert len(sql(f"FROM read_parquet({run.files('objects')})").fetchall()) == 3


def test_files_no_record_names_are_ignored_and_cleared_away_at_the_end(out: str) -> None:
    writer = RunWriter.create(out, manifest())
    writer.add(rows_of("a"))
    writer.commit(["a"])
    store = Store.at(f"{out}/{RUN_ID}")
    store.create(f"objects/part-00000001-{uuid4().hex}.parquet", b"torn")
    write_data_file(store, TABLES_BY_NAME["objects"], rows_of("b")["objects"], run_id=RUN_ID, sequence=1)
    store.create("objects/notes.txt", b"somebody's own")
    assert open_run(f"{out}/{RUN_ID}").table("objects").num_rows == 3
    assert open_run(f"{out}/{RUN_ID}").verify() == []
    writer.finish("complete", {})
    assert [name.rpartition(".")[2] for name in store.names("objects")] == ["txt", "parquet"]


def test_a_crash_between_data_file_and_record_leaves_the_run_without_those_rows(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    writer.add(rows_of("a"))
    writer.commit(["a"])
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(synthetic_run.__file__).parent)!r})
from synthetic_run import manifest, rows_of
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.runs.commits import CommitLog
from rumiai_ray.runs.reader import open_run
writer = RunWriter.resume(open_run({str(tmp_path / RUN_ID)!r}), manifest())
writer.add(rows_of("b"))
CommitLog.append = lambda *_: os._exit(9)
writer.commit(["b"])
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert len(list((tmp_path / RUN_ID / "objects").iterdir())) == 2
    run = open_run(tmp_path / RUN_ID)
    assert (run.entries(), run.table("objects").num_rows, run.verify()) == ({"a": "committed"}, 3, [])


def test_an_existing_run_is_never_written_over(out: str) -> None:
    run = write_run(out)
    before = content(run)
    with pytest.raises(ConfigError, match=f"{RUN_ID}: a run of this name exists already"):
        RunWriter.create(out, manifest())
    assert before
    assert content(run) == before


def test_a_directory_with_anything_in_it_is_not_taken_for_a_new_run(out: str) -> None:
    Store.at(out).create(f"{RUN_ID}/thesis.txt", b"x")
    with pytest.raises(ConfigError, match="exists already"):
        RunWriter.create(out, manifest())


def test_a_second_writer_is_refused_and_leaves_no_trace(out: str) -> None:
    first = RunWriter.create(out, manifest())
    second = RunWriter.resume(find_run(RUN_ID, out), manifest())
    first.add(rows_of("a"))
    first.commit(["a"])
    second.add(rows_of("b"))
    with pytest.raises(ConfigError, match="another writer"):
        second.commit(["b"])
    assert len(Store.at(f"{out}/{RUN_ID}").names("objects")) == 1
    first.finish("complete", {})
    assert open_run(f"{out}/{RUN_ID}").entries() == {"a": "committed"}


def test_what_is_committed_after_a_run_was_read_can_never_be_committed_again(out: str) -> None:
    """A resume does what the run did not have when it was read, however long ago that was."""
    first = RunWriter.create(out, manifest())
    read = find_run(RUN_ID, out)
    assert read.entries() == {}
    first.add(rows_of("a"))
    first.commit(["a"])
    with pytest.raises(ConfigError, match="another writer has written record 0"):
        RunWriter.resume(read, manifest())
    assert find_run(RUN_ID, out).verify() == []


def test_a_run_that_was_removed_after_it_was_read_is_not_resumed_and_not_made_again(out: str) -> None:
    RunWriter.create(out, manifest()).finish("aborted", {})
    read = find_run(RUN_ID, out)
    assert (read.records[-1].status, read.manifest.run_id) == ("aborted", RUN_ID)
    remove_run(find_run(RUN_ID, out))
    with pytest.raises(ConfigError, match="was removed in the meantime"):
        RunWriter.resume(read, read.manifest)
    assert Store.at(out).names() == []


def test_nothing_is_logged_once_a_run_may_be_removed(out: str) -> None:
    writer = RunWriter.create(out, manifest())
    writer.logs.history.begins("n")
    writer.finish("complete", {})
    assert [line.event for _, line in open_run(writer.run.uri()).history()] == ["session_begins"]
    remove_run(open_run(writer.run.uri()))
    writer.logs.history.ends("late")
    writer.logs.failures.add("run", "late", "")
    assert Store.at(out).names() == []


def test_a_record_that_was_under_way_when_a_run_was_read_does_not_count_as_done_when_it_is_whole_later(out: str) -> None:
    writer = RunWriter.create(out, manifest())
    writer.add(rows_of("a"))
    writer.commit(["a"])
    store = Store.at(f"{out}/{RUN_ID}")
    whole = store.read(record_path(0))
    store.replace(record_path(0), whole[:20])
    read = find_run(RUN_ID, out)
    assert read.records == ()
    store.replace(record_path(0), whole)
    assert read.entries() == {}
    again = RunWriter.resume(read, manifest())
    again.add(rows_of("a"))
    again.commit(["a"])
    run = find_run(RUN_ID, out)
    assert (run.entries(), run.table("objects").num_rows, run.verify()) == ({"a": "committed"}, 3, [])


def test_a_run_goes_on_only_under_its_own_name(tmp_path: Path) -> None:
    """A copy beside its original would otherwise be looked at, and the original written."""
    write_run(tmp_path / "runs")
    before = content(str(tmp_path))
    shutil.copytree(tmp_path / "runs" / RUN_ID, tmp_path / "runs" / "copy")
    with pytest.raises(ConfigError, match=f"runs/copy: holds the run {RUN_ID}, but a run's directory must be named after the run"):
        RunWriter.resume(open_run(tmp_path / "runs" / "copy"), manifest())
    assert before.items() <= content(str(tmp_path)).items()
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    assert RunWriter.resume(open_run(tmp_path / "moved" / RUN_ID), manifest()).run.uri() == str(tmp_path / "moved" / RUN_ID)


def test_a_run_that_was_broken_off_is_resumed_and_ends_well(out: str) -> None:
    writer = RunWriter.create(out, manifest())
    writer.add(rows_of("a"))
    writer.commit(["a"])
    writer.finish("aborted", {"videos": 1})
    assert open_run(f"{out}/{RUN_ID}").status == "aborted"
    writer = RunWriter.resume(find_run(RUN_ID, out), manifest(config={"cells": 8}))
    writer.add(rows_of("b"))
    writer.commit(["b"])
    assert open_run(f"{out}/{RUN_ID}").status == "incomplete"
    writer.finish("complete", {"videos": 2})
    run = open_run(f"{out}/{RUN_ID}")
    assert (run.status, run.summary, list(run.entries())) == ("complete", {"videos": 2}, ["a", "b"])
    assert run.verify() == []


def test_a_run_is_not_resumed_with_other_code_and_both_sides_are_shown(out: str) -> None:
    write_run(out)
    with pytest.raises(ConfigError, match=f"source_sha256: {'a' * 64} | {'b' * 64}"):
        RunWriter.resume(find_run(RUN_ID, out), manifest(source_sha256="b" * 64))


def test_rows_of_another_run_are_refused(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    with pytest.raises(SchemaError, match="rows of run 'other' offered"):
        writer.add(rows_of("a", run_id="other"))
    assert writer.buffered_bytes == 0


def test_rows_that_do_not_fit_their_table_are_refused(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    with pytest.raises(SchemaError, match="missing: label"):
        writer.add({"objects": rows_of("a")["objects"].drop_columns(["label"])})
    with pytest.raises(SchemaError, match="no table"):
        writer.add({"stickers": rows_of("a")["objects"]})


def test_a_run_does_not_end_with_rows_uncommitted(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    writer.add(rows_of("a"))
    with pytest.raises(ValueError, match="not committed"):
        writer.finish("complete", {})


def test_a_file_size_limit_loses_nothing_of_earlier_commits_and_the_commit_can_be_repeated(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    writer.add(rows_of("a"))
    writer.commit(["a"])
    writer.add({"objects": stamped("objects", [object_row(frame, confidence=frame / 50_000) for frame in range(50_000)], "b")})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StorageError, match=r"larger than allowed \(raise the limit"):
            writer.commit(["b"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run = open_run(tmp_path / RUN_ID)
    assert (run.entries(), run.verify()) == ({"a": "committed"}, [])
    assert len(list((tmp_path / RUN_ID / "objects").iterdir())) == 1
    writer.commit(["b"])
    assert open_run(tmp_path / RUN_ID).table("objects").num_rows == 50_003


def test_a_full_disk_while_the_record_is_written_commits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    writer.add(rows_of("a"))
    write = os.fsync

    def full(descriptor: int) -> None:
        if "/commits/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")
        write(descriptor)

    with monkeypatch.context() as broken:
        broken.setattr("rumiai_ray.storage.os.fsync", full)
        with pytest.raises(StorageError, match="no space left"):
            writer.commit(["a"])
    run = open_run(tmp_path / RUN_ID)
    assert (run.entries(), run.verify(), run.table("objects").num_rows) == ({}, [], 0)
    writer.commit(["a"])
    assert open_run(tmp_path / RUN_ID).table("objects").num_rows == 3


class TestVerify:
    @pytest.fixture
    def run(self, out: str) -> str:
        return write_run(out)

    @pytest.fixture
    def victim(self, run: str) -> str:
        """Path of a data file in its run."""
        return open_run(run).files("objects")[0].removeprefix(f"{run}/")

    def test_a_missing_file_is_found(self, run: str, victim: str) -> None:
        Store.at(run).remove(victim)
        (found,) = open_run(run).verify()
        assert found.startswith(f"{run}/{victim}: a committed file is missing")
        with pytest.raises(StorageError, match="missing"):
            open_run(run).table("objects")

    def test_a_truncated_file_is_found(self, run: str, victim: str) -> None:
        store = Store.at(run)
        store.replace(victim, store.read(victim)[:-1])
        (found,) = open_run(run).verify()
        assert "were committed" in found

    def test_a_flipped_bit_is_found_and_its_rows_are_never_read(self, run: str, victim: str) -> None:
        store = Store.at(run)
        flipped = bytearray(store.read(victim))
        flipped[len(flipped) // 3] ^= 1
        store.replace(victim, bytes(flipped))
        (found,) = open_run(run).verify()
        assert "SHA-256" in found
        with pytest.raises(StorageError, match="SHA-256"):
            open_run(run).table("objects")

    def test_a_wrong_row_count_is_found(self, run: str) -> None:
        record = open_run(run).records[0]
        files = tuple(file.model_copy(update={"rows": file.rows + 1}) if file.table == "objects" else file for file in record.files)
        rewrite(Store.at(run), record.model_copy(update={"files": files}))
        (found,) = open_run(run).verify()
        assert "3 rows, 4 were committed" in found

    def test_a_hole_in_the_records_is_found_and_nobody_reads_over_it(self, run: str) -> None:
        Store.at(run).remove(record_path(1))
        assert "commits/00000001.json is missing" in open_run(run).verify()
        with pytest.raises(StorageError, match=r"00000001\.json is missing"):
            open_run(run).table("objects")

    def test_a_changed_record_is_found(self, run: str) -> None:
        store = Store.at(run)
        store.replace(record_path(0), store.read(record_path(0)).replace(b'"committed": ["a"]', b'"committed": ["x"]'))
        assert any("00000000.json is damaged" in found for found in open_run(run).verify())

    def test_an_end_record_that_was_cut_short_is_found(self, run: str) -> None:
        store = Store.at(run)
        store.replace(record_path(2), store.read(record_path(2))[:-9])
        assert open_run(run).status == "incomplete"
        assert any("00000002.json was cut short" in found for found in open_run(run).verify())

    def test_an_unreadable_manifest_is_found_and_the_rows_stay_readable(self, run: str) -> None:
        Store.at(run).replace("manifest.json", b"{")
        assert any("unreadable manifest" in found for found in open_run(run).verify())
        assert open_run(run).table("objects").num_rows == 6

    def test_an_entry_committed_twice_is_found(self, out: str) -> None:
        writer = RunWriter.create(out, manifest("twice"))
        for _ in range(2):
            writer.add(rows_of("a", run_id="twice"))
            writer.commit(["a"])
        assert open_run(f"{out}/twice").verify() == ["entry a was committed 2 times"]

    def test_an_entry_without_its_row_is_found(self, out: str) -> None:
        writer = RunWriter.create(out, manifest("rowless"))
        writer.commit(["a"])
        assert open_run(f"{out}/rowless").verify() == ["entry a has 0 rows in videos and is named 1 times by the records"]

    def test_a_file_of_another_table_is_found(self, run: str) -> None:
        record = open_run(run).records[0]
        texts = TABLES_BY_NAME["texts"]
        stray = write_data_file(Store.at(run), texts, texts.schema.empty_table(), run_id=RUN_ID, sequence=0)
        rewrite(Store.at(run), record.model_copy(update={"files": (*record.files, stray.model_copy(update={"table": "words"}))}))
        found = open_run(run).verify()
        assert any("lies in the directory of another" in one for one in found), found


def test_a_run_of_an_older_schema_is_read_in_its_own_columns(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest(tables=manifest().tables | {"objects": 0}))
    old = pa.schema([("run_id", pa.string()), ("video_key", pa.string()), ("klass", pa.string())], {"table": "objects", "version": "0"})
    rows = pa.Table.from_pylist([{"run_id": RUN_ID, "video_key": video_key("a"), "klass": "person"}], schema=old)
    declared = type(TABLES_BY_NAME["objects"])("objects", 0, "as it was", tuple(old)[2:])
    facts = write_data_file(Store.at(tmp_path / RUN_ID), declared, rows.cast(declared.schema), run_id=RUN_ID, sequence=0)
    CommitLog(Store.at(tmp_path / RUN_ID), RUN_ID).append([facts], [])
    run = open_run(tmp_path / RUN_ID)
    assert run.table("objects")["klass"].to_pylist() == ["person"]
    assert run.verify() == []
    assert writer.manifest == run.manifest


def test_a_copy_of_a_run_under_another_name_is_the_same_run(tmp_path: Path) -> None:
    Path(write_run(tmp_path)).rename(tmp_path / "backup")
    run = open_run(tmp_path / "backup")
    assert (run.run_id, run.verify(), run.table("objects").num_rows) == (RUN_ID, [], 6)


def test_runs_are_listed_in_order_and_what_is_no_run_is_left_out(out: str) -> None:
    for run_id in ("b-run", "a-run"):
        write_run(out, run_id)
    Store.at(out).create("frames/x", b"x")
    Store.at(out).create("README", b"x")
    assert [run.run_id for run in list_runs(out)] == ["a-run", "b-run"]
    assert list_runs(f"{out}/nowhere") == []


def test_a_run_is_found_by_id_and_by_path(out: str) -> None:
    path = write_run(out)
    assert Store.at(path).uri() == path
    assert find_run(RUN_ID, out).table("objects").num_rows == 6
    assert find_run(path, "nowhere").run_id == RUN_ID
    assert find_run(f"{path}/", "nowhere").run_id == RUN_ID


def test_a_run_that_is_not_there_is_answered_with_the_ids_nearby(out: str) -> None:
    write_run(out)
    assert find_run(RUN_ID[:-1], out).run_id == RUN_ID
    for wrong in (f"{RUN_ID[:-1]}x", "x", f"{out}/nowhere"):
        with pytest.raises(ConfigError, match=f"no such run .*{RUN_ID}"):
            find_run(wrong, out)
    with pytest.raises(ConfigError, match="there are no runs under"):
        find_run("x", f"{out}/nowhere")
    with pytest.raises(ConfigError, match="no run here"):
        open_run(out)


def test_damaged_neighbours_do_not_touch_a_run(out: str) -> None:
    run = write_run(out)
    poison = write_run(out, "poison")
    files, root = fsspec.core.url_to_fs(poison)
    for path in files.find(root):
        files.pipe_file(path, b"\0")
    assert open_run(run).table("objects").num_rows == 6
    assert [found.run_id for found in list_runs(out)] == [RUN_ID, "poison"]


def test_a_run_in_memory_is_written_and_read_like_one_on_a_disk() -> None:
    out = f"memory://{uuid4().hex}"
    writer = RunWriter.create(out, manifest())
    writer.add(rows_of("a"))
    writer.commit(["a"])
    writer.finish("complete", {})
    run = find_run(RUN_ID, out)
    assert (run.status, run.table("objects").num_rows, run.verify()) == ("complete", 3, [])
    assert run.files("objects")[0].startswith("memory://")
    with pytest.raises(ConfigError, match="exists already"):
        RunWriter.create(out, manifest())


def no_exclusive_mode(mode: str) -> str:
    """A driver that does not know the mode, as those over pyarrow."""
    if "x" in mode:
        raise ValueError(f"unsupported mode: {mode}")
    return mode


def mode_overlooked(mode: str) -> str:
    """A driver that takes the mode and writes over what is there, as that of FTP."""
    return mode.replace("x", "w")


@pytest.mark.parametrize(
    ("driver", "said"), [(no_exclusive_mode, "cannot refuse to overwrite a file"), (mode_overlooked, "overwrites a file")]
)
def test_a_file_system_without_exclusive_creation_holds_no_runs_and_no_leftover_of_one(
    monkeypatch: pytest.MonkeyPatch, driver: Callable[[str], str], said: str
) -> None:
    real = MemoryFileSystem._open
    monkeypatch.setattr(MemoryFileSystem, "_open", lambda self, path, mode="rb", **rest: real(self, path, driver(mode), **rest))
    out = f"memory://{uuid4().hex}"
    with pytest.raises(ConfigError, match=rf"{RUN_ID}/.*{said}.*\(write to a local directory or to S3"):
        RunWriter.create(out, manifest(), entries=b"entries")
    monkeypatch.undo()
    assert list_runs(out) == []
    assert open_run(write_run(out)).verify() == []


def test_a_server_like_s3_that_overlooks_the_condition_of_a_put_holds_no_runs(
    s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = s3._moto
    overlooks = lambda environ, start: real({name: environ[name] for name in environ if name != "HTTP_IF_NONE_MATCH"}, start)  # noqa: E731
    monkeypatch.setattr(s3, "_moto", overlooks)
    with pytest.raises(ConfigError, match="overwrites a file"):
        RunWriter.create(bucket, manifest())
    assert list_runs(bucket) == []


@pytest.mark.parametrize(
    "left", ["entries-0123456789abcdef.parquet", f"entries-0123456789abcdef.parquet.{'0' * 32}.part", f"manifest.json.{'0' * 32}.part"]
)
def test_what_a_broken_off_creation_left_is_no_run_and_in_nobodys_way(out: str, left: str) -> None:
    Store.at(out).create(f"{RUN_ID}/{left}", b"torn")
    assert list_runs(out) == []
    with pytest.raises(ConfigError, match="no such run"):
        find_run(RUN_ID, out)
    assert open_run(write_run(out)).verify() == []


def test_a_taken_name_is_refused_with_the_way_to_go_on(out: str) -> None:
    RunWriter.create(out, manifest(), entries=b"entries")
    with pytest.raises(ConfigError, match=f"`rumiai-ray runs resume {RUN_ID}`"):
        RunWriter.create(out, manifest(created_at=datetime.now(UTC)), entries=b"other entries")


def test_a_disk_without_hard_links_holds_runs_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    run = open_run(write_run(tmp_path))
    assert run.verify() == []
    assert not list(Path(run.store.uri()).rglob("*.part"))
    with pytest.raises(ConfigError, match="exists already"):
        RunWriter.create(tmp_path, manifest())


def test_a_misspelt_column_is_answered_with_the_columns_like_it(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path, manifest())
    run.finish("complete", {})
    opened = find_run(RUN_ID, tmp_path)
    with pytest.raises(ConfigError, match=r"no column 'lable'.*did you mean label"):
        opened.table("objects", ["lable"])


def test_a_run_that_is_not_in_the_directory_named_is_looked_for_there(tmp_path: Path) -> None:
    RunWriter.create(tmp_path / "here", manifest())
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigError, match=f"there are no runs under .*{tmp_path}/there"):
        find_run(tmp_path / "there/nosuch", tmp_path / "here")
    with pytest.raises(ConfigError, match=f"did you mean {tmp_path}/here/{RUN_ID}"):
        find_run(tmp_path / "here" / RUN_ID[:-1].replace("2", "3", 1), tmp_path / "there")


def test_a_run_is_looked_for_beside_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunWriter.create(tmp_path, manifest())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"did you mean \./{RUN_ID}"):
        find_run(".", tmp_path / "elsewhere")

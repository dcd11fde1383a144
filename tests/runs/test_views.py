"""A run's rows in other tools, on a disk and on S3: what was committed, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rumiai_ray import open_run
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs import views
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import manifest, object_row, rows_of, stamped

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.reader import Run


@pytest.fixture
def run(out: str) -> Run:
    """Two committed videos with three objects each, and a third whose files no record names."""
    writer = RunWriter.create(out, manifest())
    for entry in ("one", "two"):
        writer.add(rows_of(entry))
        writer.commit([entry])
    store = writer.run
    (committed,) = [name for name in store.names("objects") if name.startswith("part-00000000")]
    data = store.read_or_none(f"objects/{committed}")
    assert data is not None
    store.create(f"objects/part-00000009-{'0' * 32}.parquet", data)
    return open_run(store.uri())


def test_every_view_shows_committed_rows_only(run: Run) -> None:
    assert run.pandas("objects").shape[0] == run.polars("objects").height == 6
    assert run.duckdb().sql("SELECT count(*) FROM objects").fetchall() == [(6,)]
    assert run.query("SELECT count(*) AS n, count(DISTINCT video_key) AS videos FROM objects").to_pylist() == [{"n": 6, "videos": 2}]


def test_tables_can_be_joined_and_names_need_no_case(run: Run) -> None:
    answer = run.query("SELECT input, count(*) AS n FROM Videos JOIN OBJECTS USING (run_id, video_key) GROUP BY input ORDER BY input")
    assert answer.to_pylist() == [{"input": "one.mp4", "n": 3}, {"input": "two.mp4", "n": 3}]


def test_a_table_without_rows_is_there_and_empty(run: Run) -> None:
    assert run.query("SELECT * FROM texts").num_rows == 0
    assert "text" in run.polars("texts").columns
    assert list(run.pandas("texts")["text"]) == []


def test_an_absent_integer_stays_absent_and_other_integers_stay_integers(out: str) -> None:
    writer = RunWriter.create(out, manifest())
    writer.add(rows_of("one"))
    writer.commit(["one"])
    videos = open_run(writer.run.uri()).pandas("videos")
    assert videos["view_count"].isna().all()
    assert str(videos["view_count"].dtype) == "int64[pyarrow]"
    assert videos["frames_sampled"].tolist() == [50]


def test_show_tables_names_all_of_them(run: Run) -> None:
    assert {row["name"] for row in run.query("SHOW TABLES").to_pylist()} == set(run.tables())


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT * FROM nothing_of_the_kind", "SELECT nonsense FROM objects"])
def test_a_query_that_makes_no_sense_is_told_in_duckdbs_words_with_the_tables(run: Run, sql: str) -> None:
    with pytest.raises(ConfigError, match=r"DuckDB: (?s:.*)the tables are analyses"):
        run.query(sql)


def test_a_damaged_file_is_an_error_and_not_fewer_rows(run: Run) -> None:
    (path, *_) = [file for file in run.store.names("objects") if file.startswith("part-00000001")]
    run.store.replace(f"objects/{path}", b"nothing")
    with pytest.raises(StorageError, match="were committed"):
        open_run(run.store.uri()).query("SELECT count(*) FROM objects")


def test_a_damaged_table_is_in_nobodys_way_who_does_not_ask_for_it(run: Run) -> None:
    for path in run.store.names("objects"):
        run.store.replace(f"objects/{path}", b"nothing")
    assert open_run(run.store.uri()).query("SELECT count(*) AS n FROM videos").to_pylist() == [{"n": 2}]


@pytest.mark.parametrize("package", ["polars", "duckdb"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(run: Run, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(views, "import_module", absent)
    with pytest.raises(ConfigError, match=rf"{package}: is not installed \(pip install 'rumiai-ray\[{package}\]'\)"):
        run.polars("objects") if package == "polars" else run.query("SELECT 1")


def test_rows_added_after_the_run_was_looked_at_are_seen_by_looking_again(out: str) -> None:
    writer = RunWriter.create(out, manifest())
    early = open_run(writer.run.uri())
    assert early.query("SELECT count(*) AS n FROM objects").to_pylist() == [{"n": 0}]
    writer.add({"objects": stamped("objects", [object_row(0)], "one")} | {"videos": rows_of("one")["videos"]})
    writer.commit(["one"])
    assert early.again().query("SELECT count(*) AS n FROM objects").to_pylist() == [{"n": 1}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "COPY (SELECT 1) TO '{here}/written.csv'",
        "ATTACH '{here}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "EXPORT DATABASE '{here}/all'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET enable_external_access = true; SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM outside",
        "SELECT * FROM getenv('HOME')",
    ],
)
def test_a_query_reads_its_tables_and_nothing_else(run: Run, tmp_path: Path, sql: str) -> None:
    outside = run.table("videos")
    assert outside is not None
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError):
        run.query(sql.replace("{here}", str(tmp_path)))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_query_with_external_access_reads_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("a,b\n1,2\n")
    assert run.query(f"SELECT a FROM '{tmp_path}/own.csv'", external_access=True).to_pylist() == [{"a": 1}]  # noqa: S608 -- a test's own path

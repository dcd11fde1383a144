"""Runs that earlier versions of this package wrote are read by this one. Each archive in `older/` is such a run, made by its day's code.

`docs/releasing.md` says how a release adds its own.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from command_line import run_main
from report_run import plain_rows, write_run
from rumiai_ray import open_corpus
from rumiai_ray.cli.exits import Exit
from rumiai_ray.errors import ConfigError
from rumiai_ray.report.rows import RunRows
from rumiai_ray.runs.older import versions_as_read
from rumiai_ray.runs.reader import open_run
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import RUN_ID, video_key

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., str]

OLDER = sorted((Path(__file__).parent / "older").glob("*.tar.gz"))
EXPORTS = ("csv", "parquet", "json")


def unpacked(path: Path, into: Path) -> Path:
    """The directory of the run in an archive, named `older`."""
    with tarfile.open(path) as archive:
        archive.extractall(into / "runs", filter="data")
    (run,) = (into / "runs").iterdir()
    return run.rename(run.with_name("older"))


@pytest.fixture(params=OLDER, ids=lambda path: path.name.partition(".")[0])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The directory of the run, named `older`."""
    return unpacked(request.param, tmp_path)


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in this process; gives stdout and stderr, neither of which has a traceback."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path, code: int = 0) -> str:
        ended = run_main(arguments, monkeypatch, capsys)
        assert ended.code == code, (arguments, ended)
        return ended.out + ended.err

    return call


def test_there_is_an_older_run_whose_tables_differ_from_today_s() -> None:
    assert OLDER
    with tarfile.open(OLDER[0]) as archive:
        (name,) = [name for name in archive.getnames() if name.endswith("/manifest.json")]
        member = archive.extractfile(name)
        assert member is not None
        written = json.load(member)["tables"]
    assert [name for name, version in written.items() if name in TABLES_BY_NAME and TABLES_BY_NAME[name].version != version]


def test_its_rows_are_read_in_the_columns_of_today_and_every_byte_is_right(older: Path) -> None:
    run = open_run(older)
    assert run.verify() == []
    assert run.status == "partial"
    assert run.entries() == {"one": "committed", "two": "committed", "three": "dead_lettered"}
    assert run.table("objects").num_rows == 100
    assert run.table("words", ["word"])["word"].to_pylist() == ["hello", "there"] * 2
    for name in run.tables():
        rows, declared = run.table(name), TABLES_BY_NAME[name].schema
        assert rows.column_names[: len(declared)] == declared.names
        assert all(rows[column].null_count == rows.num_rows for column in run.absent(name))
        assert {column for column in run.unfilled().table(name).column_names if column in declared.names} == {*declared.names} - {
            *run.absent(name)
        }


def test_a_column_that_was_renamed_has_its_name_of_today(older: Path, rumiai: Call) -> None:
    run = open_run(older)
    names = run.table("windows", ["name"])["name"].to_pylist()
    assert run.query("SELECT name FROM windows WHERE name IN ('hook', 'video')").num_rows * 2 == len(names)
    assert "window" not in run.table("windows").column_names
    with pytest.raises(ConfigError, match="it is called name now"):
        run.table("windows", ["window"])
    assert "schema version" not in rumiai("query", older, "SELECT window_index, name FROM windows")


@pytest.mark.parametrize(("name", "part"), [("faces", "face_landmarks"), ("poses", "pose_landmarks"), ("hands", "hand_landmarks")])
def test_landmarks_that_were_part_of_another_table_are_read_out_of_it(rumiai: Call, tmp_path: Path, name: str, part: str) -> None:
    older = unpacked(OLDER[-1], tmp_path)
    run = open_run(older)
    written = pa.concat_tables([pq.read_table(path) for path in run.files(name)])
    declared = TABLES_BY_NAME[part].schema
    assert run.files(part) == []
    assert run.table(part).select(declared.names).equals(written.select(declared.names))
    assert run.table(part, ["landmarks"]).equals(written.select(["landmarks"]))
    assert (run.absent(part), run.absent(name)) == ([], [])
    assert run.table(name).column_names == TABLES_BY_NAME[name].schema.names
    drawn = [row for rows in RunRows(run.unfilled()).drawn(video_key("one")).values() for row in getattr(rows, name)]
    assert [row["landmarks"] for row in drawn] == written.filter(pc.field("video_key") == video_key("one"))["landmarks"].to_pylist()
    said = rumiai("query", older, f"SELECT count(*) AS n FROM {name} JOIN {part} USING (video_key, frame_index)", "--json")  # noqa: S608
    assert json.loads(said)[0]["n"] >= written.num_rows > 0
    rumiai("export", older, "--format", "csv", "--to", "csv")
    assert len((tmp_path / "csv" / f"{part}.csv").read_text(encoding="utf-8").splitlines()) == written.num_rows + 1
    corpus = open_corpus([older])
    assert corpus.query(f"SELECT * FROM {part}").num_rows == written.num_rows  # noqa: S608
    assert corpus.table(part).column_names == declared.names
    assert corpus.table(name).column_names == TABLES_BY_NAME[name].schema.names


def test_tables_whose_rows_say_the_same_are_comparable() -> None:
    today = {name: TABLES_BY_NAME[name].version for name in ("faces", "face_landmarks", "windows", "words")}
    assert versions_as_read({"faces": 4, "windows": today["windows"], "words": 1}) == today | {"words": 1}
    assert versions_as_read({"faces": 2, "windows": 1}) == {"faces": 2, "face_landmarks": 1, "windows": 1}
    # Version 5 has columns more, each of which is null where nobody says it.
    assert versions_as_read({"videos": 4}) == {"videos": TABLES_BY_NAME["videos"].version}
    assert versions_as_read({"videos": 3}) == {"videos": 3}
    # Their figures were others where sound begins before the first picture.
    assert versions_as_read({"windows": 3, "timeline": 2}) == {"windows": 3, "timeline": 2}
    assert versions_as_read({"faces": today["faces"], "of_tomorrow": 7}) == {"faces": today["faces"], "of_tomorrow": 7}


def test_the_columns_that_its_schema_version_lacks_are_null_and_named(rumiai: Call, tmp_path: Path) -> None:
    older = unpacked(OLDER[0], tmp_path)
    run = open_run(older)
    assert run.absent("texts") == ["block_index", "script", "carried"]
    assert run.table("texts", ["text", "script"]).to_pylist()[0] == {"text": "BUY NOW", "script": None}
    assert run.table("texts", ["script"])["script"].to_pylist() == [None] * run.table("texts").num_rows
    assert run.query("SELECT count(*) AS n FROM texts WHERE carried IS NULL").to_pylist() == [{"n": run.table("texts").num_rows}]
    said = "texts: schema version 1, in which this run was written, lacks {}: null"
    for sql in ("FROM texts", "SELECT * FROM texts", "select t.* from texts AS t"):
        assert said.format("block_index, script, carried") in rumiai("query", older, sql)
    for call in (("report", older, "--to", "page"), ("export", older)):
        assert said.format("block_index, script, carried") in rumiai(*call)
    assert said.format("script") in rumiai("query", older, "SELECT Script FROM Texts")
    assert "words: schema version 1, in which this run was written, lacks normalized: null" in rumiai("query", older, "FROM words")
    for asked in (("query", older), ("corpus", "query", older)):
        assert "lacks" not in rumiai(*asked, "SELECT count( * ) AS n FROM videos"), "rows are counted, and no column is read"
    for sql in ("SELECT text FROM texts", "SELECT label FROM objects"):
        assert "schema version" not in rumiai("query", older, sql)


def test_every_verb_that_reads_a_run_reads_it(older: Path, rumiai: Call, tmp_path: Path) -> None:
    assert open_run(older).run_id in rumiai("runs", "ls")
    assert "no such file [three.mp4]" in rumiai("runs", "show", older, "--failures")
    rumiai("runs", "verify", older)
    counted = rumiai("query", older, "SELECT count(*) AS n FROM objects WHERE label = 'person'", "--json")
    assert json.loads(counted) == [{"n": 100}]
    rumiai("report", older, "--to", "page")
    assert "BUY NOW" in "".join(
        path.read_text(encoding="utf-8") for path in (tmp_path / "page").rglob("*") if path.suffix in {".html", ".js"}
    )


@pytest.mark.parametrize("kind", EXPORTS)
def test_it_is_exported(older: Path, rumiai: Call, kind: str) -> None:
    rumiai("export", older, "--to", kind)


def test_it_is_compared_with_a_run_of_today(older: Path, rumiai: Call, tmp_path: Path) -> None:
    write_run(tmp_path / "today", {name: plain_rows() for name in ("one", "two")})
    said = json.loads(rumiai("runs", "diff", older, tmp_path / "today" / RUN_ID, "--json", code=int(Exit.TROUBLED)))
    (words,) = [table for table in said["tables"] if table["name"] == "words"]
    assert (words["rows"], words["changed"], words["gone"], words["new"]) == ([4, 4], 0, 0, 0)


def test_it_is_not_resumed_and_the_way_to_go_on_is_said(older: Path, rumiai: Call) -> None:
    assert "start a new run" in rumiai("runs", "resume", older, code=int(Exit.USAGE))

"""Runs that earlier versions of this package wrote are read by this one. Each archive in `older/` is such a run, made by its day's code.

`docs/releasing.md` says how a release adds its own.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command_line import run_main
from report_run import plain_rows, write_run
from rumiai_ray.cli.exits import Exit
from rumiai_ray.runs.reader import open_run
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., str]

OLDER = sorted((Path(__file__).parent / "older").glob("*.tar.gz"))
EXPORTS = ("csv", "parquet", "json")


@pytest.fixture(params=OLDER, ids=lambda path: path.name.partition(".")[0])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The directory of the run, named `older`."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path / "runs", filter="data")
    (run,) = (tmp_path / "runs").iterdir()
    return run.rename(run.with_name("older"))


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


def test_its_rows_are_read_in_the_columns_of_their_day_and_every_byte_is_right(older: Path) -> None:
    run = open_run(older)
    assert run.verify() == []
    assert run.status == "partial"
    assert run.entries() == {"one": "committed", "two": "committed", "three": "dead_lettered"}
    assert run.table("objects").num_rows == 100
    assert run.table("words", ["word"])["word"].to_pylist() == ["hello", "there"] * 2
    for name in run.tables():
        assert run.table(name).schema.names


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

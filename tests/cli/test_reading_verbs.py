"""The verbs that read a run, in this process, through `main`: query, export, schema, runs diff."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest
import typer

from command_line import run_main
from rumiai_ray.cli import app, options
from rumiai_ray.cli.exits import Exit
from rumiai_ray.runs.failure_log import About, FailureLog
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.storage import Store
from synthetic_run import RUN_ID, analysis_row, dead_letter_row, manifest, object_row, stamped, video_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

OTHER_ID = "20261123T150712Z-3f9a1c"


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line; gives exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


def write(out: Path, run_id: str, label: str) -> None:
    writer = RunWriter.create(out, manifest(run_id))
    rows = {"videos": [video_row("clip")], "analyses": [analysis_row("yolo")], "objects": [object_row(0, label=label), object_row(1)]}
    writer.add({name: stamped(name, records, "clip", run_id) for name, records in rows.items()})
    writer.commit(["clip"])
    writer.finish("complete", {})


@pytest.fixture
def two_runs(tmp_path: Path) -> None:
    """Two runs of one video; the second one took its first object for something else."""
    write(tmp_path / "runs", RUN_ID, "person")
    write(tmp_path / "runs", OTHER_ID, "[bold]dog")


@pytest.mark.usefixtures("two_runs")
def test_a_query_is_answered_as_a_table_as_csv_and_as_json(rumiai: Call) -> None:
    sql = "SELECT label, count(*) AS n, min(view_count) AS views FROM objects JOIN videos USING (video_key) GROUP BY label ORDER BY label"
    code, shown, _ = rumiai("query", OTHER_ID, sql)
    assert code == Exit.COMPLETE
    assert "[bold]dog" in shown, "text of a run is no markup"
    assert "null" in shown
    assert rumiai("query", OTHER_ID, sql, "--csv")[1] == "label,n,views\n[bold]dog,1,\nperson,1,\n"
    assert json.loads(rumiai("query", OTHER_ID, sql, "--json")[1])[1] == {"label": "person", "n": 1, "views": None}


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_a_row_of_many_columns_is_shown_whole_at_any_width(rumiai: Call, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = rumiai("query", RUN_ID, "SELECT * FROM videos")[1]
    assert max(map(len, shown.splitlines())) <= columns
    (row,) = json.loads(rumiai("query", RUN_ID, "SELECT * FROM videos", "--json")[1])
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines() if len(line.split(maxsplit=1)) == 2)
    assert lines.keys() >= row.keys()
    assert lines["video_key"].rstrip() == row["video_key"][:12] + "…"
    assert all(lines[name].rstrip() == str(value) for name, value in row.items() if isinstance(value, int) and not isinstance(value, bool))


@pytest.mark.usefixtures("two_runs")
def test_wrong_sql_is_wrong_usage_and_says_why(rumiai: Call) -> None:
    code, out, err = rumiai("query", RUN_ID, "SELECT * FROM object")
    assert (code, out) == (Exit.USAGE, "")
    assert "object does not exist" in err
    assert "the tables are" in err


@pytest.mark.usefixtures("two_runs")
def test_diff_says_what_changed_and_ends_with_1(rumiai: Call) -> None:
    code, out, _ = rumiai("runs", "diff", RUN_ID, OTHER_ID)
    assert code == Exit.TROUBLED
    assert "label: 'person' → '[bold]dog'" in out
    assert "the runs differ" in out
    code, out, _ = rumiai("runs", "diff", RUN_ID, OTHER_ID, "--json")
    document = json.loads(out)
    assert code == Exit.TROUBLED
    assert document["differs"]
    (objects,) = [table for table in document["tables"] if table["name"] == "objects"]
    assert (objects["changed"], objects["columns"]) == (1, [["label", 1]])


@pytest.mark.usefixtures("two_runs")
def test_diff_of_a_run_with_itself_ends_with_0(rumiai: Call) -> None:
    code, out, _ = rumiai("runs", "diff", RUN_ID, RUN_ID)
    assert code == Exit.COMPLETE
    assert "no row differs" in out


@pytest.mark.usefixtures("two_runs")
def test_export_writes_each_format_where_it_says(rumiai: Call, tmp_path: Path) -> None:
    assert rumiai("export", RUN_ID, "--format", "csv")[0] == Exit.COMPLETE
    assert (tmp_path / f"{RUN_ID}-csv/objects.csv").is_file()
    assert rumiai("export", RUN_ID, "--format", "parquet", "--to", "tables")[0] == Exit.COMPLETE
    assert (tmp_path / "tables/objects.parquet").is_file()
    assert rumiai("export", RUN_ID, "--format", "feature-csv")[0] == Exit.COMPLETE
    (row,) = csv.DictReader(StringIO((tmp_path / f"{RUN_ID}-features.csv").read_text()))
    assert row["entry_id"] == "clip"


@pytest.mark.usefixtures("two_runs")
def test_json_is_the_same_five_documents_by_either_verb(rumiai: Call, tmp_path: Path) -> None:
    rumiai("export", RUN_ID, "--format", "json", "--to", "one")
    rumiai("runs", "show", RUN_ID, "--export-json", "other")
    one, other = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.json")} for name in ("one", "other")
    )
    assert len(one) == 5
    assert one == other


def test_schema_prints_every_column_of_every_table(rumiai: Call) -> None:
    code, out, _ = rumiai("schema", "--markdown")
    assert code == Exit.COMPLETE
    for table in TABLES_BY_NAME.values():
        section = out.partition(f"\n## {table.name}\n")[2].partition("\n## ")[0]
        assert table.definition in section
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == table.schema.names
    code, out, _ = rumiai("schema", "words")
    assert code == Exit.COMPLETE
    assert "The word, without surrounding space" in out
    assert rumiai("schema", "nope")[0] == Exit.USAGE


def test_help_imports_nothing_that_only_a_verb_needs() -> None:
    heavy = ("duckdb", "polars", "pandas", "jinja2", "supervision", "ray", "torch")
    code = (
        "import sys\nfrom rumiai_ray.cli import app\nsys.argv = ['rumiai-ray', '--help']\n"
        "try:\n    app.main()\nexcept SystemExit:\n    pass\n"
        f"print('imported:', [name for name in {heavy} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.rstrip().endswith("imported: []")


@pytest.mark.usefixtures("two_runs")
def test_report_writes_pages_and_says_which_one_to_open(rumiai: Call, tmp_path: Path) -> None:
    code, out, _ = rumiai("report", RUN_ID, "--store", str(tmp_path / "store"))
    assert (code, out) == (Exit.COMPLETE, f"open {RUN_ID}-report/index.html\n")
    assert "not in the frame store" in (tmp_path / f"{RUN_ID}-report/videos/clip.html").read_text(encoding="utf-8")
    code, out, _ = rumiai("report", RUN_ID, "--video", "clip", "--no-pictures", "--to", "one.html")
    assert (code, out) == (Exit.COMPLETE, "open one.html\n")
    assert "<title>clip.mp4</title>" in (tmp_path / "one.html").read_text(encoding="utf-8")
    code, _, err = rumiai("report", RUN_ID, "--video", "clop", "--no-pictures")
    assert code == Exit.USAGE
    assert "'clip'" in err


@pytest.mark.usefixtures("two_runs")
def test_annotate_names_what_is_missing(rumiai: Call, tmp_path: Path) -> None:
    code, _, err = rumiai("annotate", RUN_ID, "clip", "out.mp4")
    assert code == Exit.USAGE
    assert "clip.mp4: the video is no longer there (give it with --input)" in err
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    code, _, err = rumiai("annotate", RUN_ID, "clip", "out.mp4")
    assert code == Exit.USAGE
    assert "clip.mp4" in err
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.usefixtures("two_runs")
def test_a_report_without_pictures_names_the_store_that_the_run_was_made_with(rumiai: Call, tmp_path: Path) -> None:
    run = open_run(tmp_path / "runs" / RUN_ID)
    run.store.replace("manifest.json", run.manifest.model_copy(update={"config": {"store": "/data/frames"}}).to_json())
    code, out, err = rumiai("report", RUN_ID, "--to", str(tmp_path / "report"), "--store", str(tmp_path / "another"))
    assert code == Exit.COMPLETE
    assert out.startswith("open ")
    assert "has none of this run's frames; it was made with --store /data/frames" in err


@pytest.mark.usefixtures("two_runs")
def test_failures_of_a_run_are_printed_with_their_tracebacks_and_move_no_cursor(rumiai: Call, tmp_path: Path) -> None:
    run = Store.at(tmp_path / "runs" / RUN_ID)
    log = FailureLog(run)
    log.add("model", "ValueError: \x1b[2J[bold]no", "Traceback …\n  File 'a.py'\nValueError: no", About("clip", "clip.mp4", "k", "yolo", 2))
    log.add("model", "Crash: it died", "", About("clip", "clip.mp4", "k", "ocr", 1))
    code, out, _ = rumiai("runs", "show", RUN_ID, "--failures")
    assert code == Exit.COMPLETE
    lines = out.splitlines()
    assert lines[0].endswith(" yolo, attempt 2: ValueError: \N{REPLACEMENT CHARACTER}[2J[bold]no")
    assert lines[1:3] == ["  entry clip, clip.mp4", "  video k"]
    assert "    File 'a.py'" in lines
    assert "  no traceback: nothing was raised, as where a process was killed" in lines
    told = json.loads(rumiai("runs", "show", RUN_ID, "--failures", "--json")[1])
    assert [(failure["model"], failure["attempt"]) for failure in told] == [("yolo", 2), ("ocr", 1)]
    assert rumiai("runs", "show", OTHER_ID, "--failures")[:2] == (Exit.COMPLETE, "no failures\n")


def test_a_run_of_an_earlier_version_without_a_log_says_what_its_tables_say(rumiai: Call, tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path / "runs", manifest())
    writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row("gone")], "gone")})
    writer.commit([], ["gone"])
    out = rumiai("runs", "show", RUN_ID, "--failures")[1]
    assert "no log of failures" in out
    assert "dead letter: InputError: no such file [gone.mp4]" in out


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize(
    "arguments", [("-v", "runs", "show", RUN_ID), ("runs", "show", RUN_ID, "-v"), ("runs", "show", "--verbose", RUN_ID), ("status", "-v")]
)
def test_verbose_stands_before_or_after_the_verb(rumiai: Call, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    asked: list[int] = []
    monkeypatch.setattr(app, "configure", asked.append)
    monkeypatch.setattr(options, "configure", asked.append)
    assert rumiai(*arguments)[0] == Exit.COMPLETE
    assert max(asked) == 1


@pytest.mark.parametrize("verbose", ["-v", "-vv", "--verbose"])
def test_verbose_before_a_video_analyses_it(monkeypatch: pytest.MonkeyPatch, verbose: str) -> None:
    called: list[list[str]] = []

    def resolve(_: object, __: object, arguments: list[str]) -> None:
        called.append(arguments)
        raise typer.Abort

    monkeypatch.setattr(app, "configure", lambda _: None)
    monkeypatch.setattr(app._DefaultsToAnalyze, "resolve_command", resolve)
    monkeypatch.setattr(sys, "argv", ["rumiai-ray", verbose, "clip.mp4"])
    with pytest.raises(SystemExit):
        app.main()
    assert called == [["analyze", "clip.mp4"]]


def test_a_log_level_that_does_not_exist_is_wrong_usage(rumiai: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUMIAI_LOG", "loud")
    code, _, err = rumiai("runs", "ls")
    assert code == Exit.USAGE
    assert "RUMIAI_LOG: no such level: 'loud'" in err


@pytest.mark.usefixtures("two_runs")
def test_a_query_without_rows_names_its_columns_and_says_so(rumiai: Call) -> None:
    code, out, err = rumiai("query", RUN_ID, "SELECT entry_id, label FROM objects JOIN videos USING (video_key) WHERE false")
    assert (code, "entry_id" in out, "label" in out, err.strip()) == (Exit.COMPLETE, True, True, "no rows")
    assert rumiai("query", RUN_ID, "SELECT * FROM videos WHERE false")[1].strip()

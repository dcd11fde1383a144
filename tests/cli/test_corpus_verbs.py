"""`corpus ls|query|compare|export` and `manifest minus`, in this process, through `main`."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohort_runs import write_liked_videos
from command_line import run_main
from made_corpus import Commit, Made, made_run
from rumiai_ray import open_run
from rumiai_ray.cli.corpus import OverPeriod, StratifyBy
from rumiai_ray.cli.exits import Exit
from rumiai_ray.corpus.cohorts.features import CONFOUNDERS
from rumiai_ray.corpus.cohorts.over_time import Period
from rumiai_ray.corpus.minus import write_manifest
from rumiai_ray.ingest.entries import read_manifest
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import rewrite

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., tuple[int, str, str]]

COUNT = "SELECT class_id, count(*) AS n FROM objects GROUP BY class_id ORDER BY class_id"


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in a directory of its own, whose runs are in `runs`; gives exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two comparable runs that share a video."""
    out = tmp_path / "runs"
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("b.mp4", "b", mark=2)])])
    made_run(out, "two", [Commit(2, [Made("b.mp4", "b", mark=3), Made("x.mp4", "x", dead=True)])], source_sha256="b" * 64)
    return out


@pytest.fixture
def other(runs: Path) -> None:
    """A third run, with another setting and a name that a terminal would obey in its values."""
    made_run(runs, "three", [Commit(3, [Made("c.mp4", "c", mark=4)])], result_settings={"label": "\x1b[31m[bold]red"})


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("named", [["runs/*"], ["runs/one", "runs/two"], ["one", "two"], ["one", "latest", "*o*"]])
def test_runs_are_named_by_pattern_path_or_id(rumiai: Call, named: list[str]) -> None:
    code, out, _ = rumiai("corpus", "query", *named, COUNT, "--csv")
    assert (code, out) == (Exit.COMPLETE, "class_id,n\n1,2\n3,2\n")


@pytest.mark.usefixtures("runs")
def test_an_answer_is_a_table_or_json(rumiai: Call) -> None:
    assert "class_id" in rumiai("corpus", "query", "runs/*", COUNT)[1]
    assert json.loads(rumiai("corpus", "query", "runs/*", COUNT, "--json")[1]) == [{"class_id": 1, "n": 2}, {"class_id": 3, "n": 2}]
    code, _, err = rumiai("corpus", "query", "runs/*", COUNT, "--json", "--csv")
    assert code == Exit.USAGE
    assert "either --csv or --json" in err


@pytest.mark.usefixtures("runs")
def test_an_empty_answer_names_its_columns_however_many_they_are(rumiai: Call) -> None:
    code, out, err = rumiai("corpus", "query", "runs/*", "SELECT * FROM videos WHERE false")
    assert (code, err) == (Exit.COMPLETE, "no rows\n")
    named = "".join(out.splitlines())
    assert all(name in named for name in TABLES_BY_NAME["videos"].schema.names)
    assert "┃" not in out
    _, out, _ = rumiai("corpus", "query", "runs/*", "SELECT input, fps FROM videos WHERE false")
    assert [cell.strip() for cell in out.splitlines()[1].split("┃")[1:3]] == ["input", "fps"]


@pytest.mark.usefixtures("other")
def test_ls_shows_what_counts_of_each_run_and_what_differs_and_no_text_speaks_to_the_terminal(rumiai: Call) -> None:
    code, out, _ = rumiai("corpus", "ls", "runs/*")
    assert code == Exit.COMPLETE
    rows = {words[0]: words[1:] for words in map(str.split, out.splitlines()[1:4])}
    assert rows["one"] == ["complete", "2026-11-01", "00:01", "2", "0", "1", "no"]
    assert rows["two"] == ["complete", "2026-11-01", "00:02", "1", "1", "1", "no"]
    assert rows["three"] == ["complete", "2026-11-01", "00:03", "1", "0", "1", "yes"]
    assert "one  not comparable: settings.label: — | \N{REPLACEMENT CHARACTER}[31m[bold]red" in out
    assert f"two  also other: source_sha256: {'b' * 64} | {'a' * 64}" in out
    assert "\x1b[31m" not in out
    assert json.loads(rumiai("corpus", "ls", "runs/*", "--json")[1])[0]["counted"] == 1


@pytest.mark.usefixtures("other")
def test_runs_that_are_not_comparable_need_a_word(rumiai: Call) -> None:
    code, out, err = rumiai("corpus", "query", "runs/*", COUNT)
    assert (code, out) == (Exit.USAGE, "")
    assert "settings.label" in err
    assert "--allow-mixed" in err
    assert "\x1b" not in err
    assert rumiai("corpus", "query", "runs/*", COUNT, "--csv", "--allow-mixed")[1] == "class_id,n\n1,2\n3,2\n4,2\n"


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(("named", "said"), [("nosuch*", "no run matches"), ("runs", "runs/*"), ("runs/nosuch", "no such run")])
def test_a_name_that_is_no_run_is_wrong_usage(rumiai: Call, named: str, said: str) -> None:
    code, _, err = rumiai("corpus", "ls", named)
    assert code == Exit.USAGE
    assert said in err


@pytest.mark.usefixtures("runs")
def test_export_writes_every_table_once_and_over_nothing(rumiai: Call, tmp_path: Path) -> None:
    assert rumiai("corpus", "export", "runs/*")[0] == Exit.COMPLETE
    with (tmp_path / "corpus-csv/objects.csv").open() as file:
        assert sorted(row["class_id"] for row in csv.DictReader(file)) == ["1", "1", "3", "3"]
    assert (tmp_path / "corpus-csv/words.csv").read_text().startswith("run_id,video_key,")
    assert rumiai("corpus", "export", "runs/*", "--format", "parquet", "--to", "all")[0] == Exit.COMPLETE
    exported = pq.read_table(tmp_path / "all/videos.parquet")
    assert set(exported["view_count"].to_pylist()) == {1, 3}
    assert (exported.schema.field("duration_s").metadata or {})[b"unit"] == b"s"
    assert pq.read_table(tmp_path / "all/runs.parquet").num_rows == 2
    assert rumiai("corpus", "export", "runs/*", "--format", "feature-csv")[0] == Exit.COMPLETE
    (first, second) = csv.DictReader(StringIO((tmp_path / "corpus-features.csv").read_text()))
    assert {first["person_framing.face_frames"], second["person_framing.face_frames"]} == {"1", "3"}
    code, _, err = rumiai("corpus", "export", "runs/*")
    assert (code, "not empty" in err) == (Exit.USAGE, True)


@pytest.mark.usefixtures("runs")
def test_an_export_of_chosen_tables_without_bulky_columns(rumiai: Call, tmp_path: Path) -> None:
    assert rumiai("corpus", "export", "runs/*", "--tables", "texts, objects,texts", "--no-landmarks")[0] == Exit.COMPLETE
    assert {path.name for path in (tmp_path / "corpus-csv").iterdir()} == {"objects.csv", "texts.csv"}
    assert "polygon" not in (tmp_path / "corpus-csv/texts.csv").read_text().splitlines()[0].split(",")
    light = ("corpus", "export", "runs/*", "--format", "parquet", "--no-landmarks", "--to", "light")
    assert rumiai(*light)[0] == Exit.COMPLETE
    written = {path.stem for path in (tmp_path / "light").iterdir()}
    assert {"videos", "faces", "summary"} <= written
    assert not [name for name in written if name in TABLES_BY_NAME and TABLES_BY_NAME[name].part_of]
    assert "polygon" not in pq.read_schema(tmp_path / "light/texts.parquet").names
    assert rumiai("corpus", "export", "runs/*", "--tables", "summary", "--to", "one")[0] == Exit.COMPLETE
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["summary.csv"]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("arguments", [("--tables", "nosuch"), ("--format", "feature-csv", "--no-landmarks")])
def test_an_export_that_cannot_be_as_asked_writes_nothing(rumiai: Call, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, _, err = rumiai("corpus", "export", "runs/*", *arguments, "--to", "nothing")
    assert code == Exit.USAGE
    assert "no table 'nosuch'" in err or "--tables and --no-landmarks need" in err
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_file_ends_an_export_with_its_name(rumiai: Call, runs: Path) -> None:
    (file,) = open_run(runs / "one").files("texts")
    (runs / "one" / file).write_bytes(b"nothing")
    code, _, err = rumiai("corpus", "export", "runs/*")
    assert code == Exit.USAGE
    assert f"StorageError: {file}: cannot be read" in err


def altered_manifest(run: Path, **changes: object) -> None:
    """Change a run's manifest on the disk."""
    path = run / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


AFTER_PYTHONS_CALENDAR_S = 1_000_000_000_000
"""In the year 33658."""


def with_a_late_time(out: Path) -> None:
    """A run whose file of `videos` has a time after the year 9999, under a size and a digest that fit."""
    run = made_run(out, "late", [Commit(1, [Made("a.mp4", "a")])])
    record = run.records[0]
    facts = next(file for file in record.files if file.table == "videos")
    rows = pq.read_table(out / "late" / facts.path)
    place = rows.column_names.index("uploaded_at")
    kind = rows.schema.field(place)
    late = pa.array([AFTER_PYTHONS_CALENDAR_S * 1000], pa.int64()).cast(kind.type)
    file = out / "late" / facts.path
    pq.write_table(rows.set_column(place, kind, late), file)
    data = file.read_bytes()
    changed = facts.model_copy(update={"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    rewrite(run.store, record.model_copy(update={"files": tuple(changed if one is facts else one for one in record.files)}))


@pytest.mark.parametrize("kind", ["csv", "parquet", "feature-csv"])
def test_a_time_that_no_calendar_has_is_damage_and_leaves_no_half_of_an_export(rumiai: Call, tmp_path: Path, kind: str) -> None:
    with_a_late_time(tmp_path / "runs")
    code, _, err = rumiai("corpus", "export", "runs/*", "--format", kind, "--to", "exported")
    assert code == Exit.USAGE
    assert "StorageError" in err
    assert "the column 'uploaded_at' holds times out of range" in err
    assert not (tmp_path / "exported").exists()


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("shape", [[], ["--csv"], ["--json"]])
@pytest.mark.parametrize("value", ["'290000-01-01'::timestamp", "['infinity'::timestamp]", "'200000-01-01'::date"])
def test_a_time_in_an_answer_that_no_calendar_has_is_said_to_be_one(rumiai: Call, value: str, shape: list[str]) -> None:
    for question in (["corpus", "query", "runs/*"], ["query", "one"]):
        code, _, err = rumiai(*question, f"SELECT {value} AS late", *shape)
        assert code == Exit.USAGE
        assert "ConfigError: the column 'late' has a value that cannot be written" in err
        assert "VARCHAR" in err


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_run_of_a_year_that_no_clock_shows_is_damaged(rumiai: Call, runs: Path, time: str) -> None:
    altered_manifest(runs / "one", created_at=time)
    code, _, err = rumiai("corpus", "query", "runs/*", COUNT)
    assert (code, "unreadable manifest (created_at: " in err) == (Exit.USAGE, True)
    two = open_run(runs / "two")
    rewrite(two.store, two.records[0].model_copy(update={"written_at": datetime.fromisoformat(time)}))
    code, _, err = rumiai("corpus", "query", "runs/two", COUNT)
    assert (code, "00000000.json is damaged" in err, "written_at" in err) == (Exit.USAGE, True, True)


def _without_a_record(run: Path) -> None:
    (run / "commits/00000000.json").unlink()


def _with_a_manifest_of_no_year(run: Path) -> None:
    altered_manifest(run, created_at="0001-01-01T00:00:00+14:00")


def _with_a_pipe_for_a_manifest(run: Path) -> None:
    (run / "manifest.json").unlink()
    os.mkfifo(run / "manifest.json")


def _with_a_pipe_for_rows(run: Path) -> None:
    (name,) = open_run(run).files("videos")
    Path(name).unlink()
    os.mkfifo(name)


def _with_other_rows(run: Path) -> None:
    (name,) = open_run(run).files("videos")
    Path(name).write_bytes(b"x" * Path(name).stat().st_size)


@pytest.mark.parametrize(
    "damage", [_without_a_record, _with_a_manifest_of_no_year, _with_a_pipe_for_a_manifest, _with_a_pipe_for_rows, _with_other_rows]
)
def test_ls_lists_a_damaged_run_as_such_beside_the_others(rumiai: Call, runs: Path, damage: Callable[[Path], None]) -> None:
    damage(runs / "two")
    code, out, _ = rumiai("corpus", "ls", "runs/*")
    assert code == Exit.COMPLETE
    listed = [line.split()[:2] for line in out.splitlines()[1:3]]
    assert listed == [["one", "complete"], ["two", "damaged"]]
    (said,) = [line for line in out.splitlines() if line.startswith("two  damaged: ")]
    assert "runs/two" in said
    (one, two) = json.loads(rumiai("corpus", "ls", "runs/*", "--json")[1])
    assert (one["counted"], one["problem"]) == (2, None)
    assert (two["status"], two["counted"]) == ("damaged", None)
    assert rumiai("corpus", "query", "runs/*", COUNT)[0] == Exit.USAGE, "rows are not left out without a word"


@pytest.mark.parametrize("is_damaged", [True, False])
def test_ls_shows_no_secret_of_the_address_of_a_run(rumiai: Call, runs: Path, is_damaged: bool) -> None:  # noqa: FBT001 -- private
    address = f"memory://{uuid4().hex}/two?X-Amz-Signature=plantedhunter2"
    files = fsspec.filesystem("memory")
    files.put(str(runs / "two"), address.removeprefix("memory:/"), recursive=True)
    if is_damaged:
        files.pipe_file(f"{address.removeprefix('memory:/')}/manifest.json", b"{")
    for arguments in (("corpus", "ls", "runs/one", address), ("corpus", "ls", address, "--json")):
        code, out, err = rumiai(*arguments)
        assert code == Exit.COMPLETE
        assert "two" in out
        assert ("damaged" in out) is is_damaged
        assert "hunter2" not in out + err


def test_a_run_without_rows_is_not_what_others_are_compared_with(rumiai: Call, runs: Path) -> None:
    made_run(runs, "zero", [], result_settings={"label": "other"}, finish=False)
    assert rumiai("corpus", "query", "runs/*", COUNT, "--csv")[:2] == (Exit.COMPLETE, "class_id,n\n1,2\n3,2\n")
    code, out, _ = rumiai("corpus", "ls", "runs/*")
    assert code == Exit.COMPLETE
    assert "zero" in out
    assert "not comparable" not in out


@pytest.mark.usefixtures("runs")
def test_a_line_break_in_a_manifest_begins_no_line_of_a_message(rumiai: Call, runs: Path) -> None:
    made_run(runs, "three", [Commit(3, [Made("c.mp4", "c")])], result_settings={"label": "x\nrumiai-ray: all is well\u2028so\rit is"})
    for said in (rumiai("corpus", "query", "runs/*", COUNT)[2], rumiai("corpus", "ls", "runs/*")[1]):
        assert "settings.label: — | x\\nrumiai-ray: all is well\\u2028so\\rit is" in said


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run over a local file of 1,000 bytes and a web address; a dead letter; and a folder with other files."""
    content = b"x" * 1000
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, data in {"a.mp4": content, "copy.mp4": content, "other.mp4": b"y" * 1000, "new.mp4": b"z"}.items():
        (folder / name).write_bytes(data)
    monkeypatch.setattr("made_corpus.video_key", lambda made: hashlib.sha256(made.encode()).hexdigest())
    entries = [
        Made("clips/a.mp4", "x" * 1000),
        Made("https://h.example/seen.mp4", "seen"),
        Made("https://h.example/signed.mp4?…", "signed"),
        Made("https://h.example/dead.mp4", "dead", dead=True),
    ]
    made_run(tmp_path / "runs", "one", [Commit(1, entries)])
    return folder


MANIFEST = """id,Link,note
1,clips/a.mp4,"analysed, by name"
2,clips/copy.mp4,analysed under another name
3,clips/other.mp4,=1+1
4,clips/new.mp4,
5,clips/gone.mp4,missing
6,https://h.example/seen.mp4,analysed
7,https://h.example/unseen.mp4,new
8,https://h.example/dead.mp4,dead
9,https://h.example/signed.mp4?sig=hunter2,cannot be told
9,clips/a.mp4,an id that is taken
"""


@pytest.mark.usefixtures("clips")
def test_minus_leaves_out_what_is_analysed_by_content_or_address_and_keeps_the_other_rows_as_they_are(rumiai: Call, tmp_path: Path) -> None:
    (tmp_path / "posts.csv").write_text(MANIFEST)
    code, _, err = rumiai("manifest", "minus", "posts.csv", "runs/*", "--to", "left.csv", "--input-column", "link")
    assert code == Exit.COMPLETE, err
    kept = [line for line in MANIFEST.splitlines() if line[:1] not in {"1", "2", "6"}]
    assert (tmp_path / "left.csv").read_text().splitlines() == kept
    assert "7 rows written to left.csv; 3 rows are analysed already" in err
    assert "1 row stays in: a run does not keep the query of an address" in err
    assert "hunter2" not in err
    assert [entry.line for entry in read_manifest("left.csv", input_column="link")] == [2, 3, 4, 5, 6, 7, 8]
    code, _, err = rumiai("manifest", "minus", "posts.csv", "runs/*", "--to", "left.csv", "--input-column", "link")
    assert (code, "already exists" in err) == (Exit.USAGE, True)


@pytest.mark.usefixtures("clips")
def test_minus_opens_no_file_that_a_row_must_not_name(rumiai: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "posts.csv").write_text(MANIFEST)
    monkeypatch.setenv("RUMIAI_LIMITS_INPUTS", "web")
    opened: list[object] = []
    monkeypatch.setattr("rumiai_ray.corpus.minus.open_regular", opened.append)
    code, _, err = rumiai("manifest", "minus", "posts.csv", "runs/*", "--to", "left.csv", "--input-column", "link")
    assert code == Exit.COMPLETE, err
    assert "9 rows written to left.csv; 1 row is analysed already" in err
    assert opened == []


@pytest.mark.usefixtures("clips")
def test_minus_asks_only_what_was_read_of_runs_that_cannot_be_compared(rumiai: Call, tmp_path: Path) -> None:
    made_run(
        tmp_path / "runs", "two", [Commit(2, [Made("clips/other.mp4", "y" * 1000)])], families=("yolo",), result_settings={"label": "other"}
    )
    assert rumiai("manifest", "minus", "clips", "runs/*", "--to", "left.jsonl")[0] == Exit.COMPLETE
    assert (tmp_path / "left.jsonl").read_text() == '{"input": "clips/new.mp4"}\n'


@pytest.mark.usefixtures("runs")
def test_ls_fits_a_terminal_of_eighty_columns_and_says_a_missing_model_in_one_line(
    rumiai: Call, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    made_run(runs, "20261122T150712Z-3f9a1c", [Commit(3, [Made("c.mp4", "c")])], families=("yolo", "ocr"), finish=False)
    code, out, _ = rumiai("corpus", "ls", "runs/*")
    assert code == Exit.COMPLETE
    words = {word for line in out.splitlines() for word in line.split()}
    assert {"run", "status", "videos", "dead", "counted", "comparable", "incomplete", "20261122T150712Z-3f9a1c", "2026-11-01"} <= words
    assert [line for line in out.splitlines() if line.startswith("one  not comparable")] == [
        "one  not comparable: models.mediapipe: mediapipe/backend | —"
    ]
    assert not [line for line in out.splitlines() if "also other" in line and "mediapipe" in line]


@pytest.mark.usefixtures("clips")
def test_minus_reads_a_folder_and_json_lines_and_names_what_it_cannot_read(rumiai: Call, tmp_path: Path) -> None:
    assert rumiai("manifest", "minus", "clips", "one", "--to", "left.jsonl")[0] == Exit.COMPLETE
    left = [json.loads(line)["input"] for line in (tmp_path / "left.jsonl").read_text().splitlines()]
    assert left == ["clips/new.mp4", "clips/other.mp4"]
    (tmp_path / "posts.jsonl").write_text('{"input": "clips/a.mp4"}\n{"input": "clips/new.mp4", "likes": 3}\n{nonsense\n')
    code, _, err = rumiai("manifest", "minus", "posts.jsonl", "one", "--to", "more.jsonl")
    assert code == Exit.COMPLETE
    assert json.loads((tmp_path / "more.jsonl").read_text()) == {"input": "clips/new.mp4", "likes": "3"}
    assert "left out, since it cannot be read: posts.jsonl, line 3: not valid JSON" in err


@pytest.mark.usefixtures("clips")
def test_minus_writes_no_file_where_nothing_is_left_and_none_of_another_kind(rumiai: Call, tmp_path: Path) -> None:
    (tmp_path / "posts.txt").write_text("clips/a.mp4\nclips/copy.mp4\n")
    code, _, err = rumiai("manifest", "minus", "posts.txt", "one", "--to", "left.csv")
    assert code == Exit.COMPLETE
    assert "2 rows are analysed already" in err
    assert not (tmp_path / "left.csv").exists()
    (tmp_path / "posts.txt").write_text("clips/new.mp4\n")
    code, _, err = rumiai("manifest", "minus", "posts.txt", "one", "--to", "left.parquet")
    assert (code, "known endings: .csv, .jsonl" in err) == (Exit.USAGE, True)


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize("name", ["left.jsonl", "left.csv"])
def test_minus_replaces_what_no_file_can_hold_and_says_so(rumiai: Call, tmp_path: Path, name: str) -> None:
    long = "x" * 20_000
    rows = [{"input": "clips/new.mp4", "note": f"a\ud800b{long}"}, {"input": "clips/other.mp4", "note": "plain"}]
    (tmp_path / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, err = rumiai("manifest", "minus", "posts.jsonl", "one", "--to", name)
    assert code == Exit.COMPLETE, err
    assert "1 row has characters that no file can hold" in err
    text = (tmp_path / name).read_text()
    left = [json.loads(line) for line in text.splitlines()] if name.endswith("l") else list(csv.DictReader(StringIO(text)))
    assert [row["note"] for row in left] == [f"a\N{REPLACEMENT CHARACTER}b{long}", "plain"]


@pytest.mark.parametrize("name", ["left.jsonl", "left.csv"])
def test_a_manifest_that_cannot_be_written_to_its_end_is_not_left_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_manifest([{"input": "x" * 100_000}, {"input": "\ud800"}], tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.fixture
def liked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in which liked videos differ from the others."""
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        write_liked_videos(tmp_path / "runs", title="\x1b[31m[bold]red")


@pytest.mark.usefixtures("liked")
def test_cohorts_are_compared_in_a_table_in_csv_in_json_and_on_a_page(rumiai: Call, tmp_path: Path) -> None:
    question = ("corpus", "compare", "runs/*", "--by", "like_count", "--top", "10")
    code, out, err = rumiai(*question)
    assert code == Exit.COMPLETE
    assert out.startswith("top 10 by like_count: 10 videos; the rest: 49\n")
    assert "! The cohorts also differ in how long they are (median " in out
    assert "(--stratify duration)" in out
    assert re.search(r"hook_cuts_per_minute .* 10 .* 49 .* \+[01]\.\d\d ", out)
    assert "2 of " in out
    assert "It shows which features occur together, not why." in err
    _, out, err = rumiai(*question, "--csv")
    assert "! The cohorts also differ in how long they are (median " in err
    assert "It shows which features occur together, not why." in err
    rows = list(csv.DictReader(StringIO(out)))
    assert [row["feature"] for row in rows if row["verdict"] == "found"] == ["hook_cuts_per_minute", "hook_has_captions"]
    assert len(json.loads(rumiai(*question, "--json", "--stratify", "duration")[1])) == len(rows)
    assert rumiai(*question, "--page", "page.html")[2].startswith("open page.html\n")
    assert "<h2>What differs</h2>" in (tmp_path / "page.html").read_text()
    assert rumiai(*question, "--page", "page.html")[0] == Exit.USAGE


@pytest.mark.usefixtures("liked")
def test_a_condition_a_correlation_and_a_metric_over_time_are_asked_for_by_one_verb(rumiai: Call, tmp_path: Path) -> None:
    code, out, _ = rumiai("corpus", "compare", "runs/*", "--where", "hook_has_captions")
    assert code == Exit.COMPLETE
    assert re.search(r"like_count .* \+0\.\d", out)
    rows = list(csv.DictReader(StringIO(rumiai("corpus", "compare", "runs/*", "--where", "hook_has_captions", "--csv")[1])))
    kinds = {row["feature"]: row["kind"] for row in rows}
    assert (kinds["like_count"], kinds["hook_cuts_per_minute"]) == ("outcome", "feature")
    assert float(next(row["effect"] for row in rows if row["feature"] == "like_count")) > 0
    out = rumiai("corpus", "compare", "runs/*", "--by", "like_count", "--correlate")[1]
    assert "like_count: known of 59 videos" in out
    assert "posted_at" in out
    out = rumiai("corpus", "compare", "runs/*", "--by", "like_count", "--over", "week", "--page", "weeks.html")[1]
    assert "2026-09-21" in out
    assert "like_count is higher" in out
    assert "2026-09-14" in (tmp_path / "weeks.html").read_text()


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "either --by or --where"),
        (("--by", "like_count", "--where", "true"), "either --by or --where"),
        (("--where", "true", "--top", "25%"), "--top needs --by"),
        (("--where", "true", "--correlate"), "--where: cannot be used with --correlate"),
        (("--by", "like_count", "--over", "week", "--stratify", "duration"), "--stratify: cannot be used with --correlate or --over"),
        (("--by", "like_count", "--over", "week", "--correlate"), "either --correlate or --over"),
        (("--by", "like_count", "--csv", "--json"), "either --csv or --json"),
        (("--by", "nosuch"), "nosuch"),
    ],
)
def test_what_does_not_go_together_in_a_comparison_is_wrong_usage(rumiai: Call, options: tuple[str, ...], said: str) -> None:
    code, out, err = rumiai("corpus", "compare", "runs/*", *options)
    assert (code, out) == (Exit.USAGE, "")
    assert said in err


def test_the_choices_of_the_command_line_are_those_of_the_library() -> None:
    assert {*StratifyBy} == {*CONFOUNDERS}
    assert [*OverPeriod] == [*Period]


@pytest.mark.usefixtures("runs")
def test_search_shows_where_words_are_found(rumiai: Call) -> None:
    code, out, err = rumiai("corpus", "search", "runs/*", "person")
    assert (code, err) == (Exit.COMPLETE, "found in 2 places\n")
    assert "[[person]]" in out
    rows = json.loads(rumiai("corpus", "search", "runs/*", "person", "--json", "--limit", "1")[1])
    assert [(row["kind"], row["text"], row["words"]) for row in rows] == [("object", "[[person]]", 1)]
    code, _, err = rumiai("corpus", "search", "runs/*", "--raw", '"person')
    assert code == Exit.USAGE
    assert "without --raw" in err

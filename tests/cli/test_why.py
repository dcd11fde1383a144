"""`runs why`: which entry is meant, what is said of it, and that a damaged or hostile log changes nothing but what is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import run_main
from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.why import _place, find_entries
from rumiai_ray.errors import ConfigError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.failure_log import About
from rumiai_ray.runs.history_log import AnalysisFact, HistoryLine, ModelFact, ReadingFact
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import RUN_ID, analysis_row, dead_letter_row, manifest, stamped, video_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

SIGNED = "https://bucket.example/clip.mp4?X-Amz-Signature=hunter2"
ENTRIES = [
    Entry("well", "well.mp4", {}, "/clips/well.mp4", 2),
    Entry("signed", SIGNED, {}, SIGNED, 3),
    Entry("gone", "gone.mp4", {}, "/clips/gone.mp4", 4),
    Entry("later", "later.mp4", {}, "/clips/later.mp4", 5),
    Entry("7", "well.mp4", {}, "/clips/well.mp4", 6),
]


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line; gives exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


@pytest.fixture
def writer(tmp_path: Path) -> RunWriter:
    """Of a run in which one entry is committed, one is a dead letter and one has only been begun."""
    entries = EntryFile.of(ENTRIES)
    made = RunWriter.create(
        tmp_path / "runs", manifest(entries=len(ENTRIES), entries_sha256=entries.sha256, locations="0" * 32,
                                    command=("rumiai-ray", "batch", "--manifest", "m.csv")), entries=entries.data,
        locations=entries.secret,
    )  # fmt: skip
    history, failures = made.logs.history, made.logs.failures
    history.begins("driver")
    for entry, attempt in (("well", 1), ("gone", 1), ("later", 1), ("later", 2)):
        history.add(HistoryLine(time=f"2026-11-22T15:08:0{attempt}.000+00:00", event="reading", entry=entry, node="n1", attempt=attempt))
    failures.add("model", "Crash: the process of yolo died", "", About("well", "well.mp4", "k", "yolo", 1, "n2/abc"))
    model = ModelFact(attempts=2, failed_rows=0, seconds=3.25, cpu_s=6.5)
    analysis = AnalysisFact(rows=7, nodes={"n2/abc": 7}, resent=1, began=1795360090.0, ended=1795360099.5, models={"yolo": model})
    reading = ReadingFact(node="n1", began=1795360070.0, took_s=1.5)
    history.add(
        HistoryLine(
            time="2026-11-22T15:09:00.000+00:00", event="ended", entry="well", outcome="committed", reading=reading, analysis=analysis
        )
    )
    history.add(HistoryLine(time="2026-11-22T15:09:01.000+00:00", event="ended", entry="gone", outcome="dead_letter"))
    made.add(
        {
            "videos": stamped("videos", [video_row("well")], "well"),
            "analyses": stamped("analyses", [analysis_row("yolo", attempts=2)], "well"),
        }
    )
    made.add({"dead_letter": stamped("dead_letter", [dead_letter_row("gone")], "gone")})
    made.commit(["well"], ["gone"])
    history.ends("the driver was told to stop")
    return made


@pytest.mark.usefixtures("writer")
def test_an_entry_that_went_through_a_crash_is_told_with_nodes_attempts_errors_and_cost(rumiai: Call) -> None:
    code, out, _ = rumiai("runs", "why", RUN_ID, "well")
    assert code == Exit.COMPLETE
    assert out.splitlines()[:3] == [
        "entry well, line 2 of the manifest: well.mp4",
        "outcome: committed (commit 0)",
        "  yolo: ok (after 2 attempts)",
    ]
    for said in (
        "a driver on driver begins",
        "n1 begins to read it",
        "read on n1, in 1.50 s",
        "yolo, attempt 1 on n2/abc: Crash: the process of yolo died",
        "7 rows of work answered: 7 on n2/abc; 9.50 s from the first to the last; 1 row sent again",
        "it is in the run",
        "the session ends: the driver was told to stop",
        "cost, without attempts that failed: reading 1.50 s, yolo 3.25 s (6.50 s of CPU)",
    ):
        assert said in out
    assert out.index("n1 begins to read it") < out.index("read on n1"), "though the driver may learn of the beginning later"


@pytest.mark.usefixtures("writer")
def test_a_dead_letter_and_an_entry_that_never_came_are_told_apart(rumiai: Call) -> None:
    dead = rumiai("runs", "why", RUN_ID, "gone")[1]
    assert "outcome: a dead letter (commit 0) at ingest, after 1 attempt: InputError: no such file" in dead
    later = rumiai("runs", "why", RUN_ID, "later")[1]
    assert "outcome: not in the run, which is incomplete: it may still come, or `rumiai-ray runs resume" in later
    assert "n1 begins to read it for the second time, the process before it died" in later
    untouched = rumiai("runs", "why", RUN_ID, "signed")[1]
    assert "the log has nothing of this entry" in untouched


@pytest.mark.usefixtures("writer")
def test_an_entry_is_found_by_id_by_address_with_its_secret_and_by_its_line(rumiai: Call) -> None:
    for name in ("signed", SIGNED, "https://bucket.example/clip.mp4?…", "3"):
        code, out, err = rumiai("runs", "why", RUN_ID, name)
        assert (code, out.splitlines()[0]) == (Exit.COMPLETE, "entry signed, line 3 of the manifest: https://bucket.example/clip.mp4?…")
        assert "hunter2" not in out + err
    assert [one["entry_id"] for one in json.loads(rumiai("runs", "why", RUN_ID, "well.mp4", "--json")[1])] == ["well", "7"]


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("name", ["wel", "99999", "", "https://nowhere.example/?token=hunter2", "\x1b[2J"])
def test_an_unknown_entry_is_wrong_usage_and_says_what_is_like_it(rumiai: Call, name: str) -> None:
    code, out, err = rumiai("runs", "why", RUN_ID, name)
    assert (code, out) == (Exit.USAGE, "")
    assert "no such entry among 5" in err
    assert "hunter2" not in err
    assert "\x1b" not in err
    assert ("did you mean well" if name == "wel" else "its line in the manifest") in err


def test_lines_that_no_driver_writes_are_left_out(rumiai: Call, writer: RunWriter) -> None:
    hostile: list[Any] = [
        [], {"event": "ended"}, {"time": 3, "event": "ended", "entry": "well"}, {"time": "x", "event": "explodes", "entry": "well"},
        {"time": "x", "event": "ended", "entry": "well", "reading": {"node": "n", "began": 1e300, "took_s": 1}},
        {"time": "x", "event": "ended", "entry": "well", "reading": {"node": "n", "began": 1, "took_s": float("nan")}},
        {"time": "\x1b[2J", "event": "reading", "entry": "well", "node": "a\nb", "attempt": 10**30},
    ]  # fmt: skip
    writer.run.append_private("logs/history-20261122T150712Z-00000000.jsonl", "".join(json.dumps(line) + "\n" for line in hostile).encode())
    code, out, _ = rumiai("runs", "why", RUN_ID, "well")
    assert code == Exit.COMPLETE
    assert "\x1b" not in out
    assert r"a\nb begins to read it for the 1000000000000000000000000000000th time" in out


@given(st.text(), st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), max_size=4))
def test_an_entry_is_found_or_refused_by_name_whatever_the_texts(name: str, given_entries: list[tuple[str, str]]) -> None:
    entries = [Entry(entry_id, source, {}, source) for entry_id, source in given_entries]
    try:
        found = find_entries(entries, name, "run r")
    except ConfigError:
        assert name not in {entry.entry_id for entry in entries}
    else:
        assert found
        assert set(map(id, found)) <= set(map(id, entries))


def test_what_a_strange_history_says_is_told_or_left_out(rumiai: Call, writer: RunWriter) -> None:
    logged = {"time": "2026", "event": "ended", "entry": "later", "outcome": "committed"}
    lines = [
        logged | {"reading": {"node": "past-the-calendar", "began": 253_402_300_799, "took_s": 5}},
        {"time": "1", "event": "reading", "entry": "later"},
    ]
    (name,) = [name for name in writer.run.names("logs") if name.startswith("history")]
    writer.run.append_private(f"logs/{name}", "".join(json.dumps(line) + "\n" for line in lines).encode())
    code, out, _ = rumiai("runs", "why", RUN_ID, "later")
    assert code == Exit.COMPLETE
    assert "past-the-calendar" not in out
    assert "a machine that the log does not name begins to read it" in out
    assert "None" not in out


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["rumiai-ray", "batch", "--manifest", "posts.csv"], "line 7 of the manifest"),
        (["rumiai-ray", "batch", "--manifest", "posts.jsonl"], "line 7 of the manifest"),
        (["rumiai-ray", "batch", "--manifest=s3://bucket/posts.JSON"], "row 7 of the manifest"),
        (["rumiai-ray", "batch", "--name", "x", "--manifest", "posts.parquet"], "row 7 of the manifest"),
        (["rumiai-ray", "runs", "retry", "20261129T001804Z-abba25"], "number 7 in the manifest"),
        ([], "number 7 in the manifest"),
    ],
)
def test_a_row_of_a_file_without_lines_is_called_a_row(command: list[str], place: str) -> None:
    assert _place(command, 7) == place

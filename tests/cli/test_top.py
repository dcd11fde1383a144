"""`runs top`: what it shows of a run's picture, and how it tells a run that works from one that does not."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import run_main
from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.top import look, view
from rumiai_ray.engine.cell.messages import Activity, CallUnderWay, ModelActivity
from rumiai_ray.engine.results.picture import PictureWriter, RunPicture, read_picture
from rumiai_ray.engine.results.progress import Phase, Progress
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.engine.work.entry_registry import UnderWay
from rumiai_ray.errors import StorageError
from rumiai_ray.runs.line_log import PICTURE
from rumiai_ray.runs.reader import Run, open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.run import Status
from rumiai_ray.storage import Store
from synthetic_run import RUN_ID, manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

TALLY = Tally()
TALLY.entries.update({"committed": 9, "dead_letter": 1})
TALLY.statuses.update({("ocr", Status.FAILED): 2, ("yolo", Status.OK): 9})
PROGRESS = Progress(
    Phase.ANALYSING, 125.0, 2, 2, 1, 2, 3, 1, 40, 10, 200.0, 100.0, 400.0, 300.0, 12.5, {"yolo": 0.25, "ocr": None}, 1.0, TALLY,
    activity=(
        Activity(
            "front",
            {
                "yolo": ModelActivity(1, 1, 0, 10.0, 5.0, 2, (CallUnderWay("e12", 3.25),)),
                "ocr": ModelActivity(2, 0, 0, 0.0, 0.0),
                "gone": ModelActivity(1, 0, 1, 0.0, 0.0),
            },
            "node-a/1234",
        ),
    ),
)  # fmt: skip
READING = (UnderWay("e30", "node-b", 7.0), UnderWay("e31\x1b[2J", "node-b", 61.5))


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line; gives exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return open_run(RunWriter.create(tmp_path / "runs", manifest()).run.uri())


def pictures(run: Run) -> PictureWriter:
    made = PictureWriter(run.store, RUN_ID, "driver-host")
    made.tick(PROGRESS, READING)
    return made


def test_a_running_batch_is_shown_with_its_cells_its_queue_its_rate_and_what_is_read(rumiai: Call, run: Run) -> None:
    pictures(run)
    code, out, _ = rumiai("runs", "top", RUN_ID, "--once")
    assert code == Exit.COMPLETE
    for said in (
        f"run {RUN_ID}, driver on driver-host: analysing, 0:02:05 since Ray was ready",
        "100 of 200 s of video  12.5 frames/s  0:05:00 left",
        "11 analysed, 9 committed of 40  1 dead letter  2 failed models",
        "queue: 3 rows of work in the cells, 1 entry to be written",
        "cells: 1 of 2 are running",
    ):
        assert said in out
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]
    assert ["1 node-a/1234", "yolo", "e12", "3.2 s", "2", "25%"] in rows
    assert ["", "ocr", "loads", "", "0", ""] in rows
    assert ["", "gone", "lost for good", "", "0", ""] in rows
    assert ["node-b", "e31\N{REPLACEMENT CHARACTER}[2J", "61.5 s"] in rows
    assert "\x1b" not in out


def test_the_picture_holds_the_progress_itself_and_only_the_owner_may_read_it(run: Run, tmp_path: Path) -> None:
    pictures(run)
    picture = read_picture(run.store)
    assert picture is not None
    read = picture.progress
    assert replace(read, tally=TALLY, activity=PROGRESS.activity) == PROGRESS
    assert (read.failed_models, read.tally.entries) == (2, TALLY.entries)
    path = tmp_path / "runs" / RUN_ID / PICTURE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_run_that_ended_and_one_without_a_picture_are_said_not_to_be_running(rumiai: Call, run: Run) -> None:
    code, out, _ = rumiai("runs", "top", RUN_ID)
    assert (code, out.split(",")[0]) == (Exit.TROUBLED, f"run {RUN_ID}: not running")
    pictures(run).close("its driver was told to stop")
    code, out, _ = rumiai("runs", "top", RUN_ID)
    assert code == Exit.TROUBLED
    assert "not running: its driver was told to stop; the run is incomplete" in out
    assert "as it was last: run" in out


def test_a_driver_without_a_sign_of_life_is_gone_and_one_whose_clock_is_wrong_is_not(run: Run) -> None:
    made = pictures(run)
    picture = read_picture(run.store)
    assert picture is not None
    waits: list[float] = []
    found = look(run, clock=lambda: picture.written + 3600, sleep=waits.append)
    assert "not running: its driver on driver-host has given no sign of life for 1:00:00" in found.trouble
    assert f"`rumiai-ray runs resume {RUN_ID}` continues it" in found.trouble
    assert sum(waits) >= 2 * picture.every_s

    def next_picture(_seconds: float) -> None:
        vars(made)["_written_s"] = float("-inf")
        made.tick(PROGRESS, ())

    assert look(run, clock=lambda: picture.written + 3600, sleep=next_picture).trouble == ""
    assert look(run, clock=lambda: picture.written - 1, sleep=waits.append).trouble == ""


def test_a_run_goes_on_where_its_picture_cannot_be_written(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("disk full", "here", "make room")

    monkeypatch.setattr(Store, "replace_private", refuse)
    made = pictures(run)
    made.close("done")
    assert caplog.text.count("cannot be told what the run does now") == 1


def test_the_last_picture_has_the_last_figures_though_it_was_not_time_for_another(run: Run) -> None:
    made = pictures(run)
    made.tick(replace(PROGRESS, phase=Phase.DONE, total=41), ())
    made.close("its driver has done all it could")
    last = read_picture(run.store)
    assert last is not None
    assert (last.phase, last.total, last.reading, last.ended) == (Phase.DONE, 41, (), "its driver has done all it could")


@pytest.mark.parametrize("progress", [PROGRESS, replace(PROGRESS, eta_s=float("inf"))], ids=["a file in the way", "no figure"])
def test_a_run_goes_on_whatever_stands_in_the_way_of_its_picture(
    tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture, progress: Progress
) -> None:
    (tmp_path / "runs" / RUN_ID / "logs").write_text("in the way")
    made = PictureWriter(run.store, RUN_ID, "driver-host")
    made.tick(progress, READING)
    made.close("done")
    assert caplog.text.count("cannot be told what the run does now") == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", b'{"format": 2}', b'{"format": 1, "every_s": 1e999}', b"[" * 100_000],
    ids=["empty", "no figures", "a list", "no text", "a later format", "an endless time", "deep"],
)
def test_what_is_no_picture_is_told_as_none(rumiai: Call, run: Run, content: bytes) -> None:
    run.store.replace_private(PICTURE, content)
    code, out, err = rumiai("runs", "top", RUN_ID, "--once")
    assert (code, err) == (Exit.TROUBLED, "")
    assert "not running" in out


def test_a_link_in_the_place_of_the_picture_is_not_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "runs" / RUN_ID / "logs").mkdir()
    (tmp_path / "runs" / RUN_ID / PICTURE).symlink_to(tmp_path / "precious")
    pictures(run)
    assert (tmp_path / "precious").read_text() == "kept"


@given(st.data())
def test_whatever_figures_a_picture_has_it_can_be_shown(data: st.DataObject) -> None:
    number = st.floats(-1e12, 1e12)
    base: dict[str, Any] = {name: data.draw(number) for name in ("elapsed_s", "video_s_known", "video_s_analysed", "quiet_s", "written")}
    base |= {name: data.draw(st.none() | number) for name in ("video_s_total", "eta_s", "frames_per_s")}
    counts = ("number", "models_loaded", "models", "cells", "cells_wanted", "rows", "writing", "total", "done", "failed_models")
    base |= {name: data.draw(st.integers(0, 10**12)) for name in counts}
    picture = RunPicture(
        run_id=data.draw(st.text()), driver=data.draw(st.text()), every_s=1.0, phase=data.draw(st.sampled_from(Phase)), entries={},
        busy={"yolo": data.draw(st.none() | number)}, cells_now=(), reading=(), **base,
    )  # fmt: skip
    from rumiai_ray.cli.top import Sighting  # noqa: PLC0415 -- beside its only use

    view(Run(Store.at("/nowhere"), "r"), Sighting(RunPicture.model_validate_json(picture.model_dump_json()), ""))


def test_a_run_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path / "runs", manifest())
    run = open_run(writer.run.uri())
    pictures(run)
    writer.finish("complete", {})
    slept: list[float] = []
    assert look(run, clock=lambda: 0.0, sleep=slept.append).trouble == "not running: it has ended; the run is complete"
    assert slept == []


@pytest.mark.parametrize("crafted", [{"every_s": 61}, {"rows": 10**4200}, {"done": -5}, {"entries": {"committed": -1}}])
def test_a_picture_with_figures_that_cannot_be_is_none(run: Run, crafted: dict[str, Any]) -> None:
    pictures(run)
    picture = json.loads(run.store.read(PICTURE))
    assert read_picture(run.store) is not None
    run.store.replace(PICTURE, json.dumps(picture | crafted).encode())
    assert read_picture(run.store) is None


def test_onlookers_are_told_that_an_old_picture_is_waited_for(run: Run) -> None:
    pictures(run)
    told: list[float] = []
    look(run, clock=lambda: 0.0, sleep=lambda _: None, waits=told.append)
    assert told == [8.0]

"""Failures of models, lanes, entries and assembly reach the run's log with their tracebacks, wherever they arose."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

import fakes
from batches import WELL, Kit, clips
from rumiai_ray.engine.cell.messages import Failure, Index, Outcome
from rumiai_ray.engine.results.failure_records import log_answer, log_dead_letter
from rumiai_ray.engine.results.picture import read_picture
from rumiai_ray.engine.work.item import Header, VideoPlan
from rumiai_ray.errors import ModelError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.runs.failure_log import FailureLog, read_failures
from rumiai_ray.runs.reader import open_run
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.ray_session.local import LocalRay

KEY = "a" * 64


def _index(outcome: Outcome) -> Index:
    return Index("e1", KEY, 0, 1, {"yolo": outcome})


def _failed(failure: Failure, *charged: Failure) -> Outcome:
    return Outcome(max(len(charged), 1), None, 0, (), 0.0, (), failure, charged=charged)


def test_every_charged_attempt_is_logged_also_where_the_last_went_well(tmp_path: Path) -> None:
    log = FailureLog(Store.at(tmp_path))
    first, second = Failure("ValueError", "one", traceback="Traceback one"), Failure("Crash", "two")
    log_answer(log, _index(_failed(second, first, second)), "clip.mp4")
    log_answer(log, _index(Outcome(2, 1.0, 1, (0,), 0.0, (), None, charged=(first,))), "clip.mp4")
    assert [(failure.attempt, failure.error, failure.traceback) for failure in read_failures(Store.at(tmp_path))] == [
        (1, "ValueError: one", "Traceback one"),
        (2, "Crash: two", None),
        (1, "ValueError: one", "Traceback one"),
    ]


def test_a_failure_that_is_only_remembered_is_not_logged_again_and_a_lost_model_once_for_each_video(tmp_path: Path) -> None:
    log = FailureLog(Store.at(tmp_path))
    for _ in range(3):
        log_answer(log, _index(_failed(Failure("ValueError", "one", traceback="Traceback one"))), None)
        log_answer(log, _index(_failed(Failure("StartFailed", "gone", given_up=True, traceback="Traceback gone"))), None)
    (failure,) = read_failures(Store.at(tmp_path))
    assert (failure.error, failure.traceback, failure.video_key) == ("StartFailed: gone", "Traceback gone", KEY)


def test_an_entry_that_cannot_be_assembled_is_logged_with_its_attempts(tmp_path: Path) -> None:
    plan = VideoPlan(KEY, {}, (), {}, (), (), 0, sampled=None)  # type: ignore[arg-type]
    error = ModelError("no such column", "video")
    error.attempts = 3
    log_dead_letter(FailureLog(Store.at(tmp_path)), Header(Entry("e1", "clip.mp4", {}, "clip.mp4"), b"", plan), error)
    (failure,) = read_failures(Store.at(tmp_path))
    assert (failure.where, failure.attempt, failure.video_key, failure.entry_id) == ("assemble", 3, KEY, "e1")


def test_a_committed_entry_is_not_logged(tmp_path: Path) -> None:
    plan = VideoPlan(KEY, {}, (), {}, (), (), 0, sampled=None)  # type: ignore[arg-type]
    log_dead_letter(FailureLog(Store.at(tmp_path)), Header(Entry("e1", "clip.mp4", {}, "clip.mp4"), b"", plan))
    assert read_failures(Store.at(tmp_path)) == []


@pytest.fixture
def kit(ray_here: LocalRay, tmp_path: Path) -> Kit:
    return Kit(ray_here, tmp_path)


def test_a_batch_logs_what_raised_in_models_and_in_reading_and_a_resumed_run_goes_on_in_another_file(kit: Kit) -> None:
    kit.models = (*WELL, fakes.plan("bad", "Reader", behave="raise", on=2), fakes.plan("worse", "Reader", behave="exit", on=1))
    entries = clips(kit.place, 3)
    (kit.place / "broken.mkv").write_bytes(b"no video at all" * 100)
    broken = Entry("broken", str(kit.place / "broken.mkv"), {}, str(kit.place / "broken.mkv"))
    batch, writer = kit.batch("logged")
    assert batch.run([*entries, broken], 4) == "partial"
    log = open_run(writer.run.uri()).failures()
    by_model = Counter((failure.model, failure.entry_id, failure.attempt) for failure in log)
    assert set(by_model) >= {("bad", "e2", 1), ("bad", "e2", 2), ("worse", "e1", 1), ("worse", "e1", 2), (None, "broken", 1)}
    raised = [failure for failure in log if failure.model == "bad"]
    assert {failure.attempt for failure in raised} == {1, 2}
    for failure in raised:
        assert failure.error.startswith("ValueError: I do not like [2")
        assert "fakes.py" in (failure.traceback or ""), "of the model's own code, in its process"
        assert "in _misbehave" in (failure.traceback or "")
        assert failure.input == str(kit.place / "clip2.mkv")
    assert {failure.traceback for failure in log if failure.model == "worse"} == {None}, "it was killed and raised nothing"
    assert all(failure.node for failure in log if failure.where == "model"), "a front says where it is"
    told = [line for _, line in open_run(writer.run.uri()).history()]
    assert {line.entry for line in told if line.event == "reading"} == {"e1", "e2", "e3", "broken"}
    assert all(line.node for line in told if line.event == "reading")
    ends = {line.entry: line for line in told if line.event == "ended"}
    assert {entry: line.outcome for entry, line in ends.items()} == dict.fromkeys(("e1", "e2", "e3"), "committed") | {
        "broken": "dead_letter"
    }
    analysis = ends["e2"].analysis
    assert analysis is not None
    assert (sum(analysis.nodes.values()), analysis.models["bad"].attempts, analysis.models["bad"].failed_rows > 0) == (
        analysis.rows,
        2,
        True,
    )
    assert analysis.began is not None
    assert ends["e2"].reading is not None
    picture = read_picture(writer.run)
    assert picture is not None
    assert (picture.ended, picture.total, picture.models) == ("its driver has done all it could", 4, len(kit.models))
    assert kit.watcher is not None
    assert any(said.node and said.models for progress in kit.watcher.seen for said in progress.activity)
    (unreadable,) = [failure for failure in log if failure.entry_id == "broken"]
    assert unreadable.where == "frames"
    assert "decode/parent.py" in (unreadable.traceback or "")

    (kit.place / "later.mkv").write_bytes(b"nor this" * 100)
    later = Entry("later", str(kit.place / "later.mkv"), {}, str(kit.place / "later.mkv"))
    batch, writer = kit.batch("logged", again=True)
    batch.run([later], 1)
    writer.finish("partial", {})
    run = open_run(writer.run.uri())
    assert [failure.entry_id for failure in run.failures()] == [*(failure.entry_id for failure in log), "later"]
    assert sorted(name.partition("-")[0] for name in run.store.names("logs")) == ["failures", "failures", "history", "history", "now.json"]
    assert run.verify() == []


def test_a_model_that_no_cell_can_load_is_logged_with_its_own_traceback_and_a_log_in_the_way_ends_no_run(kit: Kit) -> None:
    kit.models = (fakes.plan("bad", "Reader", behave="unloadable"),)
    entries = clips(kit.place, 2)
    batch, writer = kit.batch("unloadable")
    with pytest.raises(ModelError):
        batch.run(entries, len(entries))
    log = open_run(writer.run.uri()).failures()
    assert any("in load" in (failure.traceback or "") for failure in log if failure.where == "model")
    (ended,) = [failure for failure in log if failure.where == "run"]
    assert "in load" in (ended.traceback or ""), "what ended the run says why, and not where the driver was"

    kit.models = (*WELL, fakes.plan("bad", "Reader", behave="raise", on=2))
    batch, writer = kit.batch("blocked")
    (kit.place / "runs" / "blocked" / "logs").write_text("in the way")
    assert batch.run(entries, len(entries)) == "partial"
    writer.finish("partial", {})
    assert open_run(writer.run.uri()).verify() == []

"""The log of a run's failures: what is in it, who may read it, and that a run never depends on it."""

from __future__ import annotations

import json
import os
import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rumiai_ray.errors import ModelError, StorageError
from rumiai_ray.runs import line_log
from rumiai_ray.runs.failure_log import About, FailureLog, read_failures
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.storage import Store
from synthetic_run import manifest

if TYPE_CHECKING:
    from pathlib import Path

SIGNED = "https://bucket.example/clip.mp4?X-Amz-Signature=hunter2"
ABOUT = About("e1", SIGNED, "k" * 64, "yolo", 2)


def files(run: Store) -> list[str]:
    return [f"logs/{name}" for name in run.names("logs")]


def test_a_failure_is_read_as_it_was_logged_and_without_secrets(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "run")
    FailureLog(store).add("model", f"ModelError: cannot read {SIGNED}", f"Traceback …\nModelError: {SIGNED}", ABOUT)
    (failure,) = read_failures(store)
    assert (failure.where, failure.entry_id, failure.video_key, failure.model, failure.attempt) == ("model", "e1", "k" * 64, "yolo", 2)
    assert failure.input == "https://bucket.example/clip.mp4?…"
    assert failure.error == "ModelError: cannot read https://bucket.example/clip.mp4?…"
    assert failure.traceback == "Traceback …\nModelError: https://bucket.example/clip.mp4?…"
    (name,) = files(store)
    assert b"hunter2" not in store.read(name)


def test_only_the_owner_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FailureLog(Store.at(tmp_path / "run")).add("run", "ModelError: no", "")
    finally:
        os.umask(before)
    (path,) = (tmp_path / "run" / "logs").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_run_without_failures_has_no_logs_and_one_with_logs_is_sound_and_can_be_resumed(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    assert not (tmp_path / manifest().run_id / "logs").exists()
    writer.logs.failures.add("run", "ModelError: first", "first")
    again = RunWriter.resume(open_run(writer.run.uri()), manifest())
    again.logs.failures.add("run", "ModelError: second", "second")
    again.finish("partial", {})
    run = open_run(writer.run.uri())
    assert run.verify() == []
    assert len(files(run.store)) == 2, "each session has its own"
    assert sorted(failure.error for failure in run.failures()) == ["ModelError: first", "ModelError: second"]


def test_a_traceback_that_comes_again_is_written_once_and_read_every_time(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "run")
    log = FailureLog(store)
    for attempt in range(1000):
        log.add("model", "ModelError: no", "line\n" * 1000, About(attempt=attempt))
    (name,) = files(store)
    assert len(store.read(name)) < 300_000
    failures = read_failures(store)
    assert len(failures) == 1000
    assert {failure.traceback for failure in failures} == {"line\n" * 1000}


def test_a_log_that_is_full_says_so_in_itself_and_on_stderr_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store.at(tmp_path / "run")
    log = FailureLog(store, most_bytes=10_000)
    for number in range(500):
        log.add("model", f"ModelError: {number}", f"traceback {number}")
    (name,) = files(store)
    assert len(store.read(name)) < 10_500
    assert read_failures(store)[-1].error.endswith("its limit: nothing more is logged")
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("problem", [OSError(28, "no space left"), StorageError("refused"), RuntimeError("anything")])
def test_a_log_that_cannot_be_written_is_given_up_with_one_line_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, problem: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise problem

    monkeypatch.setattr(Store, "append_private", refuse)
    log = FailureLog(Store.at(tmp_path / "run"))
    for number in range(3):
        log.add("model", f"ModelError: {number}", "traceback")
    log.flush()
    (message,) = caplog.messages
    assert "cannot be written" in message


def test_a_place_that_is_no_directory_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "logs").write_text("a file of somebody's")
    FailureLog(Store.at(tmp_path / "run")).add("model", "ModelError: no", "traceback")
    assert len(caplog.messages) == 1


def test_what_a_kill_cut_short_or_somebody_else_wrote_is_left_out(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "run")
    FailureLog(store).add("model", "ModelError: whole", "traceback")
    (name,) = files(store)
    store.append_private(name, b'[1]\nnot json\n{"error": "half')
    store.append_private("logs/notes.txt", b"{}\n")
    assert [failure.error for failure in read_failures(store)] == ["ModelError: whole"]


def test_text_that_is_no_unicode_is_logged_all_the_same(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "run")
    FailureLog(store).add("ingest", "InputError: \udcff\n\x1b[2J", "a\udcffb\r\n\x00", About("e\udcff", "clips/\udcff.mp4"))
    (failure,) = read_failures(store)
    assert failure.error == "InputError: \udcff\n\x1b[2J"
    assert failure.input == "clips/\udcff.mp4"


def test_an_object_store_gets_whole_files_when_they_are_large_or_old_or_the_session_ends(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(line_log, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(line_log, "_FILE_BYTES", 5000)
    store = Store.at(f"{bucket}/runs/one")
    log = FailureLog(store)
    log.add("model", "ModelError: 0", "traceback")
    log.flush_if_due()
    assert files(store) == []
    now[0] += 31
    log.flush_if_due()
    assert len(files(store)) == 1
    for number in range(1, 30):
        log.add("model", f"ModelError: {number}", "traceback")
    assert len(files(store)) > 1
    with pytest.raises(ModelError), log.of_the_run():
        raise ModelError("the end", "run")
    found = read_failures(store)
    assert [failure.error for failure in found] == [*(f"ModelError: {number}" for number in range(30)), "ModelError: run: the end"]
    assert {failure.traceback for failure in found[:-1]} == {"traceback"}


def test_what_is_logged_once_is_logged_once(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "run")
    log = FailureLog(store)
    for key in ("a", "b", "a"):
        log.add("model", f"ModelError: {key}", "", once=key)
    assert [failure.error for failure in read_failures(store)] == ["ModelError: a", "ModelError: b"]


def test_a_line_is_json_that_other_tools_read(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "run")
    FailureLog(store).add("model", "ModelError: no", "traceback", ABOUT)
    record: dict[str, Any] = json.loads(store.read(files(store)[0]))
    assert record.keys() == {"time", "where", "entry", "input", "video", "model", "attempt", "node", "error", "traceback_id", "traceback"}


@pytest.mark.parametrize("bad", [{"traceback": 5}, {"traceback": {"a": 1}}, {"entry": ["e"]}, {"time": None}, {"attempt": 10**4200}])
def test_a_line_with_other_values_than_a_failure_s_is_left_out(tmp_path: Path, bad: dict[str, Any]) -> None:
    store = Store.at(tmp_path / "run")
    FailureLog(store).add("model", "ModelError: no", "", ABOUT)
    (name,) = files(store)
    line = json.loads(store.read(name))
    store.append_private(name, json.dumps(line | bad).encode() + b"\n")
    assert [failure.error for failure in read_failures(store)] == ["ModelError: no"]


def test_a_file_name_that_is_no_utf_8_does_not_hide_its_failure(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "run")
    FailureLog(store).add("ingest", "InputError: no", "", About("e1", "clip\udcff.mp4"))
    assert [failure.entry_id for failure in read_failures(store)] == ["e1"]


def test_a_line_that_is_nested_too_deeply_is_left_out(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "run")
    FailureLog(store).add("model", "ModelError: no", "", ABOUT)
    (name,) = files(store)
    store.append_private(name, b"[" * 200_000 + b"\n")
    assert len(read_failures(store)) == 1
    assert [left for _, left in line_log.without_lines(store, lambda _: True)] == [b""]

"""Which head a command finds. What it does with one is in test_warm."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from rumiai_ray.engine.ray_session import local_head as head
from rumiai_ray.engine.ray_session.folder import want_logs
from rumiai_ray.engine.ray_session.process_id import ProcessId
from rumiai_ray.errors import ConfigError, TransientError


def test_a_head_is_found_by_commands_of_its_own_python_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        there = head.Head(address, ProcessId.of(os.getpid()), str(tmp_path))
        with head.alone():
            head._note().write_text(json.dumps(asdict(there)))
        assert head.find_head() == there
        monkeypatch.setattr(sys, "prefix", "/another/environment")
        assert head.find_head() is None


def test_a_head_is_known_again_after_a_step_of_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time a process was created at is computed from the wall clock, and moves with it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    living = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        there = head.Head(f"127.0.0.1:{listening.getsockname()[1]}", ProcessId.of(living.pid), str(tmp_path / "rr-head"))
        head._note().write_text(json.dumps(asdict(there)))
        created_s = psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda process: created_s(process) + 3600)
        monkeypatch.setattr(time, "time", lambda real=time.time: real() + 3600)
        assert head.find_head() == there
        assert head.stop_head() is True
    living.wait()
    assert not there.process.lives, "`down` ends it"
    assert not head._note().exists()


def test_another_process_with_the_number_of_the_head_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    me = ProcessId.of(os.getpid())
    for other in (replace(me, start_ticks=me.start_ticks - 1), replace(me, boot_id="another boot")):
        head._note().write_text(json.dumps(asdict(head.Head("127.0.0.1:1", other, str(tmp_path / "rr-head")))))
        assert head.find_head() is None
        assert head.stop_head() is False


@pytest.mark.parametrize("failed", [True, False])
def test_the_logs_of_a_head_on_which_a_cell_has_failed_outlive_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, failed: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = replace(ProcessId.of(os.getpid()), boot_id="another boot")
    there = head.Head("127.0.0.1:1", ended, str(tmp_path / "rr-head"))
    session = tmp_path / "rr-head" / "ray" / "session_2026" / "logs"
    session.mkdir(parents=True)
    (session.parents[1] / "session_latest").symlink_to("session_2026")
    (session / "worker-1.err").write_text("what went wrong")
    assert Path(there.logs, "worker-1.err").exists(), "where a message says the logs are"
    head._note().write_text(json.dumps(asdict(there)))
    if failed:
        want_logs(tmp_path / "rr-head")
    head.stop_head()
    kept = tmp_path / "rr-head" / "logs" / "worker-1.err"
    assert kept.exists() == failed
    assert (f"its logs are kept in {kept.parent}" in caplog.text) == failed


@pytest.mark.parametrize("room", [True, False])
def test_a_head_that_does_not_come_up_names_its_logs_if_they_could_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, room: bool
) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/bin/ls")  # refuses the options of Python, in words, and ends
    if not room:
        monkeypatch.setattr(head, "keep_logs", full)
    with pytest.raises(TransientError, match="did not come up") as caught:
        head.start_head(1)
    assert ("Ray's logs are kept in " in caught.value.hint) == room
    assert "try again" in caught.value.hint
    assert head.find_head() is None


def test_a_full_disk_keeps_no_logs_and_lets_the_head_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(head, "keep_logs", full)
    folder = tmp_path / "rr-head"
    (folder / "ray").mkdir(parents=True)
    there = head.Head("127.0.0.1:1", replace(ProcessId.of(os.getpid()), boot_id="another boot"), str(folder))
    head._note().write_text(json.dumps(asdict(there)))
    want_logs(folder)
    assert not head.stop_head()
    assert "Ray's logs could not be kept: [Errno 28] No space left on device" in caplog.text
    assert not folder.exists(), "its space is free again"
    assert head.find_head() is None


def test_a_head_that_lives_and_does_not_answer_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        head._note().write_text(json.dumps(asdict(head.Head(address, ProcessId.of(os.getpid()), str(tmp_path)))))
        with caplog.at_level("INFO", "rumiai_ray"):
            assert head.find_head() is None
    assert f"the head at {address} lives and does not answer: " in caplog.text


@pytest.mark.parametrize("note", ['{"address": "127.0.0.1:1", "pid": 1, "created_s": 1.0, "folder": "/tmp/rr-x"}', "[]", "{", "null"])
def test_a_note_that_this_version_cannot_read_is_named_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    head._note().write_text(note)
    for call in (head.find_head, head.stop_head):
        with pytest.raises(ConfigError, match="another version"):
            call()
    assert head._note().read_text() == note

"""Which head a command finds. What it does with one is in test_warm."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import psutil
import pytest

from rumiai_ray.engine.ray_session import local_head as head
from rumiai_ray.engine.ray_session.process_id import ProcessId
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize("note", ['{"address": "127.0.0.1:1", "pid": 1, "created_s": 1.0, "folder": "/tmp/rr-x"}', "[]", "{", "null"])
def test_a_note_that_this_version_cannot_read_is_named_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    head._note().write_text(note)
    for call in (head.find_head, head.stop_head):
        with pytest.raises(ConfigError, match="another version"):
            call()
    assert head._note().read_text() == note

"""Warm cells, with each command a process of its own: what is kept, who waits, what is replaced, what ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import fakes
from numbered_clips import numbered_clip
from product import ROOT, SUPPORT
from ray_head import ray_head

if TYPE_CHECKING:
    from collections.abc import Iterator

READ = "sum(1 << bit for bit, value in enumerate(cells.reshape(-1)) if value > _WHITE)"


class Commands:
    """Calls `warm_driver.py` on a copy of the package, in which a test may edit what it likes."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.package = folder / "code" / "rumiai_ray"
        shutil.copytree(ROOT / "rumiai_ray", self.package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(fakes.__file__, self.package / "models" / "fakes.py")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RUMIAI_"))}
        # The code first: were there another rumiai_ray before it, that would be the one that is copied to the cluster.
        self.environment = {**own, "TMPDIR": str(folder), "PYTHONPATH": f"{folder / 'code'}{os.pathsep}{SUPPORT}", **variables}

    def start(self, verb: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(SUPPORT / "warm_driver.py"), verb, str(self.folder), *map(str, arguments)]
        return subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def end(process: subprocess.Popen[str]) -> Any:
        stdout, stderr = process.communicate(timeout=240)
        assert process.returncode == 0, stdout + stderr
        return json.loads(stdout.splitlines()[-1])

    def __call__(self, verb: str, *arguments: object) -> Any:
        return self.end(self.start(verb, *arguments))


@contextmanager
def _commands(**variables: str) -> Iterator[Commands]:
    folder = Path(tempfile.mkdtemp(prefix="rw-", dir="/tmp"))  # short: Ray's sockets live below it
    commands = Commands(folder, variables)
    try:
        yield commands
    finally:
        commands("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(400)
def test_a_cell_is_kept_shared_in_turn_closed_when_idle_and_ended(tmp_path: Path) -> None:
    clip = numbered_clip(tmp_path / "a.mkv", 42)
    with _commands() as commands:
        cold = commands("run", "cold", clip)
        assert cold["cell"] == "of this run", "nobody has asked for warm cells"
        kept = commands("up")
        assert kept["state"] == "warm"
        assert [(model["name"], model["state"]) for model in kept["models"]] == [("reader", "warm"), ("ears", "warm")]
        runs = [commands("run", name, clip) for name in ("one", "two")]
        assert [(run["numbers"], run["cell"], run["frame_store"]) for run in runs] == [([42], "warm", ["hit"])] * 2
        assert runs[0]["pids"] == runs[1]["pids"], "the same process has answered"

        sign = commands.folder / "held"
        holder = commands.start("hold", sign)
        while not sign.exists():
            assert holder.poll() is None, holder.communicate()
            time.sleep(0.05)
        waiting = commands.start("run", "three", clip)
        while (held := commands("held"))[0]["waiting"] == 0:
            assert waiting.poll() is None, waiting.communicate()
        assert held[0]["user"].startswith(f"process {holder.pid} ")
        sign.unlink()
        commands.end(holder)
        third = commands.end(waiting)
        assert third["pids"] == runs[0]["pids"]
        assert any(line.startswith(f"waiting for the warm cell, which is used by process {holder.pid} ") for line in third["told"])

        commands("up", 1)
        (pid,) = runs[0]["pids"]
        while psutil.pid_exists(pid):
            time.sleep(0.2)
        assert commands("held")[0]["state"] == "expired"
        assert commands("up")["state"] == "warm"
        again = commands("run", "four", clip)
        assert (again["numbers"], again["cell"]) == ([42], "warm")
        assert again["pids"] != runs[0]["pids"]

        head = json.loads(next(commands.folder.glob("rumiai-ray-*/head.json")).read_text())
        assert commands("down") is True
        assert not psutil.pid_exists(head["process"]["pid"])
        assert not psutil.pid_exists(again["pids"][0])
        assert not Path(head["folder"]).exists()
        assert list(commands.folder.glob("rr-*")) == []
        assert commands("down") is False


@pytest.mark.timeout(400)
def test_edited_code_is_answered_by_a_new_cell_on_a_cluster_that_knows_no_code(tmp_path: Path) -> None:
    clip = numbered_clip(tmp_path / "a.mkv", 42)
    with ray_head({}) as head:
        variables = {name: value for name, value in head.environment.items() if name.startswith("RAY_")}
        with _commands(RAY_ADDRESS=head.gcs, **variables) as commands:
            commands("up")
            before = commands("run", "before", clip)
            module = commands.package / "models" / "fakes.py"
            text = module.read_text()
            assert READ in text
            module.write_text(text.replace(READ, f"1000 + {READ}"))
            after = commands("run", "after", clip)
            assert (before["numbers"], after["numbers"]) == ([42], [1042])
            assert "replacing a warm cell that is made of something else: source_sha256" in after["told"]
            assert not psutil.pid_exists(before["pids"][0])
            assert len(commands("held")) == 1
            assert commands("down") == 1
            unkept = commands("run", "unkept", clip)
            assert (unkept["numbers"], unkept["cell"]) == ([1042], "of this run"), "after `down` nobody's cell stays"


@pytest.mark.timeout(400)
def test_a_cell_of_another_version_is_named_and_replaced_in_a_line_and_with_no_traceback(tmp_path: Path) -> None:
    clip = numbered_clip(tmp_path / "a.mkv", 42)
    with _commands() as commands:
        answers = commands.package / "engine" / "warm" / "answers.py"
        keeper = commands.package / "engine" / "warm" / "server.py"
        room = commands.package / "engine" / "old_room.py"
        now = {path: path.read_text() for path in (answers, keeper)}
        # An older version: its answers are instances of a class that the newer one does not have.
        room.write_text("class Answer(dict):\n    pass\n")
        assert "    return {" in now[keeper]
        old = (
            now[keeper]
            .replace("    return {", "    from rumiai_ray.engine.old_room import Answer\n    return Answer({")
            .replace("**values}", "**values})")
        )
        keeper.write_text(old)
        before = commands("up")
        assert before["state"] == "warm"
        room.unlink()
        for path, text in now.items():
            path.write_text(text)

        status = commands.start("held")
        stdout, stderr = status.communicate(timeout=240)
        assert status.returncode == 0, stderr
        (held,) = json.loads(stdout.splitlines()[-1])
        assert held["state"].startswith("of another version")
        assert "Traceback" not in stderr
        assert "ModuleNotFoundError" not in stderr

        process = commands.start("run", "after", clip)
        stdout, stderr = process.communicate(timeout=240)
        assert process.returncode == 0, stderr
        after = json.loads(stdout.splitlines()[-1])
        assert (after["numbers"], after["cell"]) == ([42], "warm")
        assert "replacing a warm cell of another version of this program" in after["told"]
        assert "Traceback" not in stderr
        (held,) = commands("held")
        assert held["state"] == "warm"


@pytest.mark.timeout(400)
def test_a_command_that_was_stopped_for_long_is_told_that_another_one_has_had_its_cell(tmp_path: Path) -> None:
    clip = numbered_clip(tmp_path / "a.mkv", 42)
    with _commands() as commands:
        commands("up")
        sign = commands.folder / "held"
        holder = commands.start("hold", sign)
        while not sign.exists():
            assert holder.poll() is None, holder.communicate()
            time.sleep(0.05)
        holder.send_signal(signal.SIGSTOP)
        try:
            assert commands("run", "meanwhile", clip)["cell"] == "warm", "a silent command is taken for dead"
        finally:
            holder.send_signal(signal.SIGCONT)
        told = commands.end(holder)
        assert "lost contact" in told["lost_because"]

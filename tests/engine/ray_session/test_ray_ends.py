"""How a batch ends whose process group is told to stop, or whose Ray is ended from outside; and that it goes on afterwards."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import psutil
import pytest

from batches import TABLES, Kit, check_attribution, clips
from ending_driver import Order, models
from product import ROOT, SUPPORT
from rumiai_ray.engine.ray_session.folder import left_behind
from rumiai_ray.runs.reader import Run, open_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.ingest.entries import Entry

_UNEQUAL = {"run_id", "attempts", "pid", "processing_time_s", "frame_store"}
"""Columns in which two runs of the same videos may differ."""
_ENDED_S = 60.0


@dataclass
class Ground:
    """Clips, and what an undisturbed run makes of them."""

    here: LocalRay
    place: Path
    entries: list[Entry]

    def start(self, run_id: str) -> tuple[subprocess.Popen[str], Path]:
        order, sign = self.place / f"{run_id}.order", self.place / f"{run_id}.sign"
        sign.unlink(missing_ok=True)
        order.write_bytes(pickle.dumps(Order(self.place, run_id, self.entries)))
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}"}
        process = subprocess.Popen(
            [sys.executable, str(SUPPORT / "ending_driver.py"), str(order), str(sign)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return process, sign

    def run(self, run_id: str) -> Run:
        process, _ = self.start(run_id)
        told, _ = process.communicate(timeout=240)
        assert process.returncode == 0, told
        return open_run(self.place / "runs" / run_id)

    def resume(self, run_id: str) -> Run:
        """Go on with a run in this process, on the Ray that the session's tests share: starting another one costs more than the rest."""
        batch, writer = Kit(self.here, self.place, models(), cells=1).batch(run_id, again=True)
        before = open_run(writer.run.uri())
        done = before.entries()
        left = [entry for entry in self.entries if entry.entry_id not in done]
        analysed = [str(row["video_key"]) for row in before.table("videos", ["video_key"]).to_pylist()]
        writer.finish(batch.run(left, len(left), analysed), {})
        return open_run(writer.run.uri())


@pytest.fixture(scope="module")
def ground(ray_here: LocalRay, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    place = tmp_path_factory.mktemp("ends")
    ground = Ground(ray_here, place, clips(place, 16))
    ground.run("undisturbed")
    return ground


@pytest.fixture(autouse=True)
def _no_logs_are_left() -> Iterator[None]:
    before = {left.path for left in left_behind()}
    yield
    for left in left_behind():
        if left.path not in before and left.kind == "logs":
            left.clear()


def begun(process: subprocess.Popen[str], sign: Path) -> dict[str, Any]:
    """What the driver tells when it is in the middle of its run."""
    while not sign.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    told = json.loads(sign.read_text())
    assert isinstance(told, dict)
    return told


def rows(run: Run) -> dict[str, list[str]]:
    return {
        name: sorted(
            json.dumps({key: row[key] for key in row if key not in _UNEQUAL}, default=str, sort_keys=True)
            for row in run.table(name).to_pylist()
        )
        for name in TABLES
    }


def check_resumed(ground: Ground, run_id: str) -> None:
    stopped = open_run(ground.place / "runs" / run_id)
    assert 0 < len(stopped.entries()) < len(ground.entries), "it was ended in the middle"
    run = ground.resume(run_id)
    check_attribution(run, ground.entries)
    assert rows(run) == rows(open_run(ground.place / "runs" / "undisturbed"))


def gone(pids: dict[str, list[int]]) -> bool:
    deadline = time.monotonic() + 20
    while (left := [pid for ones in pids.values() for pid in ones if psutil.pid_exists(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not left


@pytest.mark.timeout(400)
def test_a_batch_whose_process_group_gets_sigterm_drains_and_can_be_resumed(ground: Ground) -> None:
    process, sign = ground.start("told-to-stop")
    told = begun(process, sign)
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=_ENDED_S)
    assert process.returncode == 3, output
    assert f"stopped; continue with: rumiai-ray runs resume {ground.place / 'runs' / 'told-to-stop'}" in output
    assert "Error" not in output
    assert gone(told["pids"])
    check_resumed(ground, "told-to-stop")


def kill(kind: str) -> Callable[[dict[str, Any]], None]:
    def strike(told: dict[str, Any]) -> None:
        for pid in told["pids"][kind]:
            os.kill(pid, signal.SIGKILL)

    return strike


def greet_without_a_token(told: dict[str, Any]) -> None:
    """Ray checks for the node's id before it checks the token, and aborts where there is none."""
    with grpc.insecure_channel(told["gcs"]) as channel, pytest.raises(grpc.RpcError):
        list(channel.stream_stream("/ray.rpc.syncer.RaySyncer/StartSync")(iter([b""]), timeout=5))


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("name", "strike", "named"),
    [
        ("greeted", greet_without_a_token, "Ray"),
        ("no-gcs", kill("gcs_server"), "Ray"),
        ("no-raylet", kill("raylet"), "Ray"),
    ],
)
def test_a_batch_whose_ray_is_ended_says_so_and_can_be_resumed(
    ground: Ground, name: str, strike: Callable[[dict[str, Any]], None], named: str
) -> None:
    process, sign = ground.start(name)
    told = begun(process, sign)
    strike(told)
    output, _ = process.communicate(timeout=_ENDED_S)
    assert process.returncode == 3, output
    assert f"RayLostError: {named}: " in output
    assert f"stopped; continue with: rumiai-ray runs resume {ground.place / 'runs' / name}" in output
    assert "Traceback" not in output
    (logs,) = re.findall(r"Ray's logs are kept in (\S+?)\)", output)
    assert (Path(logs) / "gcs_server.out").exists()
    assert not (Path(told["folder"]) / "token").exists()
    assert gone(told["pids"])
    check_resumed(ground, name)


@pytest.mark.timeout(400)
def test_a_batch_whose_driver_is_killed_says_so_and_can_be_resumed(ground: Ground) -> None:
    process, sign = ground.start("killed")
    told = begun(process, sign)
    os.kill(told["driver"], signal.SIGKILL)
    output, _ = process.communicate(timeout=_ENDED_S)
    assert process.returncode == 3, output
    assert "DriverLostError: the driver process: was ended by SIGKILL" in output
    assert f"stopped; continue with: rumiai-ray runs resume {ground.place / 'runs' / 'killed'}" in output
    assert gone(told["pids"]), "Ray's processes end with the driver"
    check_resumed(ground, "killed")


@pytest.mark.timeout(400)
def test_what_a_killed_command_leaves_behind_is_found_and_a_living_commands_is_not(ground: Ground) -> None:
    process, sign = ground.start("killed-with-its-parent")
    told = begun(process, sign)
    folder = Path(told["folder"])
    assert folder not in {left.path for left in left_behind()}, "its owner lives"
    process.kill()
    process.wait()
    assert gone({"driver": [told["driver"]], **told["pids"]}), "the driver ends with the process above it"
    (left,) = [left for left in left_behind() if left.path == folder]
    assert (left.kind, left.size_bytes > 0) == ("killed", True)
    assert left.clear()
    assert not folder.exists()
    shutil.rmtree(ground.place / "runs" / "killed-with-its-parent")

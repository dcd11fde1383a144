"""`jobs/bench.py`: what it refuses, and what it makes of what it measured. `make bench` runs it on real clips."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bench_script import BENCH, bench_script
from rumiai_ray.engine.benchmark.models_alone import Alone
from rumiai_ray.engine.setup.gpus import gpus_here

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bench() -> Any:
    """The script as a module."""
    return bench_script()


def figures(
    bench: Any, monkeypatch: pytest.MonkeyPatch, alone: dict[str, Alone], begun_before: dict[str, int], others: float = 0.01
) -> dict[str, Any]:
    monkeypatch.setattr(bench, "CORES_HERE", 2)
    watched = bench.Watched(
        start_up_s=30.0,
        clock_s=100.0,
        actors=dict.fromkeys(alone, 1),
        begun_before=begun_before,
        cpu_s={"quick": 20.0, "slow": 110.0, "front": 9.0},
        others_cpu_s=1.0,
    )
    compared = bench.compare(alone, watched, 10, {"quick": 0.0, "batch": others})
    bench.show(compared | {"settings": {}})
    assert isinstance(compared, dict)
    return compared


def test_where_the_cores_bind_calls_are_weighed_with_their_cpu_time(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {"quick": Alone(1.0, 10, 40.0, 40.0), "slow": Alone(1.0, 20, 70.0, 140.0)}
    found = figures(bench, monkeypatch, alone, {"quick": 5, "slow": 1})
    assert (found["bound_by"], found["ceiling_videos_per_s"]) == ("cores", pytest.approx(10 / 90))
    counted = 10 * (40 * 5 / 10 + 140 * 19 / 20) / 180
    assert found["videos_counted"] == pytest.approx(counted)
    assert found["share_of_ceiling"] == pytest.approx(counted / 100 / (10 / 90))


def test_where_a_model_binds_its_calls_alone_are_counted(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {"quick": Alone(1.0, 10, 5.0, 5.0), "slow": Alone(1.0, 20, 90.0, 20.0)}
    found = figures(bench, monkeypatch, alone, {"quick": 5, "slow": 2})
    assert (found["bound_by"], found["ceiling_videos_per_s"]) == ("slow", pytest.approx(10 / 90))
    assert found["videos_counted"] == pytest.approx(9.0)
    assert found["share_of_ceiling"] == pytest.approx(9.0 / 100 * 9.0)


def test_a_machine_that_is_not_quiet_gives_no_share(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = figures(bench, monkeypatch, {"slow": Alone(1.0, 20, 90.0, 20.0)}, {"slow": 2}, others=0.2)
    assert found["share_of_ceiling"] is None
    assert found["throughput_videos_per_s"] > 0


NO_GPU = pytest.mark.skipif(bool(gpus_here()), reason="this machine has a GPU")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "none.csv"),
        ({"RAY_ADDRESS": "127.0.0.1:1"}, "RAY_ADDRESS"),
        pytest.param({"RUMIAI_DEVICE": "cuda"}, "no usable CUDA device", marks=NO_GPU),
    ],
)
def test_wrong_usage_is_told_and_starts_nothing(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    command = [sys.executable, str(BENCH), "--manifest", "none.csv", "--models", "mediapipe", "--profile", "offline"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, **variables})
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr

"""What the benchmarks share: `jobs/bench.py` as a module, and what a command costs with all of its processes."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from program_module import program_module
from rumiai_ray.engine.benchmark.cpu_meter import Meter

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "jobs" / "bench.py"
CORES = len(os.sched_getaffinity(0))


def bench_script() -> Any:
    """The script as a module, loaded once."""
    return sys.modules.get("bench") or program_module(BENCH)


def whole(command: Sequence[str | Path], folder: Path) -> tuple[float, float, float]:
    """Run a command: its seconds, its CPU-seconds, and the share of the cores that other programs used meanwhile."""
    began_s = time.monotonic()
    with Meter(folder / "no notes") as meter:
        before = meter.look()
        subprocess.run(command, check=True, cwd=ROOT)
    after, took_s = meter.look(), time.monotonic() - began_s
    used_s = sum(after.cpu_s.values()) - sum(before.cpu_s.values())
    machine_s = after.machine_cpu_s - before.machine_cpu_s
    return took_s, used_s, max(0.0, machine_s - used_s) / took_s / CORES


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())

"""What a command adds to its models: `python tests/benchmarks/warm_overhead.py CLIP`, with a warm cell (`rumiai-ray up`).

The clip's frames are in the store after a first run that is not counted. Then `python -m rumiai_ray CLIP` is run a few times as a process
of its own. Overhead is the process's wall clock minus the time that the slowest model says it took inside its calls. Exit code 1 where
the median is over the limit, or the machine was not quiet: other programs used more than 5 % of its cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

LIMIT_S = 1.5
QUIET = 0.05
ROOT = Path(__file__).resolve().parents[2]


def main(clip: str, runs: int, *options: str) -> int:
    """See the module."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "rumiai_ray", clip, "--json", "--out", out, *options]
        measured(command)
        seen = [measured(command) for _ in range(runs)]
    for one in seen:
        others = f", other programs {one['others']:.0%} of the cores"
        print(f"{one['wall_s']:.2f} s, {one['slowest']} {one['model_s']:.2f} s: {one['overhead_s']:.2f} s more; {one['cell']} cell{others}")
    overhead_s = statistics.median(one["overhead_s"] for one in seen)
    busy = max(one["others"] for one in seen)
    print(f"median of {runs}: {overhead_s:.2f} s (limit {LIMIT_S} s)" + ("" if busy <= QUIET else "; the machine was not quiet"))
    return int(overhead_s > LIMIT_S or busy > QUIET)


def measured(command: list[str]) -> dict[str, Any]:
    """One run: wall clock, the slowest model, and what other programs used of the cores meanwhile."""
    ours = cell_processes()
    busy_s, ours_s, began_s = machine_s(), cpu_s(ours) + children_s(), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, check=True)
    wall_s = time.perf_counter() - began_s
    others_s = machine_s() - busy_s - (cpu_s(ours) + children_s() - ours_s)
    document = json.loads(done.stdout)
    (video,) = document["videos"]
    slowest = max(video["models"], key=lambda name: video["models"][name]["processing_time_s"] or 0.0)
    model_s = video["models"][slowest]["processing_time_s"]
    cell = json.loads((Path(document["run_dir"]) / "summary.json").read_text())["cell"]
    return {
        "wall_s": wall_s,
        "slowest": slowest,
        "model_s": model_s,
        "overhead_s": wall_s - model_s,
        "others": max(others_s, 0.0) / wall_s / (os.cpu_count() or 1),
        "cell": cell,
    }


def cell_processes() -> list[Any]:
    """The processes of Ray on this machine."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if line.startswith("ray::") or "/ray/" in line or process.info["name"] in {"raylet", "gcs_server"}:
            found.append(process)
    return found


def cpu_s(processes: list[Any]) -> float:
    """CPU time they have used, those that live."""
    used = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        used += times.user + times.system
    return used


def children_s() -> float:
    """CPU time of this process and of those it has started and that have ended."""
    return sum(os.times()[:4])


def machine_s() -> float:
    """CPU time that the machine has used."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], 5, *sys.argv[2:]))

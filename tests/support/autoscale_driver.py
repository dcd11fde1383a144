"""A batch of fake models on a cluster that has to grow for it: prints, as JSON, when nodes came and went.

`python autoscale_driver.py HEAD:PORT FOLDER VIDEOS CELLS DEVICE`, in a process of its own: a process has one Ray at a time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

import fakes
from batches import Kit, check_attribution, clips
from product import ROOT, SUPPORT
from ray_head import ray_head
from rumiai_ray.engine.cell import supply
from rumiai_ray.engine.ray_session.local import LocalRay, start_ray
from rumiai_ray.logs import configure
from rumiai_ray.provenance import source_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ADDED = "added"
"""The resource by which nodes that the autoscaler adds are told from the head."""
_GONE_S = 90.0


class Watch:
    """A thread that notes how many added nodes are alive, whenever that changes."""

    def __init__(self) -> None:
        self.changes: list[tuple[float, int]] = []
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def now_s(self) -> float:
        return round(time.monotonic() - self._began, 1)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        yield
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        over = False
        while not over:
            over = self._over.wait(0.25)  # what holds at the end is noted, too
            count = added_nodes()
            if not self.changes or self.changes[-1][1] != count:
                self.changes.append((self.now_s, count))


def added_nodes() -> int:
    """Living nodes that the autoscaler has added."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return sum(node["Alive"] and node["Resources"].get(ADDED, 0) > 0 for node in nodes)


def scaled(folder: Path, workers: Mapping[str, Any], videos: int, cells: int, device: str, *, head_cpus: int = 1) -> dict[str, Any]:
    """What this program tells, run on a head of `head_cpus` that starts nodes of the types `workers`."""
    paths = os.pathsep.join([str(ROOT), str(SUPPORT)])
    with ray_head({"PYTHONPATH": paths}, cpus=head_cpus, workers=workers) as head:
        driver = subprocess.run(
            [sys.executable, __file__, head.gcs, str(folder), str(videos), str(cells), device],
            env=head.environment | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
        )
    assert driver.returncode == 0, driver.stdout + driver.stderr
    told = json.loads(driver.stdout.splitlines()[-1])
    assert isinstance(told, dict)
    told["said"] = [line for line in driver.stderr.splitlines() if "cells wait for" in line]
    print(told)  # noqa: T201 -- figures
    return told


def main(address: str, folder: Path, videos: int, cells: int, device: str) -> None:
    """See the module."""
    os.environ["RAY_ADDRESS"] = address  # so that it is known for a cluster, which may grow
    # Not a copy that Ray hands out: pretended nodes share one, and the first to go takes it from the others.
    start_ray(address=address, log_to_driver=False)
    configure()  # cells that wait are spoken of
    vars(supply)["_NEWS_S"] = 5.0  # pretended nodes come within seconds, and so few clips are done before half a minute is over
    fake_models = (fakes.plan("reader", "Reader", behave="burn"), fakes.plan("ears", "Listener"))
    models = tuple(replace(model, device=device, gpu_memory_gb=4.0 * (device != "cpu")) for model in fake_models)
    settings = {"cells": cells, "cell_cpus": 1, "gpu_memory_gb": 10, "place_timeout_s": 120, "extract_tasks": 2}
    kit = Kit(LocalRay(source_sha256(), folder / "scratch"), folder, models=models, cells=None, settings=settings)
    entries = clips(folder, videos)
    watch = Watch()
    with watch.running():
        run = kit.run("scaled", entries)
        ended_s = watch.now_s
        while added_nodes() and watch.now_s - ended_s < _GONE_S:
            time.sleep(0.25)
        gone_s = watch.now_s
    check_attribution(run, entries)
    told = {"status": run.status, "nodes": watch.changes, "ended_s": ended_s, "gone_after_s": round(gone_s - ended_s, 1)}
    print(json.dumps(told))  # noqa: T201 -- what the test reads
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])

"""A batch of fake models for GPUs on a cluster that has none yet: prints, as JSON, when GPU nodes came and went.

`python autoscale_driver.py HEAD:PORT FOLDER VIDEOS CELLS`, in a process of its own: a process has one Ray at a time.
"""

from __future__ import annotations

import json
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
from rumiai_ray.engine.local import LocalRay, start_ray
from rumiai_ray.provenance import source_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

_GONE_S = 90.0


class Watch:
    """A thread that notes how many nodes with a GPU are alive, whenever that changes."""

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
            count = gpu_nodes()
            if not self.changes or self.changes[-1][1] != count:
                self.changes.append((self.now_s, count))


def gpu_nodes() -> int:
    """Living nodes that have a GPU."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return sum(node["Alive"] and node["Resources"].get("GPU", 0) > 0 for node in nodes)


def main(address: str, folder: Path, videos: int, cells: int) -> None:
    """See the module."""
    # Not a copy that Ray hands out: pretended nodes share one, and the first to go takes it from the others.
    start_ray(address=address, log_to_driver=False)
    fake_models = (fakes.plan("reader", "Reader", behave="burn"), fakes.plan("ears", "Listener"))
    models = tuple(replace(model, device="cuda:0", gpu_memory_gb=4.0) for model in fake_models)
    settings = {"cells": cells, "cell_cpus": 1, "gpu_memory_gb": 10, "place_timeout_s": 120, "extract_tasks": 2}
    kit = Kit(LocalRay(source_sha256(), folder / "scratch"), folder, models=models, settings=settings)
    entries = clips(folder, videos)
    watch = Watch()
    with watch.running():
        run = kit.run("scaled", entries)
        ended_s = watch.now_s
        while gpu_nodes() and watch.now_s - ended_s < _GONE_S:
            time.sleep(0.25)
        gone_s = watch.now_s
    check_attribution(run, entries)
    told = {"status": run.status, "gpu_nodes": watch.changes, "ended_s": ended_s, "gone_after_s": round(gone_s - ended_s, 1)}
    print(json.dumps(told))  # noqa: T201 -- what the test reads
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

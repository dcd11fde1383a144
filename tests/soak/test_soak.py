"""Hundreds of short clips while processes are killed at random: nothing may be lost, doubled or attributed to another video.

`make soak`; SOAK_VIDEOS, SOAK_MEAN_S and SOAK_SEED change it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from batches import WORKING, Kit, check_attribution, clips, ray_processes
from chaos import ray_with_faults
from rumiai_ray.engine.cell.model_actor import anonymous_memory_bytes
from rumiai_ray.runs.reader import open_run

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.batch import BatchRun

VIDEOS = int(os.environ.get("SOAK_VIDEOS", "500"))
MEAN_S = float(os.environ.get("SOAK_MEAN_S", "8"))
"""Longer than a restart and the longest call, or nothing could finish."""
_PATIENCE_S = 3.0
"""How long to wait for a process of the chosen kind to be at work."""
SEED = int(os.environ.get("SOAK_SEED", time.time_ns() % 10_000))


class Killer:
    """A thread that kills a working process of a random kind at random times, exponentially distributed."""

    def __init__(self, seed: int, mean_s: float) -> None:
        self.kills: Counter[str] = Counter()
        self._dice = random.Random(seed)
        self._mean_s = mean_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._dice.expovariate(1 / self._mean_s)):
            # The kind first: reading and writing take a short while each, and would hardly ever be hit.
            kind = self._dice.choice(WORKING)
            deadline = time.monotonic() + _PATIENCE_S
            victims: list[tuple[str, Any]] = []
            while not victims and time.monotonic() < deadline and not self._ended.wait(0.02):
                victims = ray_processes((kind,))
            if victims:
                with suppress(psutil.NoSuchProcess):  # it has ended by itself
                    self._dice.choice(victims)[1].kill()
                    self.kills[kind.removeprefix("ray::")] += 1


@pytest.mark.timeout(3600)
def test_a_long_run_under_random_kills_is_complete_and_exact(tmp_path: Path) -> None:
    entries = clips(tmp_path, VIDEOS, SEED)
    peak_bytes = 0

    def watch(_batch: BatchRun, _done: int) -> None:
        nonlocal peak_bytes
        peak_bytes = max(peak_bytes, anonymous_memory_bytes())

    with ray_with_faults() as here:
        kit = Kit(here, tmp_path, settings={"attempts": 3, "group_age_s": 2.0}, cells=None)
        batch, writer = kit.batch("soaked", watch)
        rounds = 0
        one_round = batch._source

        def counted(*arguments: Any) -> Any:
            nonlocal rounds
            rounds += 1
            return one_round(*arguments)

        batch._source = counted  # type: ignore[method-assign, assignment]  # counts them
        killer = Killer(SEED, MEAN_S)
        began = time.monotonic()
        try:
            status = batch.run(entries, len(entries))
        finally:
            killer.stop()
        wall_s = time.monotonic() - began
        writer.finish(status, {})
    run = open_run(writer.run.uri())
    rate = VIDEOS / wall_s
    print(f"\nseed {SEED}: {VIDEOS} videos in {wall_s:.0f} s, {rate:.2f} a second, {rounds} round(s), status {status}")
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(killer.kills.items()))
    print(f"killed: {told}, every {wall_s / max(killer.kills.total(), 1):.1f} s; driver at most {peak_bytes / 2**20:.0f} MB")
    assert killer.kills, "nothing was killed"
    assert status == "complete", batch.tally.failures
    check_attribution(run, entries)

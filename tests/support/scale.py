"""How far one driver goes: very many videos that cost nothing, through the same Dataset, cells, assembly and commit as any other.

To be measured in a process of its own: what a test session has imported and let go of before drowns what the driver holds.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import re
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import ray
from ray._private.internal_api import memory_summary

import nulls
from numbered_clips import numbered_clip
from rumiai_ray.config import load_config
from rumiai_ray.engine.batch import BatchRun
from rumiai_ray.engine.cell.model_actor import anonymous_memory_bytes
from rumiai_ray.engine.setup.machines import plan_of_ray
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, sampling_spec, thresholds
from rumiai_ray.ingest.entries import read_manifest
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.engine.results.progress import Progress

MAX_BYTES_A_VIDEO = 2048
"""Growth of what the driver holds that is allowed."""
VIDEOS_A_SECOND_OF_A_GROUP = 333
"""A group is committed after one second for each of so many videos, at most after the default 30: the driver's memory is sampled at
commits, and a run of 2,000 videos has as many of them as one of 10,000."""
_TASKS = {"IDLE", "MapBatches", "write_group"}
"""What a worker of extraction and of writing is called while it works and while it waits."""
_SETTLED = 0.2
"""Share of the videos after which the driver's memory is measured: imports, pools and caches are filled by then."""


@dataclass
class Samples:
    """An `engine.batch.Watcher` that keeps (videos done, seconds, the driver's anonymous bytes), at most one a second."""

    rows: list[tuple[int, float, int]] = field(default_factory=list)
    held: list[tuple[int, int]] = field(default_factory=list)
    """(videos done, bytes the driver holds), once after every commit; see `_held_bytes`."""
    cpu_s: list[dict[str, float]] = field(default_factory=list)
    """CPU time spent so far, by kind of process."""

    def tick(self, progress: Progress) -> None:
        """Take a sample where a second has gone by."""
        done = progress.done
        now = time.monotonic()
        if not self.rows or now - self.rows[-1][1] >= 1.0:
            self.rows.append((done, now, anonymous_memory_bytes()))
            self.cpu_s.append(_cpu_seconds())
        if not self.held or done != self.held[-1][0]:
            self.held.append((done, _held_bytes()))


@dataclass(frozen=True)
class Figures:
    """What was measured."""

    videos: int
    wall_s: float
    """From the first commit to the last: start-up is not in it."""
    videos_per_s: float
    cpu_ms_per_video: dict[str, float]
    """By kind of process."""
    driver_bytes_per_video: float
    """Slope of what the driver holds over the videos done: the median one (Theil and Sen)."""
    driver_peak_mb: float
    spilled_mb: float


def measure(here: LocalRay, place: Path, videos: int, models: int = 1, cells: int = 1) -> Figures:
    """Run `videos` null videos through `models` null models; checks that the run holds every one of them once."""
    manifest_file = place / "videos.csv"
    with manifest_file.open("w") as file:
        file.write("id,input,views\n")
        file.writelines(f"video-{number:07},clips/{number:07}.mp4,{number}\n" for number in range(videos))
    engine = {"cells": cells, "group_age_s": min(30.0, videos / VIDEOS_A_SECOND_OF_A_GROUP)}
    flags: dict[str, Any] = {"store": str(place / "store"), "out": str(place / "runs"), "engine": engine}
    config = load_config(flags=flags)
    plans = tuple(nulls.null_plan(f"null{number}") for number in range(models))
    tables = {**TABLES_BY_NAME, "nothing": nulls.NOTHING}
    entries = EntryFile.of(read_manifest(str(manifest_file)))
    manifest = RunManifest.of_now("scale", command=["scale"], config=config, plans=plans, sampling=asdict(sampling_spec(config)))
    versions = {name: table.version for name, table in tables.items()}
    manifest = manifest.model_copy(update={"tables": versions, "source_sha256": here.code_sha256})
    writer = RunWriter.create(config.out, manifest, tables, entries=entries.data)
    clip = numbered_clip(place / "clip.mkv", 7, frames=4, audio=False)
    key = hashlib.sha256(clip.read_bytes()).hexdigest()
    store = open_store(config)
    store.ensure(clip, key).close()
    stage = nulls.OneClip(
        "scale", plans, store, fetch_limits(config), place / "work", config.engine.batch_frames, thresholds(config), clip, key
    )
    samples = Samples()
    status = BatchRun(config, stage, writer, here, plan_of_ray(config, plans), samples).run(entries, len(entries))
    writer.finish(status, {})
    run = open_run(writer.run.uri())
    committed = run.entries()
    assert (status, len(committed), set(committed.values())) == ("complete", videos, {"committed"})
    assert run.table("nothing", ["zero"]).num_rows == 4 * videos
    return _figures(samples, videos)


def _figures(samples: Samples, videos: int) -> Figures:
    done, seconds, memory = (np.array(column, float) for column in zip(*samples.rows, strict=True))
    held_at, held = (np.array(column, float) for column in zip(*samples.held, strict=True))
    begun = done > 0
    late = held_at >= _SETTLED * videos
    wall_s = float(seconds[begun][-1] - seconds[begun][0])
    summary: str = memory_summary(ray.get_runtime_context().gcs_address, stats_only=True)  # type: ignore[no-untyped-call]
    spilled = re.search(r"Spilled (\d+) MiB", summary)
    first = int(begun.argmax())
    # The most that was seen: at the end the cells are gone already, and with them their processes.
    kinds = {kind for seen in samples.cpu_s for kind in seen}
    spent = {kind: max(seen.get(kind, 0.0) for seen in samples.cpu_s) - samples.cpu_s[first].get(kind, 0.0) for kind in kinds}
    return Figures(
        videos=videos,
        wall_s=wall_s,
        videos_per_s=float(done[-1] - done[begun][0]) / wall_s,
        cpu_ms_per_video={kind: 1000 * cpu_s / (done[-1] - done[first]) for kind, cpu_s in sorted(spent.items())},
        driver_bytes_per_video=_median_slope(held_at[late], held[late]),
        driver_peak_mb=float(memory.max() / 1e6),
        spilled_mb=float(spilled[1]) if spilled else 0.0,
    )


def _held_bytes() -> int:
    """Anonymous memory once malloc has given back what is free in its arenas.

    Taken right after a commit, so that no group is on its way. Without both, what is measured is malloc: at 10,000 videos its free memory
    grew from 4 to 90 MB while what was in use stayed at 61 MB, and slopes of -1 to 5 KB a video came out; with both they are 0.9 KB.
    """
    ctypes.CDLL(None).malloc_trim(0)
    return anonymous_memory_bytes()


def _median_slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Slope of the line through (x, y) that half of all pairs of points exceed (Theil and Sen)."""
    one, other = np.triu_indices(len(x), 1)
    apart = x[one] != x[other]
    return float(np.median((y[other] - y[one])[apart] / (x[other] - x[one])[apart]))


def _cpu_seconds() -> dict[str, float]:
    """CPU time of this process and of all of its Ray's, by kind: the driver, Ray's own daemons, and workers by what they do."""
    spent = defaultdict[str, float](float, driver=time.process_time())
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = process.cmdline() or [process.name()]  # a process that has just ended has no command line left
            title = re.split(r"[^\w-]", command[0].removeprefix("ray::").rpartition("/")[2])[0]
            times = process.cpu_times()
            spent["tasks" if title in _TASKS else title] += times.user + times.system
    return spent

"""Several drivers of one run on one Ray, with videos that cost nothing: `python tests/soak/run_shards.py --videos N --drivers 4`.

Prints what a video costs with one driver and with several, in CPU time of the drivers and of all of Ray. With `--kill`, the driver of the
first shard is killed in the middle and its shard resumed. Ends with 1 where an entry is missing or there twice, or, without `--kill`, where
a video costs more than 1.2 times as much with several drivers.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

SUPPORT = Path(__file__).resolve().parents[1] / "support"
sys.path[:0] = [str(SUPPORT), str(Path(__file__).resolve().parents[2])]

import nulls  # noqa: E402 -- found on the path just set
from numbered_clips import numbered_clip  # noqa: E402
from ray_head import psutil, ray_head  # noqa: E402
from rumiai_ray.config import load_config  # noqa: E402
from rumiai_ray.engine.batch import BatchRun  # noqa: E402
from rumiai_ray.engine.ray_session.session import connected  # noqa: E402
from rumiai_ray.engine.setup.machines import plan_of_ray  # noqa: E402
from rumiai_ray.engine.setup.resume import Remaining, of_resumed  # noqa: E402
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, sampling_spec, thresholds  # noqa: E402
from rumiai_ray.errors import ConfigError  # noqa: E402
from rumiai_ray.ingest.entries import read_manifest  # noqa: E402
from rumiai_ray.ingest.table import EntryFile  # noqa: E402
from rumiai_ray.runs.manifest import RunManifest  # noqa: E402
from rumiai_ray.runs.reader import open_run  # noqa: E402
from rumiai_ray.runs.shards import Shard  # noqa: E402
from rumiai_ray.runs.writer import RunWriter, check_same  # noqa: E402
from rumiai_ray.schema.registry import TABLES_BY_NAME  # noqa: E402

if TYPE_CHECKING:
    from rumiai_ray.engine.results.progress import Progress

RUN = "scale"
TABLES = {**TABLES_BY_NAME, "nothing": nulls.NOTHING}
MOST = 1.2
"""Times the CPU of one driver that a video may cost with several."""
_LOOK_S = 1.0


@dataclass
class Told:
    """An `engine.batch.Watcher` that leaves in a file how many videos are done."""

    path: Path
    done: int = -1

    def tick(self, progress: Progress) -> None:
        """Write it where it has changed."""
        if progress.done != self.done:
            self.done = progress.done
            self.path.write_text(str(progress.done))


def drive(place: Path, shard: Shard | None) -> None:
    """One driver, in a process of its own: of a run without shards, or of one shard, which may have been begun."""
    flags: dict[str, Any] = {"store": str(place / "store"), "out": str(place / "runs")}
    config = load_config(flags=flags | {"engine": {"cells": 1, "cell_cpus": 1, "extract_tasks": 1}})
    plans = (nulls.null_plan("null0"),)
    entries = EntryFile.of(read_manifest(str(place / "videos.csv")))
    with connected(config) as here:
        spec, given = asdict(sampling_spec(config)), (len(entries), entries.sha256, "")
        manifest = RunManifest.of_now(RUN, command=["scale"], config=config, plans=plans, sampling=spec, entries=given)
        versions = {name: table.version for name, table in TABLES.items()}
        manifest = manifest.model_copy(update={"tables": versions, "source_sha256": here.code_sha256})
        left = Remaining(entries, len(entries))
        if shard is None:
            writer = RunWriter.create(config.out, manifest, TABLES, entries=entries.data)
        else:
            manifest = manifest.divided(shard.of)
            with suppress(ConfigError):  # another driver has made the run, or an earlier one of this shard
                RunWriter.create(config.out, manifest, TABLES, entries=entries.data, shard=shard)
            whole = open_run(place / "runs" / RUN)
            check_same(whole, manifest)
            run = replace(whole, shard=shard)
            writer, left = RunWriter.resume(run, manifest, TABLES), of_resumed(run)
        clip = place / "clip.mkv"
        key = hashlib.sha256(clip.read_bytes()).hexdigest()
        store, size = open_store(config), config.engine.batch_frames
        stage = nulls.OneClip(RUN, plans, store, fetch_limits(config), place / "work", size, thresholds(config), clip, key)
        told = Told(place / f"done-{1 if shard is None else shard.number}")
        batch = BatchRun(config, stage, writer, here, plan_of_ray(config, plans), told)
        writer.finish(batch.run(left.entries, left.count, left.analysed), {})


@dataclass(frozen=True)
class Figures:
    """What was measured, from when every driver had committed something to when the first one had ended."""

    videos: int
    wall_s: float
    cpu_s: float

    @property
    def cpu_ms_per_video(self) -> float:
        """Of all drivers and of Ray."""
        return 1000 * self.cpu_s / self.videos


def measure(place: Path, videos: int, drivers: int, *, kill: bool = False) -> Figures:
    """Run `videos` null videos with so many drivers on a Ray of their own; checks that the run holds each of them once."""
    with (place / "videos.csv").open("w") as file:
        file.write("id,input,views\n")
        file.writelines(f"video-{number:07},clips/{number:07}.mp4,{number}\n" for number in range(videos))
    clip = numbered_clip(place / "clip.mkv", 7, frames=4, audio=False)
    store = open_store(load_config(flags={"store": str(place / "store"), "out": str(place / "runs")}))
    store.ensure(clip, hashlib.sha256(clip.read_bytes()).hexdigest()).close()
    with ray_head({"PYTHONPATH": str(SUPPORT)}, cpus=3 * drivers) as head:
        environment = {**head.environment, "RAY_ADDRESS": head.gcs}
        names = ["-"] if drivers == 1 else [f"{number}/{drivers}" for number in range(1, drivers + 1)]

        def started(name: str) -> subprocess.Popen[bytes]:
            with (place / f"said-{name.partition('/')[0]}").open("ab") as said:
                return subprocess.Popen([sys.executable, __file__, "--drive", name, str(place)], env=environment, stdout=said, stderr=said)

        running = {name: started(name) for name in names}
        seen: list[tuple[float, int, float]] = []
        killed = False
        while running:
            time.sleep(_LOOK_S)
            done = [_done(place, number + 1) for number in range(drivers)]
            if kill and not killed and done[0] >= videos // drivers // 4:
                running[names[0]].kill()
                running.pop(names[0]).wait()
                killed = True
                print(f"killed driver {names[0]} after {done[0]} videos")
            ended = [name for name, process in running.items() if process.poll() is not None]
            if all(done) and not ended and len(running) == drivers:
                seen.append((time.monotonic(), sum(done), _cpu_s()))
            for name in ended:
                if running.pop(name).returncode:
                    said = place / f"said-{name.partition('/')[0]}"
                    sys.exit(f"driver {name} failed:\n{said.read_text()[-4000:]}")
        if killed:
            _check(place, videos, whole=False)
            if started(names[0]).wait():
                sys.exit(f"the resumed driver failed:\n{(place / 'said-1').read_text()[-4000:]}")
    _check(place, videos, whole=True)
    if len(seen) < 2:
        return Figures(0, 0.0, 0.0)
    return Figures(seen[-1][1] - seen[0][1], seen[-1][0] - seen[0][0], seen[-1][2] - seen[0][2])


def _done(place: Path, number: int) -> int:
    path = place / f"done-{number}"
    return int(path.read_text() or 0) if path.exists() else 0


def _cpu_s() -> float:
    """CPU time of the head, its workers and the drivers, with that of processes that have ended and were waited for."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


def _check(place: Path, videos: int, *, whole: bool) -> None:
    run = open_run(place / "runs" / RUN)
    rows = Counter(run.table("videos", ["entry_id"])["entry_id"].to_pylist())
    twice = [name for name, count in rows.items() if count > 1]
    frames = run.table("nothing", ["zero"]).num_rows
    expected = "complete" if whole else "incomplete"
    if twice or frames != 4 * len(rows) or run.status != expected or (whole and len(rows) != videos) or run.verify():
        sys.exit(f"{len(rows)} of {videos} entries, {len(twice)} twice, {frames} frames, {run.status}: {run.verify()[:5]}")
    print(f"{run.status}: {len(rows)} of {videos} entries, each once; {len(run.records)} commit records, sound")


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--drivers", type=int, default=4)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--drive", nargs=2, metavar=("SHARD", "PLACE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        name, place = arguments.drive
        drive(Path(place), None if name == "-" else Shard.given(name))
        return
    figures: dict[int, Figures] = {}
    for drivers in (arguments.drivers,) if arguments.kill else (1, arguments.drivers):
        with tempfile.TemporaryDirectory(prefix="shards-") as folder:
            figures[drivers] = one = measure(Path(folder), arguments.videos, drivers, kill=arguments.kill)
        if one.videos:
            rate = one.videos / one.wall_s
            print(f"{drivers} drivers: {one.cpu_ms_per_video:.1f} CPU-ms a video, {rate:.1f} videos/s, over {one.videos} videos")
    if not arguments.kill:
        if not all(one.videos for one in figures.values()):
            sys.exit("too few videos: a driver had ended before every other one had begun")
        share = figures[arguments.drivers].cpu_ms_per_video / figures[1].cpu_ms_per_video
        print(f"a video costs {share:.2f} times the CPU of one driver")
        if share > MOST:
            sys.exit(f"too much: at most {MOST} times")


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    main()

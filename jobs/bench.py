"""How close a batch comes to the speed of light: `python jobs/bench.py --manifest FILE` with the options of `rumiai-ray batch`.

Three parts, on this machine alone, over the same rows of work:

1. The frame store is filled and every row of work is read from it. Nothing is decoded from video after that.
2. Each model alone, warm, in a process of its own with a cell's settings, environment and threads: wall and CPU seconds inside its calls.
   On a GPU (`--device cuda`) also the memory it takes there and the share of its calls' time in which the GPU was at work.
   The **ceiling** is 1 / max(slowest model's seconds a video over its actors, Σ models' CPU-seconds a video / cores).
3. The real batch engine, from a Ray of its own to the last commit record, watched from outside (`engine.benchmark.cpu_meter`).

**The clock** starts at the first look (once a second) at which every model has answered a call: all are loaded, none is cold. What came
before is start-up; it is printed. The clock stops when the last video is committed, so the pipeline's tail, assembly and writing count
against it. **Work counts** if its call to the model began after the clock started; calls that were under way count for nothing.
Counted videos are that share of all calls times the videos: of the calls of the model that binds the ceiling, or, where the cores bind
it, of all models' calls, each weighed with its model's CPU-seconds. **Throughput** is counted videos over the time on the clock, and the
**share** is throughput over ceiling.

A busy machine slows the models alone as well, which lowers the ceiling. So where other programs used more than 5 % of the cores in any
part, there is no share: CPU-seconds are all that can be believed then, and the exit code is 1.
Exit codes: 0 measured; 1 not measured: the machine was not quiet, or a video or a model failed; 2 wrong usage;
3 aborted, or a disk or standard output cannot be written.
"""  # noqa: INP001 -- a script

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

# The package need not be installed: it lies beside this folder.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from rumiai_ray.cli.interpreter import check_interpreter  # noqa: E402 -- found on the path just set

check_interpreter()

import typer  # noqa: E402 -- only where the packages are
from rich.table import Table  # noqa: E402

from rumiai_ray.cli.boundary import exit_code_of, pipes_apart  # noqa: E402 -- found on the path just set
from rumiai_ray.cli.exits import Exit  # noqa: E402
from rumiai_ray.cli.options import with_settings  # noqa: E402
from rumiai_ray.cli.output import mark_streams  # noqa: E402
from rumiai_ray.cli.terminal import SafeConsole, say  # noqa: E402
from rumiai_ray.cli.weights import choose_or_fetch  # noqa: E402
from rumiai_ray.config import BaseConfig  # noqa: E402 -- typer reads the annotations
from rumiai_ray.engine.batch import BatchRun  # noqa: E402
from rumiai_ray.engine.benchmark.cpu_meter import Meter, Sight, machine_cpu_s  # noqa: E402
from rumiai_ray.engine.benchmark.models_alone import Alone, measure_alone  # noqa: E402
from rumiai_ray.engine.ray_session.session import connected  # noqa: E402
from rumiai_ray.engine.results.ceiling import CORES, ceiling  # noqa: E402
from rumiai_ray.engine.setup.machines import plan_of_ray  # noqa: E402
from rumiai_ray.engine.setup.run_setup import prepare  # noqa: E402
from rumiai_ray.errors import ConfigError, ModelError  # noqa: E402
from rumiai_ray.ingest.entries import read_manifest  # noqa: E402
from rumiai_ray.ingest.table import EntryFile  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.engine.results.progress import Progress
    from rumiai_ray.engine.setup.run_setup import Prepared
    from rumiai_ray.engine.work.item import Work

Manifest = Annotated[str, typer.Option("--manifest", help="CSV, JSONL, Parquet or text list of videos.", show_default=False)]
Report = Annotated[Path | None, typer.Option("--report", help="File for all figures, as JSON.", show_default=False)]
_GPU_HEADINGS = ("GPU GB", "GPU busy")
QUIET = 0.05
"""Share of the cores that other programs may use."""
CORES_HERE = len(os.sched_getaffinity(0))


@dataclass
class Ticks:
    """A batch's watcher that only remembers when the last video was committed."""

    ended_s: float = 0.0

    def tick(self, progress: Progress) -> None:
        """See `engine.batch.Watcher`."""
        if progress.done == progress.total and not self.ended_s:
            self.ended_s = time.monotonic()


@dataclass(frozen=True)
class Watched:
    """A batch as it was seen from outside."""

    start_up_s: float
    """From before Ray was started to the start of the clock."""
    clock_s: float
    actors: Mapping[str, int]
    """By model."""
    begun_before: Mapping[str, int]
    """Calls begun before the clock started, by model."""
    cpu_s: Mapping[str, float]
    """CPU time on the clock, by kind of process."""
    others_cpu_s: float
    """CPU time on the clock of programs that are not ours."""


@with_settings()
def bench(manifest: Manifest, config: BaseConfig, report: Report = None) -> None:
    """Measure each model alone, then the batch engine, and set the one beside the other."""
    if os.environ.get("RAY_ADDRESS"):
        raise ConfigError("it measures this machine, on a Ray of its own", "RAY_ADDRESS", "unset it")
    console = SafeConsole(stderr=True)
    with tempfile.TemporaryDirectory(prefix="rumiai-bench-") as folder:
        config = config.model_copy(update={"out": str(Path(folder) / "runs")})
        prepared = prepare(config, choose_or_fetch(config), EntryFile.of(read_manifest(manifest)), command=sys.argv)
        with console.status("reading the frame store"):
            works, videos = rows_of(prepared, Path(folder))
        alone: dict[str, Alone] = {}
        others = {}
        for plan in prepared.models:
            with console.status(f"{plan.name} alone"):
                began_s, before_s = time.monotonic(), machine_cpu_s() - sum(os.times()[:4])
                alone[plan.name] = measure_alone(plan, works, prepared.manifest.source_sha256)
                after_s = machine_cpu_s() - sum(os.times()[:4])  # children that have ended are counted as ours
                others[plan.name] = (after_s - before_s) / (time.monotonic() - began_s) / CORES_HERE
        calls = {name: cost.calls for name, cost in alone.items()}
        with console.status("all models in one batch"):
            watched = watch(prepared, Path(folder), calls)
    others["batch"] = watched.others_cpu_s / watched.clock_s / CORES_HERE
    figures = compare(alone, watched, videos, others)
    figures["settings"] = {"engine": config.engine.model_dump(), "threads": {plan.name: plan.settings.threads for plan in prepared.models}}
    show(figures)
    if report is not None:
        report.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if figures["share_of_ceiling"] is None:
        raise typer.Exit(Exit.TROUBLED)


def rows_of(prepared: Prepared, folder: Path) -> tuple[list[Work], int]:
    """Every row of work, in the batch's order, and how many videos they are of. The first time fills the store.

    Raises:
        ConfigError: an entry cannot be read, or none is left.
    """
    stage, seen = prepared.stage(folder), set[str]()
    works: list[Work] = []
    for entry in prepared.entries:
        for work in stage.work_of(entry, lambda key, _: key not in seen):
            if work.header is not None and work.header.plan is None:
                raise ConfigError("it cannot be read", f"entry {entry.entry_id}", "benchmark with videos that can")
            if work.kind != "none":
                works.append(work)
                seen.add(work.video_key)
    if not works:
        raise ConfigError("there is nothing to analyse", "the manifest", "name some videos")
    return works, len(seen)


def watch(prepared: Prepared, folder: Path, calls: Mapping[str, int]) -> Watched:
    """Run the batch engine and say what it did while the clock ran.

    Raises:
        ModelError: a video or a model failed, or a call was repeated: the work was not the work that was measured alone.
    """
    began_s, ticks = time.monotonic(), Ticks()
    with connected(prepared.config) as here, Meter(here.scratch) as meter:
        plan = plan_of_ray(prepared.config, prepared.models)
        engine = BatchRun(prepared.config, prepared.stage(folder), prepared.create_run(), here, plan, ticks)
        status = engine.run(prepared.entries, len(prepared.entries))
    last = meter.sights[-1]
    if status != "complete" or dict(last.begun) != calls:
        raise ConfigError(
            f"the batch was {status} with calls {last.begun}, not {calls}", "benchmark", "`rumiai-ray batch` says what failed"
        )
    models = [name for name, count in calls.items() if count]
    start = next(sight for sight in meter.sights if all(sight.answered.get(name, 0) > 0 for name in models))
    stop = next((sight for sight in meter.sights if sight.at_s >= ticks.ended_s), last)
    return Watched(
        start_up_s=start.at_s - began_s,
        clock_s=ticks.ended_s - start.at_s,
        actors=plan.actors,
        begun_before=start.begun,
        cpu_s={kind: stop.cpu_s[kind] - start.cpu_s.get(kind, 0.0) for kind in stop.cpu_s},
        others_cpu_s=_others(start, stop),
    )


def _others(start: Sight, stop: Sight) -> float:
    return stop.machine_cpu_s - start.machine_cpu_s - (sum(stop.cpu_s.values()) - sum(start.cpu_s.values()))


def compare(alone: Mapping[str, Alone], watched: Watched, videos: int, others: Mapping[str, float]) -> dict[str, Any]:
    """All figures: what was measured, and what follows from it; no share where `others`, their share of the cores by part, is too much."""
    seconds = {name: cost.seconds for name, cost in alone.items()}
    cpu_s = {name: cost.cpu_s for name, cost in alone.items()}
    limit = ceiling(seconds, cpu_s, videos, actors=watched.actors, cores=CORES_HERE)
    if limit is None:
        raise ConfigError("no model had anything to analyse", "benchmark", "name videos that at least one model analyses")
    counted = {name: 1 - watched.begun_before.get(name, 0) / cost.calls for name, cost in alone.items() if cost.calls}
    if limit.bound_by == CORES:
        share_counted = sum(counted[name] * cpu_s[name] for name in counted) / sum(cpu_s.values())
    else:
        share_counted = counted[limit.bound_by]
    throughput = videos * share_counted / watched.clock_s
    return {
        "videos": videos,
        "videos_counted": videos * share_counted,
        "cores": CORES_HERE,
        "models_alone": {name: asdict(cost) for name, cost in alone.items()},
        "ceiling_videos_per_s": limit.videos_per_s,
        "bound_by": limit.bound_by,
        "throughput_videos_per_s": throughput,
        "share_of_ceiling": throughput / limit.videos_per_s if max(others.values()) <= QUIET else None,
        "used_by_others": dict(others),
        "batch": asdict(watched),
    }


def show(figures: Mapping[str, Any]) -> None:
    """The figures, for people."""
    console, videos, batch = SafeConsole(), figures["videos"], figures["batch"]
    counted, clock_s, share = figures["videos_counted"], batch["clock_s"], figures["share_of_ceiling"]
    on_gpu = any(cost["gpu_busy"] is not None for cost in figures["models_alone"].values())
    table = Table(
        "",
        "alone: s",
        "frames/s",
        "CPU-s",
        "in the batch: CPU-s",
        "load s",
        *_GPU_HEADINGS if on_gpu else (),
        title=f"A video's cost ({videos} videos, {figures['cores']} cores)",
    )
    for name, cost in figures["models_alone"].items():
        used = batch["cpu_s"].get(name, 0.0) / counted
        rate = f"{cost['frames'] / cost['seconds']:.1f}" if cost["frames"] and cost["seconds"] else ""
        gpu = ("", "") if cost["gpu_busy"] is None else (f"{cost['gpu_memory_gb']:.2f}", f"{cost['gpu_busy']:.0%}")
        per_video = [f"{cost[key] / videos:.3f}" for key in ("seconds", "cpu_s")]
        table.add_row(name, per_video[0], rate, per_video[1], f"{used:.3f}", f"{cost['load_s']:.1f}", *gpu if on_gpu else ())
    for kind, used in sorted(batch["cpu_s"].items()):
        if kind not in figures["models_alone"]:
            table.add_row(kind, "", "", "", f"{used / counted:.3f}", "")
    ours, everything = sum(batch["cpu_s"].values()), clock_s * figures["cores"]
    console.print(table)
    console.print(f"start-up {batch['start_up_s']:.1f} s, then {counted:.1f} of {videos} videos on the clock in {clock_s:.1f} s")
    console.print(f"the batch used {ours / everything:.1%} of the cores")
    console.print("other programs: " + ", ".join(f"{part} {used:.1%}" for part, used in figures["used_by_others"].items()))
    console.print(
        f"throughput {figures['throughput_videos_per_s']:.4f} videos/s, ceiling {figures['ceiling_videos_per_s']:.4f} "
        f"(bound by {figures['bound_by']}): " + ("not quiet, no share" if share is None else f"share {share:.3f}")
    )


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(pipes_apart()(bench))

    def measured() -> Any:
        """The exit code; a model's failure is no wrong usage."""
        try:
            return app(standalone_mode=False)
        except ModelError as error:
            say(f"{type(error).__name__}: {error}", err=True)
            return Exit.TROUBLED

    mark_streams()
    sys.exit(exit_code_of(measured))

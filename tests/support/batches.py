"""Batches of fake models over numbered clips on a real Ray: how a test starts one, and what must hold of the run it leaves."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psutil
import ray

import fakes
from numbered_clips import numbered_clip
from rumiai_ray.config import load_config
from rumiai_ray.engine.batch import BatchRun
from rumiai_ray.engine.results.progress import Phase
from rumiai_ray.engine.setup.machines import plan_of_ray
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, sampling_spec, thresholds
from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.runs.find import find_run
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.runs.reader import Run, open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.engine.results.progress import Progress
    from rumiai_ray.models.base import ModelPlan
    from rumiai_ray.runs.shards import Shard

TABLES = {**TABLES_BY_NAME, "seen": fakes.SEEN, "heard": fakes.HEARD}
WELL = (fakes.plan("reader", "Reader"), fakes.plan("ears", "Listener"))


@dataclass
class Kit:
    """What a test needs to start runs in one place."""

    here: LocalRay
    place: Path
    models: tuple[ModelPlan, ...] = WELL
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the engine."""
    limits: dict[str, Any] = field(default_factory=dict)
    stage_type: type[Stage] = Stage
    cells: int | None = 1
    """Most cells; None for as many as Ray has room for. Each costs a process for every model and one more to start."""
    shard: Shard | None = None
    """The one that the runs' driver does."""
    watcher: _Watcher | None = None
    """Of the run that was started last."""

    @property
    def config(self) -> BaseConfig:
        engine = {"batch_frames": 4, "group_age_s": 0.5, "stall_timeout_s": 240, "attempts": 2, "cells": self.cells, **self.settings}
        return load_config(
            flags={"store": str(self.place / "store"), "out": str(self.place / "runs"), "engine": engine, "limits": self.limits}
        )

    def batch(
        self, run_id: str, on_tick: Callable[[BatchRun, int], None] | None = None, *, again: bool = False
    ) -> tuple[BatchRun, RunWriter]:
        config = self.config
        spec = asdict(sampling_spec(config))
        manifest = RunManifest.of_now(run_id, command=["test"], config=config, plans=self.models, sampling=spec)
        # The session's Ray froze the code when the session began.
        versions = {name: table.version for name, table in TABLES.items()}
        manifest = manifest.model_copy(update={"tables": versions, "source_sha256": self.here.code_sha256})
        if self.shard is not None:
            manifest = manifest.divided(self.shard.of)
        if again:
            writer = RunWriter.resume(replace(find_run(run_id, config.out), shard=self.shard), manifest, TABLES)
        else:
            writer = RunWriter.create(config.out, manifest, TABLES, shard=self.shard)
        work, size = self.place / "work", config.engine.batch_frames
        stage = self.stage_type(run_id, self.models, open_store(config), fetch_limits(config), work, size, thresholds(config))
        watcher = self.watcher = _Watcher(on_tick)
        batch = BatchRun(config, stage, writer, self.here, plan_of_ray(config, self.models), watcher)
        watcher.batch = batch
        return batch, writer

    def run(self, run_id: str, entries: Sequence[Entry], on_tick: Callable[[BatchRun, int], None] | None = None) -> Run:
        batch, writer = self.batch(run_id, on_tick)
        writer.finish(batch.run(entries, len(entries)), {})
        return open_run(writer.run.uri())


class _Watcher:
    def __init__(self, on_tick: Callable[[BatchRun, int], None] | None) -> None:
        self.batch: BatchRun | None = None
        self.seen: list[Progress] = []
        self._on_tick = on_tick

    def tick(self, progress: Progress) -> None:
        self.seen.append(progress)
        if self._on_tick and self.batch and progress.phase != Phase.DONE:
            self._on_tick(self.batch, progress.done)


def clips(place: Path, count: int, seed: int = 7) -> list[Entry]:
    """Entries of numbered clips of random lengths, in random order; clip n carries the number n."""
    dice = random.Random(seed)
    entries = []
    for number in range(1, count + 1):
        path = numbered_clip(place / f"clip{number}.mkv", number, frames=dice.randint(1, 14))
        entries.append(Entry(f"e{number}", str(path), {"number": str(number)}, str(path)))
    dice.shuffle(entries)
    return entries


def check_attribution(run: Run, entries: Sequence[Entry]) -> None:
    """Every entry once; every row of every video carries the number of that video's clip and of no other."""
    videos = run.table("videos").to_pylist()
    assert sorted(row["entry_id"] for row in videos) == sorted(entry.entry_id for entry in entries)
    numbers = {row["video_key"]: int(dict(row["columns"])["number"]) for row in videos}
    frames = {row["video_key"]: row["frames_sampled"] for row in videos}
    seen: dict[str, list[int]] = {key: [] for key in numbers}
    for row in run.table("seen").to_pylist():
        assert row["number"] == numbers[row["video_key"]], "a row was attributed to another video"
        seen[row["video_key"]].append(row["frame_index"])
    assert {key: sorted(found) for key, found in seen.items()} == {key: list(range(count)) for key, count in frames.items()}
    heard = {row["video_key"]: row["number"] for row in run.table("heard").to_pylist()}
    assert heard == numbers
    assert run.verify() == []


WORKING = ("ray::ModelActor", "ray::Front", "ray::MapBatches", "ray::write_group")


def ray_processes(titles: Sequence[str] = WORKING) -> list[tuple[str, Any]]:
    """Working processes of this Ray: model actors, fronts, and the tasks of Ray Data and of the writer, unless told otherwise."""
    node = ray._private.worker._global_node
    assert node is not None
    raylet = next(
        process
        for process in psutil.process_iter(["name", "cmdline"])  # read at once: a process that has ended since raises nothing
        if process.info["name"] == "raylet" and node.get_session_dir_path() in " ".join(process.info["cmdline"] or [])
    )
    found = []
    for process in raylet.children(recursive=True):
        try:
            title = process.cmdline()[0]
        except (psutil.Error, IndexError):
            continue
        found += [(title, process) for start in titles if title.startswith(start)]
    return found

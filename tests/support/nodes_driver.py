"""A batch on several nodes, some of which are killed in the middle of it: `python nodes_driver.py FOLDER VIDEOS NODES KILLS SEED`.

A node is killed hard, raylet and all, without a word to anybody, and another one joins: at even distances of the run, the last in time
to matter. Prints, as JSON, what was seen. In a process of its own: a process has one Ray at a time.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakes
import nodes
from batches import TABLES, WELL, Kit, check_attribution, clips
from product import ROOT, SUPPORT
from rumiai_ray.engine.cell import cell
from rumiai_ray.engine.ray_session.local import LocalRay
from rumiai_ray.provenance import source_sha256
from rumiai_ray.runs.reader import open_run

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

    from rumiai_ray.engine.batch import BatchRun
    from rumiai_ray.runs.reader import Run

CPUS = 2


class Spot:
    """Takes nodes away and brings others, as the run goes on."""

    def __init__(self, cluster: Cluster, videos: int, kills: int, seed: int) -> None:
        self._cluster = cluster
        self._at = [videos * (number + 1) // (kills + 2) for number in range(kills)]
        self._dice = random.Random(seed)
        self.killed: list[str] = []

    def tick(self, batch: BatchRun, done: int) -> None:
        del batch
        if self._at and done >= self._at[0]:
            self._at.pop(0)
            node = self._dice.choice(sorted(self._cluster.worker_nodes, key=lambda one: str(one.node_id)))
            self.killed.append(node.node_id)
            self._cluster.remove_node(node, allow_graceful=False)
            nodes.add(self._cluster, CPUS)


def on_nodes(videos: int, count: int, kills: int, seed: int, timeout_s: float) -> dict[str, Any]:
    """What `nodes_driver` tells of one batch."""
    folder = tempfile.mkdtemp(prefix="rn-", dir="/tmp")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RUMIAI_"))}
    try:
        driver = subprocess.run(
            [sys.executable, __file__, folder, *map(str, (videos, count, kills, seed))],
            env=environment | {"PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert driver.returncode == 0, driver.stdout + driver.stderr
    told = json.loads(driver.stdout.splitlines()[-1])
    assert isinstance(told, dict)
    return told


def main(folder: Path, videos: int, count: int, kills: int, seed: int) -> None:
    """See the module."""
    os.environ[nodes.NOTES] = str(folder / "notes")
    (folder / "notes").mkdir()
    TABLES[nodes.PLACED.name] = nodes.PLACED
    vars(cell)["Front"] = nodes.NotingFront  # what a cell starts
    models = (*WELL, replace(fakes.plan("placed"), implementation="nodes:Placed"))
    entries = clips(folder, videos)
    with nodes.cluster(CPUS, count) as cluster:
        # Not a copy of the code that Ray hands out: nodes on one machine share it, and the first to go takes it from the others.
        settings = {"attempts": 4, "rounds": 6, "place_timeout_s": 120}
        kit = Kit(LocalRay(source_sha256(), folder / "scratch"), folder, models=models, cells=None, settings=settings)
        spot = Spot(cluster, videos, kills, seed)
        batch, writer = kit.batch("nodes", spot.tick)
        store = batch._stage.store
        batch._stage = replace(batch._stage, store=nodes.NodeStore(store))  # type: ignore[arg-type]
        began_s = time.monotonic()
        writer.finish(batch.run(entries, len(entries)), {})
        took_s = time.monotonic() - began_s
    run = open_run(writer.run.uri())
    check_attribution(run, entries)
    told = {"status": run.status, "seconds": round(took_s, 1), "killed": spot.killed, **_places(run, folder)}
    told["stores_hold_only_their_own"] = all(
        {path.name for path in (folder / "store" / node).glob("??/*")} <= {store.key_of(key) for key in keys}
        for node, keys in told["stored"].items()
    )
    print(json.dumps(told))  # noqa: T201 -- what the test reads


def _places(run: Run, folder: Path) -> dict[str, Any]:
    """Where frames were stored, decoded and seen."""
    decoded: dict[tuple[str, int], set[str]] = {}
    for note in nodes.notes(folder / "notes", "decoded"):
        for frame in note["frames"]:
            decoded.setdefault((note["video_key"], frame), set()).add(note["node"])
    stored: dict[str, set[str]] = {}
    for note in nodes.notes(folder / "notes", "stored"):
        stored.setdefault(note["node"], set()).add(note["video_key"])
    seen = run.table("placed").to_pylist()
    return {
        "stored": {node: sorted(keys) for node, keys in stored.items()},
        "nodes_that_saw": sorted({row["node"] for row in seen}),
        "frames": len(seen),
        "frames_seen_elsewhere_than_decoded": sum(row["node"] not in decoded[row["video_key"], row["frame_index"]] for row in seen),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

"""Commands on a warm cell of fakes, each a process of its own as a user's is: `python warm_driver.py VERB FOLDER [MORE…]`, prints JSON.

The first directory of PYTHONPATH holds a copy of the package with `fakes.py` among its models, where it counts as code.

up [IDLE_S]         start a head unless RAY_ADDRESS names one, keep a cell warm there
run NAME CLIP       one run; what the reader read, in which process, and what was said meanwhile
hold SIGN           have the cell until the file SIGN is gone, or the cell is lost; makes the file when the cell is there
held                what there is
down                end it
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rumiai_ray.config import load_config
from rumiai_ray.engine.interactive import Interactive
from rumiai_ray.engine.ray_session import local_head as head
from rumiai_ray.engine.ray_session.warm_connection import attached
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, sampling_spec, thresholds
from rumiai_ray.engine.warm import client as warm
from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.ingest.entries import entries_from_inputs
from rumiai_ray.models import fakes  # type: ignore[attr-defined]  # in the copy
from rumiai_ray.provenance import source_sha256
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from rumiai_ray.config import BaseConfig

TABLES = {**TABLES_BY_NAME, "seen": fakes.SEEN, "heard": fakes.HEARD}
MODELS = tuple(
    replace(fakes.plan(name, kind), implementation=f"rumiai_ray.models.fakes:{kind}")
    for name, kind in (("reader", "Reader"), ("ears", "Listener"))
)


class Told:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def stage(self, text: str) -> None:
        self.lines.append(text)

    def planned(self, *_: object) -> None: ...

    def progress(self, *_: object) -> None: ...

    def ended(self, *_: object) -> None: ...


def config_of(folder: Path, idle_s: float = 600.0) -> BaseConfig:
    engine = {"batch_frames": 4, "warm_idle_s": idle_s, "place_timeout_s": 60, "start_timeout_s": 60}
    return load_config(flags={"store": str(folder / "store"), "out": str(folder / "runs"), "engine": engine})


def wanted(config: BaseConfig) -> warm.WantedCell:
    return warm.WantedCell(config, MODELS, source_sha256())


def up(folder: Path, idle_s: str = "600") -> Any:
    if not os.environ.get("RAY_ADDRESS"):
        with head.alone():
            if head.find_head() is None:
                head.start_head(2)
    return asdict(warm.keep(wanted(config_of(folder, float(idle_s))), lambda _: None))


def run(folder: Path, name: str, clip: str) -> Any:
    config = config_of(folder)
    manifest = RunManifest.of_now(name, command=["test"], config=config, plans=MODELS, sampling=asdict(sampling_spec(config)))
    manifest = manifest.model_copy(update={"tables": {table: one.version for table, one in TABLES.items()}})
    writer = RunWriter.create(config.out, manifest, TABLES)
    size = config.engine.batch_frames
    stage = Stage(name, MODELS, open_store(config), fetch_limits(config), folder, size, thresholds(config))
    told = Told()
    engine = Interactive(config, stage, writer, told)
    writer.finish(engine.run(entries_from_inputs([clip])), engine.figures)
    done = open_run(writer.run.uri())
    rows = done.table("seen").to_pylist()
    return {
        "status": done.status,
        "numbers": sorted({row["number"] for row in rows}),
        "pids": sorted({row["pid"] for row in rows}),
        "frame_store": done.table("videos")["frame_store"].to_pylist(),
        "cell": engine.figures["cell"],
        "told": told.lines,
    }


def hold(folder: Path, sign: str) -> Any:
    with ExitStack() as held:
        cell = held.enter_context(warm.borrowed(wanted(config_of(folder)), lambda _: None))
        assert cell is not None
        Path(sign).touch()
        while Path(sign).exists() and not cell.lost_because:
            time.sleep(0.05)
    return {"let_go_s": time.time(), "lost_because": cell.lost_because}


def held(folder: Path) -> Any:
    del folder
    with attached():
        return [asdict(one) for one in warm.all_held()]


def down(folder: Path) -> Any:
    del folder
    if os.environ.get("RAY_ADDRESS"):
        with attached():
            return warm.drop_all()
    with head.alone():
        return head.stop_head()


if __name__ == "__main__":
    verb = {one.__name__: one for one in (up, run, hold, held, down)}[sys.argv[1]]
    print(json.dumps(verb(Path(sys.argv[2]), *sys.argv[3:])))  # noqa: T201 -- what the test reads

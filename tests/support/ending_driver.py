"""A batch of fake models in a process of its own, which is ended from outside: arguments are a pickled `Order` and a file for what a test
has to know of this process's Ray, which is written when `AFTER` entries are committed.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rumiai_ray.engine.ray_session import supervisor as supervise

if TYPE_CHECKING:
    from rumiai_ray.engine.batch import BatchRun
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.models.base import ModelPlan

AFTER = 2


@dataclass(frozen=True)
class Order:
    """What to run."""

    place: Path
    run_id: str
    entries: list[Entry]


def models() -> tuple[ModelPlan, ...]:
    """The models of these batches: slow ones, so that a batch can be ended in its middle."""
    import fakes  # noqa: PLC0415 -- the process forks before it imports Ray

    return fakes.plan("reader", "Reader", behave="burn"), fakes.plan("ears", "Listener")


def main(order: Order, sign: Path) -> int:
    import ray  # noqa: PLC0415
    from ray._private import worker  # noqa: PLC0415

    import fakes  # noqa: PLC0415 -- the process forks before it imports Ray
    from batches import Kit  # noqa: PLC0415
    from rumiai_ray.cli.endings import run_to_the_end  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.local import local_ray  # noqa: PLC0415
    from rumiai_ray.runs.reader import open_run  # noqa: PLC0415

    def on_tick(_: BatchRun, done: int) -> None:
        node: Any = worker._global_node
        if done >= AFTER and not sign.exists():
            pids = {kind: [one.process.pid for one in ones] for kind, ones in node.all_processes.items()}
            told = {"driver": os.getpid(), "gcs": ray.get_runtime_context().gcs_address, "folder": str(here.scratch), "pids": pids}
            sign.with_suffix(".part").write_text(json.dumps(told))
            sign.with_suffix(".part").rename(sign)

    with local_ray(num_cpus=4, beside=[Path(str(fakes.__file__))]) as here:
        kit = Kit(here, order.place, models(), {"drain_s": 30.0}, cells=1)
        begun = (order.place / "runs" / order.run_id / "manifest.json").exists()
        batch, writer = kit.batch(order.run_id, on_tick, again=begun)
        before = open_run(writer.run.uri())
        left = [entry for entry in order.entries if entry.entry_id not in before.entries()]
        analysed = [str(row["video_key"]) for row in before.table("videos", ["video_key"]).to_pylist()]
        code = run_to_the_end(batch, lambda: batch.run(left, len(left), analysed), writer, resumable=True, drain_s=30.0)
        if code:
            here.keep_logs()
    return code


if __name__ == "__main__":
    supervise.supervise()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])))  # noqa: S301 -- written by the test
    finally:
        supervise.tell(ended=True)

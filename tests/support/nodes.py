"""Several Ray nodes on this machine, each with a frame store of its own, and notes of which node did what. Imported by Ray's workers."""

from __future__ import annotations

import json
import os
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
import ray
from ray._private import ray_constants
from ray.cluster_utils import Cluster

import fakes
from rumiai_ray.engine.cell import frontend as front
from rumiai_ray.engine.ray_session.local import start_ray
from rumiai_ray.engine.ray_session.settings import ENVIRONMENT
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.models.base import Prediction
from rumiai_ray.schema.table import FRAME, Table, column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.engine.cell.messages import Index, Payload
    from rumiai_ray.frames.store.stored import StoredVideo
    from rumiai_ray.models.base import FrameBatch

NOTES = "TEST_NODES_NOTES"
_TOGETHER_S = 60.0
_STORE_BYTES = 100 * 2**20
PLACED = Table("placed", 1, "Which node saw a frame.", (*FRAME, column("node", pa.string(), "The node's id in Ray.")))


def node_id() -> str:
    """Of the node this process is on."""
    return str(ray.get_runtime_context().get_node_id())


def note(kind: str, **what: object) -> None:
    """Leave word of something this node did."""
    folder, name = Path(os.environ[NOTES]), f"{kind}-{uuid.uuid4().hex}"
    (folder / f"{name}.part").write_text(json.dumps({"node": node_id(), **what}))
    (folder / f"{name}.part").rename(folder / f"{name}.note")


def notes(folder: Path, kind: str) -> list[dict[str, Any]]:
    """All words of one kind."""
    return [json.loads(path.read_text()) for path in folder.glob(f"{kind}-*.note")]


def _until_two_nodes_work() -> None:
    """On a quick machine one node could be done before the next is there, and the test would show nothing."""
    folder = Path(os.environ[NOTES])
    if node_id() not in {one["node"] for one in notes(folder, "works")}:
        note("works")
    deadline = time.monotonic() + _TOGETHER_S
    while len({one["node"] for one in notes(folder, "works")}) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)


class Placed(fakes.Fake):
    """Says which node it sees frames on."""

    name = "placed"
    tables: ClassVar[tuple[Table, ...]] = (PLACED,)
    consumes: ClassVar[Literal["frames", "audio"]] = "frames"

    def predict(self, batch: Any) -> Prediction:
        _until_two_nodes_work()
        return Prediction({"placed": PLACED.rows(self._records(batch))})

    @staticmethod
    def _records(batch: FrameBatch) -> list[dict[str, Any]]:
        return [
            {"frame_index": int(index), "time_s": float(at), "node": node_id()}
            for index, at in zip(batch.frame_index, batch.time_s, strict=True)
        ]


class NotingFront(front.Front):
    """Leaves word of where it decoded which frames."""

    def analyze(self, block: pa.Table, row: int) -> tuple[Index, Payload]:
        index, payload = super().analyze(block, row)
        frames = [frame for outcome in index.outcomes.values() for frame in outcome.frames]
        note("decoded", video_key=index.video_key, frames=sorted(set(frames)))
        return index, payload


@dataclass(frozen=True)
class NodeStore:
    """A frame store in a directory that bears the name of the node it is used on."""

    like: FrameStore

    @property
    def root(self) -> Path:
        return self.like.root

    @contextmanager
    def ensure(self, path: Path, video_key: str) -> Iterator[StoredVideo]:
        own = FrameStore(self.like.root / node_id(), spec=self.like.spec, limits=self.like.limits, max_bytes=self.like.max_bytes)
        note("stored", video_key=video_key)
        with own.ensure(path, video_key) as stored:
            yield stored


@contextmanager
def cluster(cpus: int, nodes: int) -> Iterator[Cluster]:
    """A head that has no CPUs to give, and `nodes` nodes beside it; this process, in which Ray was just imported, is connected to it."""
    os.environ.update(ENVIRONMENT | {"RAY_AUTH_MODE": "disabled"})
    ray_constants.ENABLE_RAY_CLUSTER = False
    head = {"num_cpus": 0, "object_store_memory": _STORE_BYTES, "include_dashboard": False, "node_ip_address": "127.0.0.1"}
    started = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(nodes):
            add(started, cpus)
        start_ray(address=started.address, log_to_driver=False)
        try:
            yield started
        finally:
            ray.shutdown()
    finally:
        started.shutdown()  # type: ignore[no-untyped-call]


def add(to: Cluster, cpus: int) -> Any:
    """One more node."""
    return to.add_node(num_cpus=cpus, object_store_memory=_STORE_BYTES, node_ip_address="127.0.0.1")

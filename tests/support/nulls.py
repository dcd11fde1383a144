"""Videos that cost nothing and a model that does nothing: what is left is the engine. Imported by Ray's workers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from fakes import Fake, plan
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.entry_reader import NO_HOST, Stage
from rumiai_ray.engine.work.entry_rows import video_row
from rumiai_ray.engine.work.item import Header, Work
from rumiai_ray.engine.work.planner import plan_video
from rumiai_ray.ingest.video import FetchedVideo, VideoMetadata
from rumiai_ray.models.base import Batch, FrameBatch, Prediction
from rumiai_ray.schema.table import FRAME, Table, column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rumiai_ray.engine.work.host_turn import HostTurn
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.models.base import ModelPlan

NOTHING = Table("nothing", 1, "One row for each frame, of zeros.", (*FRAME, column("zero", pa.int64(), "Zero.")))


class Null(Fake):
    """Answers at once."""

    name = "null"
    tables: ClassVar[tuple[Table, ...]] = (NOTHING,)

    def predict(self, batch: Batch) -> Prediction:
        if not isinstance(batch, FrameBatch):
            raise TypeError("frames, please")
        columns: list[pa.Array[Any]] = [pa.array(batch.frame_index), pa.array(batch.time_s), pa.array([0] * len(batch.frame_index))]
        return Prediction({"nothing": pa.Table.from_arrays(columns, schema=NOTHING.row_schema)})


@dataclass(frozen=True)
class OneClip(Stage):
    """Every entry is the same stored clip under a key of its own, read from the store each time."""

    clip: Path
    clip_key: str

    def work_of(self, entry: Entry, claim: Callable[[str, str], bool], turn: HostTurn = NO_HOST) -> Iterator[Work]:  # noqa: ARG002 -- nobody is asked
        key = hashlib.sha256(entry.entry_id.encode()).hexdigest()
        with self.store.ensure(self.clip, self.clip_key) as stored:
            stored.video_key = key
            video_plan, works = plan_video(entry.entry_id, stored, self.models, self.batch_frames)
            row = video_row(self.run_id, entry, FetchedVideo(key, self.clip, 0, VideoMetadata()), stored)
            header = Header(entry, pack(row), video_plan, repeats=not claim(key, entry.entry_id))
            for number, work in enumerate(works):
                yield replace(work, run_id=self.run_id, header=header if number == 0 else None)


def null_plan(name: str) -> ModelPlan:
    """A null model under any name."""
    return replace(plan(name), backend="null", implementation="nulls:Null")

"""One unit of work, as an Arrow row: a batch of a video's frames, a stretch of its audio or its thumbnails, and which models want it.

The same rows travel in both engines: through Ray Data's blocks in a batch run, put by the driver for one video. Every row
says which entry it is of and how many there are (`batch_index` of `batch_count`), so that the assembly can tell a
complete video from one with a hole. An entry's first row carries its header: what is known of the entry as a whole.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from rumiai_ray.engine.work.arrow_ipc import unpack
from rumiai_ray.frames.types import EncodedBatch
from rumiai_ray.models.base import AudioChunk, Thumbnails

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.manners import Paused

_COLUMNS: dict[str, pa.DataType] = {
    "run_id": pa.string(),
    "entry_id": pa.string(),
    "video_key": pa.string(),
    "batch_index": pa.int32(),
    "batch_count": pa.int32(),
    "header": pa.large_binary(),
    "kind": pa.string(),
    "wanted": pa.map_(pa.string(), pa.list_(pa.int32())),
    "frame_index": pa.list_(pa.int32()),
    "source_frame": pa.list_(pa.int64()),
    "time_s": pa.list_(pa.float64()),
    "jpegs": pa.list_(pa.large_binary()),
    "source_width_px": pa.int32(),
    "source_height_px": pa.int32(),
    "audio_s16": pa.large_binary(),
    "audio_start_s": pa.float64(),
    "audio_language": pa.string(),
    "own_first": pa.int32(),
    "own_count": pa.int32(),
    "end_s": pa.float64(),
    "is_slide_show": pa.bool_(),
}

WORK_SCHEMA = pa.schema([pa.field(name, type_, nullable=False) for name, type_ in _COLUMNS.items()])
"""Explicit, so that no type is inferred from an empty list."""


@dataclass(frozen=True)
class Sampled:
    """What a video's rows are measured against."""

    duration_s: float
    width_px: int | None
    """None, like `height_px`, where the file has no video stream."""
    height_px: int | None
    times_s: tuple[float, ...]
    """When every sampled frame is first shown, by its `frame_index`; seconds from the first presented frame."""
    shown_until_s: tuple[float, ...]
    """When the next decoded frame, sampled or not, takes its place, by `frame_index`; the last frame is shown until `duration_s`."""

    @property
    def shown_from_s(self) -> tuple[float, ...]:
        """`times_s`, under the name of its partner `shown_until_s`."""
        return self.times_s


@dataclass(frozen=True)
class VideoPlan:
    """What is going to be asked about one video."""

    video_key: str
    frames: Mapping[str, int]
    """Frames planned, by frame model."""
    audio: tuple[str, ...]
    """Audio models that run."""
    skipped: Mapping[str, str]
    """Why a model does not run on this video."""
    lost_video: tuple[str, ...]
    """What of the pictures is missing: every analysis of frames is `degraded`."""
    lost_audio: tuple[str, ...]
    """What of the sound is missing: every analysis of audio is `degraded`."""
    batch_count: int
    """Rows of work."""
    sampled: Sampled
    thumbnails: Mapping[str, int] = field(default_factory=dict)
    """Thumbnails planned, by model of thumbnails: as many as frames were decoded."""


@dataclass(frozen=True)
class Stretch:
    """Where and when something was done, for the run's log."""

    node: str
    began: float
    """Seconds since 1970, by the node's clock."""
    took_s: float


@dataclass(frozen=True)
class Header:
    """What is known of an entry as a whole once its frames are in the store, or once it is clear that they never will be."""

    entry: Entry
    packed_row: bytes
    """Its stamped row: of `videos`, or of `dead_letter` where it could not be read."""
    plan: VideoPlan | None
    """None for a dead letter."""
    repeats: bool = False
    """Another entry of this run has the same bytes and is analysed for both."""
    traceback: str = ""
    """Of a dead letter, text for the run's log, bounded."""
    put_off: Paused | None = None
    """The entry is left undone, since its host is left alone: it has neither row nor plan, and a resumed run takes it up."""
    reading: Stretch | None = None
    """Where and when it was read; None where reading it never ended."""

    @property
    def length_s(self) -> float:
        """Seconds of video that are analysed for this entry: none for a dead letter and for one that another is analysed for."""
        return 0.0 if self.plan is None or self.repeats else self.plan.sampled.duration_s

    @property
    def row(self) -> pa.Table:
        """`packed_row`, unpacked."""
        return unpack(self.packed_row)


@dataclass(frozen=True)
class Work:
    """One row of work."""

    entry_id: str
    video_key: str
    """Empty for an entry whose bytes were never got."""
    batch_index: int
    batch_count: int
    """Rows of work of this entry, of all kinds."""
    wanted: Mapping[str, tuple[int, ...]]
    """Which models want this row, and which positions of `frames` (empty for audio and thumbnails)."""
    header: Header | None = None
    """On the first row of an entry, and there only."""
    run_id: str = ""
    frames: EncodedBatch | None = None
    source_width_px: int = 0
    source_height_px: int = 0
    audio: AudioChunk | None = None
    thumbnails: Thumbnails | None = None

    @property
    def kind(self) -> Literal["frames", "audio", "thumbnails", "none"]:
        """What the row carries besides its header."""
        if self.frames is not None:
            return "frames"
        if self.thumbnails is not None:
            return "thumbnails"
        return "none" if self.audio is None else "audio"


def encode(works: list[Work]) -> pa.Table:
    """Rows of `WORK_SCHEMA`, in the order given."""
    return pa.Table.from_pylist([_record(work) for work in works], schema=WORK_SCHEMA)


def _record(work: Work) -> dict[str, object]:
    frames, audio, thumbnails = work.frames, work.audio, work.thumbnails
    pictures = frames or thumbnails
    return {
        "run_id": work.run_id,
        "entry_id": work.entry_id,
        "video_key": work.video_key,
        "batch_index": work.batch_index,
        "batch_count": work.batch_count,
        # Pickle: it goes from one process of this run to another through Ray's own store, and no further.
        "header": pickle.dumps(work.header) if work.header else b"",
        "kind": work.kind,
        "wanted": [(name, list(positions)) for name, positions in work.wanted.items()],
        "frame_index": frames.frame_index.tolist() if frames else [],
        "source_frame": frames.source_frame.tolist() if frames else [],
        "time_s": pictures.time_s.tolist() if pictures else [],
        "jpegs": list(pictures.jpegs) if pictures else [],
        "source_width_px": work.source_width_px,
        "source_height_px": work.source_height_px,
        "audio_s16": audio.samples.astype("<i2", copy=False).tobytes() if audio else b"",
        "audio_start_s": audio.start_s if audio else 0.0,
        "audio_language": (audio.language if audio else None) or "",
        "own_first": thumbnails.own_first if thumbnails else 0,
        "own_count": thumbnails.own_count if thumbnails else 0,
        "end_s": thumbnails.end_s if thumbnails else 0.0,
        "is_slide_show": thumbnails.is_slide_show if thumbnails else False,
    }


def decode(block: pa.Table, row: int) -> Work:
    """Row `row` of a block of `WORK_SCHEMA`."""
    record = block.slice(row, 1).to_pylist()[0]
    frames = audio = thumbnails = None
    if record["kind"] == "frames":
        frames = EncodedBatch(
            frame_index=np.asarray(record["frame_index"], np.int32),
            source_frame=np.asarray(record["source_frame"], np.int64),
            time_s=np.asarray(record["time_s"], np.float64),
            jpegs=tuple(record["jpegs"]),
        )
    elif record["kind"] == "audio":
        audio = AudioChunk(np.frombuffer(record["audio_s16"], "<i2"), record["audio_start_s"], record["audio_language"] or None)
    elif record["kind"] == "thumbnails":
        thumbnails = Thumbnails(
            jpegs=tuple(record["jpegs"]),
            time_s=np.asarray(record["time_s"], np.float64),
            own_first=record["own_first"],
            own_count=record["own_count"],
            end_s=record["end_s"],
            is_slide_show=record["is_slide_show"],
        )
    return Work(
        run_id=record["run_id"],
        entry_id=record["entry_id"],
        video_key=record["video_key"],
        batch_index=record["batch_index"],
        batch_count=record["batch_count"],
        wanted={name: tuple(positions) for name, positions in record["wanted"]},
        header=pickle.loads(record["header"]) if record["header"] else None,  # noqa: S301 -- see `_record`
        frames=frames,
        source_width_px=record["source_width_px"],
        source_height_px=record["source_height_px"],
        audio=audio,
        thumbnails=thumbnails,
    )

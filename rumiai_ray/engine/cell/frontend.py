"""The front of a cell: decodes a batch once, asks all models at the same time, returns a small index and the rows.

Pixels go no further than this node: the decoded array is put once into the node's object store and the models read it there.
"""

from __future__ import annotations

import math
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import ray

from rumiai_ray.engine.cell.lane_group import Lanes
from rumiai_ray.engine.cell.messages import Activity, Answer, Failure, Index, Outcome, Payload
from rumiai_ray.engine.cell.model_lane import Call
from rumiai_ray.engine.work.item import Stretch, Work, decode
from rumiai_ray.engine.work.node import node_here
from rumiai_ray.errors import MediaError
from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.logs import configure_worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from rumiai_ray.engine.cell.lane_policy import LanePolicy
    from rumiai_ray.models.base import AudioChunk, Thumbnails


_MOST_DECODERS = 8
"""Frames decoded at the same time, of all batches in flight: half of the cores, two at least. One does 200 frames of 720x1280 a second."""


class Front:
    """A Ray actor with one thread per batch in flight.

    Args:
        actors: the model actors' names in Ray, by model. Names, because a handle among the arguments of an actor that may be
            restarted makes Ray warn that the restart can fail.
        notes: directory of the model actors' notes.
        policy: limits of the lanes.
    """

    def __init__(self, actors: Mapping[str, Sequence[str]], notes: Path, policy: LanePolicy) -> None:
        import cv2  # noqa: PLC0415 -- 0.06 s, which a command that is given a handle of this actor need not wait for

        configure_worker()
        cv2.setNumThreads(1)
        decoders = min(max(len(os.sched_getaffinity(0)) // 2, 2), _MOST_DECODERS)
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._room, self._room_lock = np.empty(0, np.uint8), threading.Lock()
        self._start = uuid.uuid4().hex
        self._lanes = {name: Lanes(name, names, notes, policy) for name, names in actors.items()}

    def ready(self) -> tuple[str, ...]:
        """The models this front serves; answers as soon as the front lives, models may still be loading."""
        return tuple(self._lanes)

    def lost(self) -> tuple[str, ...]:
        """The models that are gone for good here, on all their actors: whatever they are asked, they fail."""
        return tuple(name for name, lanes in self._lanes.items() if lanes.lost)

    def activity(self) -> Activity:
        """What the models are at now; waits for none of them."""
        return Activity(self._start, {name: lanes.activity() for name, lanes in self._lanes.items()}, node_here())

    def node(self) -> str:
        """Address of the node this front, and so the cell, is on."""
        return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]

    def analyze(self, block: pa.Table, row: int) -> tuple[Index, Payload]:
        """All wanted models' rows for row `row` of a block of `WORK_SCHEMA`. Called with two returns.

        Raises:
            MediaError: a stored frame cannot be decoded (the store's checksums make that a fault of this node).
        """
        began, began_s = time.time(), time.monotonic()
        work = decode(block, row)
        calls = self._calls(work)
        replies = {name: self._lanes[name].submit(call) for name, call in calls.items()}
        outcomes: dict[str, Outcome] = {}
        payload: Payload = {}
        for name, reply in replies.items():
            answer, attempts = reply.result()
            outcomes[name] = _outcome(work, name, answer, attempts, tuple(calls[name].charged))
            if isinstance(answer, Answer):
                payload[name] = dict(answer.tables)
        size_bytes = sum(len(table) for tables in payload.values() for table in tables.values())
        done = Stretch(node_here(), began, time.monotonic() - began_s)
        return Index(work.entry_id, work.video_key, work.batch_index, work.batch_count, outcomes, size_bytes, work.header, done), payload

    def _calls(self, work: Work) -> dict[str, Call]:
        match work.kind:
            case "frames":
                return self._frame_calls(work)
            case "audio":
                return _whole_calls(work, "predict_audio", work.audio)
            case "thumbnails":
                return _whole_calls(work, "predict_thumbnails", work.thumbnails)
            case "none":
                return {}

    def _frame_calls(self, work: Work) -> dict[str, Call]:
        """One call for each model, on one array that holds every frame any of them wants, each decoded once."""
        frames = work.frames
        if frames is None:
            raise ValueError("a row of frames without frames")
        union = sorted({position for positions in work.wanted.values() for position in positions})
        if not union:
            return {}
        place = {position: at for at, position in enumerate(union)}
        images = self._put(list(self._decoders.map(lambda position: rgb(frames.jpegs[position], work), union)))
        index, time_s = frames.frame_index[union], frames.time_s[union]
        size_px = (work.source_width_px, work.source_height_px)
        video = (work.run_id, work.video_key)
        return {
            name: Call(video, "predict_frames", (images, tuple(place[at] for at in positions), index, time_s, size_px), work.entry_id)
            for name, positions in work.wanted.items()
            if positions
        }

    def _put(self, images: Sequence[NDArray[np.uint8]]) -> Any:
        """Reference to the images as one array in the object store.

        They are stacked into memory that is used again. Fresh memory for every batch, 40 MB, took 100 samples of a profile where decoding
        took 125: the system hands it out and takes it back page by page.
        """
        shape = (len(images), *images[0].shape)
        size = math.prod(shape)
        with self._room_lock:  # until Ray has copied it
            if len(self._room) < size:
                self._room = np.empty(size, np.uint8)
            return ray.put(np.stack(images, out=self._room[:size].reshape(shape)))


def _whole_calls(work: Work, method: str, batch: AudioChunk | Thumbnails | None) -> dict[str, Call]:
    """One call for each model, on all there is in the row."""
    stretch = ray.put(batch)
    return {name: Call((work.run_id, work.video_key), method, (stretch,), work.entry_id) for name in work.wanted}


def rgb(jpeg: bytes, work: Work) -> NDArray[np.uint8]:
    """(height, width, 3) of one stored frame of `work`.

    Raises:
        MediaError: it does not decode.
    """
    import cv2  # noqa: PLC0415 -- see `Front`

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise MediaError("a stored frame cannot be decoded", f"video {work.video_key[:12]}", "run `rumiai-ray frames verify`")
    return np.asarray(image, np.uint8)


def _outcome(work: Work, name: str, answer: Answer | Failure, attempts: int, charged: tuple[Failure, ...]) -> Outcome:
    if isinstance(answer, Failure):
        return Outcome(attempts, None, 0, (), 0.0, (), answer, charged=charged)
    frames = tuple(int(work.frames.frame_index[at]) for at in work.wanted[name]) if work.frames else ()
    audio_s = len(work.audio.samples) / AUDIO_RATE_HZ if work.audio else 0.0
    thumbnails = work.thumbnails.own_count if work.thumbnails else 0
    return Outcome(
        attempts,
        answer.processing_time_s,
        answer.rows,
        frames,
        audio_s,
        answer.missed,
        None,
        answer.cpu_s,
        thumbnails,
        answer.notes,
        charged,
    )

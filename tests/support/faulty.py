"""The places of a batch run where faults strike: its frame store, its models, its front, its assembly, its run directory.

Imported by Ray's workers. Clip n is `clip<n>.mkv` and carries n in its pixels and samples (`numbered_clips`), so every place knows
which clip it is working on.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import psutil

import fakes
import faults
from rumiai_ray.engine.work.entry_reader import NO_HOST, Stage
from rumiai_ray.errors import StorageError
from rumiai_ray.frames.decode import parent as decode_module
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.frames.store.stored import StoredVideo
from rumiai_ray.models.base import AudioChunk, Batch, FrameBatch, Prediction
from rumiai_ray.runs.datafile import PART
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from rumiai_ray.engine.work.host_turn import HostTurn
    from rumiai_ray.engine.work.item import Work
    from rumiai_ray.frames.types import EncodedBatch
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.models.base import ModelPlan

_DECODER = "import sys, faults; faults.decoder({kind!r}, {at!r}, sys.argv[1])"


def number_of(name: str) -> int:
    """The number of a clip by its file's name; -1 for another file."""
    found = re.search(r"clip(\d+)", name)
    return int(found[1]) if found else -1


class FaultyFrameStore(FrameStore):
    """`worker` strikes in the process that reads an entry, `extract` in the decoding subprocess."""

    def ensure(self, path: Path, video_key: str) -> StoredVideo:
        number = number_of(path.name)
        faults.strike("worker", "start", number)
        with _decoder_for(number):
            stored = super().ensure(path, video_key)
        return _FaultyVideo(stored, number)


class _FaultyVideo(StoredVideo):
    """Strikes in mid-stream: in the middle, the audio's row is out and the frames' are not."""

    def __init__(self, stored: StoredVideo, number: int) -> None:
        vars(self).update(vars(stored))  # a constructor of its own would have to follow the other's
        self._number = number

    def batches(self, size: int = 1) -> Iterator[EncodedBatch]:
        faults.strike("worker", "middle", self._number)
        yield from super().batches(size)
        faults.strike("worker", "end", self._number)


@contextmanager
def _decoder_for(number: int) -> Iterator[None]:
    fault = next((found for at in ("start", "middle", "end") if (found := faults.due("extract", at, number))), None)
    before = decode_module._DECODER
    if fault is not None:
        program = _DECODER.format(kind=fault.kind, at=fault.at)
        decode_module._DECODER = ("-P", "-S", "-c", program)
    try:
        yield
    finally:
        decode_module._DECODER = before


class FaultyReader(fakes.Reader):
    """Strikes before, while and after it predicts, and where a video's parts are joined; in the middle it can strike its front."""

    place: ClassVar[str] = "reader"

    def predict(self, batch: Batch) -> Prediction:
        number = self._number(batch)
        faults.strike(self.place, "start", number)
        fault = faults.due("front", "middle", number)
        if fault is not None:
            faults.strike_process(_front(), fault.kind)
        prediction = super().predict(batch)
        faults.strike(self.place, "end", number)
        return prediction

    def _number(self, batch: Batch) -> int:
        if isinstance(batch, FrameBatch):
            return self._read(batch.images[0])
        return int(batch.samples[0]) if isinstance(batch, AudioChunk) else -1

    def _misbehave(self, numbers: list[int]) -> None:
        faults.strike(self.place, "middle", numbers[0])

    @classmethod
    def join(cls, parts: Sequence[Mapping[str, pa.Table]]) -> dict[str, pa.Table]:
        number = next((table["number"][0].as_py() for part in parts for table in part.values() if table.num_rows), -1)
        if cls.consumes == "frames":  # the first of the two models to be joined
            faults.strike("assemble", "start", number)
        joined = super().join(parts)
        faults.strike("assemble", "middle" if cls.consumes == "frames" else "end", number)
        return joined


class FaultyListener(FaultyReader, fakes.Listener):
    """The same for audio."""

    name = "listener"
    place = "ears"
    consumes = "audio"
    tables = (fakes.HEARD,)

    def predict(self, batch: Batch) -> Prediction:
        number = self._number(batch)
        faults.strike(self.place, "start", number)
        prediction = fakes.Listener.predict(self, batch)
        faults.strike(self.place, "end", number)
        return prediction


def plans() -> tuple[ModelPlan, ...]:
    """The two models under their places' names."""
    return tuple(
        replace(fakes.plan(name, kind), implementation=f"faulty:Faulty{kind}")
        for name, kind in (("reader", "Reader"), ("ears", "Listener"))
    )


class FaultyStage(Stage):
    """Puts a trap into each header; it snaps when the front unpickles the header (`start`) and when it pickles its reply (`end`)."""

    def work_of(self, entry: Entry, claim: Callable[[str, str], bool], turn: HostTurn = NO_HOST) -> Iterator[Work]:
        trap = {"trap": _Trap(number_of(entry.input))}
        for work in super().work_of(entry, claim, turn):
            header = work.header
            yield work if header is None else replace(work, header=replace(header, entry=replace(entry, columns={**entry.columns, **trap})))


class _Trap(str):
    __slots__ = ()

    def __new__(cls, number: object) -> Self:
        return super().__new__(cls, str(number))

    def __reduce__(self) -> tuple[object, ...]:
        if _title().startswith("ray::Front"):
            faults.strike("front", "end", int(self))
        return _unpacked, (str(self),)


def _unpacked(number: str) -> _Trap:
    if _title().startswith("ray::Front"):
        faults.strike("front", "start", int(number))
    return _Trap(number)


class FaultyRunStore(Store):
    """Strikes around the creation of data files and records; in a write task as `writer`, else as `driver`.

    The write tasks strike the driver too, with signals: before and after a data file.
    """

    def create(self, path: str, data: bytes) -> None:
        if re.fullmatch(PART, path.rpartition("/")[2]):
            self._create("data", path, data)
        elif path.startswith("commits/"):
            self._create("record", path, data)
        else:
            super().create(path, data)

    def _create(self, what: str, path: str, data: bytes) -> None:
        writer = _title().startswith("ray::write_group")
        where = "writer" if writer else "driver"
        full = StorageError("cannot write it: no space left", self.uri(path), "free some space")
        if writer:
            faults.strike_driver(f"before {what}")
        faults.strike(where, f"before {what}", -1, full)
        torn = faults.due(where, f"mid {what}", -1)
        if torn is not None:
            super().create(path, data[: len(data) // 2])
            faults.commit(torn.kind)
        super().create(path, data)
        if writer:
            faults.strike_driver(f"after {what}")
        faults.strike(where, f"after {what}", -1, full)


def _title() -> str:
    return Path("/proc/self/cmdline").read_bytes().decode(errors="replace")


def _front() -> int:
    """The front of the one cell on this node."""
    raylet = psutil.Process(os.getppid())
    for process in raylet.children(recursive=True):
        with suppress(psutil.Error):  # it has ended since
            if "".join(process.cmdline()).startswith("ray::Front"):
                return process.pid
    raise LookupError("no front on this node")

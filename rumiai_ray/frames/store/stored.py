"""A video in the frame store, held open for reading."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.errors import StorageError
from rumiai_ray.frames.store.entry import AUDIO, FRAMES, FRAMES_A_ROW_GROUP, THUMBNAILS
from rumiai_ray.frames.store.files import storage_errors
from rumiai_ray.frames.types import Audio, EncodedBatch, SourceFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.frames.store.locks import FileLock


Origin = Literal["hit", "remote", "miss"]
"""Where an entry came from: this node's store, the store that nodes share, or decoding."""


@dataclass(frozen=True)
class StoreEntry:
    """One line of the store's table of contents."""

    key: str
    video_key: str
    bytes: int
    last_used: float
    """Seconds since the epoch."""
    facts: SourceFacts


class StoredVideo:
    """What the store holds of one video. Checked against its checksums when opened; not evicted before it is closed."""

    def __init__(self, directory: Path, lock: FileLock, video_key: str, facts: SourceFacts, *, origin: Origin) -> None:
        self._directory = directory
        self._lock = lock
        self.key = directory.name
        """Of the entry: content and sampling."""
        self.video_key = video_key
        """Of the content alone."""
        self.facts = facts
        self.origin = origin
        """`miss` where this call had to decode the video."""

    @property
    def hit(self) -> bool:
        """Whether the entry lay in this node's store already."""
        return self.origin == "hit"

    def batches(self, size: int = FRAMES_A_ROW_GROUP) -> Iterator[EncodedBatch]:
        """The sampled frames in order, `size` at a time; the last batch may be smaller. Holds one row group in memory.

        Raises:
            StorageError: the disk fails.
        """
        if size < 1:
            raise ValueError(f"a batch has at least one frame, not {size}")
        with _reading("frames", self._directory), pq.ParquetFile(self._directory / FRAMES) as file:
            pending: pa.Table | None = None
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                pending = table if pending is None else pa.concat_tables([pending, table])
                while len(pending) >= size:
                    yield _batch(pending.slice(0, size))
                    pending = pending.slice(size)
            if pending is not None and len(pending):
                yield _batch(pending)

    @cached_property
    def times_s(self) -> NDArray[np.float64]:
        """(frames_sampled,) seconds from the first presented frame, ascending."""
        return _times_s(self._directory / FRAMES)

    @property
    def shown_from_s(self) -> NDArray[np.float64]:
        """(frames_sampled,) when each sampled frame is first shown: `times_s` under the name of its partner `shown_until_s`."""
        return self.times_s

    @cached_property
    def shown_until_s(self) -> NDArray[np.float64]:
        """(frames_sampled,) when the next decoded frame, sampled or not, takes the place of each sampled one.

        Seconds from the first presented frame; for the video's last frame, its duration. Above `shown_from_s` in every place, and
        never above the next sampled frame's. A frame held for six seconds is sampled once, and its interval is six seconds long.
        """
        return _times_s(self._directory / FRAMES, "shown_until_s")

    def audio(self) -> Audio | None:
        """The whole audio, or None where the video has none that can be decoded."""
        if self.facts.audio_start_s is None:
            return None
        with _reading("audio", self._directory):
            rows = _blobs(pq.read_table(self._directory / AUDIO, use_threads=False), "pcm")
            samples = np.frombuffer(b"".join(rows), dtype="<i2").astype(np.int16, copy=False)
        return Audio(samples, self.facts.audio_start_s)

    def thumbnails(self) -> tuple[tuple[bytes, ...], NDArray[np.float64]]:
        """Thumbnails of every decoded frame, as JPEG, and their times in seconds from the first presented frame."""
        with _reading("thumbnails", self._directory):
            jpegs = _blobs(pq.read_table(self._directory / THUMBNAILS, columns=["jpeg"], use_threads=False), "jpeg")
        return jpegs, _times_s(self._directory / THUMBNAILS)

    def close(self) -> None:
        """Let the entry go; it may be evicted from now on."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _reading(what: str, path: Path) -> Iterator[None]:
    """Checksums tell damage, not a writer who means harm: what an entry of the shared store holds may be no table, or another one."""
    with storage_errors(f"reading {what}", path):
        try:
            yield
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"{what} are not what this package writes: {error}", str(path), "remove the entry: the video is then decoded again"
            ) from error


def _times_s(path: Path, column: str = "time_s") -> NDArray[np.float64]:
    with _reading("times", path):
        times: NDArray[np.float64] = pq.read_table(path, columns=[column], use_threads=False).column(column).to_numpy()
    return times


def _batch(table: pa.Table) -> EncodedBatch:
    return EncodedBatch(
        frame_index=table.column("frame_index").to_numpy(),
        source_frame=table.column("source_frame").to_numpy(),
        time_s=table.column("time_s").to_numpy(),
        jpegs=_blobs(table, "jpeg"),
    )


def _blobs(table: pa.Table, column: str) -> tuple[bytes, ...]:
    return tuple(value.as_py() for value in table.column(column))

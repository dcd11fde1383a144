"""What one entry of the store looks like on the disk, how it is written, and how it is checked before anybody reads it.

frames.parquet      frame_index, source_frame, time_s, jpeg, shown_until_s; row groups of 32 frames
audio.parquet       pcm: 10 s of s16le mono at 16 kHz a row; no row where the video has no audio
thumbnails.parquet  time_s, jpeg: every decoded frame, tiny
facts.json          `SourceFacts`
COMPLETE.json       written last: size and SHA-256 of each file above, and of itself
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.frames.decode import checked
from rumiai_ray.frames.store.files import ChecksummedFile, sha256_of, sync_directory
from rumiai_ray.frames.types import AUDIO_RATE_HZ, SourceFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.frames.sampling import SamplingSpec

FRAMES, AUDIO, THUMBNAILS, FACTS, COMPLETE = "frames.parquet", "audio.parquet", "thumbnails.parquet", "facts.json", "COMPLETE.json"
FRAMES_A_ROW_GROUP = 32
_THUMBNAILS_A_ROW_GROUP = 1024
_SOUND_BYTES_A_ROW = 10 * 2 * AUDIO_RATE_HZ
_FORMAT = 3
_Codec = Literal["gzip", "brotli", "lz4", "zstd", "snappy", "none"]

_TIME: pa.Field[Any] = pa.field("time_s", pa.float64())
_JPEG: pa.Field[Any] = pa.field("jpeg", pa.binary())
_SHOWN_UNTIL: pa.Field[Any] = pa.field("shown_until_s", pa.float64())
_FRAME_SCHEMA = pa.schema([pa.field("frame_index", pa.int32()), pa.field("source_frame", pa.int64()), _TIME, _JPEG, _SHOWN_UNTIL])
_AUDIO_SCHEMA = pa.schema([pa.field("pcm", pa.binary())])
_THUMBNAIL_SCHEMA = pa.schema([_TIME, _JPEG])


class DamagedEntryError(Exception):
    """An entry is missing, half there or not what was written; says which."""


@dataclass(frozen=True)
class CompletionRecord:
    """The contents of `COMPLETE.json`: the entry exists because this does."""

    key: str
    video_key: str
    sampling: dict[str, Any]
    """The `SamplingSpec` the entry was made with."""
    files: dict[str, dict[str, Any]]
    """`bytes` and `sha256` of each file by name."""

    def to_json(self) -> str:
        """The record with its own digest."""
        body = {"format": _FORMAT, **asdict(self)}
        return json.dumps({**body, "record_sha256": _digest(body)}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            DamagedEntryError: it is not what was written, or of another format.
        """
        try:
            body = json.loads(text)
            stated = body.pop("record_sha256")
            digest = _digest(body)
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise DamagedEntryError(f"{COMPLETE} is not readable") from error
        if stated != digest:
            raise DamagedEntryError(f"{COMPLETE} was changed")
        if body.pop("format", None) != _FORMAT:
            raise DamagedEntryError(f"{COMPLETE} is of another format")
        files = body.get("files")
        if body.keys() != {"key", "video_key", "sampling", "files"} or not isinstance(files, dict):
            raise DamagedEntryError(f"{COMPLETE} is of another format")
        if not all(isinstance(one, dict) and one.keys() >= {"bytes", "sha256"} for one in files.values()):
            raise DamagedEntryError(f"{COMPLETE} names files without their sizes and digests")
        return cls(**body)


class EntryWriter:
    """Writes one entry into an empty directory; after `finish` it is complete, before that it is nothing."""

    def __init__(self, directory: Path, spec: SamplingSpec) -> None:
        self._directory = directory
        self._spec = spec
        self._frames = _TableFile(directory / FRAMES, _FRAME_SCHEMA, FRAMES_A_ROW_GROUP, incompressible="jpeg")
        self._audio = _TableFile(directory / AUDIO, _AUDIO_SCHEMA, 1)
        self._thumbnails = _TableFile(directory / THUMBNAILS, _THUMBNAIL_SCHEMA, _THUMBNAILS_A_ROW_GROUP, incompressible="jpeg")
        self._sound = bytearray()
        self._frame_count = 0

    @property
    def written_bytes(self) -> int:
        """What this entry has on the disk so far; rows that wait for their group are not counted."""
        return sum(table.bytes_written for table in (self._frames, self._audio, self._thumbnails))

    def add_frame(self, source_frame: int, time_s: float, shown_until_s: float, jpeg: bytes) -> None:
        """Append the next sampled frame, shown from `time_s` until `shown_until_s`."""
        self._frames.add((self._frame_count, source_frame, time_s, jpeg, shown_until_s))
        self._frame_count += 1

    def add_thumbnails(self, times_s: Sequence[float], jpegs: Sequence[bytes]) -> None:
        """Append thumbnails of the next frames."""
        for row in zip(times_s, jpegs, strict=True):
            self._thumbnails.add(row)

    def add_sound(self, samples: bytes) -> None:
        """Append s16le samples."""
        self._sound += samples
        while len(self._sound) >= _SOUND_BYTES_A_ROW:
            self._audio.add((bytes(self._sound[:_SOUND_BYTES_A_ROW]),))
            del self._sound[:_SOUND_BYTES_A_ROW]

    def finish(self, key: str, video_key: str, facts: SourceFacts) -> None:
        """Write what is left, the facts, and last of all the completion record; all of it reaches the disk."""
        if self._sound:
            self._audio.add((bytes(self._sound),))
        files = {name: table.finish() for name, table in ((FRAMES, self._frames), (AUDIO, self._audio), (THUMBNAILS, self._thumbnails))}
        files[FACTS] = _write_text(self._directory / FACTS, json.dumps(asdict(facts), indent=2))
        record = CompletionRecord(key, video_key, asdict(self._spec), files)
        _write_text(self._directory / COMPLETE, record.to_json())
        sync_directory(self._directory)

    def abandon(self) -> None:
        """Close the files without caring what is in them."""
        for table in (self._frames, self._audio, self._thumbnails):
            table.abandon()


class _TableFile:
    """A Parquet file that grows by rows and is flushed by row groups."""

    def __init__(self, path: Path, schema: pa.Schema, rows_a_group: int, incompressible: str | None = None) -> None:
        self._schema = schema
        self._rows_a_group = rows_a_group
        self._rows: list[tuple[Any, ...]] = []
        self._file = ChecksummedFile(path)
        compression: dict[str, _Codec] = {name: "none" if name == incompressible else "zstd" for name in schema.names}
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            schema,
            compression=compression,
            use_dictionary=False,
            write_statistics=[name for name in schema.names if name.endswith(("_s", "_index", "_frame"))],
        )

    def add(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) == self._rows_a_group:
            self._flush()

    @property
    def bytes_written(self) -> int:
        return self._file.bytes_written

    def finish(self) -> dict[str, Any]:
        """Close the file; returns its size and digest."""
        if self._rows:
            self._flush()
        self._writer.close()
        self._file.close()
        return {"bytes": self._file.bytes_written, "sha256": self._file.sha256}

    def abandon(self) -> None:
        self._file.abandon()
        with suppress(OSError, pa.ArrowException):  # a failed writer fails again
            self._writer.close()
        self._file.close()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(list(column), field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=self._rows_a_group)
        self._rows.clear()


def check_entry(directory: Path, key: str) -> CompletionRecord:
    """Compare everything in an entry's directory with its completion record.

    Args:
        directory: of the entry.
        key: the entry's key.

    Raises:
        DamagedEntryError: anything is missing or differs.
    """
    try:
        record = CompletionRecord.from_json((directory / COMPLETE).read_text(encoding="utf-8"))
        if record.key != key:
            raise DamagedEntryError(f"{COMPLETE} belongs to another entry")
        if record.files.keys() != {FRAMES, AUDIO, THUMBNAILS, FACTS}:  # a name may be a path
            raise DamagedEntryError(f"{COMPLETE} does not name the files of an entry")
        for name, stated in record.files.items():
            if (directory / name).stat().st_size != stated["bytes"]:
                raise DamagedEntryError(f"{name} has another size than was written")
            if sha256_of(directory / name) != stated["sha256"]:
                raise DamagedEntryError(f"{name} has another checksum than was written")
    except FileNotFoundError as error:
        raise DamagedEntryError(f"{Path(error.filename).name} is missing") from error
    except UnicodeDecodeError as error:
        raise DamagedEntryError(f"{COMPLETE} is not readable") from error
    return record


def read_facts(directory: Path) -> SourceFacts:
    """The facts of an entry that has been checked.

    Raises:
        DamagedEntryError: they are not what this code writes: another version of it, or none, has made the entry.
    """
    try:
        return checked.facts(json.loads((directory / FACTS).read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedEntryError(f"{FACTS} was written by another version of this package") from error


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _write_text(path: Path, text: str) -> dict[str, Any]:
    with ChecksummedFile(path) as file:
        file.write(text.encode())
    return {"bytes": file.bytes_written, "sha256": file.sha256}

"""Entries as Arrow rows: how they travel in a Dataset, and the copy of its entries that every run keeps.

The copy that anybody may read has no secrets. Locations that hold some (signed URLs) are in a second file, row for row beside the first.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.ingest.entries import Entry, Problem
from rumiai_ray.shown import HIDDEN, shown_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

_COLUMNS: dict[str, pa.DataType] = {
    "entry_id": pa.string(),
    "input": pa.string(),
    "location": pa.string(),
    "columns": pa.map_(pa.string(), pa.string()),
    "line": pa.int64(),
    "notes": pa.list_(pa.string()),
    "problem": pa.struct([(name, pa.string()) for name in ("what", "subject", "hint")]),
}
_NULLABLE = {"line", "problem"}

_ROWS = 1024
_PART_CHARS = 32_000_000
"""Most text in one part of a list of entries: a thousand rows with captions of megabytes would not fit into one Arrow array."""

_ELSEWHERE = HIDDEN
"""The location of an entry whose own is in the second file."""
_SECRET_SCHEMA = pa.schema([pa.field("entry_id", pa.string(), nullable=False), pa.field("location", pa.string(), nullable=False)])

ENTRY_SCHEMA = pa.schema([pa.field(name, type_, nullable=name in _NULLABLE) for name, type_ in _COLUMNS.items()])


def entry_table(entries: Sequence[Entry]) -> pa.Table:
    """Rows of `ENTRY_SCHEMA`, in order."""
    rows = [
        {
            "entry_id": one.entry_id,
            "input": one.input,
            "location": one.location,
            "columns": list(one.columns.items()),
            "line": one.line,
            "notes": list(one.notes),
            "problem": None if one.problem is None else asdict(one.problem),
        }
        for one in entries
    ]
    return pa.Table.from_pylist(rows, schema=ENTRY_SCHEMA)


def entries_of(table: pa.Table) -> list[Entry]:
    """The inverse of `entry_table`."""
    return [_entry(row) for row in table.to_pylist()]


def _entry(row: Mapping[str, Any]) -> Entry:
    """Runs from before the last three columns can still be retried."""
    problem = row.get("problem")
    return Entry(
        row["entry_id"],
        row["input"],
        dict(row["columns"]),
        row["location"],
        row.get("line"),
        tuple(row.get("notes") or ()),
        None if problem is None else Problem(**problem),
    )


@dataclass(frozen=True)
class EntryFile:
    """The entries of a run as Parquet files: what a run keeps, and what a driver holds instead of a list (30 bytes an entry)."""

    data: bytes
    """All but the secrets."""
    secret: bytes = field(default=b"", repr=False)
    """The locations that hold secrets, a row for each entry of `data`; empty where there is none."""

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> EntryFile:
        """Pack entries, which are read one by one."""
        sink, secret_sink, hides = pa.BufferOutputStream(), pa.BufferOutputStream(), False
        with (
            pq.ParquetWriter(sink, ENTRY_SCHEMA, compression="zstd") as writer,
            pq.ParquetWriter(secret_sink, _SECRET_SCHEMA, compression="zstd") as secrets,
        ):
            for part in batched(entries, _ROWS):
                hiding = [one.hides for one in part]
                hides = hides or any(hiding)
                public = [replace(one, location=_ELSEWHERE) if hidden else one for one, hidden in zip(part, hiding, strict=True)]
                writer.write_table(entry_table(public))
                rows = [
                    {"entry_id": one.entry_id, "location": one.location if hidden else ""} for one, hidden in zip(part, hiding, strict=True)
                ]
                secrets.write_table(pa.Table.from_pylist(rows, schema=_SECRET_SCHEMA))
        return cls(sink.getvalue().to_pybytes(), secret_sink.getvalue().to_pybytes() if hides else b"")

    def without(self, forgotten: Callable[[str], bool]) -> EntryFile:
        """The entries whose ids are not forgotten, row for row as they are; this file itself where all of them stay.

        Args:
            forgotten: whether the entry of an id goes.
        """
        data = _filtered(self.data, forgotten)
        return self if data is None else EntryFile(data, (_filtered(self.secret, forgotten) or self.secret) if self.secret else b"")

    @cached_property
    def sha256(self) -> str:
        """Digest of `data`. There is none of `secret`: with the rest of an address known, a short password could be found by it."""
        return hashlib.sha256(self.data).hexdigest()

    def __len__(self) -> int:
        return int(pq.read_metadata(pa.BufferReader(self.data)).num_rows)

    def __iter__(self) -> Iterator[Entry]:
        file = pq.ParquetFile(pa.BufferReader(self.data))
        secret = pq.ParquetFile(pa.BufferReader(self.secret)) if self.secret else None
        for group in range(file.num_row_groups):  # each is one part of `of`
            entries = entries_of(file.read_row_group(group, use_threads=False))
            locations = _locations(secret, group)
            for position, entry in enumerate(entries):
                if entry.location == _ELSEWHERE:
                    yield _with_location(entry, locations[position] if position < len(locations) else None)
                else:
                    yield entry


def _filtered(data: bytes, forgotten: Callable[[str], bool]) -> bytes | None:
    """A Parquet file of entries without the forgotten ones, in the same parts; None where all rows stay."""
    file, sink, dropped = pq.ParquetFile(pa.BufferReader(data)), pa.BufferOutputStream(), 0
    with pq.ParquetWriter(sink, file.schema_arrow, compression="zstd") as writer:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, use_threads=False)
            kept = rows.filter(pa.array([not forgotten(str(entry_id)) for entry_id in rows["entry_id"].to_pylist()], pa.bool_()))
            dropped += rows.num_rows - kept.num_rows
            if kept.num_rows:  # a part of no rows, in both files
                writer.write_table(kept)
    return sink.getvalue().to_pybytes() if dropped else None


def _locations(secret: pq.ParquetFile | None, group: int) -> list[dict[str, str]]:
    """The rows of the second file beside the entries of one part; none where the file is missing or shorter."""
    if secret is None or group >= secret.num_row_groups:
        return []
    rows: list[dict[str, str]] = secret.read_row_group(group, use_threads=False).to_pylist()
    return rows


def _with_location(entry: Entry, row: Mapping[str, str] | None) -> Entry:
    """An entry with its full address, or with a problem where the second file does not have the one that `input` shows."""
    if row is not None and row["entry_id"] == entry.entry_id and shown_input(row["location"]) == entry.input:
        return replace(entry, location=row["location"])
    hint = "the file in the run's directory `private` is missing or another run's: restore it, or start a new run from the manifest"
    return replace(entry, location="", problem=Problem("the entry's full address is missing", entry.input, hint))


def batched(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Lists of `size` entries; the last may be shorter, and so are those with very long texts."""
    part: list[Entry] = []
    chars = 0
    for entry in entries:
        part.append(entry)
        chars += len(entry.input) + sum(len(name) + len(text) for name, text in entry.columns.items())
        if len(part) == size or chars >= _PART_CHARS:
            yield part
            part, chars = [], 0
    if part:
        yield part

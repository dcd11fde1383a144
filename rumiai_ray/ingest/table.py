"""Entries as Arrow rows: how they travel in a Dataset, and the copy of its entries that every run keeps."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.ingest.entries import Entry, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """The entries of a run as one Parquet file: what a run keeps, and what a driver holds instead of a list (30 bytes an entry)."""

    data: bytes

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> EntryFile:
        """Pack entries, which are read one by one."""
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, ENTRY_SCHEMA, compression="zstd") as writer:
            for part in batched(entries, _ROWS):
                writer.write_table(entry_table(part))
        return cls(sink.getvalue().to_pybytes())

    @cached_property
    def sha256(self) -> str:
        """Digest of the file."""
        return hashlib.sha256(self.data).hexdigest()

    def __len__(self) -> int:
        return int(pq.read_metadata(pa.BufferReader(self.data)).num_rows)

    def __iter__(self) -> Iterator[Entry]:
        file = pq.ParquetFile(pa.BufferReader(self.data))
        for group in range(file.num_row_groups):  # each is one part of `of`
            yield from entries_of(file.read_row_group(group, use_threads=False))


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

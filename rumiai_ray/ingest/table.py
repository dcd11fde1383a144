"""Entries as Arrow rows: how they travel in a Dataset, and the copy of its entries that every run keeps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.ingest.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_COLUMNS: dict[str, pa.DataType] = {
    "entry_id": pa.string(),
    "input": pa.string(),
    "location": pa.string(),
    "columns": pa.map_(pa.string(), pa.string()),
}

_ROWS = 1024

ENTRY_SCHEMA = pa.schema([pa.field(name, type_, nullable=False) for name, type_ in _COLUMNS.items()])


def entry_table(entries: Sequence[Entry]) -> pa.Table:
    """Rows of `ENTRY_SCHEMA`, in order."""
    rows = [
        {"entry_id": one.entry_id, "input": one.input, "location": one.location, "columns": list(one.columns.items())} for one in entries
    ]
    return pa.Table.from_pylist(rows, schema=ENTRY_SCHEMA)


def entries_of(table: pa.Table) -> list[Entry]:
    """The inverse of `entry_table`."""
    return [Entry(row["entry_id"], row["input"], dict(row["columns"]), row["location"]) for row in table.to_pylist()]


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
        for batch in pq.ParquetFile(pa.BufferReader(self.data)).iter_batches(batch_size=_ROWS, use_threads=False):
            yield from entries_of(pa.Table.from_batches([batch]).cast(ENTRY_SCHEMA))


def batched(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Lists of `size` entries; the last may be shorter."""
    rest = iter(entries)
    while part := list(islice(rest, size)):
        yield part

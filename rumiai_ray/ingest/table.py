"""Entries as Arrow rows: how they travel in a Dataset, and the copy of its entries that every run keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.ingest.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMNS: dict[str, pa.DataType] = {
    "entry_id": pa.string(),
    "input": pa.string(),
    "location": pa.string(),
    "columns": pa.map_(pa.string(), pa.string()),
}

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


def to_parquet(entries: Sequence[Entry]) -> bytes:
    """The entries as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(entry_table(entries), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def from_parquet(data: bytes) -> list[Entry]:
    """The inverse of `to_parquet`."""
    return entries_of(pq.read_table(pa.BufferReader(data)).cast(ENTRY_SCHEMA))

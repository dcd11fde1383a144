"""Rows as text, for programs that read no Parquet: CSV and JSON. Absent values are empty cells and nulls."""

from __future__ import annotations

import csv
import json
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_ROWS_AT_A_TIME = 1000


def write_csv(rows: pa.Table, file: TextIO) -> None:
    """Write rows under a line of column names (RFC 4180): null is an empty cell, a list or a map is JSON, a time is ISO 8601."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(rows.column_names)
    writer.writerows([_cell(value) for value in record.values()] for record in _records(rows))


def write_json(rows: pa.Table, file: TextIO) -> None:
    """Write rows as one array of objects, an object a line. JSON has no NaN and no infinity: both are written as null."""
    file.write("[")
    for number, record in enumerate(_records(rows)):
        file.write(",\n " if number else "\n ")
        json.dump(plain(record), file, ensure_ascii=False, allow_nan=False)
    file.write("\n]\n")


def plain(value: Any) -> Any:
    """A value as JSON can say it."""
    match value:
        case dict():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None:
            return value
        case _:
            return _scalar(value)


def _scalar(value: Any) -> str | float:
    """What JSON has no word for."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if isinstance(value, Decimal) else str(value)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | dict):
        return json.dumps(plain(value), ensure_ascii=False)
    return plain(value) if not isinstance(value, float) else value


def _records(rows: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_A_TIME):
        yield from batch.to_pylist(maps_as_pydicts="lossy")

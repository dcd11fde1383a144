"""Rows as text, for programs that read no Parquet: CSV and JSON. Absent values are empty cells and nulls."""

from __future__ import annotations

import csv
import json
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

import pyarrow as pa

from rumiai_ray.errors import ConfigError
from rumiai_ray.shown import escaped, guarded, terminal_safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROWS_AT_A_TIME = 1000


def write_csv(rows: pa.Table | Iterable[pa.Table], file: TextIO, *, raw: bool = False) -> None:
    """Write rows under a line of column names (RFC 4180): null is an empty cell, a list or a map is JSON, a time is ISO 8601.

    Args:
        rows: of any table; or tables of the same columns, at least one, whose rows are written one after the other.
        file: where to.
        raw: leave texts as they are. Else a text that a spreadsheet would take for a formula gets an apostrophe before it, and characters
            that a terminal would obey become U+FFFD: titles and names are strangers'.
    """
    writer = csv.writer(file, lineterminator="\n")
    as_text = str if raw else harmless
    for number, part in enumerate([rows] if isinstance(rows, pa.Table) else rows):
        if not number:
            writer.writerow([as_text(name) for name in part.column_names])
        for record in records(part):
            cells = (_cell(value) for value in record.values())
            writer.writerow([as_text(cell) if isinstance(cell, str) else cell for cell in cells])


def write_json(rows: pa.Table, file: TextIO) -> None:
    """Write rows as one array of objects, an object a line. JSON has no NaN and no infinity: both are written as null."""
    file.write("[")
    for number, record in enumerate(records(rows)):
        file.write(",\n " if number else "\n ")
        file.write(escaped(json.dumps(plain(record), ensure_ascii=False, allow_nan=False)))
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


def harmless(text: str) -> str:
    """`text` as `write_csv` writes it unless told to leave it raw."""
    return guarded(terminal_safe(text.replace("\r", "\n")))


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


def records(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows as Python values by column.

    Raises:
        ConfigError: a column has a value that Python has not: a time after the year 9999, for one.
    """
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_A_TIME):
        columns = {name: _values(name, column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))


def _values(name: str, column: pa.Array[Any]) -> list[Any]:
    try:
        return column.to_pylist(maps_as_pydicts="lossy")
    except (OverflowError, ValueError) as error:
        raise ConfigError(
            f"the column {name!r} has a value that cannot be written: {error}", "", "cast it in SQL, to VARCHAR say"
        ) from error

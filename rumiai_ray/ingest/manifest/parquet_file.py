"""The rows of a Parquet manifest."""

from __future__ import annotations

import logging
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.cleaning import INT64_MAX
from rumiai_ray.ingest.manifest.values import as_text, interval_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOG = logging.getLogger(__name__)

_BATCH_ROWS = 128
"""Rows that are unpacked at once: a column of one text of 1 MB takes 1 MB in the file, and 128 MB here."""


def rows(stream: IO[bytes], uri: str) -> Iterator[dict[str, str | None] | InputError]:
    """Every row by column, values as text and None for nulls; or what is wrong with the row.

    Raises:
        InputError: the file cannot be read as a whole.
    """
    number = 0
    try:
        with pq.ParquetFile(stream) as file:
            names = file.schema_arrow.names
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise InputError(f"the column {repeated[0]!r} appears twice", uri, "rename one of them")
            intervals = {column.path for column in map(file.schema.column, range(len(file.schema))) if _is_interval(column)}
            for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
                columns = {name: _texts(batch.column(at), interval_text if name in intervals else as_text) for at, name in enumerate(names)}
                for place in range(batch.num_rows):
                    number += 1
                    yield _row({name: texts[place] for name, texts in columns.items()}, f"{uri}, row {number}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"unreadable Parquet: {error}", uri, "write the manifest again") from error


def _is_interval(column: Any) -> bool:
    return "interval" in {str(column.converted_type).lower(), str(column.logical_type).lower()}


def _row(cells: dict[str, str | Exception | None], place: str) -> dict[str, str | None] | InputError:
    texts: dict[str, str | None] = {}
    for name, cell in cells.items():
        if isinstance(cell, Exception):
            return InputError(f"column {name!r} holds a value that cannot be read: {cell}", place, "write this column as text")
        texts[name] = cell
    return texts


def _texts(column: pa.Array[Any], text_of: Callable[[Any], str]) -> list[str | Exception | None]:
    """The column's values as text; in the place of one that cannot be read, why."""
    try:
        return [None if value is None else text_of(value) for value in column.to_pylist()]
    except Exception as error:  # noqa: BLE001 -- one odd value among many: look at each by itself
        _LOG.debug("a column is read value by value: %s: %s", type(error).__name__, error)
        return [_text(column[at], text_of) for at in range(len(column))]


def _text(scalar: Any, text_of: Callable[[Any], str]) -> str | Exception | None:
    try:
        value = scalar.as_py()
        return None if value is None else text_of(value)
    except UnicodeDecodeError as error:  # a string column whose bytes are no UTF-8
        _LOG.debug("a text is no UTF-8: %s", error)
        return str(scalar.as_buffer().to_pybytes().decode(errors="surrogateescape"))
    except Exception as error:  # noqa: BLE001 -- e.g. DuckDB's infinite timestamp, which Python cannot hold; Arrow can spell it
        try:
            return _spelled(str(scalar.cast(pa.string()).as_py()))
        except Exception as second:  # noqa: BLE001 -- the first reason is the one to tell
            _LOG.debug("nor can Arrow spell it: %s: %s", type(second).__name__, second)
            return error


def _spelled(text: str) -> str:
    """DuckDB writes infinite timestamps as the largest integers, which Arrow spells `<value out of range: 9223372036854775807>`."""
    number = text.removeprefix("<value out of range: ").removesuffix(">")
    return {str(INT64_MAX): "infinity", str(-INT64_MAX): "-infinity"}.get(number, number)

"""The rows of a manifest file, streamed: CSV, JSON lines, Parquet or a text list."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.local import open_regular
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.stores import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

Row = dict[str, str]

_PARQUET_BATCH_ROWS = 1024


def read_rows(uri: str) -> Iterator[tuple[int, Row]]:
    """Every row of the manifest at `uri` with its line number (Parquet: row number), counted from 1.

    Raises:
        InputError: unknown format, unreadable file, or a row that is not of its format; names file and line.
    """
    path = urlsplit(uri).path if "://" in uri else uri
    suffix = PurePosixPath(path).suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        raise InputError("no manifest format that is known by its ending", uri, f"known endings: {', '.join(_READERS)}")
    with _opened(uri) as stream:
        yield from reader(stream, uri)


@contextmanager
def _opened(uri: str) -> Iterator[IO[bytes]]:
    if "://" in uri and not uri.lower().startswith("file://"):
        with opened(uri) as stream:
            yield stream
    else:
        with open_regular(locate(uri).address) as stream:
            yield stream


def _lines(stream: Iterable[bytes], uri: str) -> Iterator[str]:
    """Decoded line by line, not through a text wrapper, which reads ahead and could not name the line at fault."""
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8 text", f"{uri}, line {number}", "save the manifest as UTF-8") from error


def _read_text(stream: IO[bytes], uri: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(_lines(stream, uri), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, {"input": text}


def _read_csv(stream: IO[bytes], uri: str) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(_lines(stream, uri), strict=True)
    header: list[str] | None = None
    try:
        for fields in reader:
            if not fields:
                continue
            if header is None:
                header = [name.strip() for name in fields]
                if repeated := sorted({name for name in header if header.count(name) > 1}):
                    raise InputError(f"the column {repeated[0]!r} is there twice", f"{uri}, line {reader.line_num}", "rename one of them")
                continue
            if len(fields) != len(header):
                what = f"{len(fields)} fields where the header has {len(header)}"
                raise InputError(what, f"{uri}, line {reader.line_num}", "quote fields that contain commas")
            yield reader.line_num, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise InputError(f"broken CSV: {error}", f"{uri}, line {reader.line_num}", "check the quotes on that line") from error
    if header is None:
        raise InputError("an empty CSV file", uri, "the first line names the columns, one of them `input`")


def _read_json(stream: IO[bytes], uri: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(_lines(stream, uri), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"no valid JSON: {error.msg}", f"{uri}, line {number}", "one JSON object a line") from error
        if not isinstance(values, dict):
            raise InputError(f"a JSON {type(values).__name__}, not an object", f"{uri}, line {number}", 'lines look like {"input": "…"}')
        yield number, _as_row(values)


def _read_parquet(stream: IO[bytes], uri: str) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa  # noqa: PLC0415 -- a tenth of a second that the other formats need not pay
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        number = 0
        with pq.ParquetFile(stream) as file:
            for batch in file.iter_batches(_PARQUET_BATCH_ROWS, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    yield number, _as_row(values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise InputError(f"unreadable Parquet: {error}", uri, "write the manifest again") from error


_READERS: dict[str, Callable[[IO[bytes], str], Iterator[tuple[int, Row]]]] = {
    ".csv": _read_csv,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".parquet": _read_parquet,
    ".txt": _read_text,
}


def _as_row(values: dict[str, Any]) -> Row:
    return {name: _as_text(value) for name, value in values.items() if value is not None}


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False, default=str)

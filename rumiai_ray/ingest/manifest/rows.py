"""The rows of a manifest file, streamed: CSV, JSON, JSON lines, Parquet or a text list."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.local import open_regular
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.manifest.csv_file import Records
from rumiai_ray.ingest.manifest.json_file import values
from rumiai_ray.ingest.manifest.names import of_list, unwrapped, visible
from rumiai_ray.ingest.manifest.text_file import LINE_CHARS, Overlong, lines
from rumiai_ray.ingest.manifest.values import as_text
from rumiai_ray.ingest.stores import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class ManifestRow:
    """One row of a manifest."""

    cells: Mapping[str, str | None]
    """By column, as text; None for a null."""
    tabular: bool = True
    """Every row of the file has the same columns."""
    guarded: bool = False
    """Texts may have apostrophes that keep a spreadsheet from reading formulas; see `shown.guarded`."""


class _FormatReader(Protocol):
    def __call__(self, stream: IO[bytes], uri: str, wanted: Sequence[str]) -> Iterator[tuple[int, ManifestRow | InputError]]: ...


def read_rows(uri: str, wanted: Sequence[str] = ("input",)) -> Iterator[tuple[int, ManifestRow | InputError]]:
    """Every row of the manifest at `uri`, or what is wrong with it, with its line number (Parquet and JSON: row number), counted from 1.

    Args:
        uri: a local path or a URI.
        wanted: folded names of which the header has one: they tell what separates the cells of a CSV file.

    Raises:
        InputError: unknown format, or a file that cannot be read as a whole.
    """
    reader = _READERS.get(_suffix(uri))
    if reader is None:
        if convert := to_convert(uri):
            what, hint = convert
            raise InputError(what, uri, hint)
        known = f"known endings: {', '.join(_READERS)}; videos themselves are arguments of `rumiai-ray analyze`"
        raise InputError("not a known manifest format", uri, known)
    with _opened(uri) as stream:
        yield from reader(stream, uri, wanted)


def place_of(uri: str, number: int) -> str:
    """How an error names the place of a row: its line in a file of lines, else which row it is."""
    return f"{uri}, {unit_of(uri)} {number}"


def unit_of(uri: str) -> str:
    """What `read_rows` counts in the manifest at `uri`: `line` or `row`."""
    return "row" if _suffix(uri) in _WITHOUT_LINES else "line"


def is_manifest(uri: str) -> bool:
    """Whether the name of a file says that `read_rows` reads it."""
    return _suffix(uri) in _READERS


def to_convert(uri: str) -> tuple[str, str] | None:
    """What a file is that people have instead of a manifest, by its name, and what to do; None for any other."""
    return _TO_CONVERT.get(_suffix(uri))


def _suffix(uri: str) -> str:
    path = urlsplit(uri).path if "://" in uri else uri
    return PurePosixPath(path).suffix.lower()


@contextmanager
def _opened(uri: str) -> Iterator[IO[bytes]]:
    if "://" in uri and not uri.lower().startswith("file://"):
        with opened(uri) as stream:
            yield stream
    else:
        with open_regular(locate(uri).address, uri) as stream:
            yield stream


def _read_text(stream: IO[bytes], uri: str, wanted: Sequence[str]) -> Iterator[tuple[int, ManifestRow | InputError]]:
    for number, line in enumerate(lines(stream, uri), 1):
        text = of_list(line)
        if text and not text.startswith("#"):
            yield number, _overlong(uri, number) if isinstance(line, Overlong) else ManifestRow({wanted[0]: text})


def _read_csv(stream: IO[bytes], uri: str, wanted: Sequence[str]) -> Iterator[tuple[int, ManifestRow | InputError]]:
    records = Records(lines(stream, uri), wanted, uri)
    for number, record in records:
        if isinstance(record, InputError):
            yield number, record
        else:
            yield number, ManifestRow(dict(zip(records.header, record, strict=True)), guarded=True)


def _read_json(stream: IO[bytes], uri: str, wanted: Sequence[str]) -> Iterator[tuple[int, ManifestRow | InputError]]:
    for number, line in enumerate(lines(stream, uri), 1):
        if visible(line):
            try:
                row = _overlong(uri, number) if isinstance(line, Overlong) else _json_row(visible(line), f"{uri}, line {number}", wanted[0])
                yield number, row
            except InputError as error:
                yield number, error


def _json_row(line: str, place: str, input_name: str) -> ManifestRow:
    try:
        return _row_of(json.loads(line), place, input_name)
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", place, "one JSON object a line") from error
    except ValueError as error:  # Python refuses integers of more than 4,300 digits
        raise InputError(f"a number that cannot be read: {error}", place, "give numbers of so many digits as text") from error
    except RecursionError as error:
        raise InputError("values nested too deeply", place, "one JSON object a line, with a few levels at most") from error


def _row_of(values: object, place: str, input_name: str) -> ManifestRow:
    """The row of an object, of a text that holds one, or of a text that is an input by itself."""
    if isinstance(values, str):
        values = unwrapped(values)
    if isinstance(values, str):
        return ManifestRow({input_name: values}, tabular=False)
    if not isinstance(values, dict):
        raise InputError(f"a JSON {type(values).__name__}, not an object", place, 'rows look like {"input": "…"}')
    return ManifestRow({name: None if value is None else as_text(value) for name, value in values.items()}, tabular=False)


def _read_json_file(stream: IO[bytes], uri: str, wanted: Sequence[str]) -> Iterator[tuple[int, ManifestRow | InputError]]:
    for number, value in enumerate(values(stream, uri, wanted), 1):
        try:
            yield number, _row_of(value, f"{uri}, row {number}", wanted[0])
        except InputError as error:
            yield number, error


def _read_parquet(stream: IO[bytes], uri: str, wanted: Sequence[str]) -> Iterator[tuple[int, ManifestRow | InputError]]:
    del wanted
    from rumiai_ray.ingest.manifest.parquet_file import rows  # noqa: PLC0415 -- a tenth of a second that the other formats need not pay

    for number, cells in enumerate(rows(stream, uri), 1):
        yield number, cells if isinstance(cells, InputError) else ManifestRow(cells)


def _overlong(uri: str, number: int) -> InputError:
    return InputError(f"a line of more than {LINE_CHARS:,} characters", f"{uri}, line {number}", "one row a line")


_READERS: dict[str, _FormatReader] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".json": _read_json_file,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".parquet": _read_parquet,
    ".txt": _read_text,
}
_WITHOUT_LINES = (".json", ".parquet")
"""Endings of formats whose rows are not lines."""
_SHEET = ("not a manifest format: a spreadsheet", "save the sheet as CSV UTF-8")
_PACKED = ("not a manifest format: a compressed file", "decompress it first")
_TO_CONVERT = dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"), _SHEET) | dict.fromkeys(
    (".gz", ".zip", ".bz2", ".xz", ".zst", ".7z"), _PACKED
)
"""Endings of files that people have instead of a manifest: what they are, and what to do."""

"""A run's tables as files of their own: one CSV or Parquet file a table, of committed rows only."""

from __future__ import annotations

from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.export.features import features
from rumiai_ray.runs.text import write_csv
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rumiai_ray.runs.protocols import RunTables

TableFormat = Literal["csv", "parquet"]


def export_tables(run: RunTables, directory: Path, kind: TableFormat, *, raw: bool = False) -> list[Path]:
    """Write every table of a run, empty ones too, to `<directory>/<table>.<kind>`.

    Args:
        run: the run, or a corpus; nothing but committed files is read.
        directory: new or empty, so that it never mixes two runs.
        raw: of CSV; see `write_csv`.
        kind: CSV has a list or a map as JSON in its cell; Parquet keeps types and the data dictionary.

    Returns:
        The files written.

    Raises:
        ConfigError: `directory` is not empty.
        StorageError: the run is damaged, or the directory cannot be written. What was written by then is removed.
    """
    written: list[Path] = []
    is_new = not directory.exists()
    try:
        _make_empty(directory)
        for name in run.tables():
            path = directory / f"{name}.{kind}"
            with path.open("xb") as sink:
                written.append(path)
                if kind == "csv":
                    with TextIOWrapper(sink, encoding="utf-8", newline="") as file:
                        write_csv(run.batches(name), file, raw=raw)
                else:
                    _write_parquet(name, run.batches(name), sink)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if is_new and directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
        if isinstance(error, OSError | pa.ArrowException):
            raise _unwritable(error, directory) from error
        raise
    return written


def _make_empty(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ConfigError("not empty", str(directory), "choose a new directory: tables of two runs must not mix")


def _write_parquet(name: str, batches: Iterator[pa.Table], sink: BinaryIO) -> None:
    """Write tables of the same columns, at least one, as one file."""
    first = next(batches)
    declared = TABLES_BY_NAME.get(name)
    # Rows of several files have lost what the schema says of the table as a whole.
    schema = declared.schema if declared is not None and first.schema.equals(declared.schema) else first.schema
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in chain([first], batches):
            writer.write_table(rows.replace_schema_metadata(schema.metadata))


def export_features(run: RunTables, path: Path, *, raw: bool = False) -> list[str]:
    """Write one wide CSV row per video; see `features`.

    Args:
        run: the run, or a corpus.
        path: the file, which must not be there yet.
        raw: see `write_csv`.

    Returns:
        Tables this run does not have, whose columns are missing.

    Raises:
        ConfigError: the file is there.
        StorageError: the run is damaged, or the file cannot be written.
    """
    rows, missing = features(run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="") as file, removed_unless_written(path):
            write_csv(rows, file, raw=raw)
    except FileExistsError as error:
        raise ConfigError("is there already", str(path), "choose another name") from error
    except OSError as error:
        raise _unwritable(error, path) from error
    return missing


@contextmanager
def removed_unless_written(path: Path) -> Iterator[None]:
    """Remove a file of our making where what it was made for goes wrong."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _unwritable(error: Exception, path: Path) -> StorageError:
    why = getattr(error, "strerror", None) or str(error)
    return StorageError(f"cannot write it: {why}", str(getattr(error, "filename", None) or path), "choose another place")

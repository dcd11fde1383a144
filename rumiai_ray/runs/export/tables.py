"""A run's tables as files of their own: one CSV or Parquet file a table, of committed rows only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.export.features import features
from rumiai_ray.runs.text import write_csv
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.reader import Run

TableFormat = Literal["csv", "parquet"]


def export_tables(run: Run, directory: Path, kind: TableFormat, *, raw: bool = False) -> list[Path]:
    """Write every table of a run, empty ones too, to `<directory>/<table>.<kind>`.

    Args:
        run: the run; nothing but its committed files is read.
        directory: new or empty, so that it never mixes two runs.
        raw: of CSV; see `write_csv`.
        kind: CSV has a list or a map as JSON in its cell; Parquet keeps types and the data dictionary.

    Returns:
        The files written.

    Raises:
        ConfigError: `directory` is not empty.
        StorageError: the run is damaged, or the directory cannot be written.
    """
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ConfigError("not empty", str(directory), "choose a new directory: tables of two runs must not mix")
        for name in run.tables():
            rows = run.table(name)
            path = directory / f"{name}.{kind}"
            if kind == "csv":
                with path.open("x", encoding="utf-8", newline="") as file:
                    write_csv(rows, file, raw=raw)
            else:
                declared = TABLES_BY_NAME.get(name)
                if declared is not None and rows.schema.equals(declared.schema):
                    # Rows of several files have lost what the schema says of the table as a whole.
                    rows = rows.replace_schema_metadata(declared.schema.metadata)
                with path.open("xb") as sink:
                    pq.write_table(rows, sink, compression="zstd")
            written.append(path)
    except (OSError, pa.ArrowException) as error:
        raise _unwritable(error, directory) from error
    return written


def export_features(run: Run, path: Path, *, raw: bool = False) -> list[str]:
    """Write one wide CSV row per video; see `features`.

    Args:
        run: the run.
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
        with path.open("x", encoding="utf-8", newline="") as file:
            write_csv(rows, file, raw=raw)
    except FileExistsError as error:
        raise ConfigError("is there already", str(path), "choose another name") from error
    except OSError as error:
        raise _unwritable(error, path) from error
    return missing


def _unwritable(error: Exception, path: Path) -> StorageError:
    why = getattr(error, "strerror", None) or str(error)
    return StorageError(f"cannot write it: {why}", str(getattr(error, "filename", None) or path), "choose another place")

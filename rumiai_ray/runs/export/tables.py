"""A run's tables as files of their own: one CSV or Parquet file a table, of committed rows only."""

from __future__ import annotations

from functools import partial
from io import TextIOWrapper
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from rumiai_ray.errors import ConfigError
from rumiai_ray.runs.export.features import features
from rumiai_ray.runs.export.folder import new_folder, removed_unless_written, unwritable
from rumiai_ray.runs.text import write_csv
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rumiai_ray.runs.protocols import RunTables
    from rumiai_ray.schema.table import Table

TableFormat = Literal["csv", "parquet"]


def export_tables(
    run: RunTables,
    directory: Path,
    kind: TableFormat,
    *,
    names: Iterable[str] | None = None,
    landmarks: bool = True,
    raw: bool = False,
) -> list[Path]:
    """Write tables of a run, empty ones too, to `<directory>/<table>.<kind>`.

    Args:
        run: the run, or a corpus; nothing but committed files is read.
        directory: new or empty, so that it never mixes two runs.
        kind: CSV has a list or a map as JSON in its cell; Parquet keeps types and the data dictionary.
        names: the tables wanted, all by default.
        landmarks: write the columns of many numbers a row, too: landmarks, blendshapes, polygons, embeddings (`Table.bulky`). Where not,
            tables of nothing else (`Table.part_of`) are written only if they are among `names`.
        raw: of CSV; see `write_csv`.

    Returns:
        The files written.

    Raises:
        ConfigError: `directory` is not empty, or the run has no table of that name.
        StorageError: the run is damaged, or the directory cannot be written. What was written by then is removed.
    """
    with new_folder(directory, "tables") as folder:
        for name in _wanted(run, names, landmarks=landmarks):
            batches = run.batches(name) if landmarks else map(partial(_light, name), run.batches(name))
            with folder.file(f"{name}.{kind}") as sink:
                if kind == "csv":
                    with TextIOWrapper(sink, encoding="utf-8", newline="") as file:
                        write_csv(batches, file, raw=raw)
                else:
                    _write_parquet(name, batches, sink)
    return folder.written


def _wanted(run: RunTables, names: Iterable[str] | None, *, landmarks: bool) -> list[str]:
    known = run.tables()
    if names is None:  # without its bulky columns, a part of another table says nothing
        return known if landmarks else [name for name in known if name not in TABLES_BY_NAME or TABLES_BY_NAME[name].part_of is None]
    wanted = list(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigError(f"no table {unknown[0]!r}", run.run_id, f"it has {', '.join(known)}")
    return wanted


def _light(name: str, rows: pa.Table) -> pa.Table:
    return TABLES_BY_NAME[name].light(rows) if name in TABLES_BY_NAME else rows


def _light_schema(declared: Table, rows: pa.Table) -> pa.Schema:
    """The declared schema without the columns that rows do not have."""
    schema = declared.schema
    for name in set(schema.names) - set(rows.column_names):
        schema = schema.remove(schema.get_field_index(name))
    return schema


def _write_parquet(name: str, batches: Iterator[pa.Table], sink: BinaryIO) -> None:
    """Write tables of the same columns, at least one, as one file."""
    first = next(batches)
    declared = TABLES_BY_NAME.get(name)
    schema = first.schema
    if declared is not None:
        today = _light_schema(declared, first)
        # Rows of several files have lost what the schema says of the table as a whole.
        schema = today if schema.equals(today) else schema
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
        raise ConfigError("already exists", str(path), "choose another name") from error
    except OSError as error:
        raise unwritable(error, path) from error
    return missing

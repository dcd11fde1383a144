"""Immutable data files: rows of one table of one run in one Parquet file, and the facts a commit record keeps about it.

`write_data_file` depends on nothing but its arguments, so a writer task on any node can call it and return the facts; the file
becomes part of the run only when the driver's commit record names it.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Self
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rumiai_ray.errors import StorageError
from rumiai_ray.schema import SchemaError, Table
from rumiai_ray.schema.registry import TABLES_BY_NAME, parts_of
from rumiai_ray.schema.table import immeasurable
from rumiai_ray.storage import Store

PART = r"part-\d{8}-[0-9a-f]{32}\.parquet"
"""What a data file's name looks like."""

TABLE_NAME = r"[a-z][a-z0-9_]{0,62}"
"""What a table's name looks like. The name becomes part of paths (`export`) and a name in SQL, and a run may be a stranger's."""


_OWNERS = {"videos": ("entry_id", "video_key"), "dead_letter": ("entry_id",)}
"""Columns that say whose a row is, where that is not the video alone."""


class DataFile(BaseModel):
    """What a commit record says about one data file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    table: str = Field(pattern=rf"^{TABLE_NAME}$")
    path: str = Field(pattern=rf"^{TABLE_NAME}/{PART}$")
    """Relative to the run's directory. The pattern keeps a record from pointing anywhere else, another run least of all."""
    rows: int = Field(ge=0)
    size_bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _in_its_tables_directory(self) -> Self:
        if self.path.partition("/")[0] != self.table:
            raise ValueError(f"a file of table {self.table} lies in the directory of another: {self.path}")
        return self


def check_rows(table: Table, rows: pa.Table, run_id: str) -> pa.Table:
    """`rows` themselves if they are stamped rows of `table` and of this run.

    Raises:
        SchemaError: they have other columns, a null where none may be, or another run's id.
    """
    table.check(rows, table.schema)
    strangers = [found for found in pc.unique(rows["run_id"]).to_pylist() if found != run_id]
    if strangers:
        raise SchemaError(f"{table.name}: rows of run {strangers[0]!r} offered to run {run_id!r}; nothing is carried from run to run")
    return rows


def write_data_file(run: Store, table: Table, rows: pa.Table, *, run_id: str, sequence: int) -> DataFile:
    """Write stamped rows to a new file of their own, in the order given.

    Args:
        run: the run's directory.
        table: the table the rows belong to.
        rows: rows of `table.schema`.
        run_id: the run; every row must carry it.
        sequence: number of the commit the file is meant for; it only helps people to find their way.

    Returns:
        The facts for the commit record.

    Raises:
        SchemaError: the rows are not this table's or not this run's.
        StorageError: the file cannot be written; nothing is left behind.
    """
    check_rows(table, rows, run_id)
    # The schema is put on again: equality of schemas ignores metadata, and the data dictionary must travel with the rows.
    return _write(run, table.name, pa.Table.from_arrays(rows.columns, schema=table.schema), sequence)


def _write(run: Store, table: str, rows: pa.Table, sequence: int) -> DataFile:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    path = f"{table}/part-{sequence:08d}-{uuid4().hex}.parquet"
    run.create(path, data)
    return DataFile(table=table, path=path, rows=rows.num_rows, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


@cache
def stored_schema(table: Table) -> pa.Schema:
    """The table's schema as it comes back from Parquet, which has no type for some of Arrow's (seconds come back as milliseconds)."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.schema.empty_table(), sink)
    return pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema_arrow


def read_data_file(run: Store, facts: DataFile, columns: list[str] | None = None) -> pa.Table:
    """Rows of a committed file, once they are shown to be the rows that were committed.

    Args:
        run: the run's directory.
        facts: what the commit record says about the file.
        columns: the columns wanted, all by default.

    Raises:
        StorageError: the file is missing, or is not byte for byte what was committed.
    """

    def damaged(what: str) -> StorageError:
        return _damage(run, facts, what)

    data = _committed_bytes(run, facts)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if problem := _unlike_any_rows(facts.table, file.schema_arrow):
            raise damaged(problem)
        # Not in Arrow's threads: one that lets go of these bytes while the interpreter ends aborts the process (seen once, signal 6).
        rows = file.read(columns=columns, use_threads=False)
        rows.validate(full=True)  # a run from somebody else may hold offsets that point anywhere, and strings that are no UTF-8
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # Arrow tells damage inside a file as an OSError, too
        raise damaged(f"not a readable Parquet file: {error}") from error
    if rows.num_rows != facts.rows:
        raise damaged(f"{rows.num_rows} rows, {facts.rows} were committed")
    if problem := _unlike_its_table(facts.table, rows, columns) or unlike_any_time(rows) or _unlike_any_value(facts.table, rows):
        raise damaged(problem)
    return rows


def field_of_today(table: Table, name: str) -> "pa.Field[pa.DataType] | None":
    """The column that a column of a file of `table` is read as, whatever version the file is of; None where this release reads it as none.

    It may be a column of a part of the table.
    """
    declared = stored_schema(table)
    today = next((today for today, former in table.formerly if former == name and former not in declared.names), name)
    if today in declared.names:
        return declared.field(today)
    return next((stored_schema(part).field(name) for part in parts_of(table.name) if name in part.schema.names), None)


def rewrite_data_file(run: Store, facts: DataFile, left: Callable[[pa.Table], pa.Table], *, sequence: int) -> DataFile | None:
    """Write the rows of a committed file that are to stay to a new file, in their order and in the columns they were written in.

    Args:
        run: the run's directory.
        facts: what the commit record says about the file.
        left: gives of the rows those that stay, in their order.
        sequence: number of the record that will name the new file.

    Returns:
        The facts of the new file, which may have no rows; None where all rows stay and nothing was written.

    Raises:
        StorageError: the file is not what was committed, or the new file cannot be written.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(_committed_bytes(run, facts)))
        if problem := _unlike_any_rows(facts.table, file.schema_arrow):
            raise _damage(run, facts, problem)
        rows = file.read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _damage(run, facts, f"not a readable Parquet file: {error}") from error
    kept = left(rows)
    if kept.num_rows == rows.num_rows:
        return None
    return _write(run, facts.table, kept, sequence)


def _committed_bytes(run: Store, facts: DataFile) -> bytes:
    """The content of a committed file.

    Raises:
        StorageError: the file is missing, or is not byte for byte what was committed.
    """
    data = run.read_or_none(facts.path)
    if data is None:
        raise _damage(run, facts, "a committed file is missing")
    if len(data) != facts.size_bytes:
        raise _damage(run, facts, f"{len(data)} bytes, {facts.size_bytes} were committed")
    if hashlib.sha256(data).hexdigest() != facts.sha256:
        raise _damage(run, facts, "the file's SHA-256 is not the one that was committed")
    return data


def _damage(run: Store, facts: DataFile, what: str) -> StorageError:
    return StorageError(what, run.uri(facts.path), "the run is damaged: restore the file, or analyse again under a new run id")


def version_of(rows: pa.Table) -> str:
    """The schema version that a file says its rows are of; "" where it says none."""
    return (rows.schema.metadata or {}).get(b"version", b"").decode(errors="replace")


def _unlike_any_rows(name: str, schema: pa.Schema) -> str:
    """What no table's file has, of any version: two columns of one name, or none of strings that says whose a row is; "" if all is well."""
    if repeated := [column for column, count in Counter(schema.names).items() if count > 1]:
        return f"the file has two columns named {repeated[0]!r}"
    for column in ("run_id", *_OWNERS.get(name, ("video_key",))):
        if column not in schema.names:
            return f"the file has no column {column!r}"
    for column in {"run_id", "video_key", "entry_id"} & set(schema.names):
        if not pa.types.is_string(schema.field(column).type):
            return f"the column {column!r} is {schema.field(column).type}, it must be string"
    return ""


def _unlike_its_table(name: str, rows: pa.Table, columns: list[str] | None) -> str:
    """What is wrong with the columns of a file, by the table's schema; "" where nothing is.

    A file of today's version must have every column of it. A file of another version may lack some. The columns that it has must be of
    today's types and without nulls where today's have none: all that reads runs was written for these. Further columns are allowed if
    their names are plain, since edited code may have written the run.
    """
    table = TABLES_BY_NAME.get(name)
    if table is None:
        return ""
    declared = stored_schema(table)
    if version_of(rows) != str(table.version):
        for field in rows.schema:
            today = field_of_today(table, field.name) or field
            if not field.type.equals(today.type):
                return f"the column {field.name!r} is {field.type}, but this release expects {today.type}"
            if not today.nullable and rows[field.name].null_count:
                return f"the column {field.name!r} has nulls, which this release does not allow there"
        return ""
    wrong = [
        field.name
        for field in rows.schema
        if not (field.equals(declared.field(field.name)) if field.name in declared.names else re.fullmatch(TABLE_NAME, field.name))
    ]
    wrong += [column for column in declared.names if columns is None and column not in rows.column_names]
    return f"the columns are not those of schema version {table.version}: {wrong[0]!r}" if wrong else ""


def _unlike_any_value(name: str, rows: pa.Table) -> str:
    """Which column holds a value of the right type that its table cannot have; "" where none does.

    No run writes such a value (`Table.stamp` refuses it), and all code that reads runs relies on that: one infinite box breaks a sum, an
    axis or a conversion somewhere.
    """
    table = TABLES_BY_NAME.get(name)
    problem = table.impossible(rows) if table is not None else immeasurable(rows)
    return f"the column {problem}" if problem else ""


def unlike_any_time(rows: pa.Table) -> str:
    """Which column holds times that Python's calendar, which ends with the year 9999, cannot; "" where none does."""
    for field in rows.schema:
        if pa.types.is_temporal(field.type) and rows.num_rows:
            try:
                pc.min_max(rows[field.name]).as_py()
            except (OverflowError, ValueError) as error:
                return f"the column {field.name!r} holds times out of range: {error}"
    return ""

"""Rows that an older schema version wrote, read as rows of today's tables.

Columns have their names of today. A column that the older version lacks is null, and `absent` names it: its nulls say "not in this run's
schema version", not "not measured". Columns that only the older version has come last. Rows of a table that was part of another one are
read out of that one's files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from rumiai_ray.runs.datafile import field_of_today, stored_schema, version_of
from rumiai_ray.schema.registry import TABLES_BY_NAME, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def parts_inside(table: str, versions: Mapping[str, int]) -> list[str]:
    """The parts of a table whose columns are in the table itself, since a run has an older version of it.

    Args:
        table: a table.
        versions: schema versions of all tables of the run, as its manifest says.
    """
    declared = TABLES_BY_NAME.get(table)
    if declared is None or versions.get(table, declared.version) == declared.version:
        return []
    return [part.name for part in parts_of(table) if part.name not in versions]


def versions_as_read(versions: Mapping[str, int]) -> dict[str, int]:
    """Schema versions of the tables that a run is read as.

    An older version is today's where its rows say the same once they are read by the names of today. Parts of older tables are among the
    tables, in the version of today.
    """
    read = {
        name: TABLES_BY_NAME[name].version if name in TABLES_BY_NAME and TABLES_BY_NAME[name].says_the_same_as(version) else version
        for name, version in versions.items()
    }
    return read | {part: TABLES_BY_NAME[part].version for name in versions for part in parts_inside(name, versions)}


def names_of_today(table: str, written: Sequence[str], *, source: str) -> dict[str, str]:
    """The columns of an older file, in the order in which they are read: name of today to name in the file.

    Args:
        table: the table to read its rows as.
        written: the file's columns.
        source: the table that the file was written for: `table`, or the one that it is part of.
    """
    declared = TABLES_BY_NAME[table].schema.names
    found = {}
    for name in written:
        field = field_of_today(TABLES_BY_NAME[source], name)
        today = name if field is None else field.name
        is_own = today in declared or (source == table and field is None)
        if is_own and (today == name or today not in written):
            found[today] = name
    own = [name for name in declared if name in found]
    return {name: found[name] for name in (*own, *(name for name in found if name not in own))}


def names_in_files(table: str, columns: Iterable[str]) -> list[str]:
    """Every name that files of any version have for some columns of a table."""
    declared = TABLES_BY_NAME.get(table)
    former = dict(declared.formerly) if declared is not None else {}
    return list(dict.fromkeys(name for column in columns for name in (column, former.get(column, column))))


def absent(table: str, written: Sequence[str], *, source: str) -> list[str]:
    """The columns of today's table that an older file lacks, whatever its columns were called; for the arguments see `names_of_today`."""
    there = names_of_today(table, written, source=source)
    return [name for name in TABLES_BY_NAME[table].schema.names if name not in there]


def as_today(table: str, rows: pa.Table, *, source: str, fill: Iterable[str] = ()) -> pa.Table:
    """Rows of a file by the names of today; rows of today's version, and of a table that this release does not know, as they are.

    Args:
        table: the table to read the rows as.
        rows: some or all columns of a file.
        source: the table that the file was written for: `table`, or the one that it is part of.
        fill: columns of the table that are null where the file lacks them.
    """
    declared = TABLES_BY_NAME.get(table)
    if declared is None or (source == table and version_of(rows) == str(declared.version)):
        return rows
    names = names_of_today(table, rows.column_names, source=source)
    columns = {today: (rows.schema.field(name).with_name(today), rows[name]) for today, name in names.items()}
    for field in stored_schema(declared):
        if field.name in fill and field.name not in columns:
            columns[field.name] = (field.with_nullable(nullable=True), pa.chunked_array([pa.nulls(rows.num_rows, field.type)]))
    today = [name for name in declared.schema.names if name in columns]
    order = [*today, *(name for name in columns if name not in today)]
    schema = pa.schema([columns[name][0] for name in order])
    return pa.Table.from_arrays([columns[name][1] for name in order], schema=schema).replace_schema_metadata(rows.schema.metadata)

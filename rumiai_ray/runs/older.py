"""Rows that an older schema version wrote, read as rows of today's tables.

Columns have their names of today. A column that the older version lacks is null, and `absent` names it: its nulls say "not in this run's
schema version", not "not measured". Columns that only the older version has come last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from rumiai_ray.runs.datafile import field_of_today, stored_schema, version_of
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def versions_as_read(versions: Mapping[str, int]) -> dict[str, int]:
    """Schema versions of a run's tables; today's, where rows of an older one say the same once they are read by the names of today."""
    return {
        name: TABLES_BY_NAME[name].version if name in TABLES_BY_NAME and TABLES_BY_NAME[name].says_the_same_as(version) else version
        for name, version in versions.items()
    }


def names_of_today(table: str, written: Sequence[str]) -> dict[str, str]:
    """The columns of an older file, in the order in which they are read: name of today to name in the file.

    Args:
        table: a table of today.
        written: the file's columns.
    """
    declared = stored_schema(TABLES_BY_NAME[table])
    found = {}
    for name in written:
        field = field_of_today(TABLES_BY_NAME[table], name)
        if field is None or field.name == name or field.name not in written:
            found[name if field is None else field.name] = name
    own = [name for name in declared.names if name in found]
    return {name: found[name] for name in (*own, *(name for name in found if name not in own))}


def names_in_files(table: str, columns: Iterable[str]) -> list[str]:
    """Every name that files of any version have for some columns of a table."""
    declared = TABLES_BY_NAME.get(table)
    former = dict(declared.formerly) if declared is not None else {}
    return list(dict.fromkeys(name for column in columns for name in (column, former.get(column, column))))


def absent(table: str, written: Iterable[str]) -> list[str]:
    """The columns of today's table that a file of an older version lacks, whatever its columns were called."""
    declared = TABLES_BY_NAME.get(table)
    if declared is None:
        return []
    there = names_of_today(table, list(written))
    return [name for name in declared.schema.names if name not in there]


def as_today(table: str, rows: pa.Table, *, fill: Iterable[str] = ()) -> pa.Table:
    """Rows of a file by the names of today; rows of today's version, and of a table that this release does not know, as they are.

    Args:
        table: the table to read the rows as.
        rows: some or all columns of a file.
        fill: columns of the table that are null where the file lacks them.
    """
    declared = TABLES_BY_NAME.get(table)
    if declared is None or version_of(rows) == str(declared.version):
        return rows
    names = names_of_today(table, rows.column_names)
    columns = {today: (rows.schema.field(name).with_name(today), rows[name]) for today, name in names.items()}
    for field in stored_schema(declared):
        if field.name in fill and field.name not in columns:
            columns[field.name] = (field.with_nullable(nullable=True), pa.chunked_array([pa.nulls(rows.num_rows, field.type)]))
    today = [name for name in declared.schema.names if name in columns]
    order = [*today, *(name for name in columns if name not in today)]
    schema = pa.schema([columns[name][0] for name in order])
    return pa.Table.from_arrays([columns[name][1] for name in order], schema=schema).replace_schema_metadata(rows.schema.metadata)

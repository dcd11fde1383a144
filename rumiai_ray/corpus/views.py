"""A corpus's tables as views in DuckDB: of each file all rows, those that count, or, where none does, not even the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from rumiai_ray.corpus.choice import BY_ENTRY, ENTRIES, family_of, tracked_by
from rumiai_ray.corpus.files import FILE, by_version, identifier, listed, load, quoted, read_parquet, united, written_columns
from rumiai_ray.runs.older import names_of_today
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.schema.run import ANALYSES, DEAD_LETTER, VIDEOS
from rumiai_ray.schema.tracks import TRACKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from rumiai_ray.corpus.choice import CorpusChoice
    from rumiai_ray.corpus.files import CorpusFile, Files

SCHEMA = "corpus"
"""The schema of what the views read beside files; `SHOW TABLES` lists the views alone."""


def files_table(table: str) -> str:
    """The table of runs in whose files the rows of a table of the corpus are."""
    return VIDEOS.name if table == ENTRIES else table


def is_of_today(table: str, version: Sequence[CorpusFile]) -> bool:
    """Whether files of one schema version have the columns of today's table; so they are taken for a table this release does not know."""
    declared = TABLES_BY_NAME.get(table)
    return declared is None or (version[0].table == table and version[0].version == declared.version)


def prepare(database: duckdb.DuckDBPyConnection, choice: CorpusChoice) -> None:
    """Make what `define` filters by."""
    database.execute(f"CREATE SCHEMA {SCHEMA}")
    for name, rows in (("analyses", choice.analyses), ("entries", choice.entries), ("dead", choice.dead)):
        load(database, f"{SCHEMA}.chosen_{name}", rows)


def define(database: duckdb.DuckDBPyConnection, table: str, files: Files, choice: CorpusChoice) -> None:
    """Make the view of one table: the columns of today, then those that only other schema versions have.

    Raises:
        StorageError: a file on a disk is not what was committed.
        duckdb.Error: a file cannot be read.
    """
    parts = files.parts.get(files_table(table), ())
    kept = {part: choice.of(table, part) for part in parts}
    whole = [part for part in parts if kept[part].whole]
    filtered = [part for part in parts if kept[part].some and not kept[part].whole]
    selects = [_no_rows(database, table, parts)]
    selects += [
        f"SELECT {_columns(database, table, version)} FROM {read_parquet(version)}"  # noqa: S608 -- names of columns and files, quoted
        for version in by_version(whole)
    ]
    if filtered:
        load(database, f"{SCHEMA}.{table}_files", listed(filtered))
        selects += [_filtered(table, version, _columns(database, table, version)) for version in by_version(filtered)]
    database.execute(f"CREATE VIEW {identifier(table)} AS {united(selects)}")


def _no_rows(database: duckdb.DuckDBPyConnection, table: str, parts: tuple[CorpusFile, ...]) -> str:
    """No rows, in the columns that the table has today; in those of its newest file where this release does not know the table."""
    declared = TABLES_BY_NAME.get(files_table(table))
    if declared is None:
        return f"SELECT * FROM {read_parquet(by_version(parts)[0][:1])} WHERE false"  # noqa: S608 -- names of files, quoted
    name = f"{SCHEMA}.no_{table}"
    fields = [pa.field(field.name, _as_duckdb_reads(field.type)) for field in declared.schema]
    load(database, name, pa.schema(fields).empty_table())
    return f"SELECT * FROM {name}"  # noqa: S608 -- a table's name


def _as_duckdb_reads(kind: pa.DataType) -> pa.DataType:
    """A type as it comes back from Parquet, which has no lists of a fixed length."""
    return pa.list_(kind.value_type) if isinstance(kind, pa.FixedSizeListType) else kind


def _columns(database: duckdb.DuckDBPyConnection, table: str, version: list[CorpusFile]) -> str:
    """The SQL that names the columns of files of one schema version by their names of today."""
    if is_of_today(files_table(table), version):
        return "*"
    names = names_of_today(files_table(table), written_columns(database, version), source=version[0].table)
    return ", ".join(f"{identifier(name)} AS {identifier(today)}" for today, name in names.items())


def _filtered(table: str, version: list[CorpusFile], columns: str) -> str:
    """The SQL that gives some columns of the rows that count, of files of one schema version, each of which has other rows, too."""
    own = f"* EXCLUDE ({FILE}, file_row_number)" if columns == "*" else columns
    rows = f"SELECT {own} FROM {read_parquet(version, tagged=True)}"  # noqa: S608 -- names of columns and files, quoted
    places = f"{SCHEMA}.{table}_files"
    if table in BY_ENTRY:
        chosen = "dead" if table == DEAD_LETTER.name else "entries"
        condition = " WHERE newest" if table == VIDEOS.name else ""
        wanted = f"SELECT uri, place FROM {SCHEMA}.chosen_{chosen} JOIN {places} USING (part){condition}"  # noqa: S608 -- our own names
        return f"{rows} WHERE ({FILE}, file_row_number) IN ({wanted})"
    wanted = f"SELECT uri, video_key, family FROM {SCHEMA}.chosen_analyses JOIN {places} USING (record)"  # noqa: S608
    return f"{rows} WHERE ({FILE}, video_key, {_family(table)}) IN ({wanted})"


def _family(table: str) -> str:
    """The SQL that gives the family of a row."""
    if table == ANALYSES.name:
        return "model_name"
    if table != TRACKS.name:
        return quoted(family_of(table))
    cases = " ".join(f"WHEN {quoted(name)} THEN {quoted(family)}" for name, family in tracked_by().items())
    return f'CASE "of" {cases} ELSE {quoted(family_of(table))} END'

"""A run's committed rows as other tools' tables: pandas, polars, DuckDB. Each is imported when it is asked for; null stays null."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from rumiai_ray.runs.protocols import RunTables

NO_DOWNLOADS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
"""DuckDB otherwise fetches an extension from its maker's server when a query seems to want one."""
CLOSED = ("SET python_enable_replacements = false", "SET enable_external_access = false", "SET lock_configuration = true")
"""After the tables are there: the statement reads them and nothing else, neither files nor this program's variables, writes no file, loads
no extension, and cannot take any of that back."""


def to_pandas(rows: pa.Table) -> pd.DataFrame:
    """Rows as a pandas data frame of Arrow-backed columns: an absent integer is `<NA>`, not a NaN among floats."""
    pandas = package("pandas", "pandas")
    frame: pd.DataFrame = rows.to_pandas(types_mapper=pandas.ArrowDtype)
    return frame


def to_polars(rows: pa.Table) -> pl.DataFrame:
    """Rows as a polars data frame.

    Raises:
        ConfigError: polars is not installed.
    """
    frame: pl.DataFrame = package("polars", "polars").from_arrow(rows)
    return frame


def to_duckdb(run: RunTables, names: Iterable[str]) -> duckdb.DuckDBPyConnection:
    """A DuckDB database in memory with a view of each of these tables.

    Raises:
        ConfigError: DuckDB is not installed, or the run has no such table.
        StorageError: the run is damaged.
    """
    database: duckdb.DuckDBPyConnection = package("duckdb", "duckdb").connect(config=NO_DOWNLOADS)
    for name in names:
        database.register(name, run.table(name))
    return database


def query(run: RunTables, sql: str, *, external_access: bool = False) -> pa.Table:
    """The answer to an SQL query over all tables of a run. Only tables whose names stand in the query are read.

    Args:
        run: the run.
        sql: one statement in DuckDB's dialect; tables by their names, `SELECT label, count(*) FROM objects GROUP BY label`.
        external_access: let it read and write files and load extensions, as DuckDB does by default. For SQL of one's own.

    Raises:
        ConfigError: DuckDB is not installed, or cannot make sense of the query; or the query gives no rows to show.
        StorageError: the run is damaged.
    """
    errors = package("duckdb", "duckdb").Error
    tables = run.tables()
    # `SHOW TABLES` names none and means all.
    with to_duckdb(run, named_in(sql, tables) or tables) as database:
        try:
            for statement in () if external_access else CLOSED:
                database.execute(statement)
            answer = database.sql(sql)
            if answer is None:
                raise ConfigError("gives no rows", sql, "ask with SELECT")
            rows: pa.Table = answer.to_arrow_table()
        except errors as error:
            raise ConfigError(f"DuckDB: {error}", run.run_id, f"the tables are {', '.join(tables)}") from error
    return rows


def named_in(sql: str, tables: Iterable[str]) -> list[str]:
    """Those of some tables whose names stand in an SQL statement."""
    words = {word.lower() for word in re.findall(r"\w+", sql)}
    return [name for name in tables if name in words]


def package(name: str, extra: str) -> Any:
    """An optional package.

    Raises:
        ConfigError: it is not installed; the message names the extra that brings it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ConfigError("is not installed", name, f"pip install 'rumiai-ray[{extra}]'") from error

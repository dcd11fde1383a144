"""Reading a run: by its commit records only, never by what happens to lie in its directory."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.commits import Log, read_log
from rumiai_ray.runs.datafile import read_data_file, version_of
from rumiai_ray.runs.failure_log import read_failures
from rumiai_ray.runs.history_log import read_history
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.runs.notebook import html_of
from rumiai_ray.runs.older import absent, as_today, names_in_files, parts_inside, versions_as_read
from rumiai_ray.runs.verify import problems
from rumiai_ray.runs.views import query, to_duckdb, to_pandas, to_polars
from rumiai_ray.runs.writer import MANIFEST
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.storage import Store, in_parallel

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import duckdb
    import pandas as pd
    import polars as pl

    from rumiai_ray.runs.commits import CommitRecord
    from rumiai_ray.runs.datafile import DataFile
    from rumiai_ray.runs.failure_log import LoggedFailure
    from rumiai_ray.runs.history_log import HistoryLine

_LOG = logging.getLogger(__name__)

RunStatus = Literal["complete", "partial", "aborted", "incomplete"]
"""How a run ended; `incomplete`: it has not, it is still going on or its writer died."""

EntryState = Literal["committed", "dead_lettered"]


@dataclass(frozen=True, repr=False)
class Run:
    """One run as it was when it was first looked at; `again` shows what has been committed since.

    Example:
        >>> import rumiai_ray
        >>> run = rumiai_ray.open_run("runs/20261122T150712Z-3f9a1c")
        >>> run.status, run.entries()
        ('complete', {'clip': 'committed'})
        >>> run.table("objects", ["frame_index", "label"]).num_rows
        50
        >>> run.pandas("texts", ["time_s", "text"])["text"].tolist()
        ['BUY NOW', 'BUY NOW']
        >>> run.query("SELECT max(time_s) AS last_s FROM objects").to_pylist()
        [{'last_s': 9.8}]
        >>> [address.endswith(".parquet") for address in run.files("words")]
        [True]
        >>> run.failures(), run.verify()
        ([], [])
    """

    store: Store
    """The run's directory."""
    run_id: str
    fills_absent: bool = True
    """Whether a column that the run's schema version lacks is null in its tables; else they lack it, too."""

    def __repr__(self) -> str:
        return f"<Run {self.run_id} in {self.store.uri()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return html_of(self)

    @cached_property
    def manifest(self) -> RunManifest:
        """What was asked for and what computed the answer.

        Raises:
            StorageError: the manifest is missing or damaged.
        """
        data = self.store.read_or_none(MANIFEST)
        if data is None:
            raise StorageError("the manifest is missing", self.store.uri(MANIFEST), "the run is damaged; restore the file")
        return RunManifest.from_json(data, self.store.uri(MANIFEST))

    @cached_property
    def log(self) -> Log:
        """The records with all that is wrong with them; `records` is for those who want to rely on them."""
        return read_log(self.store, self.run_id)

    def again(self) -> Run:
        """The same run, as it is when this one is first looked at."""
        return replace(self)

    @property
    def records(self) -> tuple[CommitRecord, ...]:
        """The commit records, in order.

        Raises:
            StorageError: one is missing or damaged, so that rows would be missing without a word.
        """
        if self.log.problems:
            raise StorageError("; ".join(self.log.problems), self.store.uri(), "the run is damaged: restore the files")
        return self.log.records

    @property
    def status(self) -> RunStatus:
        """How the run ended. A run that was resumed after its end is judged by its last record."""
        last = self.records[-1] if self.records else None
        return last.status if last is not None and last.kind == "end" and last.status is not None else "incomplete"

    @property
    def summary(self) -> dict[str, Any]:
        """The figures of the end record; empty for an incomplete run."""
        return self.records[-1].summary if self.status != "incomplete" else {}

    def entries(self) -> dict[str, EntryState]:
        """How each entry the run is done with ended, in the order of the commits; the latest record counts."""
        states: dict[str, EntryState] = {}
        for record in self.records:
            states |= dict.fromkeys(record.dead_lettered, "dead_lettered")
            states |= dict.fromkeys(record.committed, "committed")
        return states

    def tables(self) -> list[str]:
        """Names of the tables this run can have, with rows or without."""
        return sorted(versions_as_read(self.manifest.tables).keys() | {file.table for file in self._files()})

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """All committed rows of a table, in the order of the commits, in the columns that the table has today.

        Rows of an older schema version are read by the names of today; columns that it lacks are null (`absent` names them), and columns
        that only it has come last. Every file is checked against its record's digest on the way.

        Args:
            name: the table.
            columns: the columns wanted, all by default.

        Raises:
            ConfigError: this run has no such table, or the table no such column.
            StorageError: the run is damaged.
        """
        source = self._source(name)
        files = self._files(source)
        if files:
            wanted = None if columns is None else names_in_files(name, columns)
            parts = in_parallel(lambda file: read_data_file(self.store, file, wanted), files)
            promised = self._promised_version(source)
            if other := [version_of(part) for part in parts if promised is not None and version_of(part) != str(promised)]:
                says = f"a file of {source} says schema version {other[0] or 'none'}, the manifest says {promised}"
                raise StorageError(says, self.store.uri(), "the run is damaged: restore the files")
            try:
                fill = self._filled(name, columns)
                rows = pa.concat_tables([as_today(name, part, source=source, fill=fill) for part in parts])
            except pa.ArrowInvalid as error:
                raise StorageError(f"files of {source} differ in schema: {error}", self.store.uri(), "the run is damaged") from error
        elif source in self.manifest.tables and name in TABLES_BY_NAME:
            rows = TABLES_BY_NAME[name].schema.empty_table()
        else:
            raise ConfigError(f"no table {name!r}", self.store.uri(), f"it has {', '.join(self.tables())}")
        missing = [column for column in columns or () if column not in rows.column_names]
        if missing:
            raise ConfigError(f"table {name} has no column {missing[0]!r}", self.store.uri(), _about_column(name, missing[0]))
        return rows.select(columns) if columns is not None else rows

    def absent(self, name: str) -> list[str]:
        """The columns of a table that are null because the run's schema version lacks them; none where the table has no rows.

        Raises:
            StorageError: the run is damaged.
        """
        source = self._source(name)
        files = self._files(source)
        if not files or name not in TABLES_BY_NAME or self._promised_version(source) == TABLES_BY_NAME[source].version:
            return []
        return absent(name, read_data_file(self.store, files[0]).column_names, source=source)

    def batches(self, name: str) -> Iterator[pa.Table]:
        """As `table`, for code that can take rows in parts: a run's table is one part, since every file is checked before any is used."""
        yield self.table(name)

    def pandas(self, name: str, columns: list[str] | None = None) -> pd.DataFrame:
        """As `table`, for pandas, with Arrow-backed columns: an absent integer is `<NA>`, not a NaN among floats."""
        return to_pandas(self.table(name, columns))

    def polars(self, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        """As `table`, for polars. Raises ConfigError also where polars is not installed."""
        return to_polars(self.table(name, columns))

    def duckdb(self, *names: str) -> duckdb.DuckDBPyConnection:
        """A DuckDB database in memory with a view of each table, or of the ones named. Raises ConfigError also without DuckDB."""
        return to_duckdb(self, names or self.tables())

    def query(self, sql: str, *, external_access: bool = False) -> pa.Table:
        """The answer to an SQL query (DuckDB) over all tables; only those whose names stand in it are read. See `views.query`."""
        return query(self, sql, external_access=external_access)

    def files(self, name: str) -> list[str]:
        """Addresses of a table's committed files, for other tools: `read_parquet([...])` in SQL. Its rows are as they were written."""
        return [self.store.uri(file.path) for file in self._files(name)]

    def failures(self) -> list[LoggedFailure]:
        """What the run's own log says of failures, tracebacks included; nothing where it has none. See `failure_log`."""
        return read_failures(self.store)

    def history(self) -> Iterator[tuple[str, HistoryLine]]:
        """(session, line) of the run's own log of its entries' way; nothing where it has none. See `history_log`."""
        return read_history(self.store)

    def verify(self) -> list[str]:
        """Everything that is wrong with the run, in words; nothing for a sound one. Reads every committed byte."""
        return problems(self)

    def unfilled(self) -> Run:
        """The same run, whose tables lack the columns that its schema version lacks: for code to which null means "not measured"."""
        other = replace(self, fills_absent=False)
        # Manifest and log need not be read again.
        vars(other).update({name: value for name, value in vars(self).items() if name in {"manifest", "log"}})
        return other

    @contextmanager
    def read_with_todays_columns(self) -> Iterator[Run]:
        """For code that reads a run by the columns of today's tables, which a run of another schema version need not have.

        Yields:
            The run for that code to read, `unfilled`.

        Raises:
            ConfigError: the code asked for a column that such a table lacks; the message names the column.
        """
        try:
            yield self.unfilled()
        except KeyError as error:
            versions = self.manifest.tables
            if all(TABLES_BY_NAME[name].version == version for name, version in versions.items() if name in TABLES_BY_NAME):
                raise
            what = f"the run's tables lack {error.args[0]!r}, or hold a value that this release does not know"
            raise ConfigError(what, self.store.uri(), "this run was written in another schema version; `query` reads it") from error

    def _filled(self, name: str, columns: list[str] | None) -> list[str]:
        """The columns of a table that are null where a file of an older version lacks them."""
        if not self.fills_absent or name not in TABLES_BY_NAME:
            return []
        declared = TABLES_BY_NAME[name].schema.names
        return declared if columns is None else [column for column in columns if column in declared]

    def _source(self, name: str) -> str:
        """The table whose files have the rows of a table: the table itself, or the one that it was part of in this run's schema version."""
        whole = TABLES_BY_NAME[name].part_of if name in TABLES_BY_NAME else None
        if whole is None or self._files(name):
            return name
        return whole if name in parts_inside(whole, self.manifest.tables) else name

    def _promised_version(self, table: str) -> int | None:
        """The schema version that the manifest gives a table; None where it gives none, or cannot be read.

        An unreadable manifest is `verify`'s to report. The rows stay readable without it: each file is still held to its record's digest,
        to today's types and to values that can be.
        """
        try:
            return self.manifest.tables.get(table)
        except StorageError as error:
            _LOG.warning("rows of %s are read without the manifest's word on their version: %s", table, error)
            return None

    def _files(self, name: str | None = None) -> list[DataFile]:
        return [file for record in self.records for file in record.files if name is None or file.table == name]


def open_run(path: str | os.PathLike[str]) -> Run:
    """The run in a directory.

    Example:
        >>> import rumiai_ray
        >>> run = rumiai_ray.open_run("runs/20261122T150712Z-3f9a1c")
        >>> run.manifest.models[0].backend
        'ultralytics/yolo11n'

    Args:
        path: the run's own directory or URI.

    Raises:
        ConfigError: there is no run.
    """
    store = Store.at(path)
    run = run_at(store)
    if run is None:
        raise ConfigError("no run here", store.uri(), f"a run's directory holds {MANIFEST}")
    return run


def run_at(store: Store) -> Run | None:
    """The run in a directory, None where there is none. Its id is the manifest's, so a copy under another name stays readable."""
    data = store.read_or_none(MANIFEST)
    if data is None:
        return None
    try:
        return Run(store, RunManifest.from_json(data, store.uri(MANIFEST)).run_id)
    except StorageError as error:
        _LOG.debug("%s: %s", store.uri(), error)
        # Its records can still be read and verified; a caller that asks for the manifest gets this error again.
        return Run(store, store.name)


def _about_column(table: str, column: str) -> str:
    """What to say to someone who asked for a column that is not there."""
    today = TABLES_BY_NAME[table].schema.names if table in TABLES_BY_NAME else []
    if column in today or not today:
        return "this run was written in another schema version"
    if renamed := [name for name, former in TABLES_BY_NAME[table].formerly if former == column]:
        return f"it is called {renamed[0]} now"
    near = get_close_matches(column, today, n=3)
    return f"did you mean {', '.join(near)}?" if near else f"`rumiai-ray schema {table}` lists its columns"

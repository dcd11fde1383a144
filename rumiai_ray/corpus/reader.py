"""Reading many runs as one set of tables."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from rumiai_ray.corpus.choice import ENTRIES, choose
from rumiai_ray.corpus.compacted import CompactedRows
from rumiai_ray.corpus.files import Files, as_pattern, by_version, identifier, quoted, written_columns
from rumiai_ray.corpus.members import check_comparable, find_runs
from rumiai_ray.corpus.reviews import ACCURACY, accuracy_sql, reviews_table
from rumiai_ray.corpus.runs_table import RUNS, runs_table
from rumiai_ray.corpus.runs_table import SCHEMA as RUNS_SCHEMA
from rumiai_ray.corpus.summary import NEEDS, SUMMARY, summary_sql
from rumiai_ray.corpus.views import define, files_table, is_of_today, prepare
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.datafile import unlike_any_time
from rumiai_ray.runs.older import absent, versions_as_read
from rumiai_ray.runs.reviews.table import REVIEWS
from rumiai_ray.runs.reviews.table import SCHEMA as REVIEWS_SCHEMA
from rumiai_ray.runs.views import CLOSED, NO_DOWNLOADS, named_in, package
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    import duckdb

    from rumiai_ray.corpus.choice import CorpusChoice
    from rumiai_ray.corpus.cohorts.compare import CohortComparison
    from rumiai_ray.corpus.cohorts.correlate import MetricCorrelations
    from rumiai_ray.corpus.cohorts.over_time import MetricOverTime
    from rumiai_ray.runs.reader import Run

_ROWS_AT_A_TIME = 10_000
ONE_IS_DAMAGED = "a run is damaged: `rumiai-ray runs verify RUN` names the damaged files; check each run"


@dataclass(frozen=True)
class Corpus:
    """Many runs as they were when they were first looked at, read as one set of tables.

    Of each video and model family the newest analysis counts, of each input and content (`video_key`) the newest entry. An analysis that
    failed or was skipped is older than every one that was not, so a later run with fewer models hides nothing; nor does a later dead
    letter. Tables that several families decide (`windows`, `timeline`, `person_framing`) are those of the analysis in which the most
    families answered. Rows of one video may thus be of several runs: join on `video_key`, and on `run_id` too for `tracks`.

    The tables are those of a run, and five more: `entries`, which has one row per input and content in the columns of `videos`, where
    `videos` has one row per content; `runs`, which says of each run what it differs in; `summary`, one wide row per video; `reviews`, what
    people corrected in a labelling tool; and `accuracy`, how often each model was right by that. Columns that an older schema version
    lacks are null.

    Checksums are not checked on this way, since a question reads only the columns that it needs: `rumiai-ray runs verify` does it.

    Example:
        >>> import rumiai_ray
        >>> corpus = rumiai_ray.open_corpus(["runs/*"])
        >>> corpus.query("SELECT count(*) AS n FROM objects").to_pylist()
        [{'n': 50}]
        >>> corpus.table("texts", ["text"]).to_pylist()
        [{'text': 'BUY NOW'}, {'text': 'BUY NOW'}]
        >>> corpus.query("SELECT status, counted, differences FROM runs").to_pylist()
        [{'status': 'complete', 'counted': 1, 'differences': []}]
    """

    runs: tuple[Run, ...]
    """Oldest first, by the last commit."""
    compacted: CompactedRows | None = None
    """Where rows of these runs lie that were put together."""

    @cached_property
    def _files(self) -> Files:
        return Files.of(self.runs) if self.compacted is None else Files.of(self.runs, self.compacted.file_of)

    @cached_property
    def _choice(self) -> CorpusChoice:
        with self._database(self._files.uris("analyses", "videos", "dead_letter")) as database:
            return choose(database, self._files)

    @property
    def run_id(self) -> str:
        """What stands for the corpus in messages."""
        return f"corpus of {counted(len(self.runs), 'run')}"

    def tables(self) -> list[str]:
        """Names of the tables. Of a table that this release does not know, only rows tell the columns: without rows there is none."""
        known = {name for run in self.runs for name in versions_as_read(run.manifest.tables) if name in TABLES_BY_NAME}
        return sorted({ENTRIES, RUNS, SUMMARY, REVIEWS, ACCURACY, *self._files.parts, *known})

    def absent(self, name: str) -> dict[int | None, list[str]]:
        """By schema version, the columns of a table that are null in rows of that version, which lacks them.

        Raises:
            ConfigError: DuckDB is not installed.
            StorageError: a run is damaged.
        """
        if (table := files_table(name)) not in TABLES_BY_NAME:
            return {}
        with self._database(self._files.uris(table)) as database:
            lacking = {
                version[0].version: absent(table, written_columns(database, version), source=version[0].table)
                for version in by_version(self._files.parts.get(table, ()))
                if not is_of_today(table, version)
            }
        return {version: columns for version, columns in lacking.items() if columns}

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """All rows of a table that count, in no particular order.

        Args:
            name: the table.
            columns: the columns wanted, all by default.

        Raises:
            ConfigError: there is no such table, or the table has no such column; or DuckDB is not installed.
            StorageError: a run is damaged.
        """
        with self._answered(self._select(name, columns)) as answer:
            return as_declared(name, answer.to_arrow_table())

    def batches(self, name: str) -> Iterator[pa.Table]:
        """As `table`, some rows at a time: a table of a large corpus need not fit into memory. At least one batch, without rows perhaps."""
        with self._answered(self._select(name)) as answer:
            reader = answer.to_arrow_reader(_ROWS_AT_A_TIME)
            yield as_declared(name, reader.schema.empty_table())
            for batch in reader:
                yield as_declared(name, pa.Table.from_batches([batch]))

    def query(self, sql: str, *, external_access: bool = False) -> pa.Table:
        """The answer to an SQL query (DuckDB) over all tables; only those whose names stand in it are opened.

        Args:
            sql: one SELECT statement in DuckDB's dialect.
            external_access: let any statement run, and let it read and write files and load extensions. For SQL of one's own.

        Raises:
            ConfigError: DuckDB is not installed, or cannot make sense of the query; or the query is not a SELECT.
            StorageError: a run is damaged.
        """
        with self._answered(sql, external_access=external_access) as answer:
            rows: pa.Table = answer.to_arrow_table()
            return rows

    def compare(
        self,
        *,
        by: str | None = None,
        top: str = "25%",
        where: str | None = None,
        stratify: str | None = None,
        cluster: str = "video_key",
        seed: int = 0,
    ) -> CohortComparison:
        """Compare two cohorts of videos, feature by feature: the top by a metric against the rest, or those that meet a condition.

        Features are the numeric and boolean columns of `summary`. The effect size is Cliff's delta; p values are corrected for the number
        of features (Benjamini-Hochberg). What is found says what goes together, not why.

        Example:
            >>> import rumiai_ray
            >>> comparison = rumiai_ray.open_corpus(["runs/*"]).compare(where="video_has_captions", stratify="duration")
            >>> [feature.feature for feature in comparison.features if feature.verdict == "found"]
            []

        Args:
            by: the metric, a number: a column of `summary`, or an SQL expression of such, as `like_count / view_count`.
            top: how much of the videos with the highest metric is the first cohort: "25%", or "50" for so many videos.
            where: in place of a metric an SQL condition; videos for which it is null are left out.
            stratify: compare within fifths of `duration`, `followers` or `posted_at`, which then stands less behind what is found.
            cluster: an SQL expression over `summary` that is equal for near-duplicates, which count once; null for a video that has none.
            seed: of the resampling that gives the intervals.

        Raises:
            ConfigError: DuckDB is not installed, or cannot make sense of an expression; or an argument is none of those it can be.
            StorageError: a run is damaged.
        """
        from rumiai_ray.corpus.cohorts.compare import compare  # noqa: PLC0415 -- SciPy is only for this

        return compare(self.query, by=by, top=top, where=where, stratify=stratify, cluster=cluster, seed=seed)

    def correlate(self, *, by: str, cluster: str = "video_key", seed: int = 0) -> MetricCorrelations:
        """Correlate every feature with a metric, by rank (Spearman); arguments and errors are those of `compare`."""
        from rumiai_ray.corpus.cohorts.correlate import correlate  # noqa: PLC0415

        return correlate(self.query, by=by, cluster=cluster, seed=seed)

    def over_time(self, *, by: str, period: str = "week", cluster: str = "video_key", seed: int = 0) -> MetricOverTime:
        """Follow a metric by the day, week or month in which videos were posted, the newest against the one before.

        Args:
            by: see `compare`.
            period: `day`, `week` or `month`.
            cluster: see `compare`.
            seed: see `compare`.

        Raises:
            ConfigError: as `compare`; or there is no such period.
            StorageError: a run is damaged.
        """
        from rumiai_ray.corpus.cohorts.over_time import over_time  # noqa: PLC0415

        return over_time(self.query, by=by, period=period, cluster=cluster, seed=seed)

    def _select(self, name: str, columns: list[str] | None = None) -> str:
        if name not in self.tables():
            raise ConfigError(f"no table {name!r}", self.run_id, f"it has {', '.join(self.tables())}")
        wanted = "*" if columns is None else ", ".join(map(identifier, columns))
        return f"SELECT {wanted} FROM {identifier(name)}"  # noqa: S608 -- names, quoted

    @contextmanager
    def _answered(self, sql: str, *, external_access: bool = False) -> Iterator[duckdb.DuckDBPyRelation]:
        """The answer to a statement, while the database is open that gives it."""
        tables = self.tables()
        # `SHOW TABLES` names none and means all.
        names = named_in(sql, tables) or tables
        if SUMMARY in names:
            names = list(dict.fromkeys([*NEEDS, *names]))
        if ACCURACY in names:
            names = list(dict.fromkeys([REVIEWS, *names]))
        paths = self._files.uris(*map(files_table, names))
        with self._database(paths) as database:
            self._define(database, names)
            if not external_access:
                allowed = dict.fromkeys([*paths, *map(as_pattern, paths)])
                for statement in (f"SET allowed_paths = [{', '.join(map(quoted, allowed))}]", *CLOSED):
                    database.execute(statement)
                self._check_select(database, sql)
            answer = database.sql(sql)
            if answer is None:
                raise ConfigError("gives no rows", sql, "ask with SELECT")
            yield answer

    def _define(self, database: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
        prepare(database, self._choice)
        for name in names:
            if name == RUNS:
                database.register(RUNS, runs_table(self.runs, self._files, self._choice))
            elif name == REVIEWS:
                database.register(REVIEWS, reviews_table(self.runs))
            elif name not in {SUMMARY, ACCURACY}:
                define(database, name, self._files, self._choice)
        if SUMMARY in names:
            database.execute(f"CREATE VIEW {SUMMARY} AS {summary_sql()}")
        if ACCURACY in names:
            database.execute(f"CREATE VIEW {ACCURACY} AS {accuracy_sql()}")

    def _check_select(self, database: duckdb.DuckDBPyConnection, sql: str) -> None:
        """Refuse what is not one SELECT: the files may be opened by any statement, and COPY would write over a run's.

        Raises:
            ConfigError: it is not.
        """
        kinds = [statement.type.name for statement in database.extract_statements(sql)]
        if kinds != ["SELECT"]:
            said = "; ".join(kinds) or "nothing"
            raise ConfigError(f"a corpus is only asked, with one SELECT statement; this is {said}", sql, "ask with SELECT")

    @contextmanager
    def _database(self, paths: Sequence[str]) -> Iterator[duckdb.DuckDBPyConnection]:
        """A database in memory that can read these files; what goes wrong in it is told as an error of ours.

        Raises:
            ConfigError: DuckDB is not installed, or cannot make sense of a statement.
            StorageError: one of the files cannot be read.
        """
        duckdb = package("duckdb", "duckdb")
        with duckdb.connect(config=NO_DOWNLOADS) as database:
            stores = [*(() if self.compacted is None else self.compacted.stores), *(run.store for run in self.runs)]
            for fs in {store.protocol: store.fs for store in stores if not store.on_disk}.values():
                database.register_filesystem(fs)
            database.execute("SET TimeZone = 'UTC'")  # as the columns say; else the answer's type is this machine's
            try:
                yield database
            except (duckdb.Error, pa.ArrowException) as error:  # a stream of rows tells DuckDB's troubles as Arrow's
                text = str(error)
                if (path := next((path for path in paths if path in text), None)) is not None:
                    raise self._files.damage(path, f"cannot be read: {text}") from error
                raise ConfigError(f"DuckDB: {text}", self.run_id, f"the tables are {', '.join(self.tables())}") from error


def as_declared(name: str, rows: pa.Table) -> pa.Table:
    """Rows of a table in the types that the data dictionary declares, with its definitions: Parquet and DuckDB have fewer types.

    A column of an older schema version keeps the type it has.

    Raises:
        StorageError: a column holds times that no calendar has.
    """
    if problem := unlike_any_time(rows):
        raise StorageError(problem, name, ONE_IS_DAMAGED)
    table = TABLES_BY_NAME.get(files_table(name))
    of_corpus = {RUNS: RUNS_SCHEMA, REVIEWS: REVIEWS_SCHEMA}
    declared = table.schema if table is not None else of_corpus.get(name, pa.schema(()))
    fields = [declared.field(field.name).with_nullable(nullable=True) if field.name in declared.names else field for field in rows.schema]
    return rows.cast(pa.schema(fields))


def open_corpus(runs: Iterable[str | os.PathLike[str]], *, allow_mixed: bool = False, out: str | os.PathLike[str] = ".") -> Corpus:
    """Many runs as one set of tables.

    Example:
        >>> import rumiai_ray
        >>> corpus = rumiai_ray.open_corpus(["runs/*"])
        >>> [run.status for run in corpus.runs]
        ['complete']

    Args:
        runs: directories or URIs of runs, and patterns of such: `["runs/*", "s3://bucket/runs/*"]`. What a pattern matches and is no run is
            left out. A directory that `corpus compact` has written is read in place of the files of runs that it has; alone it stands for
            its runs.
        allow_mixed: read runs with other models, weights, *result* settings or schema versions than the newest one, too.
        out: the directory that holds the runs which are named without a slash.

    Raises:
        ConfigError: one of them names no run; or the runs are not comparable, and the message names the differences.
        StorageError: a run is damaged.
    """
    compacted, named = CompactedRows.among(list(runs))
    found = tuple(find_runs(named, out))
    if not allow_mixed:
        check_comparable(found)
    return Corpus(found, compacted)

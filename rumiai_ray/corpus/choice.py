"""Which rows of a corpus count: of each video and family the newest analysis, of each input and content the newest entry.

Newest is what was committed last, whatever its run or its entry is called. The records of all runs are numbered in the order of their
commits (`files.Files`), so of two numbers the higher one is the newer record.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.corpus.files import FILE, by_version, listed, load, read_parquet, united
from rumiai_ray.schema.registry import TRACKED, made_by
from rumiai_ray.schema.run import ANALYSES, DEAD_LETTER, VIDEOS, Status
from rumiai_ray.schema.tracks import TRACKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb
    import pyarrow as pa

    from rumiai_ray.corpus.files import CorpusFile, Files

ENTRIES = "entries"
"""The table of a corpus with one row per input and content, in the columns of `videos`."""
BY_ENTRY = (ENTRIES, VIDEOS.name, DEAD_LETTER.name)
"""The tables with one row per input: nothing but their own rows decides which of them count."""
ALL_FAMILIES = ""
"""In place of a family, for a table that no single family decides (`windows`, say): its rows are those of the record in which the most
families answered, of equals the newest."""

_ANSWERED = ", ".join(f"'{status}'" for status in (Status.OK, Status.EMPTY, Status.DEGRADED))

_OF_ANALYSES = f"""
CREATE TEMP TABLE ends AS
    SELECT video_key, model_name AS family, bool_or(status IN ({_ANSWERED})) AS answered, record FROM ({{rows}}) GROUP BY ALL;
CREATE TEMP TABLE chosen AS
    SELECT video_key, family, coalesce(max(record) FILTER (answered), max(record)) AS record FROM ends GROUP BY ALL
    UNION ALL
    SELECT video_key, '{ALL_FAMILIES}', arg_max(record, (answers, record))
    FROM (SELECT video_key, record, count(*) FILTER (answered) AS answers FROM ends GROUP BY ALL) GROUP BY ALL;
CREATE TEMP TABLE counted AS
    SELECT family, ends.record, count(*) AS total, count(*) FILTER (chosen.record = ends.record) AS kept
    FROM (SELECT video_key, family, record FROM ends UNION ALL SELECT DISTINCT video_key, '{ALL_FAMILIES}', record FROM ends) AS ends
    JOIN chosen USING (video_key, family) GROUP BY ALL;
"""  # noqa: S608 -- of our own words only

_OF_ENTRIES = """
CREATE TEMP TABLE committed AS SELECT input, video_key, record, part, place FROM ({rows});
CREATE TEMP TABLE entries AS
    SELECT part, place, row_number() OVER (PARTITION BY video_key ORDER BY record DESC, part DESC, place DESC) = 1 AS newest
    FROM (
        SELECT * FROM committed
        QUALIFY row_number() OVER (PARTITION BY input, video_key ORDER BY record DESC, part DESC, place DESC) = 1
    );
"""

_OF_DEAD_LETTERS = """
CREATE TEMP TABLE buried AS SELECT input, record, part, place FROM ({rows});
CREATE TEMP TABLE dead AS
    SELECT part, place FROM buried
    ANTI JOIN (SELECT input, max(record) AS last FROM committed GROUP BY input) AS read
        ON read.input = buried.input AND read.last >= buried.record
    QUALIFY row_number() OVER (PARTITION BY buried.input ORDER BY record DESC, part DESC, place DESC) = 1;
"""

_KEPT_OF_FAMILIES = "SELECT family, record, kept > 0, kept = total FROM counted"
_KEPT_BY_ENTRY = f"""
SELECT '{ENTRIES}', part, count(entries.place) > 0, count(entries.place) = count(*)
    FROM committed LEFT JOIN entries USING (part, place) GROUP BY part
UNION ALL SELECT '{VIDEOS.name}', part, count(*) FILTER (newest) > 0, count(*) FILTER (newest) = count(*)
    FROM committed LEFT JOIN entries USING (part, place) GROUP BY part
UNION ALL SELECT '{DEAD_LETTER.name}', part, count(dead.place) > 0, count(dead.place) = count(*)
    FROM buried LEFT JOIN dead USING (part, place) GROUP BY part
"""  # noqa: S608 -- of our own words only


@dataclass(frozen=True)
class Kept:
    """How much counts of the rows of one file, or of those that one record has of a family."""

    some: bool
    whole: bool


@dataclass(frozen=True)
class CorpusChoice:
    """What counts, found once for all tables of a corpus."""

    analyses: pa.Table
    """One row per video and family: `video_key`, `family`, `record`; `ALL_FAMILIES` is among the families."""
    entries: pa.Table
    """One row per input and content: `part` and `place`, which say where in the files of `videos` it is, and whether it is the `newest` of
    its video."""
    dead: pa.Table
    """One row per input that was not committed since: `part` and `place` in the files of `dead_letter`."""
    kept: Mapping[str, Mapping[int, Kept]]
    """By family, then by record."""
    kept_by_entry: Mapping[str, Mapping[int, Kept]]
    """By table with a row per entry (`BY_ENTRY`), then by the file's number."""

    def of(self, table: str, part: CorpusFile) -> Kept:
        """How much of a file of a table counts."""
        if table in BY_ENTRY:
            return self.kept_by_entry[table][part.number]
        families = self._families_of(table)
        found = [self.kept[name][part.record] for name in families if part.record in self.kept.get(name, ())]
        return Kept(some=any(kept.some for kept in found), whole=bool(found) and all(kept.whole for kept in found))

    def _families_of(self, table: str) -> Iterable[str]:
        """The families whose choice decides which rows of a table count."""
        if table == ANALYSES.name:
            return self.kept.keys() - {ALL_FAMILIES}
        return set(tracked_by().values()) if table == TRACKS.name else {family_of(table)}


def family_of(table: str) -> str:
    """The family that decides which analysis of a video the rows of a table are of."""
    families = made_by(table)
    return families[0] if len(families) == 1 else ALL_FAMILIES


def tracked_by() -> dict[str, str]:
    """By the value of `tracks.of`, the family that made the boxes; a track counts where its boxes count, or its id would lead nowhere."""
    return {name: table.made_by[0] for name, table in TRACKED.items()}


def choose(database: duckdb.DuckDBPyConnection, files: Files) -> CorpusChoice:
    """Find what counts. Reads two or three columns of the tables that every run has.

    Args:
        database: may read the files; temporary tables are left in it.
        files: of all runs.

    Raises:
        StorageError: a file on a disk is not what was committed, or a file has more or fewer rows.
        duckdb.Error: a file cannot be read.
    """
    database.execute(_OF_ANALYSES.format(rows=_rows(database, files, ANALYSES.name, ("video_key", "model_name", "status"))))
    database.execute(_OF_ENTRIES.format(rows=_rows(database, files, VIDEOS.name, ("input", "video_key"))))
    database.execute(_OF_DEAD_LETTERS.format(rows=_rows(database, files, DEAD_LETTER.name, ("input",))))
    for table, rows in ((VIDEOS, "committed"), (DEAD_LETTER, "buried")):
        _check_rows(database, rows, files.parts.get(table.name, ()))
    return CorpusChoice(
        analyses=database.sql("SELECT video_key, family, record FROM chosen").to_arrow_table(),
        entries=database.sql("SELECT part, place, newest FROM entries").to_arrow_table(),
        dead=database.sql("SELECT part, place FROM dead").to_arrow_table(),
        kept=_kept(database, _KEPT_OF_FAMILIES),
        kept_by_entry=_kept(database, _KEPT_BY_ENTRY),
    )


def _check_rows(database: duckdb.DuckDBPyConnection, rows: str, parts: Iterable[CorpusFile]) -> None:
    """See that files have as many rows as were committed.

    Raises:
        StorageError: one has not.
    """
    counted = dict(database.sql(f"SELECT part, count(*) FROM {rows} GROUP BY part").fetchall())  # noqa: S608 -- our own name
    for part in parts:
        if (found := counted.get(part.number, 0)) != part.rows:
            raise part.damage(f"{found} rows, {part.rows} were committed")


def _kept(database: duckdb.DuckDBPyConnection, sql: str) -> dict[str, dict[int, Kept]]:
    kept: dict[str, dict[int, Kept]] = defaultdict(dict)
    for name, number, some, whole in database.sql(sql).fetchall():
        kept[name][number] = Kept(some=some, whole=whole)
    return dict(kept)


def _rows(database: duckdb.DuckDBPyConnection, files: Files, table: str, columns: tuple[str, ...]) -> str:
    """The SQL that gives some columns of all committed rows of a table, with their `record`, and where they are (`part`, `place`)."""
    parts = files.parts.get(table, ())
    load(database, f"{table}_files", listed(parts))
    empty = ", ".join(f"NULL::VARCHAR AS {column}" for column in columns)
    selects = [f"SELECT {empty}, NULL::BIGINT AS record, NULL::BIGINT AS part, NULL::BIGINT AS place WHERE false"]
    selects += [
        f"SELECT {', '.join(columns)}, record, part, file_row_number AS place FROM {read_parquet(version, tagged=True)} "  # noqa: S608
        f"JOIN {table}_files ON uri = {FILE}"
        for version in by_version(parts)
    ]
    return united(selects)

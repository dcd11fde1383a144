"""The data files of a corpus: what the commit records of its runs name, and how DuckDB is told to read them.

One plain `read_parquet` reads the files of one schema version. `union_by_name` would open every file before the first row is read: 16 s
and 2.6 GB in place of 2.8 s and 0.4 GB for the table `windows` of 1,000 runs.
"""

from __future__ import annotations

import re
import stat
from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from rumiai_ray.errors import StorageError
from rumiai_ray.runs.older import parts_inside
from rumiai_ray.storage import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import duckdb

    from rumiai_ray.runs.commits import CommitRecord
    from rumiai_ray.runs.datafile import DataFile
    from rumiai_ray.runs.reader import Run

    FindCompacted = Callable[[Run, DataFile], "CompactedFile | None"]

FILE = "corpus_file"
"""Name of the column in which DuckDB says which file a row is from. A file of a compacted corpus has it, too, with the address of the file
of the run that the row was committed in."""
PLACE = "file_row_number"
"""Name of the column in which DuckDB says where in its file a row is; likewise."""


@dataclass(frozen=True)
class CompactedFile:
    """A file of a compacted corpus; see `compacted`."""

    uri: str
    rows: int
    size_bytes: int
    on_disk: bool


@dataclass(frozen=True)
class CorpusFile:
    """One committed data file of a table."""

    uri: str
    table: str
    """The table that it was written for; a part of that table may be read from it, too."""
    version: int | None
    """Schema version of the table in the file's run; None where the run's manifest does not name the table."""
    record: int
    """Number of its commit record among those of all runs, in the order in which they were written."""
    number: int
    """Its own number among all files, in the same order."""
    run: int
    """Place of its run among the runs."""
    rows: int
    """Rows that its commit record says it has, at least one."""
    size_bytes: int
    """Its size as its commit record says."""
    on_disk: bool
    """Whether `uri` is a path on this machine."""
    compacted: CompactedFile | None = None
    """The file of a compacted corpus that has its rows, and from which they are read."""

    @property
    def source(self) -> str:
        """Address of the file that is read."""
        return self.uri if self.compacted is None else self.compacted.uri

    def check(self) -> None:
        """See that, on a disk, it is what was committed as far as its directory entry tells. DuckDB waits for ever at a pipe.

        Raises:
            StorageError: it is missing, a link, no regular file, or of another size.
        """
        read = self.compacted or self
        if not read.on_disk:
            return
        try:
            found = Path(read.uri).lstat()
        except OSError as error:
            raise self.damage(f"cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise self.damage("cannot be read: not a regular file")
        if found.st_size != read.size_bytes:
            raise self.damage(f"cannot be read: {found.st_size} bytes, {read.size_bytes} were committed")

    def damage(self, what: str) -> StorageError:
        """What to raise where the file is not what was committed."""
        hint = "the run is damaged: restore the file, or leave the run out of the corpus"
        if self.compacted is not None:
            hint = "the compacted corpus is damaged: leave it out to read the runs themselves"
        return StorageError(what, self.source, hint)


@dataclass(frozen=True)
class Files:
    """Every committed data file of the runs."""

    parts: Mapping[str, tuple[CorpusFile, ...]]
    """By table, in the order of the commits. A part of a table has the files of that table's older versions, too."""

    @classmethod
    def of(cls, runs: Sequence[Run], compacted: FindCompacted = lambda *_: None) -> Files:
        """The files that the commit records name.

        Args:
            runs: of the corpus.
            compacted: gives the file of a compacted corpus that has the rows of a run's file; None where none has.

        Raises:
            StorageError: a run is damaged.
        """
        parts: dict[str, list[CorpusFile]] = defaultdict(list)
        numbers = count()
        for record_number, (place, record) in enumerate(_by_commit(runs)):
            run = runs[place]
            for file in record.files:
                if file.rows:
                    version = run.manifest.tables.get(file.table)
                    part = CorpusFile(
                        uri=run.store.uri(file.path),
                        table=file.table,
                        version=version,
                        record=record_number,
                        number=next(numbers),
                        run=place,
                        rows=file.rows,
                        size_bytes=file.size_bytes,
                        on_disk=run.store.on_disk,
                        compacted=compacted(run, file),
                    )
                    for table in (file.table, *parts_inside(file.table, run.manifest.tables)):
                        parts[table].append(part)
        return cls({table: tuple(found) for table, found in parts.items()})

    def damage(self, source: str, what: str) -> StorageError:
        """What to raise where a file that is read, one of `uris`, is not what was committed."""
        return next(part for parts in self.parts.values() for part in parts if part.source == source).damage(what)

    def uris(self, *tables: str) -> list[str]:
        """Addresses of the files of some tables."""
        return list(dict.fromkeys(part.source for table in dict.fromkeys(tables) for part in self.parts.get(table, ())))


def _by_commit(runs: Sequence[Run]) -> list[tuple[int, CommitRecord]]:
    """The records of all runs, each with its run's place, in the order in which they were written. Copies of one run keep an order, too."""
    in_parallel(lambda run: run.records, runs)  # read once, several runs at a time; each run keeps its own
    records = [(place, record) for place, run in enumerate(runs) for record in run.records]
    return sorted(records, key=lambda one: (one[1].written_at, runs[one[0]].run_id, one[0], one[1].sequence))


def by_version(parts: Iterable[CorpusFile]) -> list[list[CorpusFile]]:
    """The parts that one plain `read_parquet` can read together, the latest version first."""
    versions: dict[tuple[int, str, bool], list[CorpusFile]] = defaultdict(list)
    for part in parts:
        versions[-1 if part.version is None else part.version, part.table, part.compacted is not None].append(part)
    return [versions[version] for version in sorted(versions, reverse=True)]


def read_parquet(parts: Sequence[CorpusFile], *, tagged: bool = False) -> str:
    """The SQL that reads files of one schema version.

    Args:
        parts: at least one.
        tagged: let each row say its file (`FILE`) and its place in that file (`file_row_number`).

    Raises:
        StorageError: a file on a disk is not what was committed; see `CorpusFile.check`.
    """
    sources: dict[str, list[CorpusFile]] = defaultdict(list)
    for part in parts:
        sources[part.source].append(part)
    for own in sources.values():
        own[0].check()
    if parts[0].compacted is None:
        return _listed_sources(sources, f", filename = '{FILE}', file_row_number = true" if tagged else "")
    partly = {source: own for source, own in sources.items() if not _is_whole(own)}
    columns = "*" if tagged else f"* EXCLUDE ({FILE}, {PLACE})"
    whole = [source for source in sources if source not in partly]
    selects = [f"SELECT {columns} FROM {_listed_sources(whole)}"] if whole else []  # noqa: S608 -- names of columns and files, quoted
    selects += [
        # Each by its own files: another compacted corpus may hold the rows of the same run.
        f"SELECT {columns} FROM {_listed_sources([source])} WHERE {FILE} IN ({', '.join(quoted(part.uri) for part in own)})"  # noqa: S608
        for source, own in partly.items()
    ]
    return f"({united(selects)})"


def _listed_sources(sources: Iterable[str], tags: str = "") -> str:
    # DuckDB would take directories named like `label=cat` for columns, in place of the files' own.
    return f"read_parquet([{', '.join(quoted(as_pattern(source)) for source in sources)}], hive_partitioning = false{tags})"


def _is_whole(parts: Sequence[CorpusFile]) -> bool:
    """Whether these are all of the files whose rows one compacted file holds."""
    return parts[0].compacted is not None and sum(part.rows for part in parts) == parts[0].compacted.rows


def written_columns(database: duckdb.DuckDBPyConnection, version: Sequence[CorpusFile]) -> list[str]:
    """The columns of files of one schema version.

    Raises:
        StorageError: a file on a disk is not what was committed.
        duckdb.Error: a file cannot be read.
    """
    return database.sql(f"SELECT * FROM {read_parquet(version[:1])}").columns  # noqa: S608 -- names of files, quoted


def listed(parts: Sequence[CorpusFile]) -> pa.Table:
    """The files as rows: `uri`, `record` and, as `part`, the file's own number."""
    numbers = [pa.array([getattr(part, name) for part in parts], pa.int64()) for name in ("record", "number")]
    return pa.table([pa.array([part.uri for part in parts], pa.string()), *numbers], names=["uri", "record", "part"])


def load(database: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Make a table of rows; its name is one of ours or of a run's tables, which hold no quotes."""
    database.register("loading", rows)
    database.execute(f"CREATE TABLE {name} AS SELECT * FROM loading")  # noqa: S608 -- see above
    database.unregister("loading")


def united(selects: Iterable[str]) -> str:
    """Several SELECT statements as one; a column that only some of them have is null in the others."""
    return "\nUNION ALL BY NAME\n".join(selects)


def as_pattern(uri: str) -> str:
    """The pattern that only the file of that name matches: DuckDB takes every name for one, and a run may be called `run[1]`."""
    return re.sub(r"[*?\[]", r"[\g<0>]", uri)


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'

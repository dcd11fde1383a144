"""A compacted corpus: the rows of many small files in few large ones. What counts is found as always, by the records of the runs.

A directory with `compacted.json` and, by table and schema version, Parquet files with the rows of runs as they were committed. Each row has
two more columns: the address of the file that it was committed in (`FILE`) and its place there (`PLACE`), by which readers treat it as
if it lay there still. Nothing is decided when it is written: a run's records say which of its files count, and only a file that they
name, with the digest that they have for it, is read from here. What was committed later, or written anew since something was forgotten,
is read from the run.

The chain of digests: a record has the SHA-256 of each file of a run, which is checked when the file is compacted; `compacted.json` has that
digest for each of these files, the SHA-256 of each of its own files, and one of itself.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rumiai_ray.corpus.files import FILE, PLACE, CompactedFile
from rumiai_ray.errors import StorageError
from rumiai_ray.runs.datafile import TABLE_NAME, read_data_file
from rumiai_ray.runs.export.folder import new_folder
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rumiai_ray.runs.datafile import DataFile
    from rumiai_ray.runs.reader import Run

INDEX = "compacted.json"

_FORMAT_VERSION = 1
_GROUP_ROWS = 122_880
"""Rows of a row group, DuckDB's own: one thread reads a group."""
_FILE_BYTES = 512 * 2**20
"""A further file is begun once one is as large: several are read side by side, and damage costs one of them."""


class _CompactedRecord(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _CompactedSource(_CompactedRecord):
    """A file of a run."""

    uri: str
    run_id: str
    path: str
    rows: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _CompactedPart(_CompactedRecord):
    """A file of the compacted corpus."""

    path: str = Field(pattern=rf"^{TABLE_NAME}/[0-9]{{5}}\.parquet$")
    rows: int = Field(gt=0)
    size_bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    sources: tuple[_CompactedSource, ...]


class _CompactedIndex(_CompactedRecord):
    format_version: int = _FORMAT_VERSION
    runs: tuple[str, ...]
    """Their directories or URIs."""
    parts: tuple[_CompactedPart, ...]


@dataclass(frozen=True)
class Compaction:
    """What was written."""

    files: int
    sources: int
    rows: int
    size_bytes: int
    sha256: str
    """Of the index, from which all other digests follow."""


@dataclass(frozen=True)
class _ReadFile:
    """A file of a run, and its rows."""

    source: _CompactedSource
    rows: pa.Table


@dataclass(frozen=True)
class CompactedRows:
    """Where the rows of files of runs lie in compacted corpora."""

    runs: tuple[str, ...]
    """Directories or URIs of the runs."""
    places: Mapping[tuple[str, str], CompactedFile]
    """By address and digest of the file of a run."""
    stores: tuple[Store, ...] = ()
    """The directories of the compacted corpora."""

    @classmethod
    def among(cls, named: Sequence[str | os.PathLike[str]]) -> tuple[Self | None, list[str | os.PathLike[str]]]:
        """The compacted corpora among what was named, and the runs that were named, or that they stand for where they are alone.

        Raises:
            StorageError: an index is damaged.
        """
        found: list[tuple[Store, _CompactedIndex]] = []
        others: list[str | os.PathLike[str]] = []
        for name in named:
            store = Store.at(name)
            # On a disk a directory may be called `set[1]`; an object store is asked for no name that is a pattern.
            if (not store.on_disk and glob.has_magic(os.fspath(name))) or not store.exists(INDEX):
                others.append(name)
            else:
                found.append((store, _index(store.read(INDEX), store.uri(INDEX))))
        if not found:
            return None, others
        places = {
            (source.uri, source.sha256): CompactedFile(store.uri(part.path), part.rows, part.size_bytes, store.on_disk)
            for store, index in found
            for part in index.parts
            for source in part.sources
        }
        runs = tuple(dict.fromkeys(uri for _, index in found for uri in index.runs))
        return cls(runs, places, tuple(store for store, _ in found)), others or list(runs)

    def file_of(self, run: Run, file: DataFile) -> CompactedFile | None:
        """The file in which the rows of a run's file lie as well; None where none does."""
        return self.places.get((run.store.uri(file.path), file.sha256))


def compact(runs: Sequence[Run], directory: Path) -> Compaction:
    """Put the rows of many files together in few. Every file is checked against its record's digest on the way.

    Args:
        runs: their committed rows, also those that do not count, are copied.
        directory: new or empty.

    Raises:
        ConfigError: `directory` is not empty.
        StorageError: a run is damaged, or the directory cannot be written.
    """
    groups: dict[tuple[str, int], list[tuple[Run, DataFile]]] = defaultdict(list)
    for run in runs:
        for file in (file for record in run.records for file in record.files if file.rows):
            groups[file.table, run.manifest.tables.get(file.table, -1)].append((run, file))
    parts: list[_CompactedPart] = []
    with new_folder(directory, "compacted rows") as folder:
        numbers: dict[str, int] = defaultdict(int)
        for (table, _), files in sorted(groups.items(), key=lambda group: group[0]):
            left = _rows_of(files)
            following = next(left, None)
            while following is not None:
                path = f"{table}/{numbers[table]:05}.parquet"
                numbers[table] += 1
                with folder.file(path) as sink:
                    sources, following = _write(sink, following, left)
                written = directory / path
                with written.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                rows = sum(source.rows for source in sources)
                parts.append(_CompactedPart(path=path, rows=rows, size_bytes=written.stat().st_size, sha256=digest, sources=tuple(sources)))
        index = _CompactedIndex(runs=tuple(run.store.uri() for run in runs), parts=tuple(parts))
        body = index.model_dump(mode="json")
        sha256 = _digest(body)
        with folder.file(INDEX) as sink:
            sink.write((json.dumps({**body, "sha256": sha256}, indent=1) + "\n").encode())
    sizes = (sum(part.rows for part in parts), sum(part.size_bytes for part in parts))
    return Compaction(len(parts), sum(len(part.sources) for part in parts), *sizes, sha256)


def _rows_of(files: Iterable[tuple[Run, DataFile]]) -> Iterator[_ReadFile]:
    """Files of runs with their rows; each is read when its turn comes."""
    for run, file in files:
        rows = read_data_file(run.store, file)
        source = _CompactedSource(uri=run.store.uri(file.path), run_id=run.run_id, path=file.path, rows=rows.num_rows, sha256=file.sha256)
        yield _ReadFile(source, rows)


def _write(sink: Any, first: _ReadFile, others: Iterator[_ReadFile]) -> tuple[list[_CompactedSource], _ReadFile | None]:
    """Write the rows of files as long as they have the first one's columns and the new file is not large enough.

    Returns:
        The files that were written, and the one that the next file begins with.
    """
    plain = first.rows.schema
    placed = plain.append(pa.field(FILE, pa.string())).append(pa.field(PLACE, pa.int64()))
    sources: list[_CompactedSource] = []
    waiting: list[pa.Table] = []
    following: _ReadFile | None = first
    with pq.ParquetWriter(sink, placed, compression="zstd") as writer:
        while following is not None and (not sources or (following.rows.schema.equals(plain) and sink.tell() <= _FILE_BYTES)):
            rows, count = following.rows, following.rows.num_rows
            tags = (pa.array([following.source.uri] * count, pa.string()), pa.array(range(count), pa.int64()))
            waiting.append(rows.append_column(FILE, tags[0]).append_column(PLACE, tags[1]))
            sources.append(following.source)
            if sum(part.num_rows for part in waiting) >= _GROUP_ROWS:
                writer.write_table(pa.concat_tables(waiting), row_group_size=_GROUP_ROWS)
                waiting.clear()
            following = next(others, None)
        if waiting:
            writer.write_table(pa.concat_tables(waiting), row_group_size=_GROUP_ROWS)
    return sources, following


def _index(data: bytes, subject: str) -> _CompactedIndex:
    hint = "the compacted corpus is damaged: leave it out, or compact the runs again"
    try:
        body = json.loads(data)
        index = _CompactedIndex.model_validate(body)
        said = body.pop("sha256", None)
    except (ValidationError, ValueError, RecursionError, AttributeError) as error:
        raise StorageError(f"not an index of a compacted corpus: {error}", subject, hint) from error
    if index.format_version > _FORMAT_VERSION:
        raise StorageError(f"written in format {index.format_version}, this version reads {_FORMAT_VERSION}", subject, "upgrade")
    if said != _digest(body):
        raise StorageError("the index was altered", subject, hint)
    return index


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def compacted_beside(runs: Iterable[Run], *others: Path) -> list[Store]:
    """The compacted corpora in directories beside runs, beside the directory of the runs, and in other places; of runs on a disk only."""
    places = set(others)
    for run in runs:
        if run.store.on_disk:
            places |= set(Path(run.store.root).parents[:2])
    return [Store.at(found) for found in sorted({index.parent for place in places for index in place.glob(f"*/{INDEX}")})]


def runs_in(directory: Store, runs: Iterable[Run], *, only_forgotten: bool) -> list[str]:
    """Ids of the runs among `runs` of which a compacted corpus has rows.

    Args:
        directory: where the corpus is.
        runs: known by their ids, wherever they were when they were compacted.
        only_forgotten: leave out a run unless a file of it was compacted that has been written anew since, without what was forgotten.

    Raises:
        StorageError: the index is damaged, or the records of a run are.
    """
    index = _index(directory.read(INDEX), directory.uri(INDEX))
    has: dict[str, set[str]] = defaultdict(set)
    for source in (source for part in index.parts for source in part.sources):
        has[source.run_id].add(source.path)
    return [run.run_id for run in runs if has.get(run.run_id, set()) & _replaced(run) or (has.get(run.run_id) and not only_forgotten)]


def _replaced(run: Run) -> set[str]:
    """Files of a run that were written anew without what was forgotten."""
    forgotten = (record.forgotten for record in run.log.forgettings)
    return {replaced.old for what in forgotten if what is not None for replaced in what.replaced}


def problems(directory: str | os.PathLike[str]) -> Iterator[str]:
    """What is wrong with a compacted corpus, in words: every file against the index's digest.

    Raises:
        StorageError: its index is damaged, or there is none.
    """
    store = Store.at(directory)
    data = store.read_or_none(INDEX)
    if data is None:
        raise StorageError("not a compacted corpus", store.uri(), f"a compacted corpus is a directory that holds {INDEX}")
    for part in _index(data, store.uri(INDEX)).parts:
        found = store.sha256_or_none(part.path)
        if found != part.sha256:
            yield f"{store.uri(part.path)}: {'missing' if found is None else 'the SHA-256 is not the one in the index'}"

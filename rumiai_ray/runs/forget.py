"""Taking rows out of a run for good: a creator's or a video's, from every file of the run.

The order keeps the run whole at every point. New data files, which no record names yet, get the rows that stay. One record of the kind
`forget` then makes them count in place of the old ones: that is the moment in which the rows are gone for every reader, for a resume and
for a retry. What still lies on the disk is removed after that (`clean`): records that name forgotten entries are rewritten, so are the
run's copy of its entries, its manifest and its logs, and files that nothing names are removed. Each of these steps looks for what is left
to do and does it; a process that dies meanwhile leaves a run that is read as it should be, and the next call finishes the work.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from rumiai_ray.errors import StorageError
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.command_names import names_of, values_of
from rumiai_ray.runs.commits import DIRECTORY as RECORDS
from rumiai_ray.runs.commits import CommitLog, record_path, seal_again
from rumiai_ray.runs.datafile import PART, TABLE_NAME, rewrite_data_file
from rumiai_ray.runs.forgotten import Forgotten, Remembered, ReplacedFile, digest_of
from rumiai_ray.runs.line_log import DIRECTORY as LOGS
from rumiai_ray.runs.line_log import PICTURE, without_lines
from rumiai_ray.runs.reviews.table import REVIEWS, without_videos
from rumiai_ray.runs.verify import ENTRY_TABLES
from rumiai_ray.runs.writer import MANIFEST, PRIVATE, entries_path, private_path
from rumiai_ray.shown import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rumiai_ray.runs.commits import CommitRecord, Log
    from rumiai_ray.runs.forgotten import DigestOf, SelectorKind
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.storage import Store

_PARTS = re.compile(r".*\.[0-9a-f]{32}\.part")
"""What a broken-off `Store.publish` or `Store.replace` leaves."""
_ENTRIES = re.compile(r"entries-[0-9a-f]{16}\.parquet")
_IN_LOGS: tuple[DigestOf, ...] = ("entry", "video", "input")
"""Keys of a log's line that say what it is about."""
_LOCATIONS = re.compile(r"[0-9a-f]{32}\.parquet")


@dataclass(frozen=True)
class Doomed:
    """What is to be forgotten of one run."""

    entries: frozenset[str] = frozenset()
    """Ids of entries, also of those that are not analysed yet."""
    videos: frozenset[str] = frozenset()
    """Keys of the videos whose rows go. An entry may go while its video stays, as another entry's."""
    inputs: frozenset[str] = frozenset()
    """The inputs of the entries."""

    def __bool__(self) -> bool:
        return bool(self.entries or self.videos)

    def left(self, table: str) -> Callable[[pa.Table], pa.Table]:
        """What gives of rows of a table those that stay."""
        column, gone = ("entry_id", self.entries) if table in ENTRY_TABLES else ("video_key", self.videos)
        values = pa.array(sorted(gone), pa.string())

        def left(rows: pa.Table) -> pa.Table:
            goes: Any = pc.is_in(rows[column], value_set=values)  # of a null: no
            return rows.filter(pc.invert(goes))

        return left


@dataclass(frozen=True)
class Selected:
    """What was asked for, as it is kept."""

    kind: SelectorKind
    text: str
    """A video's key, or an author's name as names are compared."""


def rows_of(run: Run, doomed: Doomed) -> dict[str, int]:
    """How many rows would be forgotten, by table. Nothing is changed.

    Raises:
        StorageError: the run is damaged.
    """
    counts: dict[str, int] = {}
    for table in sorted({file.table for record in run.records for file in record.files}):
        column = "entry_id" if table in ENTRY_TABLES else "video_key"
        rows = run.table(table, [column])
        counts[table] = rows.num_rows - doomed.left(table)(rows).num_rows
    return {table: count for table, count in counts.items() if count}


def forget(run: Run, doomed: Doomed, selected: Selected) -> Forgotten:
    """Take rows out of a run that nobody else writes (`hold.alone_with`).

    Args:
        run: as it was read while no other process could write it.
        doomed: what goes.
        selected: what was asked for; a digest of it is kept.

    Returns:
        What the run's records say of it from now on.

    Raises:
        ConfigError: another process has written a record meanwhile; nothing was forgotten.
        StorageError: the run is damaged, or something cannot be written. The same call again finishes what was begun.
    """
    log = CommitLog.resumed(run.store, run.run_id, run.log)
    replaced: list[ReplacedFile] = []
    rows: Counter[str] = Counter()
    for record in run.records:
        for file in record.files:
            new = rewrite_data_file(run.store, file, doomed.left(file.table), sequence=log.next_sequence)
            if new is not None:
                replaced.append(ReplacedFile(old=file.path, new=new))
                rows[file.table] += file.rows - new.rows
    forgotten = Forgotten(
        kind=selected.kind,
        selector=digest_of(run.run_id, "selector", selected.text),
        rows=dict(sorted(rows.items())),
        entries=tuple(sorted(digest_of(run.run_id, "entry", entry) for entry in doomed.entries)),
        videos=tuple(sorted(digest_of(run.run_id, "video", key) for key in doomed.videos)),
        inputs=tuple(sorted(digest_of(run.run_id, "input", text) for text in doomed.inputs | _named_in_the_command(run, doomed))),
        replaced=tuple(replaced),
    )
    log.forget(forgotten)
    clean(run.again())
    return forgotten


def _named_in_the_command(run: Run, doomed: Doomed) -> set[str]:
    """What the command line calls the files, folders and patterns that stand for nothing but forgotten entries."""
    given = entry_file(run)
    if given is None:
        rows = [row for table in ENTRY_TABLES for row in run.table(table, ["entry_id", "input"]).to_pylist()]
        inputs = [(row["entry_id"], row["input"]) for row in rows]
    else:
        inputs = [(entry.entry_id, entry.input) for entry in given]
    left = {text for entry_id, text in inputs if entry_id not in doomed.entries}
    return names_of(run.manifest.command, doomed.inputs, left)


def earlier(run: Run, selected: Selected) -> CommitRecord | None:
    """The record of the last time when the same was asked for."""
    return next(reversed(_asked(run, selected)), None)


def remembered_of(run: Run, selected: Selected) -> Remembered:
    """What a run's records forgot whenever the same was asked for."""
    return Remembered.of(_asked(run, selected))


def _asked(run: Run, selected: Selected) -> list[CommitRecord]:
    """The records of the times when the same was asked for, in order."""
    asked = (selected.kind, digest_of(run.run_id, "selector", selected.text))
    return [record for record in run.log.forgettings if record.forgotten and (record.forgotten.kind, record.forgotten.selector) == asked]


@dataclass(frozen=True)
class _Cleaning:
    """What is left to do after forgettings: everything that `clean` has not done yet."""

    run: Run
    names: Remembered

    @property
    def log(self) -> Log:
        return self.run.log

    @property
    def store(self) -> Store:
        return self.run.store

    def records(self) -> Iterator[tuple[str, bytes]]:
        """Records that still name what was forgotten, and torn ones, with what is to stand in their place."""
        outdated = set(self.log.outdated)
        for record in self.log.records:
            if record.sequence in outdated:
                path = record_path(record.sequence)
                yield path, seal_again(self.store.read(path), record)
        for number in self.log.void:  # commits nothing, and half a record may name anybody
            if self.store.read_or_none(record_path(number)):
                yield record_path(number), b""

    def entries(self) -> EntryFile | None:
        """The entries that are left; None where the run's copy is as it should be."""
        given = entry_file(self.run)
        left = None if given is None else given.without(lambda entry_id: ("entry", entry_id) in self.names)
        return None if left is given else left

    def command(self) -> list[str] | None:
        """The command line without forgotten inputs; None where it names none."""
        now = [self._without_name(argument) for argument in self.run.manifest.command]
        return None if now == list(self.run.manifest.command) else now

    def _without_name(self, argument: str) -> str:
        return next((f"{before}{HIDDEN}" for before, value in values_of(argument) if ("input", value) in self.names), argument)

    def logs(self) -> Iterator[tuple[str, bytes]]:
        """Logs with lines about what was forgotten, and what is to stand in their place."""

        def is_about(line: Mapping[str, Any]) -> bool:
            return any((what, line.get(what)) in self.names for what in _IN_LOGS)

        yield from without_lines(self.store, is_about)

    def garbage(self) -> Iterator[str]:
        """Files of the run that nothing names: they may hold what was forgotten."""
        top = self.store.names()
        manifest = self.run.manifest
        yield from (name for name in top if _ENTRIES.fullmatch(name) and name != entries_path(manifest.entries_sha256))
        private = [f"{PRIVATE}/{name}" for name in self.store.names(PRIVATE) if _LOCATIONS.fullmatch(name)]
        # Without the copy of the entries nobody can tell whose these locations are.
        kept = private_path(manifest.locations) if entries_path(manifest.entries_sha256) in top else None
        yield from (path for path in private if path != kept)
        if self.store.exists(PICTURE):  # the last one of a run that has ended
            yield PICTURE
        for directory in ("", RECORDS, LOGS, PRIVATE, REVIEWS):
            prefix = f"{directory}/" if directory else ""
            yield from (f"{prefix}{name}" for name in self.store.names(directory) if _PARTS.fullmatch(name))
        # Data files come last: while one of those that were replaced is there, `verify` says that the work is not finished.
        named = {file.path for record in self.log.records for file in record.files}
        for table in top:
            if re.fullmatch(TABLE_NAME, table) and table not in {RECORDS, LOGS, PRIVATE}:
                paths = (f"{table}/{name}" for name in self.store.names(table) if re.fullmatch(PART, name))
                yield from (path for path in paths if path not in named)


def clean(run: Run) -> None:
    """Remove what still lies on the disk of what the run's records forget. Nobody else may be writing the run.

    Raises:
        StorageError: the run is damaged, or something cannot be written or removed; the same call again goes on.
    """
    if not run.log.forgettings:
        return
    if run.log.problems:
        raise StorageError("; ".join(run.log.problems), run.store.uri(), "the run is damaged: restore the files, then forget again")
    left = _cleaning(run)
    for path, data in left.records():
        run.store.replace(path, data)
    _rewrite_manifest(run, left.entries(), left.command())
    for path, data in left.logs():
        run.store.replace(path, data)
    without_videos(run.store, lambda key: ("video", key) in left.names)
    for path in _cleaning(run.again()).garbage():
        with suppress(FileNotFoundError):
            run.store.remove(path)


def _cleaning(run: Run) -> _Cleaning:
    return _Cleaning(run, remembered(run))


def remembered(run: Run) -> Remembered:
    """What a run's records forget."""
    return Remembered.of(run.log.forgettings)


def entry_file(run: Run) -> EntryFile | None:
    """The run's own copy of its entries, as it lies there; None where there is none.

    Raises:
        StorageError: the copy is not the one that the manifest has the digest of.
    """
    manifest = run.manifest
    path = entries_path(manifest.entries_sha256)
    data = run.store.read_or_none(path) if manifest.entries_sha256 else None
    if data is None:
        return None
    secret = run.store.read_or_none(private_path(manifest.locations)) if manifest.locations else None
    entries = EntryFile(data, secret or b"")
    if entries.sha256 != manifest.entries_sha256:
        raise StorageError("the run's copy of its entries was altered", run.store.uri(path), "restore the file")
    return entries


def _rewrite_manifest(run: Run, entries: EntryFile | None, command: list[str] | None) -> None:
    """Let the manifest name new entries and another command line. The files that it names are there before it names them."""
    changes: dict[str, Any] = {} if command is None else {"command": command}
    if entries is not None:
        with suppress(FileExistsError):
            run.store.publish(entries_path(entries.sha256), entries.data)
        changes |= {"entries": len(entries), "entries_sha256": entries.sha256}
        if run.manifest.locations:
            changes["locations"] = uuid4().hex if entries.secret else ""
            if entries.secret:
                run.store.create_private(private_path(changes["locations"]), entries.secret)
    if changes:
        # Not through `RunManifest`, which would drop what a later version wrote.
        manifest = json.loads(run.store.read(MANIFEST)) | changes
        run.store.replace(MANIFEST, (json.dumps(manifest, indent=2, allow_nan=False) + "\n").encode())

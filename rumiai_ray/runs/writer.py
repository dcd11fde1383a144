"""The one writer of a run: buffers rows, writes them to data files, commits them."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.logs import swallowed
from rumiai_ray.runs.commits import CommitLog, read_log
from rumiai_ray.runs.datafile import PART, DataFile, check_rows, write_data_file
from rumiai_ray.runs.failure_log import FailureLog
from rumiai_ray.runs.fingerprint import differences
from rumiai_ray.runs.history_log import HistoryLog
from rumiai_ray.runs.hold import WriterHold
from rumiai_ray.schema import SchemaError
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from rumiai_ray.runs.commits import CommitRecord, EndStatus
    from rumiai_ray.runs.manifest import RunManifest
    from rumiai_ray.runs.protocols import RunRecords
    from rumiai_ray.schema import Table

_LOG = logging.getLogger(__name__)

MANIFEST = "manifest.json"
SUMMARY = "summary.json"

PRIVATE = "private"
"""Directory for what only the run's owner may read, and only a resume and a retry need."""

_BEGUN = re.compile(r"private|entries-[0-9a-f]{16}\.parquet(\.[0-9a-f]{32}\.part)?|manifest\.json\.[0-9a-f]{32}\.part")
"""What a creation leaves that was broken off before there was a manifest: not a run yet, and in nobody's way."""


def entries_path(sha256: str) -> str:
    """Path of a run's copy of its entries. Named by content, so that one left by a broken-off creation is right or not looked at."""
    return f"entries-{sha256[:16]}.parquet"


def private_path(name: str) -> str:
    """Path of the file with the addresses that hold secrets."""
    return f"{PRIVATE}/{name}.parquet"


def check_free(out: str | os.PathLike[str], run_id: str) -> Store:
    """The directory of a run that is to be created.

    Raises:
        ConfigError: there is a run of that name already, or a directory with anything but what a broken-off creation leaves.
    """
    run = Store.at(out).below(run_id)
    if not all(_BEGUN.fullmatch(name) for name in run.names()):
        raise _taken(run, run_id)
    return run


def check_resumable(run: RunRecords, manifest: RunManifest) -> None:
    """See that `run` can go on as `manifest` says.

    Raises:
        ConfigError: it was started with something else, and the message shows both sides; or its directory was renamed or copied.
        StorageError: its manifest is missing or damaged.
    """
    name = run.store.root.rpartition("/")[2]
    if name != run.run_id:
        hint = f"if this is a copy, resume the original; otherwise rename the directory to {run.run_id}"
        raise ConfigError(f"holds the run {run.run_id}, but a run's directory must be named after the run", run.store.uri(), hint)
    if run.manifest.fingerprint != manifest.fingerprint:
        shown = "\n".join(f"  {line}" for line in differences(run.manifest.result_parts(), manifest.result_parts()))
        raise ConfigError(
            f"cannot be resumed, something changed since it was started (then | now):\n{shown}\n", run.store.uri(), "start a new run"
        )


def _check_unchanged(run: RunRecords) -> None:
    """See that a run is as it was when it was read, after a hold on it was taken.

    Raises:
        ConfigError: it was removed, or another process has written a record.
    """
    if not run.store.exists(MANIFEST):
        raise ConfigError("the run was removed in the meantime", run.store.uri(), "start a new run")
    if read_log(run.store, run.run_id).next_sequence != run.log.next_sequence:
        what = f"another writer has written record {run.log.next_sequence} of this run"
        raise ConfigError(what, run.store.uri(), "another process was writing or changing it; resume it again once that process has ended")


def _taken(run: Store, run_id: str) -> ConfigError:
    hint = f"choose another run id, or continue that run: `rumiai-ray runs resume {run_id}`; a run is never overwritten"
    return ConfigError("a run of this name exists already", run.uri(), hint)


@dataclass(frozen=True)
class RunLogs:
    """What a session of a run writes for people who look for a cause; no table rests on it."""

    failures: FailureLog
    history: HistoryLog

    def close(self) -> None:
        """Write what waits; what comes later is not logged."""
        self.failures.close()
        self.history.close()


class RunWriter:
    """Writes one run. Made by `create` or `resume`.

    Rows wait in memory between `add` and `commit`; a process that dies loses those and nothing else.
    """

    def __init__(self, run: Store, manifest: RunManifest, log: CommitLog, tables: Mapping[str, Table]) -> None:
        self.run = run
        """The run's directory."""
        self.manifest = manifest
        self.logs = RunLogs(FailureLog(run), HistoryLog(run))
        """Of this session."""
        self._log = log
        self._tables = tables
        self._buffers: dict[str, list[pa.Table]] = {}
        self._hold = WriterHold(run)

    @classmethod
    def create(
        cls,
        out: str | os.PathLike[str],
        manifest: RunManifest,
        tables: Mapping[str, Table] = TABLES_BY_NAME,
        *,
        entries: bytes = b"",
        locations: bytes = b"",
        shared: bool = False,
    ) -> Self:
        """Start a new run in `<out>/<run id>/`.

        Args:
            out: directory or URI that holds runs.
            manifest: what will run. Once it is there, there is a run.
            tables: the tables the run can have.
            entries: the run's own copy of its entries, a Parquet file; the manifest has its digest.
            locations: the addresses among them that hold secrets, a Parquet file whose name the manifest has. On a disk its mode is 0600,
                even where others may read the rest; an object store has no modes: its policy decides who may read `private/`.
            shared: on a disk, let the umask say who may read the run. Else its directory and all in it are for its owner alone.

        Raises:
            ConfigError: see `check_free`; or the file system does not keep to exclusive creation, which commits rest on.
            StorageError: the directory cannot be written.
        """
        run = check_free(out, manifest.run_id)
        try:
            run.make(shared=shared)
            if locations:
                run.create_private(private_path(manifest.locations), locations)
                if not run.on_disk:
                    _LOG.warning("%s holds full addresses: let the store's policy keep others from reading it", run.uri(PRIVATE))
            if entries:
                with suppress(FileExistsError):
                    run.publish(entries_path(hashlib.sha256(entries).hexdigest()), entries)
            run.publish(MANIFEST, manifest.to_json())
        except FileExistsError as error:
            raise _taken(run, manifest.run_id) from error
        try:
            run.prove_exclusive(MANIFEST, manifest.to_json())
        except (ConfigError, StorageError):
            with swallowed(_LOG, f"removing the manifest of {manifest.run_id}", FileNotFoundError, StorageError):
                run.remove(MANIFEST)  # just made, and without it there is no run
            raise
        return cls(run, manifest, CommitLog(run, manifest.run_id), tables)

    @classmethod
    def resume(cls, run: RunRecords, manifest: RunManifest, tables: Mapping[str, Table] = TABLES_BY_NAME) -> Self:
        """Take over an existing run whose writer is gone, under the fingerprint it was started with.

        What `run` shows is what the run has. A record that was added since it was first looked at, or the run's removal, is an error here;
        a record that another writer adds later makes the first commit be refused.

        Args:
            run: the run, read a moment ago.
            manifest: what would run now, with the run's id.
            tables: the tables the run can have.

        Raises:
            ConfigError: see `check_resumable`; or the run was changed or removed since it was read.
            StorageError: the run is damaged.
        """
        check_resumable(run, manifest)
        writer = cls(run.store, run.manifest, CommitLog.resumed(run.store, run.run_id, run.log), tables)
        try:
            # Only now that this process shows that it writes can nobody change or remove the run.
            _check_unchanged(run)
        except (ConfigError, StorageError):
            writer._hold.let_go()
            raise
        return writer

    @property
    def buffered_bytes(self) -> int:
        """Size in memory of the rows that wait for the next commit."""
        return sum(rows.nbytes for parts in self._buffers.values() for rows in parts)

    def add(self, rows: Mapping[str, pa.Table]) -> None:
        """Take stamped rows, by table name, into the next commit. All of them or, on an error, none.

        Raises:
            SchemaError: rows that are not of a table of this run, or carry another run's id.
        """
        for name, table in rows.items():
            if name not in self._tables:
                raise SchemaError(f"no table is named {name!r}")
            check_rows(self._tables[name], table, self.manifest.run_id)
        for name, table in rows.items():
            if table.num_rows:
                self._buffers.setdefault(name, []).append(table)

    def commit(self, committed: Sequence[str], dead_lettered: Sequence[str] = ()) -> CommitRecord:
        """Write the buffered rows and commit them with the entries they belong to.

        After a StorageError the rows are still buffered. Nothing of them is in the run, so the call can be repeated; only where an object
        store took the record and was never heard again may they be in, and then the repeated call meets its own record and is refused.

        Args:
            committed: ids of the entries whose rows these are.
            dead_lettered: ids of the entries whose `dead_letter` rows these are.

        Raises:
            ConfigError: another writer has taken the run over.
            StorageError: a file cannot be written.
        """
        files: list[DataFile] = []
        try:
            for name, parts in self._buffers.items():
                files.append(self._write(name, pa.concat_tables(parts)))
        except StorageError:
            self._discard([file.path for file in files])
            raise
        try:
            record = self._log.append(files, committed, dead_lettered)
        except ConfigError:
            # Not after a StorageError: the record may be there all the same, and it names the files.
            self._discard([file.path for file in files])
            raise
        self._buffers.clear()
        return record

    def drop(self) -> None:
        """Forget rows that were added and not committed: the run is being given up."""
        self._buffers.clear()

    def commit_files(self, files: Sequence[DataFile], committed: Sequence[str], dead_lettered: Sequence[str] = ()) -> CommitRecord:
        """Commit data files that tasks have written elsewhere, with the entries they belong to.

        Raises:
            ConfigError: another writer has taken the run over.
            StorageError: the record cannot be written; the files are still in no record.
        """
        return self._log.append(list(files), committed, dead_lettered)

    @property
    def next_sequence(self) -> int:
        """Number of the next commit record; data files written for it carry it in their names."""
        return self._log.next_sequence

    @property
    def tables(self) -> Mapping[str, Table]:
        """The tables this run can have."""
        return self._tables

    def finish(self, status: EndStatus, summary: dict[str, Any]) -> CommitRecord:
        """Write the end record, then clear up: remove files that no record names, write `summary.json` for people.

        Every table that got no rows gets a file without rows first, so that one SQL line opens any table of a finished run.

        Args:
            status: how the run ended.
            summary: figures as JSON values; kept in the end record too.

        Raises:
            ValueError: rows were added and not committed.
            ConfigError: another writer has taken the run over.
            StorageError: a file cannot be written, or records have been damaged since they were written.
        """
        if self._buffers:
            raise ValueError(f"rows of {sorted(self._buffers)} were added and not committed")
        log = read_log(self.run, self.manifest.run_id)
        if log.problems:
            raise StorageError("; ".join(log.problems), self.run.uri(), "the run was damaged while it went on: start a new run")
        named = {file.path for record in log.records for file in record.files}
        filled = {path.partition("/")[0] for path in named}
        # Listed before the end record: whatever appears later belongs to a process that resumes the run.
        found = [f"{name}/{file}" for name in self._tables for file in self.run.names(name) if re.fullmatch(PART, file)]
        empty = [self._write(name, table.schema.empty_table()) for name, table in self._tables.items() if name not in filled]
        try:
            record = self._log.end(status, summary, empty)
        except ConfigError:
            self._discard([file.path for file in empty])
            raise
        self._discard([path for path in found if path not in named])
        view = {"run_id": self.manifest.run_id, "status": status, **summary}
        self.run.replace(SUMMARY, (json.dumps(view, indent=2, allow_nan=False) + "\n").encode())
        # Last of all: whatever is written later would make the directory of a run that was removed meanwhile again.
        self.logs.close()
        self._hold.let_go()
        return record

    def _write(self, name: str, rows: pa.Table) -> DataFile:
        return write_data_file(self.run, self._tables[name], rows, run_id=self.manifest.run_id, sequence=self._log.next_sequence)

    def _discard(self, paths: Sequence[str]) -> None:
        for path in paths:
            # Garbage by definition, no reader follows it: not worth hiding the error that made it so, or failing a good end.
            with swallowed(_LOG, f"removing {path}, which no record names", FileNotFoundError, StorageError):
                self.run.remove(path)

"""Commit records: what is in a run. A data file no record names is garbage, an entry no record names is not in the run.

Record n is the file `commits/<n>.json`, created exclusively: of two writers that want the same number one wins, and the other stops. A
writer never skips a number, so a writer that took a number over has shut out every earlier writer.

A record is one line of JSON with a digest of itself. A file without its end of line was torn by a crash during the write: nobody was told
it had been committed, and it commits nothing. A resume writes the torn numbers into the next record (`void`), so that
a writer that was merely slow cannot bring them back to life, and damage done later is told apart from a crash.

A record of the kind `forget` changes what the records before it say: data files are replaced by files with fewer rows, and entries are no
longer named (`forgotten.py`, `forget.py`). `read_log` gives the records as they count. Afterwards the earlier records are rewritten to say
just that; until then they are `outdated`.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, model_validator

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.datafile import DataFile
from rumiai_ray.runs.forgotten import Forgotten, Remembered
from rumiai_ray.runs.times import RecordedTime
from rumiai_ray.storage import Store, in_parallel

FORMAT_VERSION = 1
DIRECTORY = "commits"

EndStatus = Literal["complete", "partial", "aborted"]
"""How a run ended: everything well; any dead letter or failed model; given up."""

_NAME = re.compile(r"([0-9]{8})\.json")
_MOST_MISSING = 10_000
"""Missing records, beside as many as are listed, that are asked for one by one; a listing made while others write lacks a few."""


class CommitRecord(BaseModel):
    """One record. Unknown keys are ignored, so records of a later version that only added some can be read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format_version: int = FORMAT_VERSION
    kind: Literal["commit", "end", "forget"] = "commit"
    run_id: str
    sequence: int
    writer: str
    """Random name of the writing process's session; tells its own record from another writer's."""
    written_at: RecordedTime
    void: tuple[int, ...] = ()
    """Earlier numbers that were torn when this writer took over; they commit nothing, whatever they hold now."""
    files: tuple[DataFile, ...] = ()
    committed: tuple[str, ...] = ()
    """Entries whose video was read; their rows are in `files`."""
    dead_lettered: tuple[str, ...] = ()
    """Entries that could not be read or assembled; their `dead_letter` rows are in `files`."""
    status: EndStatus | None = None
    """Only where `kind` is `end`."""
    summary: dict[str, Any] = {}
    """Only where `kind` is `end`: figures for people."""
    forgotten: Forgotten | None = None
    """Only where `kind` is `forget`: what no longer counts of the records before this one."""

    @model_validator(mode="after")
    def _says_what_was_forgotten(self) -> Self:
        if (self.kind == "forget") != (self.forgotten is not None):
            raise ValueError(f"a record of the kind {self.kind} {'lacks' if self.forgotten is None else 'has'} a forgetting")
        return self


@dataclass(frozen=True)
class Log:
    """All records of a run as they were when it was read."""

    records: tuple[CommitRecord, ...]
    """In order and as they count; void and torn ones and those of forgettings left out."""
    torn: tuple[int, ...]
    """Numbers whose write was not finished and that no later record has declared void: nothing, or the last one."""
    problems: tuple[str, ...]
    """Damage: a number that is missing, a record that was altered. Where there is any, rows may be missing without a word."""
    next_sequence: int
    forgettings: tuple[CommitRecord, ...] = ()
    """The records of the kind `forget`, in order."""
    outdated: tuple[int, ...] = ()
    """Numbers of records whose files still say what was forgotten since."""
    void: tuple[int, ...] = ()
    """Numbers that later records have declared void."""


def record_path(sequence: int) -> str:
    """Path of a record, relative to the run's directory."""
    return f"{DIRECTORY}/{sequence:08d}.json"


def seal(record: CommitRecord) -> bytes:
    """The record as it is written: one line of JSON whose last key, `sha256`, is the digest of the rest."""
    body = record.model_dump(mode="json")
    return (json.dumps({**body, "sha256": _digest(body)}, allow_nan=False) + "\n").encode()


def seal_again(content: bytes, record: CommitRecord) -> bytes:
    """The file of a record of which less counts now. Whatever else is in it stays as it is, also what a later version wrote.

    Args:
        content: the file as it is, whose digest matches.
        record: as it counts.
    """
    body = json.loads(content)
    del body["sha256"]
    written = {file["path"]: file for file in body.get("files", ())}
    body["files"] = [written.get(file.path) or file.model_dump(mode="json") for file in record.files]
    body |= {"committed": list(record.committed), "dead_lettered": list(record.dead_lettered)}
    return (json.dumps({**body, "sha256": _digest(body)}, allow_nan=False) + "\n").encode()


def read_log(run: Store, run_id: str) -> Log:
    """Read all records of a run.

    Raises:
        StorageError: the records cannot be listed or read.
    """
    # Read by number, not by listing: a directory listed while it grows may show a later file and not an earlier one.
    matches = [_NAME.fullmatch(name) for name in run.names(DIRECTORY)]
    length = max((int(match[1]) for match in matches if match), default=-1) + 1
    if length > _MOST_MISSING + 2 * len(matches):  # one file with a large number in its name would have millions of files read
        problem = f"{record_path(length - 1)} exists, but most of the {length - 1:,} records before it are missing"
        return Log(records=(), torn=(), problems=(problem,), next_sequence=length)
    contents = in_parallel(run.read_or_none, map(record_path, range(length)))
    records: dict[int, CommitRecord] = {}
    problems: dict[int, str] = {}
    torn: set[int] = set()
    for sequence, content in enumerate(contents):
        if content is None:
            problems[sequence] = f"{record_path(sequence)} is missing"
        elif not content.endswith(b"\n"):
            torn.add(sequence)
        else:
            try:
                records[sequence] = _unseal(content, run_id, sequence)
            except (TypeError, ValueError) as error:
                problems[sequence] = f"{record_path(sequence)} is damaged: {error}"
    void = {number for record in records.values() for number in record.void if number < record.sequence}
    # Only the last record can be under way; an earlier torn one that nobody declared void was cut short afterwards.
    problems |= {number: f"{record_path(number)} was cut short" for number in torn if number < length - 1}
    valid = [record for number, record in sorted(records.items()) if number not in void]
    forgettings = tuple(record for record in valid if record.forgotten is not None)
    written = [record for record in valid if record.forgotten is None]
    counting = [_as_it_counts(record, forgettings) for record in written]
    return Log(
        records=tuple(counting),
        torn=tuple(sorted(torn - void - problems.keys())),
        problems=tuple(text for number, text in sorted(problems.items()) if number not in void),
        next_sequence=length,
        forgettings=forgettings,
        outdated=tuple(now.sequence for now, before in zip(counting, written, strict=True) if now is not before),
        void=tuple(sorted(void)),
    )


def _as_it_counts(record: CommitRecord, forgettings: Sequence[CommitRecord]) -> CommitRecord:
    """A record without what later records forget; the record itself where that is nothing."""
    acts = [later.forgotten for later in forgettings if later.sequence > record.sequence and later.forgotten is not None]
    if not acts:
        return record
    files = list(record.files)
    for act in acts:
        files = [act.new_files.get(file.path, file) for file in files]
    names = Remembered(record.run_id, acts)
    entries = {
        name: tuple(entry for entry in getattr(record, name) if ("entry", entry) not in names) for name in ("committed", "dead_lettered")
    }
    now = record.model_copy(update={"files": tuple(files), **entries})
    return record if now == record else now


class CommitLog:
    """Appends records to a run; made by the run's one writer.

    Args:
        run: the run's directory.
        run_id: the run.
        next_sequence: the number the first record will take.
        void: torn numbers the first record declares void.
    """

    def __init__(self, run: Store, run_id: str, next_sequence: int = 0, void: Sequence[int] = ()) -> None:
        self._run = run
        self._run_id = run_id
        self._void = tuple(void)
        self._writer = uuid4().hex
        self.next_sequence = next_sequence

    @classmethod
    def resumed(cls, run: Store, run_id: str, log: Log) -> Self:
        """The log of a run whose writer is gone, to be continued after what `log` shows of it.

        A record that was added after `log` was read has the number this one writes next, which is then refused.

        Raises:
            StorageError: its records are damaged; to go on would do entries a second time.
        """
        if log.problems:
            raise StorageError("; ".join(log.problems), run.uri(), "the run is damaged: restore the files, or start a new run")
        return cls(run, run_id, log.next_sequence, log.torn)

    def append(self, files: Sequence[DataFile], committed: Sequence[str], dead_lettered: Sequence[str] = ()) -> CommitRecord:
        """Commit data files and the entries they hold. When it returns, they are in the run.

        Raises:
            ConfigError: another writer has taken the number; nothing was committed.
            StorageError: the record cannot be written. On a disk nothing was committed; on an object store it may have been, so the
                files have to stay.
        """
        return self._create(
            CommitRecord(**self._head(), files=tuple(files), committed=tuple(committed), dead_lettered=tuple(dead_lettered))
        )

    def end(self, status: EndStatus, summary: dict[str, Any], files: Sequence[DataFile] = ()) -> CommitRecord:
        """Say how the run ended. Raises as `append` does."""
        return self._create(CommitRecord(**self._head(), kind="end", files=tuple(files), status=status, summary=summary))

    def forget(self, forgotten: Forgotten) -> CommitRecord:
        """Say what no longer counts of the records so far. Raises as `append` does."""
        return self._create(CommitRecord(**self._head(), kind="forget", forgotten=forgotten))

    def _head(self) -> dict[str, Any]:
        return {
            "run_id": self._run_id,
            "sequence": self.next_sequence,
            "writer": self._writer,
            "written_at": datetime.now(UTC),
            "void": self._void,
        }

    def _create(self, record: CommitRecord) -> CommitRecord:
        path, data = record_path(record.sequence), seal(record)
        try:
            self._run.create(path, data)
        except FileExistsError as error:
            raise ConfigError(
                f"another writer has written record {record.sequence} of this run",
                self._run.uri(),
                "one process at a time may write a run; this one stops, what the other commits is safe",
            ) from error
        self.next_sequence += 1
        self._void = ()
        return record


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def _unseal(content: bytes, run_id: str, sequence: int) -> CommitRecord:
    """The record in a file that was written to its end.

    Raises:
        TypeError, ValueError: it is not the record that was written, or not one of this place.
    """
    try:
        body = json.loads(content)
    except RecursionError as error:
        raise ValueError("values nested too deeply") from error
    if not isinstance(body, dict):
        raise TypeError("not a JSON object")
    if body.pop("sha256", None) != _digest(body):
        raise ValueError("its digest does not match")
    record = CommitRecord.model_validate(body)
    if record.format_version > FORMAT_VERSION:
        raise ValueError(f"written in format {record.format_version}, this version reads {FORMAT_VERSION}")
    if (record.run_id, record.sequence) != (run_id, sequence):
        raise ValueError(f"it is record {record.sequence} of run {record.run_id}")
    return record

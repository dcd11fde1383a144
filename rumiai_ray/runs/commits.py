"""Commit records: what is in a run. A data file no record names is garbage, an entry no record names is not in the run.

Record n is the file `commits/<n>.json`, created exclusively: of two writers that want the same number one wins, and the other stops. A
writer never skips a number, so whoever took one over has shut out everybody who was there before.

A record is one line of JSON with a digest of itself. A file without its end of line was torn by a crash during the write: nobody was told
it had been committed, and it commits nothing. Whoever resumes the run writes the torn numbers into the next record (`void`), so that
a writer that was merely slow cannot bring them back to life, and damage done later is told apart from a crash.

A record of the kind `forget` changes what the records before it say: data files are replaced by files with fewer rows, and entries are no
longer named (`forgotten.py`, `forget.py`). `read_log` gives the records as they count. Afterwards the earlier records are rewritten to say
just that; until then they are `outdated`.

A run that several drivers write has shards (`shards.py`). Its `commits/00000000.json` only says how many, in a format that versions
without shards refuse; the records of shard 2 are `commits/0002/<n>.json`, numbered and taken over as above, shard by shard.
"""

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, Self
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.datafile import DataFile
from rumiai_ray.runs.forgotten import Forgotten, Remembered
from rumiai_ray.runs.shards import MOST_SHARDS, Shard
from rumiai_ray.runs.times import RecordedTime
from rumiai_ray.storage import Store, in_parallel

FORMAT_VERSION = 2
"""The latest that this version reads."""
PLAIN_FORMAT, SHARDED_FORMAT = 1, 2
"""What is written: runs without shards stay readable for versions that do not know them."""
DIRECTORY = "commits"

EndStatus = Literal["complete", "partial", "aborted"]
"""How a run ended: everything well; any dead letter or failed model; given up."""

_NAME = re.compile(r"([0-9]{8})\.json")
_SHARD_NAME = re.compile(r"[0-9]{4}")
_MOST_MISSING = 10_000
"""Missing records, beside as many as are listed, that are asked for one by one; a listing made while others write lacks a few."""


class CommitRecord(BaseModel):
    """One record. Unknown keys are ignored, so records of a later version that only added some can be read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format_version: int = PLAIN_FORMAT
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
    shard: int | None = None
    """Number of the shard whose record it is; None in a run without shards."""
    shards: int | None = Field(default=None, ge=1, le=MOST_SHARDS)
    """Only in the first record of a run with shards, which commits nothing: how many there are."""

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
    shard: Shard | None = None
    """The shard whose records these are."""
    shards: tuple["Log", ...] = ()
    """The log of each shard, in order; then `records`, `problems` and `forgettings` are those of all of them, and the numbers are here."""

    @property
    def parts(self) -> tuple["Log", ...]:
        """The logs that numbers count in: those of the shards, or this one."""
        return self.shards or (self,)

    @property
    def end(self) -> CommitRecord | None:
        """The record that says how it ended; None for one that has not, or was resumed since. Of one part only."""
        last = self.records[-1] if self.records else None
        return last if last is not None and last.kind == "end" and last.status is not None else None

    @property
    def left(self) -> tuple["Log", ...]:
        """The parts that have not ended."""
        return tuple(part for part in self.parts if part.end is None)

    def path(self, sequence: int) -> str:
        """Path of one of its records, relative to the run's directory."""
        return record_path(sequence, self.shard)


def record_path(sequence: int, shard: Shard | None = None) -> str:
    """Path of a record, relative to the run's directory."""
    return f"{directory_of(shard)}/{sequence:08d}.json"


def directory_of(shard: Shard | None) -> str:
    """Where the records of a shard are, or of a run without shards, relative to the run's directory."""
    return DIRECTORY if shard is None else f"{DIRECTORY}/{shard.name}"


def seal(record: CommitRecord) -> bytes:
    """The record as it is written: one line of JSON whose last key, `sha256`, is the digest of the rest."""
    body = record.model_dump(mode="json")
    body = {name: value for name, value in body.items() if value is not None or name not in {"shard", "shards"}}
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


def read_log(run: Store, run_id: str, shard: Shard | None = None) -> Log:
    """Read all records of a run, or of one of its shards.

    Raises:
        StorageError: the records cannot be listed or read.
    """
    names = run.names(directory_of(shard))
    log = _read(run, run_id, shard, names)
    if shard is not None:
        return log
    found = {name for name in names if _SHARD_NAME.fullmatch(name)}
    count = log.records[0].shards if log.records and log.records[0].sequence == 0 else None
    if count is None:
        if not found or log.problems:
            return log
        lacks = f"{record_path(0)} is missing or says nothing of the shards that are there"
        return replace(log, problems=(lacks,))
    return _united(log, tuple(read_log(run, run_id, Shard(number, count)) for number in range(1, count + 1)), found)


def _united(head: Log, shards: tuple[Log, ...], found: Collection[str]) -> Log:
    """The log of a run with shards.

    Args:
        head: what lies beside the shards: one record that says how many there are.
        shards: theirs.
        found: names of the directories of shards.
    """
    known = {part.shard.name for part in shards if part.shard is not None}
    strays = [f"{record_path(record.sequence)} is a record beside those of the shards" for record in head.records[1:]]
    strays += [f"{DIRECTORY}/{name} belongs to no shard" for name in sorted(set(found) - known)]
    return Log(
        records=tuple(record for part in shards for record in part.records),
        torn=(),
        problems=(*head.problems, *strays, *(problem for part in shards for problem in part.problems)),
        next_sequence=head.next_sequence,
        forgettings=tuple(record for part in shards for record in part.forgettings),
        shards=shards,
    )


def _read(run: Store, run_id: str, shard: Shard | None, names: Sequence[str]) -> Log:
    # Read by number, not by listing: a directory listed while it grows may show a later file and not an earlier one.
    matches = [_NAME.fullmatch(name) for name in names]
    length = max((int(match[1]) for match in matches if match), default=-1) + 1
    path = partial(record_path, shard=shard)
    if length > _MOST_MISSING + 2 * len(matches):  # one file with a large number in its name would have millions of files read
        problem = f"{path(length - 1)} is there, and most of the {length - 1:,} records before it are missing"
        return Log(records=(), torn=(), problems=(problem,), next_sequence=length, shard=shard)
    contents = in_parallel(run.read_or_none, map(path, range(length)))
    records: dict[int, CommitRecord] = {}
    problems: dict[int, str] = {}
    torn: set[int] = set()
    for sequence, content in enumerate(contents):
        if content is None:
            problems[sequence] = f"{path(sequence)} is missing"
        elif not content.endswith(b"\n"):
            torn.add(sequence)
        else:
            try:
                records[sequence] = _unseal(content, run_id, sequence, shard)
            except (TypeError, ValueError) as error:
                problems[sequence] = f"{path(sequence)} is damaged: {error}"
    void = {number for record in records.values() for number in record.void if number < record.sequence}
    # Only the last record can be under way; an earlier torn one that nobody declared void was cut short afterwards.
    problems |= {number: f"{path(number)} was cut short" for number in torn if number < length - 1}
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
        shard=shard,
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


def write_head(run: Store, run_id: str, shards: int) -> None:
    """Let the records of a run say into how many shards it is divided. Every shard's driver sees to it; the first one writes it.

    Raises:
        StorageError: it cannot be written, or what is there says something else.
    """
    if not run.exists(record_path(0)):
        head = CommitRecord(
            format_version=SHARDED_FORMAT, run_id=run_id, sequence=0, writer=uuid4().hex, written_at=datetime.now(UTC), shards=shards
        )
        with suppress(FileExistsError):
            run.publish(record_path(0), seal(head))
    found = _unseal_head(run, run_id)
    if found != shards:
        said = "says nothing of shards" if found is None else f"says {found}"
        raise StorageError(f"the run has {shards} shards, its first record {said}", run.uri(record_path(0)), "the run is damaged")


def _unseal_head(run: Store, run_id: str) -> int | None:
    content = run.read(record_path(0))
    try:
        return _unseal(content, run_id, 0).shards
    except (TypeError, ValueError) as error:
        raise StorageError(f"the record is damaged: {error}", run.uri(record_path(0)), "restore the file") from error


class CommitLog:
    """Appends records to a run; made by the run's one writer.

    Args:
        run: the run's directory.
        run_id: the run.
        next_sequence: the number the first record will take.
        void: torn numbers the first record declares void.
        shard: the shard whose records they are.
    """

    def __init__(self, run: Store, run_id: str, next_sequence: int = 0, void: Sequence[int] = (), shard: Shard | None = None) -> None:
        self._run = run
        self._run_id = run_id
        self._shard = shard
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
        return cls(run, run_id, log.next_sequence, log.torn, log.shard)

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
            **({} if self._shard is None else {"format_version": SHARDED_FORMAT, "shard": self._shard.number}),
        }

    def _create(self, record: CommitRecord) -> CommitRecord:
        path, data = record_path(record.sequence, self._shard), seal(record)
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


def _unseal(content: bytes, run_id: str, sequence: int, shard: Shard | None = None) -> CommitRecord:
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
    if (record.run_id, record.sequence, record.shard) != (run_id, sequence, None if shard is None else shard.number):
        of = "" if record.shard is None else f" of shard {record.shard}"
        raise ValueError(f"it is record {record.sequence}{of} of run {record.run_id}")
    if record.shards is not None and (sequence or record.shard is not None or record.kind != "commit" or record.files or record.committed):
        raise ValueError("it says how many shards there are, which only the first record does, and nothing else")
    return record

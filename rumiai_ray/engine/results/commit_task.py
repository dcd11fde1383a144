"""Groups of settled entries, and the task that turns a group into data files: assembly and writing, away from the driver.

The rows come as references and are fetched in the task; the driver sees counts and file facts. A task that is retried writes new
files under new names; what its first attempt left behind no record names.
"""

from __future__ import annotations

import logging
import pickle
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray

from rumiai_ray.engine.results import assemble as assembly
from rumiai_ray.engine.results.entry_tracker import Ended
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.engine.work.entry_rows import dead_letter_row
from rumiai_ray.engine.work.watchdog import ended_after
from rumiai_ray.errors import ModelError, StorageError
from rumiai_ray.ingest.cleaning import message_of
from rumiai_ray.logs import configure_worker
from rumiai_ray.runs.datafile import DataFile, write_data_file
from rumiai_ray.schema.run import ANALYSES, DEAD_LETTER, VIDEOS
from rumiai_ray.tracebacks import keep_traceback, traceback_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rumiai_ray.engine.results.entry_tracker import Settled
    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.models.base import ModelPlan
    from rumiai_ray.runs.shards import Shard
    from rumiai_ray.runs.writer import RunWriter
    from rumiai_ray.schema import Table
    from rumiai_ray.storage import Store

_LOG = logging.getLogger(__name__)

_PAUSES_S = (1.0, 5.0)
"""Before a file that could not be written is written again. Object stores have had their own client's retries by then."""


@dataclass(frozen=True)
class Target:
    """Where a run's files go and what may be in them."""

    run: Store
    run_id: str
    models: tuple[ModelPlan, ...]
    tables: Mapping[str, Table]
    thresholds: Thresholds
    """Of the insights."""
    shard: Shard | None = None
    """Of the run; its number is in the names of the files."""

    @classmethod
    def of(cls, writer: RunWriter, stage: Stage) -> Target:
        """The target of a run."""
        return cls(writer.run, stage.run_id, stage.models, writer.tables, stage.thresholds, writer.shard)


@dataclass(frozen=True)
class Written:
    """What a group left: facts for its commit record."""

    files: tuple[DataFile, ...]
    committed: tuple[str, ...]
    dead_lettered: tuple[str, ...]
    tally: Tally
    errors: Mapping[str, Exception]
    """Why an entry that was settled well is dead-lettered all the same: it could not be assembled."""
    tracebacks: Mapping[str, str] = field(default_factory=dict)
    """Of `errors`, as text: an exception travels without its own."""
    lost: tuple[str, ...] = ()
    """Entries whose rows were lost on the way (a node died with them): nothing of them was written, they go round again."""


def write_group(target: Target, group: Sequence[Settled], sequence: int, timeout_s: float) -> Written:
    """Assemble a group's videos and write one data file for each table that has rows. Runs as a Ray task.

    Raises:
        StorageError: a file cannot be written; those written before are garbage that no record names.
    """
    configure_worker()
    with ended_after(timeout_s):
        return write(target, assemble_group(target, group), sequence)


@dataclass(frozen=True)
class Assembled:
    """A group's rows."""

    tables: Mapping[str, Mapping[str, pa.Table]]
    """By entry, then by table. Entries whose payloads are lost are absent."""
    lost: tuple[str, ...]
    """Entries whose payloads are lost."""
    tally: Tally
    errors: Mapping[str, Exception]
    """See `Written`."""
    tracebacks: Mapping[str, str]


def assemble_group(target: Target, group: Sequence[Settled]) -> Assembled:
    """Assemble a group's videos; one that cannot be assembled leaves a dead letter. Raises StorageError alone."""
    tables: dict[str, Mapping[str, pa.Table]] = {}
    lost: list[str] = []
    errors: dict[str, Exception] = {}
    tracebacks: dict[str, str] = {}
    tally = Tally()
    for settled in group:
        entry_id = settled.header.entry.entry_id
        try:
            rows = _tables(target, settled)
        except ray.exceptions.ObjectLostError as error:
            _LOG.info("the rows of entry %s are lost: %s", entry_id, error)
            lost.append(entry_id)
            continue
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 -- the boundary of assembly: a video that cannot be assembled is a dead letter
            errors[entry_id], tracebacks[entry_id] = _portable(error), traceback_of(error)
            _LOG.info("entry %s cannot be assembled", entry_id, exc_info=error)
            rows = _buried(target, settled, error)
        _count(tally, settled, rows)
        tables[entry_id] = rows
    return Assembled(tables, tuple(lost), tally, errors, tracebacks)


def write(target: Target, assembled: Assembled, sequence: int) -> Written:
    """Write one data file for each table that has rows.

    Raises:
        SchemaError: rows are not what their table declares.
        StorageError: a file cannot be written, not at the third attempt either; those written before are garbage that no record names.
    """
    parts: dict[str, list[pa.Table]] = {}
    for tables in assembled.tables.values():
        for name, rows in tables.items():
            if rows.num_rows:
                parts.setdefault(name, []).append(rows)
    files = tuple(_file(target, name, pa.concat_tables(rows), sequence) for name, rows in parts.items())
    assembled.tally.written_bytes = sum(file.size_bytes for file in files)
    dead = tuple(entry_id for entry_id, tables in assembled.tables.items() if DEAD_LETTER.name in tables)
    committed = tuple(entry_id for entry_id in assembled.tables if entry_id not in dead)
    return Written(files, committed, dead, assembled.tally, assembled.errors, assembled.tracebacks, assembled.lost)


def endings(group: Sequence[Settled], written: Written) -> list[Ended]:
    """What became of each entry of a group whose record is written."""
    for entry_id, broken in written.errors.items():
        keep_traceback(broken, written.tracebacks.get(entry_id, ""))
    told = []
    for one in group:
        entry_id = one.header.entry.entry_id
        told.append(Ended(one, written.errors.get(entry_id, one.error), lost=entry_id in written.lost))
    return told


def _file(target: Target, name: str, rows: pa.Table, sequence: int) -> DataFile:
    """Written again where storage fails, under a new name, after a while."""
    write = partial(write_data_file, target.run, target.tables[name], rows, run_id=target.run_id, sequence=sequence, shard=target.shard)
    for pause_s in _PAUSES_S:
        try:
            return write()
        except StorageError as error:
            _LOG.warning("a file of table %s cannot be written, again in %g s: %s", name, pause_s, error)
            time.sleep(pause_s)
    return write()


def _tables(target: Target, settled: Settled) -> dict[str, pa.Table]:
    """All rows of one entry.

    Raises:
        ObjectLostError: its payloads are lost.
        Exception: whatever assembly raises.
    """
    header, plan = settled.header, settled.header.plan
    if plan is None:
        return {DEAD_LETTER.name: header.row}
    if settled.error is not None:
        return _buried(target, settled, settled.error)
    if settled.repeat:
        return {VIDEOS.name: header.row}
    answers: list[Any] = [(index, ray.get(payload)) for index, payload in settled.answers]
    return {VIDEOS.name: header.row, **assembly.assemble(target.run_id, plan, target.models, answers, target.thresholds)}


def _buried(target: Target, settled: Settled, error: Exception) -> dict[str, pa.Table]:
    entry, plan = settled.header.entry, settled.header.plan
    return {DEAD_LETTER.name: dead_letter_row(target.run_id, entry, plan.video_key if plan else None, "assemble", error)}


def _portable(error: Exception) -> Exception:
    """The error, or what can be told of it where it cannot travel to the driver."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 -- dumped on the same line
    except Exception as problem:  # noqa: BLE001 -- whatever a foreign class makes of being pickled
        _LOG.debug("%s cannot travel: %s: %s", type(error).__name__, type(problem).__name__, message_of(problem))
        return ModelError(f"{type(error).__name__}: {message_of(error)}")
    return error


def _count(tally: Tally, settled: Settled, tables: Mapping[str, pa.Table]) -> None:
    if DEAD_LETTER.name in tables:
        tally.count_dead_letters(tables[DEAD_LETTER.name].to_pylist())
        return
    tally.entries["committed"] += 1
    if ANALYSES.name not in tables:
        return
    for index, _ in settled.answers:
        for model, outcome in index.outcomes.items():
            tally.cpu_s[model] += outcome.cpu_s
    tally.video_s += settled.header.row["duration_s"][0].as_py()
    tally.origins[settled.header.row["frame_store"][0].as_py()] += 1
    tally.count_analyses(tables[ANALYSES.name].to_pylist())

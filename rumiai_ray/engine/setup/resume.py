"""What is left to do: of a run that is new, resumed or retried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rumiai_ray.engine.work.counts import Tally, tally_of
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.forget import remembered
from rumiai_ray.runs.writer import entries_path, private_path
from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.runs.shards import Shard


@dataclass(frozen=True)
class Remaining:
    """Entries to analyse, and what the run they go into has already."""

    entries: Iterable[Entry]
    """Can be iterated once; taken as they are needed."""
    count: int
    analysed: Sequence[str] = ()
    """Keys of the videos whose analysis is in the run."""
    earlier: Tally = field(default_factory=Tally)
    """What has become of the entries that are in the run."""


def of_resumed(run: Run) -> Remaining:
    """What the records of `run` do not have yet, or those of the shard that it is.

    Raises:
        StorageError: the run is damaged.
    """
    given, done = entries_of_shard(given_entries(run), run.shard), run.entries()
    analysed = {str(key) for key in run.table("videos", ["video_key"])["video_key"].to_pylist()}
    left = (entry for entry in given if entry.entry_id not in done)
    return Remaining(left, len(given) - len(done), sorted(analysed), tally_of(run))


def entries_of_shard(entries: EntryFile, shard: Shard | None) -> EntryFile:
    """Those of a run's entries that one driver has to do."""
    return entries if shard is None else entries.only(shard.has)


def to_retry(run: Run) -> EntryFile:
    """The entries of a run's dead letters and of its videos with a failed model.

    Raises:
        ConfigError: there are none.
        StorageError: the run is damaged.
    """
    wanted = {entry_id for entry_id, state in run.entries().items() if state == "dead_lettered"}
    analyses = run.table("analyses", ["video_key", "status"]).to_pylist()
    failed = {row["video_key"] for row in analyses if row["status"] == Status.FAILED}
    wanted |= {row["entry_id"] for row in run.table("videos", ["entry_id", "video_key"]).to_pylist() if row["video_key"] in failed}
    entries = EntryFile.of(entry for entry in given_entries(run) if entry.entry_id in wanted)
    if not len(entries):
        raise ConfigError("has neither dead letters nor failed models", f"run {run.run_id}", "there is nothing to retry")
    return entries


def given_entries(run: Run) -> EntryFile:
    """The run's own copy of its entries, without those that were forgotten.

    Raises:
        StorageError: the copy is missing or not the one the manifest has the digest of. Where the file with the full addresses is
            missing, only the entries that need it have a problem.
    """
    path = entries_path(run.manifest.entries_sha256)
    data = run.store.read_or_none(path)
    secret = run.store.read_or_none(private_path(run.manifest.locations)) if run.manifest.locations else None
    entries = None if data is None else EntryFile(data, secret or b"")
    if entries is None or entries.sha256 != run.manifest.entries_sha256:
        raise StorageError("the run's copy of its entries is missing or altered", run.store.uri(path), "start a new run from the manifest")
    forgotten = remembered(run)
    # They are in the copy only where a forgetting was broken off.
    return entries.without(lambda entry_id: ("entry", entry_id) in forgotten) if run.log.forgettings else entries

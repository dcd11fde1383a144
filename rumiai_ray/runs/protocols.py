"""What helpers need of a run, so that `reader.Run` can import them and they need not import it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from rumiai_ray.runs.commits import Log
    from rumiai_ray.runs.manifest import RunManifest
    from rumiai_ray.runs.shards import Shard
    from rumiai_ray.storage import Store


class RunTables(Protocol):
    """A run's committed rows, by table."""

    @property
    def run_id(self) -> str:
        """The run's id."""

    def tables(self) -> list[str]:
        """Names of the tables that the run can have."""

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """All committed rows of a table."""

    def batches(self, name: str) -> Iterator[pa.Table]:
        """As `table`, in parts of the same columns, at least one."""


class RunRecords(Protocol):
    """A run's directory, manifest and commit records."""

    @property
    def store(self) -> Store:
        """The run's directory."""

    @property
    def run_id(self) -> str:
        """The run's id."""

    @property
    def manifest(self) -> RunManifest:
        """What was asked for; raises StorageError where the manifest is missing or damaged."""

    @property
    def shard(self) -> Shard | None:
        """The only shard of it that is read; None for all of a run."""

    @property
    def log(self) -> Log:
        """The commit records as they were when the run was read."""

"""What the driver's loop is given besides a source (`work.source`): a pool of cells, a sink, an observer, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pyarrow as pa

    from rumiai_ray.engine.cell.dispatcher import Done, WorkRow
    from rumiai_ray.engine.cell.messages import Activity, Index
    from rumiai_ray.engine.results.drive_state import DriveState
    from rumiai_ray.engine.results.entry_tracker import Ended, Settled
    from rumiai_ray.engine.work.counts import Tally
    from rumiai_ray.engine.work.item import VideoPlan
    from rumiai_ray.ingest.entries import Entry


class RowPool(Protocol):
    """Where rows go in and answers come out; see `engine.cell.pool.CellPool`, which says what each member means."""

    @property
    def cells(self) -> Sequence[object]: ...  # noqa: D102 -- as `CellPool.cells`; so are the others
    @property
    def wanted(self) -> int: ...  # noqa: D102
    @property
    def open(self) -> int: ...  # noqa: D102
    @property
    def wants_more(self) -> bool: ...  # noqa: D102
    @property
    def last_news_s(self) -> float: ...  # noqa: D102
    @property
    def activity(self) -> Sequence[Activity]: ...  # noqa: D102
    def want(self, count: int) -> None: ...  # noqa: D102
    def release(self) -> None: ...  # noqa: D102
    def submit(self, row: WorkRow) -> None: ...  # noqa: D102
    def waits(self) -> list[Any]: ...  # noqa: D102
    def ready(self, references: Collection[Any]) -> Iterable[Done]: ...  # noqa: D102


class Sink(Protocol):
    """Where settled entries go; see `engine.results.commit_groups.Groups`, which says what each member means."""

    @property
    def tally(self) -> Tally: ...  # noqa: D102 -- as `Groups.tally`; so are the others
    @property
    def open(self) -> int: ...  # noqa: D102
    @property
    def full(self) -> bool: ...  # noqa: D102
    def add(self, settled: Sequence[Settled]) -> None: ...  # noqa: D102
    def waits(self) -> list[Any]: ...  # noqa: D102
    def ready(self, references: Collection[Any], *, everything: bool) -> list[Ended]: ...  # noqa: D102


@dataclass(frozen=True)
class DriveLimits:
    """How long and how often."""

    rounds: int
    """Times an entry is read whose rows were lost."""
    stall_s: float
    """Longest time without any news."""
    drain_s: float
    """Time a stopped run has to finish the rows in flight."""
    cells: int
    """Most cells that are asked for."""
    hint: str
    """What to do about a run that has stalled."""
    start_after_s: float = 0.0
    """Time the source has to show that no cell is needed, before cells are asked for. The first row that needs one asks at once."""


class Observer:
    """What is told of a run's progress; does nothing with it. All calls come from the driver's thread."""

    def planned(self, entry: Entry, plan: VideoPlan) -> None:
        """A video that is read in this process is about to be analysed."""

    def submitted(self) -> None:
        """A row of work was given to the cells."""

    def answered(self, index: Index) -> None:
        """A row of work has come back."""

    def ended(self, entry: Entry, tables: Mapping[str, pa.Table] | None) -> None:
        """An entry was committed or dead-lettered; `tables` are the rows it left, where this process has them."""

    def again(self, entry_ids: Collection[str]) -> None:
        """These entries have lost rows and are read again from the start."""

    def tick(self, state: DriveState) -> None:
        """The state of the run, four times a second or oftener."""

"""How far a run is, as the driver's loop knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.engine.cell.messages import Activity
    from rumiai_ray.engine.work.counts import Tally


@dataclass(frozen=True)
class DriveState:
    """How far a run is."""

    done: int
    """Entries that are in the run, of those that were given to it."""
    total: int
    tally: Tally
    cells: int = 0
    """Cells that have started."""
    cells_wanted: int = 0
    rows: int = 0
    """Rows of work in the cells."""
    writing: int = 0
    """Entries that wait to be written."""
    quiet_s: float = 0.0
    """Since there was any news."""
    activity: Sequence[Activity] = ()
    """What the cells have said last of their models."""
    reading: bool = False
    """More rows of work are to come from the source, or wait for a cell."""
    last: bool = False
    """The run is done."""

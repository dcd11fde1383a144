"""Where the cells of a pool come from; here those that a run starts itself, in placement groups of its own."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from ray.util.placement_group import remove_placement_group

from rumiai_ray.engine.cell.cell import Cell, CellSpec, ask, start
from rumiai_ray.errors import TransientError

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup

_LOG = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Between two looks whether a further cell has found room; each asks Ray's head."""
_URGENT_LOOK_S = 0.02
"""The same for each request while there is no cell at all."""

RESUME_HINT = "`rumiai-ray runs resume` goes on"


class CellSupply(Protocol):
    """Gives a pool its cells. No method but `ask` waits for room."""

    @property
    def asked(self) -> int:
        """Cells that were asked for and have not come."""

    def ask(self) -> None:
        """Ask for one more cell.

        Raises:
            RumiaiError: no further cell can be had.
        """

    def arrived(self, *, urgent: bool) -> list[Cell]:
        """The cells that have come since the last call.

        Args:
            urgent: the pool has no cell at all.

        Raises:
            TransientError: there has been no room for a single cell for too long, or the cell was taken away.
        """

    def withdraw(self) -> None:
        """Take back one request that has not been met."""

    def end(self, cell: Cell) -> None:
        """Take a cell back: the pool has no work for it, or the cell is broken."""


class OwnCells:
    """A `CellSupply` of cells that this run starts as room is found for them.

    Args:
        spec: what each is made of.
        place_timeout_s: longest time without a single cell.
        hint: how the run can go on once there is room.
    """

    def __init__(self, spec: CellSpec, place_timeout_s: float, hint: str = RESUME_HINT) -> None:
        self._spec = spec
        self._place_timeout_s = place_timeout_s
        self._hint = hint
        self._groups: list[PlacementGroup] = []
        self._living = 0
        self._alone_since_s = time.monotonic()
        self._looked_s = 0.0

    @property
    def asked(self) -> int:
        """Cells that were asked for and have found no room yet."""
        return len(self._groups)

    def ask(self) -> None:
        """Ask Ray for the resources of one more cell. Until it has them, the request is what an autoscaler sees."""
        if not self._living and not self._groups:
            self._alone_since_s = time.monotonic()
        self._groups.append(ask(self._spec))

    def arrived(self, *, urgent: bool) -> list[Cell]:
        """Start cells where room has been found; their models go on loading.

        Raises:
            TransientError: no node has had room for a single cell for `place_timeout_s`.
        """
        now = time.monotonic()
        # Each request costs a question to Ray's head, so that many are looked at more seldom.
        pause_s = min(_LOOK_S, _URGENT_LOOK_S * len(self._groups)) if urgent else _LOOK_S
        if not self._groups or now - self._looked_s < pause_s:
            return []
        self._looked_s = now
        cells: list[Cell] = []
        try:
            for group in [group for group in self._groups if group.wait(0)]:
                self._groups.remove(group)
                cells.append(start(self._spec, group))
        except BaseException:  # the pool has never heard of those that have started
            for cell in cells:
                cell.close()
            raise
        self._living += len(cells)
        if self._living:
            self._alone_since_s = time.monotonic()
        elif now - self._alone_since_s > self._place_timeout_s:
            wanted = f"no node has {self._spec.shape.bundle} free, not within {self._place_timeout_s:g} s"
            raise TransientError(wanted, "cells", f"add nodes, stop other work or run fewer models; {self._hint}")
        return cells

    def withdraw(self) -> None:
        """Take back the last request."""
        remove_placement_group(self._groups.pop())

    def end(self, cell: Cell) -> None:
        """Kill the cell's actors and give its resources back."""
        self._living -= 1
        cell.close()

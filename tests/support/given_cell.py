"""A cell that a test has started, for an engine that would start one or borrow one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.errors import ModelError

if TYPE_CHECKING:
    from rumiai_ray.engine.cell.cell import Cell


class GivenCell:
    """A `CellSupply` of one cell that is there already. It is its owner's, who ends it; no other can be had.

    Args:
        cell: the cell.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._given = False
        self.asked = 0
        """One from the request to the next look."""

    def ask(self) -> None:
        """Ask for the cell.

        Raises:
            ModelError: it was handed out before and has been lost.
        """
        if self._given:
            raise ModelError("is lost, and no other cell can be had", "the cell that was given to the run", "start another one")
        self.asked = 1

    def arrived(self, *, urgent: bool) -> list[Cell]:
        """The cell, once."""
        del urgent
        cells = [self._cell] * self.asked
        self._given, self.asked = self._given or bool(cells), 0
        return cells

    def moved(self) -> list[Cell]:
        """None: a test has one node."""
        return []

    def withdraw(self) -> None:
        """Take the request back."""
        self.asked = 0

    def end(self, cell: Cell) -> None:
        """Nothing: it is not ours to end."""

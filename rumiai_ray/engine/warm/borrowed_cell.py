"""The one cell of a pool that works on a warm server's cell: lent for a command's turn, replaced through the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.errors import TransientError

if TYPE_CHECKING:
    from rumiai_ray.engine.cell.cell import Cell
    from rumiai_ray.engine.warm.client import Lease


class BorrowedCell:
    """A `CellSupply` of one cell at a time.

    Args:
        lease: the command's turn with the cell.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._new: Cell | None = lease.cell
        self._used = False
        self.asked = 0
        """One while a cell is waited for."""

    def ask(self) -> None:
        """Ask for the cell; after the first time, for one that replaces the broken one."""
        if self._used:
            self._lease.replace()
        self._used = True
        self.asked = 1

    def arrived(self, *, urgent: bool) -> list[Cell]:
        """The cell, once it is there.

        Raises:
            TransientError: the server has given the cell to somebody else, or has ended.
            RumiaiError: the server cannot start another one.
        """
        del urgent
        if self._lease.lost_because:
            raise TransientError(self._lease.lost_because, "the warm cell", "run the command again")
        if not self.asked:
            return []
        cell, self._new = self._new or self._lease.poll(), None
        if cell is None:
            return []
        self.asked = 0
        return [cell]

    def withdraw(self) -> None:
        """Wait for it no longer."""
        self.asked = 0

    def end(self, cell: Cell) -> None:
        """Nothing: the server ends it, when another one is asked for in its place or when nobody has used it for long."""

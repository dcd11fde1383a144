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
        self._given = False
        """The pool has had the newest cell. That it asks again says that the cell is broken."""
        self.asked = 0
        """One while a cell is waited for."""

    def ask(self) -> None:
        """Ask for the cell, or, where the pool has had it, for one that replaces it. A request that was withdrawn is simply made again."""
        if self._given:
            self._lease.replace()
        self._given = False
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
        self.asked, self._given = 0, True
        return [cell]

    def moved(self) -> list[Cell]:
        """None: whether the cell is still where it was started is for the server to know."""
        return []

    def withdraw(self) -> None:
        """Wait for it no longer."""
        self.asked = 0

    def end(self, cell: Cell) -> None:
        """Nothing: the server ends it, when another one is asked for in its place or when nobody has used it for long."""

"""The cells of a batch run: started together, each with a dispatcher, replaced when one dies for good."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rumiai_ray.engine.cell import Cell, CellSpec, start
from rumiai_ray.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.engine.dispatch import Dispatcher, Done, Row

_REPLACEMENTS = 5
"""Cells replaced in a run before it is given up: more than that is no accident."""


class Pool:
    """Where rows of work go in and answers come out, whichever cell they came from.

    Args:
        count: cells.
        spec: what each is made of.
        dispatch: makes a dispatcher for a cell.
    """

    def __init__(self, count: int, spec: CellSpec, dispatch: Callable[[Cell], Dispatcher]) -> None:
        self._spec = spec
        self._dispatch = dispatch
        self._replaced = 0
        self._members: list[tuple[Cell, Dispatcher]] = []
        for _ in range(count):
            self._start()

    @property
    def cells(self) -> list[Cell]:
        """The living cells."""
        return [cell for cell, _ in self._members]

    @property
    def open(self) -> int:
        """Rows taken and not yet given back."""
        return sum(dispatcher.open for _, dispatcher in self._members)

    @property
    def wants_more(self) -> bool:
        """Whether some cell would begin another row at once."""
        return any(dispatcher.wants_more for _, dispatcher in self._members)

    def submit(self, row: Row) -> None:
        """Give a row to the cell that has least to do."""
        min(self._members, key=lambda member: member[1].open)[1].submit(row)

    def collect(self, timeout_s: float) -> Iterator[Done]:
        """What has come back; waits up to `timeout_s` in all.

        Raises:
            ModelError: cells have died too often.
        """
        for cell, dispatcher in list(self._members):
            try:
                yield from dispatcher.collect(timeout_s / len(self._members))
            except ModelError as error:
                self._replace(cell, dispatcher, error)
                yield from dispatcher.finished()

    def close(self) -> None:
        """Stop all cells."""
        for cell, _ in self._members:
            cell.close()
        self._members.clear()

    def _start(self) -> None:
        cell = start(self._spec)
        self._members.append((cell, self._dispatch(cell)))

    def _replace(self, cell: Cell, dispatcher: Dispatcher, error: ModelError) -> None:
        self._replaced += 1
        if self._replaced > _REPLACEMENTS:
            raise error
        self._members.remove((cell, dispatcher))
        with contextlib.suppress(ValueError):  # an actor that was never created cannot be killed
            cell.close()
        self._start()
        for row in dispatcher.rows():
            self.submit(row)

"""Where the cells of a pool come from; here those that a run starts itself, in placement groups of its own."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from ray.exceptions import RayError
from ray.util.placement_group import remove_placement_group

from rumiai_ray.engine.cell.cell import Cell, CellSpec, ask, node_of, start
from rumiai_ray.errors import TransientError
from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup

    from rumiai_ray.engine.cell.placement import Placement

_LOG = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Between two looks whether a further cell has found room, and which nodes there are; each asks Ray's head."""
_NEWS_S = 30.0
"""Cells that have waited this long are spoken of, and again when what is known of them has changed."""
_URGENT_LOOK_S = 0.02
"""The same for each request while there is no cell at all."""

RESUME_HINT = "`rumiai-ray runs resume` continues the run"


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

    def moved(self) -> list[Cell]:
        """Cells that are not where they were started, and must be ended: their node is gone, and Ray has moved them to another one."""

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
        placement: keeps CPUs of the nodes for reading; None where nothing else than cells runs on them.
    """

    def __init__(self, spec: CellSpec, place_timeout_s: float, hint: str = RESUME_HINT, placement: Placement | None = None) -> None:
        self._spec = spec
        self._place_timeout_s = place_timeout_s
        self._hint = hint
        self._placement = placement
        self._barred: frozenset[str] = frozenset()
        """Nodes that the requests are not to be met by."""
        self._groups: list[PlacementGroup] = []
        self._cells: list[Cell] = []
        """The living ones."""
        self._alone_since_s = time.monotonic()
        self._looked_s = 0.0
        self._nodes_looked_s = 0.0
        self._watched_s = 0.0
        self._spoken_s = 0.0
        self._spoken = ""

    @property
    def asked(self) -> int:
        """Cells that were asked for and have found no room yet."""
        return len(self._groups)

    def ask(self) -> None:
        """Ask Ray for the resources of one more cell. Until it has them, the request is what an autoscaler sees."""
        if not self._cells and not self._groups:
            self._alone_since_s = time.monotonic()
        if not self._groups:
            self._spoken_s = time.monotonic()
        self._groups.append(ask(self._spec, self._barred))

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
            for group in self._placed():
                self._groups.remove(group)
                cells.append(start(self._spec, group))
        except BaseException:  # the pool has never heard of those that have started
            for cell in cells:
                self._close(cell)
            raise
        self._cells += cells
        if self._cells:
            self._alone_since_s = time.monotonic()
        elif now - self._alone_since_s > self._place_timeout_s:
            wanted = f"no node had {self._spec.shape.bundle} free within {self._place_timeout_s:g} s{self._why()}"
            raise TransientError(wanted, "cells", f"add nodes, stop other work or run fewer models; {self._hint}")
        if cells:
            self._spoken_s = now
        elif now - self._spoken_s > _NEWS_S:
            self._spoken_s = now
            self._speak()
        return cells

    def _speak(self) -> None:
        """Say that cells wait and why, unless that was the last thing said."""
        count = len(self._groups)
        goes_on = f"the run goes on with {len(self._cells)}" if self._cells else "none is running"
        each = ", ".join(f"{amount:g} {name}" for name, amount in self._spec.shape.bundle.items())
        said = f"{count} of {count + len(self._cells)} cells wait for {each} each, {goes_on}{self._why()}"
        if said != self._spoken:
            self._spoken = said
            _LOG.warning("%s", said)

    def _why(self) -> str:
        if self._placement is None:
            return ""
        with swallowed(_LOG, "asking why cells wait", Exception):  # a batch must not end because a reason cannot be had
            return "".join(f"; {reason}" for reason in self._placement.reasons())
        return ""

    def moved(self) -> list[Cell]:
        """Cells that Ray has moved, looked for once a second: where they are now they may take the last CPUs."""
        now = time.monotonic()
        if self._placement is None or not self._cells or now - self._watched_s < _LOOK_S:
            return []
        self._watched_s = now
        with swallowed(_LOG, "looking whether Ray has moved cells", RayError):  # the next look asks again
            self._placement.look()
            groups = self._placement.homeless
            return [cell for cell in self._cells if cell.group.id.hex() in groups and self._is_elsewhere(cell, self._placement)]
        return []

    @staticmethod
    def _is_elsewhere(cell: Cell, placement: Placement) -> bool:
        node = node_of(cell.group)
        return node is not None and node != placement.noted(cell.group.id.hex())

    def withdraw(self) -> None:
        """Take back the last request."""
        remove_placement_group(self._groups.pop())

    def end(self, cell: Cell) -> None:
        """Kill the cell's actors and give its resources back."""
        self._cells = [one for one in self._cells if one is not cell]
        self._close(cell)

    def _close(self, cell: Cell) -> None:
        cell.close()
        if self._placement is not None:
            self._placement.leave(cell.group.id.hex())
            if self._placement.full != self._barred:
                self._bar(self._placement.full, list(self._groups))

    def _placed(self) -> list[PlacementGroup]:
        """The requests that have been met on nodes where a cell may stay. Those that a cell may not stay on are barred from now on."""
        found = [(group, node) for group in self._groups if (node := node_of(group)) is not None]
        if self._placement is None or not (found or self._look_is_due):
            return [group for group, _ in found]
        self._placement.look()
        self._nodes_looked_s = time.monotonic()
        placed = [group for group, node in found if self._placement.take(group.id.hex(), node)]
        if self._placement.full != self._barred or len(placed) < len(found):
            self._bar(self._placement.full, [group for group in self._groups if group not in placed])
        return placed

    @property
    def _look_is_due(self) -> bool:
        """Whether nodes may have come or gone unseen: one that holds no cell meets no request, but may read for a node that is barred."""
        return bool(self._barred) and time.monotonic() - self._nodes_looked_s >= _LOOK_S

    def _bar(self, nodes: frozenset[str], groups: list[PlacementGroup]) -> None:
        """Take requests back and ask for as many cells on other nodes. All first: a request takes the place of one that is taken back."""
        self._barred = nodes
        for group in groups:
            self._groups.remove(group)
            remove_placement_group(group)
        for _ in groups:
            self._groups.append(ask(self._spec, self._barred))
        _LOG.info("%d cells are asked for again, %d nodes keep their last CPUs for reading", len(groups), len(self._barred))

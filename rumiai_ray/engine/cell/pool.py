"""The cells of a batch run: asked for together, used as they come up, replaced when one breaks for good."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ray.util.placement_group import remove_placement_group

from rumiai_ray.engine.cell.cell import Cell, CellSpec, ask, start
from rumiai_ray.errors import ModelError, TransientError
from rumiai_ray.tracebacks import keep_traceback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ray.util.placement_group import PlacementGroup

    from rumiai_ray.engine.cell.dispatcher import Dispatcher, Done, Row
    from rumiai_ray.engine.cell.messages import Failure, Index

_LOG = logging.getLogger(__name__)

_DEATHS = 5
"""Cells that may die without an answer from any cell in between: more than that is no accident."""
_GIVEN_UP = 3
"""Cells that may lose the same model for good, in a run."""


_LOOK_S = 1.0
"""Between two looks whether a further cell has found room; each asks Ray's head."""


@dataclass
class _Member:
    cell: Cell
    dispatcher: Dispatcher


class Pool:
    """Where rows of work go in and answers come out, whichever cell they came from.

    Args:
        spec: what each is made of.
        dispatch: makes a dispatcher for a cell.
        attempts: cells a row is tried on where its cell has lost a model for good.
        place_timeout_s: longest time without a single cell.
        lost_model: told of an answer that is not handed out, since its cell has lost a model: the row is tried on another cell.
    """

    def __init__(
        self,
        spec: CellSpec,
        dispatch: Callable[[Cell], Dispatcher],
        attempts: int,
        place_timeout_s: float,
        lost_model: Callable[[Index], object] = lambda _: None,
    ) -> None:
        self._spec = spec
        self._dispatch = dispatch
        self._attempts = attempts
        self._place_timeout_s = place_timeout_s
        self._lost_model = lost_model
        self._members: list[_Member] = []
        self._homeless: deque[Row] = deque()
        self._deaths = 0
        self._given_up = Counter[str]()
        self._alone_since_s = time.monotonic()
        self._looked_s = 0.0
        self._last_news_s = time.monotonic()
        self._asked: list[PlacementGroup] = []

    @property
    def cells(self) -> list[Cell]:
        """The living cells."""
        return [member.cell for member in self._members]

    @property
    def wanted(self) -> int:
        """The living cells and those that are asked for."""
        return len(self._members) + len(self._asked)

    @property
    def open(self) -> int:
        """Rows taken and not yet given back."""
        return len(self._homeless) + sum(member.dispatcher.open for member in self._members)

    @property
    def wants_more(self) -> bool:
        """Whether some cell would begin another row at once."""
        return not self._homeless and any(member.dispatcher.wants_more for member in self._members)

    @property
    def last_news_s(self) -> float:
        """`time.monotonic()` when something last happened to a cell: it came up, answered, or was ended."""
        return max([self._last_news_s, *(member.dispatcher.last_news_s for member in self._members)])

    def want(self, count: int) -> None:
        """Ask for cells until there are `count`, those included that wait for room; the work begins with the first that has found it.

        They are asked for at once: what waits is what an autoscaler sees.
        """
        if not self._members and not self._asked:
            self._alone_since_s = time.monotonic()
        self._asked += [ask(self._spec) for _ in range(count - len(self._members) - len(self._asked))]

    def release(self) -> None:
        """Give back the cells that have nothing to do, and those that are still waited for: no more work is coming."""
        while self._asked and (self._members or not self._homeless):
            remove_placement_group(self._asked.pop())
        for member in [member for member in self._members if not member.dispatcher.open]:
            if not self._homeless:
                self._members.remove(member)
                member.cell.close()

    def submit(self, row: Row) -> None:
        """Give a row to the cell that has least to do."""
        if self._members:
            min(self._members, key=lambda member: member.dispatcher.open).dispatcher.submit(row)
        else:
            self._homeless.append(row)
            self.want(1)

    def collect(self, timeout_s: float) -> Iterator[Done]:
        """What has come back; waits up to `timeout_s` in all.

        Raises:
            TransientError: there has been no room for a single cell for too long.
            ModelError: cells die too often, or cannot keep a model.
        """
        self._place(timeout_s)
        members = list(self._members)
        for member in members:
            try:
                came = member.dispatcher.collect(timeout_s / len(members))
            except ModelError as error:
                came = member.dispatcher.finished()
                self._deaths += 1
                _LOG.warning("a cell is replaced, number %d without an answer in between: %s", self._deaths, error)
                self._replace(member, None if self._deaths <= _DEATHS else error)
            yield from self._kept(member, came)

    def close(self) -> None:
        """Stop all cells."""
        for member in self._members:
            member.cell.close()
        for group in self._asked:
            remove_placement_group(group)
        self._members.clear()
        self._asked.clear()

    def _place(self, timeout_s: float) -> None:
        """Start cells where room has been found. With no cell at all it waits for one."""
        now = time.monotonic()
        if not self._asked or (self._members and now - self._looked_s < _LOOK_S):
            return
        self._looked_s = now
        for number, group in enumerate(list(self._asked)):
            if group.wait(0 if self._members or number else timeout_s):
                self._asked.remove(group)
                cell = start(self._spec, group)
                self._members.append(_Member(cell, self._dispatch(cell)))
                _LOG.info("cell %s has started, %d of %d are there", group.id.hex()[:12], len(self._members), self.wanted)
                self._last_news_s = time.monotonic()
        if self._members:
            self._alone_since_s = time.monotonic()
            homeless, self._homeless = self._homeless, deque()
            for row in homeless:
                self.submit(row)
        elif self._asked and time.monotonic() - self._alone_since_s > self._place_timeout_s:
            wanted = f"no node has {self._spec.shape.bundle} free, not within {self._place_timeout_s:g} s"
            raise TransientError(wanted, "cells", "add nodes, stop other work or run fewer models; `rumiai-ray runs resume` goes on")

    def _kept(self, member: _Member, came: list[Done]) -> Iterator[Done]:
        """What came back, but for rows whose cell has lost a model: they are tried on another cell, the cell is replaced."""
        for done in came:
            lost = _lost_model(done)
            if lost is None:
                self._deaths = 0
                yield done
                continue
            if member in self._members:
                name, failure = lost
                self._given_up[name] += 1
                too_often = ModelError(f"{failure.error_class}: {failure.message}", name, f"{_GIVEN_UP} cells lost it; see Ray's logs")
                keep_traceback(too_often, failure.traceback)
                if done.index is not None:
                    self._lost_model(done.index)
                self._replace(member, too_often if self._given_up[name] >= _GIVEN_UP else None)
            done.row.attempts += 1
            if done.row.attempts < self._attempts:
                self.submit(done.row)
            else:
                yield done

    def _replace(self, member: _Member, fatal: ModelError | None) -> None:
        if fatal is not None:
            raise fatal
        self._members.remove(member)
        member.cell.close()
        self._asked.append(ask(self._spec))
        self._last_news_s = time.monotonic()
        for row in member.dispatcher.rows():
            self.submit(row)


def _lost_model(done: Done) -> tuple[str, Failure] | None:
    """(model, why) where the cell has given a model up for good, so that it fails whatever it is asked."""
    outcomes = done.index.outcomes if done.index else {}
    return next(((name, outcome.failure) for name, outcome in outcomes.items() if outcome.failure and outcome.failure.given_up), None)

"""The cells of a run: asked for together, used as they come up, replaced when one breaks for good."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rumiai_ray.engine.cell.dispatcher import arrived
from rumiai_ray.engine.work.ray_logs import SEE_RAYS_LOGS
from rumiai_ray.errors import ModelError
from rumiai_ray.shown import counted
from rumiai_ray.tracebacks import keep_traceback

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from rumiai_ray.engine.cell.cell import Cell
    from rumiai_ray.engine.cell.dispatcher import Dispatcher, Done, WorkRow
    from rumiai_ray.engine.cell.messages import Activity, Failure, Index
    from rumiai_ray.engine.cell.supply import CellSupply

_LOG = logging.getLogger(__name__)

_DEATHS = 5
"""Cells that may die without an answer from any cell in between: more than that is no accident."""


@dataclass(frozen=True)
class LostModels:
    """What becomes of a run whose cells cannot keep a model."""

    cells: int = 3
    """Cells that may lose the same model for good."""
    fatal: bool = True
    """Whether the last of them ends the run; otherwise the model's rows say `failed` from then on, and the other models go on."""


@dataclass
class _Member:
    cell: Cell
    dispatcher: Dispatcher


class CellPool:
    """Where rows of work go in and answers come out, whichever cell they came from.

    Args:
        supply: where cells come from.
        dispatch: makes a dispatcher for a cell.
        attempts: cells a row is tried on where its cell has lost a model for good.
        lost_model: told of an answer that is not handed out, since its cell has lost a model: the row is tried on another cell.
        policy: what becomes of a run whose cells lose the same model again and again.
        keeps: cells without work are kept until `close`.
    """

    def __init__(
        self,
        supply: CellSupply,
        dispatch: Callable[[Cell], Dispatcher],
        attempts: int,
        *,
        lost_model: Callable[[Index], object] = lambda _: None,
        policy: LostModels = LostModels(),
        keeps: bool = False,
    ) -> None:
        self._supply = supply
        self._dispatch = dispatch
        self._attempts = attempts
        self._lost_model = lost_model
        self._policy = policy
        self._keeps = keeps
        self._members: list[_Member] = []
        self._homeless: deque[WorkRow] = deque()
        self._deaths = 0
        self._given_up = Counter[str]()
        self._last_news_s = time.monotonic()

    @property
    def cells(self) -> list[Cell]:
        """The living cells."""
        return [member.cell for member in self._members]

    @property
    def activity(self) -> list[Activity]:
        """What the fronts of the living cells have said last of their models; nothing of a cell that has said nothing yet."""
        return [said for member in self._members if (said := member.dispatcher.activity) is not None]

    @property
    def wanted(self) -> int:
        """The living cells and those that are asked for."""
        return len(self._members) + self._supply.asked

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
        while self.wanted < count:
            self._supply.ask()

    def release(self) -> None:
        """Give back the cells that have nothing to do, and those that are still waited for: no more work is coming."""
        while self._supply.asked and (self._members or not self._homeless):
            self._supply.withdraw()
        for member in [member for member in self._members if not member.dispatcher.open and not self._keeps]:
            if not self._homeless:
                self._members.remove(member)
                self._supply.end(member.cell)

    def submit(self, row: WorkRow) -> None:
        """Give a row to the cell that has least to do."""
        if self._members:
            min(self._members, key=lambda member: member.dispatcher.open).dispatcher.submit(row)
        else:
            self._homeless.append(row)
            self.want(1)

    def waits(self) -> list[Any]:
        """References whose arrival is news, of all cells."""
        return [reference for member in self._members for reference in member.dispatcher.waits()]

    def ready(self, references: Collection[Any]) -> Iterator[Done]:
        """What has come back. Waits for nothing; to be exhausted, and now and then although nothing is ready.

        Args:
            references: those of `waits` that are ready; others are ignored.

        Raises:
            TransientError: there has been no room for a single cell for too long, or the cell was taken away.
            ModelError: cells die too often, or cannot keep a model.
        """
        self._place()
        yield from self._leave_moved()
        for member in list(self._members):
            try:
                came = member.dispatcher.ready(references)
            except ModelError as error:
                yield from self._kept(member, member.dispatcher.finished())  # first: that no other cell can be had may end the run
                self._deaths += 1
                if self._deaths > _DEATHS:
                    raise
                if member in self._members:
                    _LOG.warning("a cell is replaced, number %d without an answer in between: %s", self._deaths, error)
                    self._replace(member)
            else:
                yield from self._kept(member, came)

    def collect(self, timeout_s: float) -> Iterator[Done]:
        """`ready`, for a caller that waits for nothing else: up to `timeout_s` for the first answer, or for the first cell.

        Raises:
            TransientError: as `ready`.
            ModelError: likewise.
        """
        references = self.waits()
        if not references and timeout_s > 0:
            time.sleep(timeout_s)
        yield from self.ready(arrived(references, timeout_s))

    def close(self) -> None:
        """Give back all cells."""
        while self._supply.asked:
            self._supply.withdraw()
        for member in self._members:
            self._supply.end(member.cell)
        self._members.clear()

    def _place(self) -> None:
        """Use the cells that have come."""
        for cell in self._supply.arrived(urgent=not self._members):
            self._members.append(_Member(cell, self._dispatch(cell)))
            _LOG.info("a cell has started, %d of %d are running", len(self._members), self.wanted)
            self._last_news_s = time.monotonic()
        if self._members:
            homeless, self._homeless = self._homeless, deque()
            for row in homeless:
                self.submit(row)

    def _leave_moved(self) -> Iterator[Done]:
        """Replace the cells that Ray has moved to other nodes; what they have answered is kept."""
        moved = self._supply.moved()
        for member in [member for member in self._members if any(member.cell is cell for cell in moved)]:
            yield from self._kept(member, member.dispatcher.finished())
            if member in self._members:
                _LOG.warning("a cell is replaced: its node is gone, and Ray has moved it to another one")
                self._replace(member)

    def _kept(self, member: _Member, came: list[Done]) -> Iterator[Done]:
        """What came back, but for rows whose cell has lost a model: they are tried on another cell, the cell is replaced."""
        for done in came:
            lost = _lost_models(done)
            if done.index is not None:
                self._deaths = 0
            if not lost:
                yield done
                continue
            if member in self._members:
                self._given_up.update(lost.keys())
                for name in lost:
                    if self._policy.fatal and self._given_up[name] >= self._policy.cells:
                        raise self._too_often(done, name, lost[name])
                if all(self._given_up[name] >= self._policy.cells for name in lost):
                    yield done
                    continue
                self._replace(member)
            done.row.attempts += 1
            if done.row.attempts < self._attempts:
                self._tell(done)
                self.submit(done.row)
            else:
                yield done

    def _too_often(self, done: Done, name: str, failure: Failure) -> ModelError:
        self._tell(done)
        error = ModelError(
            f"{failure.error_class}: {failure.message}", name, f"{counted(self._policy.cells, 'cell')} lost the model; {SEE_RAYS_LOGS}"
        )
        keep_traceback(error, failure.traceback)
        return error

    def _tell(self, done: Done) -> None:
        if done.index is not None:
            self._lost_model(done.index)

    def _replace(self, member: _Member) -> None:
        self._members.remove(member)
        self._supply.end(member.cell)
        self._supply.ask()
        self._last_news_s = time.monotonic()
        for row in member.dispatcher.rows():
            self.submit(row)


def _lost_models(done: Done) -> dict[str, Failure]:
    """The models that the cell has given up for good, so that they fail whatever they are asked, and why."""
    outcomes = done.index.outcomes if done.index else {}
    return {name: outcome.failure for name, outcome in outcomes.items() if outcome.failure and outcome.failure.given_up}

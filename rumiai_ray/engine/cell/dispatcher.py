"""The driver's side of a cell: keeps its front supplied with rows of work, a few in flight, each with a deadline.

A row whose front died is sent again, a bounded number of times; the unit is a row, so a kill costs the rows in flight and no more.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import ActorDiedError, RayActorError, RayError, RayTaskError

from rumiai_ray.engine.work.poll import Poll
from rumiai_ray.engine.work.ray_logs import SEE_RAYS_LOGS
from rumiai_ray.errors import ModelError, RumiaiError
from rumiai_ray.tracebacks import keep_traceback, traceback_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rumiai_ray.engine.cell.messages import Activity, Index

_LOG = logging.getLogger(__name__)

_POLL_S = 0.25
_FRONT_RESTART_S = 60.0
"""A front imports cv2 and numpy only: 2 to 3 s on two busy cores (measured)."""


@dataclass
class WorkRow:
    """One row of work on its way."""

    block: Any
    """Reference to a block of `WORK_SCHEMA`."""
    row: int = 0
    attempts: int = 0
    sent: int = 0
    """Times it was sent to a front."""
    suspect: bool = False
    """It was in flight with others when the front died: it travels alone until it is known what killed it."""


@dataclass(frozen=True)
class Done:
    """A row that came back: with its answer, or with the error that ended its last attempt."""

    row: WorkRow
    index: Index | None
    payload: Any
    """Reference to the rows; the driver need not fetch it."""
    error: Exception | None


class Dispatcher:
    """Rows in, answers out, in whatever order they come back.

    Args:
        front: handle of the cell's front.
        in_flight: most rows sent to the front and not yet answered.
        attempts: for a row that ends its front, or that the front cannot answer.
        patience_s: time without any answer after which the front itself is held to hang; its lanes end every call long before.
    """

    def __init__(self, front: Any, *, in_flight: int, attempts: int, patience_s: float) -> None:
        self._front = front
        self._in_flight = in_flight
        self._attempts = attempts
        self._patience_s = patience_s
        self._waiting: deque[WorkRow] = deque()
        self._sent: dict[Any, tuple[WorkRow, Any]] = {}
        self._done: list[Done] = []
        self._reviving: _Revival | None = None
        self.last_news_s = time.monotonic()
        """When the front last answered, died, came back, or was given work after it had none."""
        self.activity: Activity | None = None
        """What the front has said last of its models, a second ago or so; None until it has said anything."""
        self._poll: Poll[Activity] = Poll(front.activity.remote)

    @property
    def open(self) -> int:
        """Rows taken and not yet given back."""
        return len(self._waiting) + len(self._sent) + len(self._done)

    @property
    def wants_more(self) -> bool:
        """Whether another row would be in flight at once."""
        return len(self._waiting) + len(self._sent) < self._in_flight

    def rows(self) -> list[WorkRow]:
        """All rows taken and not yet given back, for another dispatcher to take over."""
        return [*(row for row, _ in self._sent.values()), *self._waiting]

    def submit(self, row: WorkRow) -> None:
        """Take a row; it is sent as soon as there is room."""
        self._waiting.append(row)
        self._send()

    def waits(self) -> list[Any]:
        """References whose arrival is news: every call in flight, and the restart of a front that died."""
        return [*self._sent, *(self._reviving.waits() if self._reviving is not None else ())]

    def ready(self, references: Collection[Any]) -> list[Done]:
        """What has come back. Waits for nothing; to be called now and then although nothing is ready, for the limits in time.

        Args:
            references: those of `waits` that are ready; others are ignored.

        Raises:
            ModelError: the front is gone for good. Nothing is lost: see `rows` and `finished`.
        """
        if self._reviving is not None and self._reviving.over(references):
            self._reviving = None
            self._news()
        for reference in [one for one in self._sent if one in references]:
            if reference in self._sent:  # a front that died has taken the others with it
                self._take(reference)
        self._end_overdue()
        self._send()
        self.activity = self._poll.news() or self.activity
        return self.finished()

    def collect(self, timeout_s: float = _POLL_S) -> list[Done]:
        """`ready`, for a caller with one cell: waits up to `timeout_s` for the first answer.

        Raises:
            ModelError: as `ready`.
        """
        return self.ready(arrived(self.waits(), timeout_s))

    def finished(self) -> list[Done]:
        """What has come back and was not collected yet; asks nobody."""
        done, self._done = self._done, []
        return done

    def _send(self) -> None:
        if self._reviving is not None:
            return
        # One at a time while there are suspects, so that innocents are not charged for what another row did to the front.
        suspects = any(row.suspect for row in self._waiting) or any(row.suspect for row, _ in self._sent.values())
        while self._waiting and len(self._sent) < (1 if suspects else self._in_flight):
            if not self._sent:
                self._news()
            row = self._waiting.popleft()
            row.sent += 1
            index, payload = self._front.analyze.options(num_returns=2).remote(row.block, row.row)
            self._sent[index] = (row, payload)

    def _take(self, reference: Any) -> None:
        self._news()
        row, payload = self._sent.pop(reference)
        try:
            index: Index = ray.get(reference)
        except RayTaskError as error:
            row.attempts += 1
            cause = error.cause if isinstance(error.cause, Exception) else error
            keep_traceback(cause, traceback_of(error))
            self._again(row, cause)
        except RayActorError as error:
            _LOG.info("a front died with %d rows in flight: %s", len(self._sent) + 1, error)
            self._suspect([row, *(other for other, _ in self._sent.values())])
            self._reviving = _Revival(self._front)
        except RayError as error:
            row.attempts += 1
            self._again(row, error)
        else:
            self._done.append(Done(row, index, payload, None))

    def _suspect(self, rows: list[WorkRow]) -> None:
        """The front died: everything that was in flight is lost with it. Only a row that was alone is charged."""
        self._sent.clear()
        if len(rows) == 1:
            rows[0].attempts += 1
        for row in reversed(rows):
            row.suspect = True
            self._again(row, ModelError("the cell's front process died while it worked on this row", "cell", SEE_RAYS_LOGS))

    def _again(self, row: WorkRow, error: Exception) -> None:
        _LOG.debug("row %d of %s failed, attempt %d: %s: %s", row.row, row.block, row.attempts, type(error).__name__, error)
        if row.attempts < self._attempts:
            self._waiting.appendleft(row)
            return
        if isinstance(error, RumiaiError):
            error.attempts = row.attempts
        self._done.append(Done(row, None, None, error))

    def _end_overdue(self) -> None:
        """Kill a front that has been silent for too long: its own limits have failed to end a call."""
        if self._sent and time.monotonic() - self.last_news_s > self._patience_s:
            _LOG.warning("a front has not answered for %g s and is restarted", self._patience_s)
            ray.kill(self._front, no_restart=False)
            self._news()

    def _news(self) -> None:
        self.last_news_s = time.monotonic()


class _Revival:
    """A front that died and is being restarted by Ray."""

    def __init__(self, front: Any) -> None:
        self._front = front
        self._deadline_s = time.monotonic() + _FRONT_RESTART_S
        self._asked_s = 0.0
        self._ready = front.ready.remote()

    def waits(self) -> list[Any]:
        """The reference to wait for; none while the front has only just said that it is not back yet."""
        return [self._ready] if time.monotonic() >= self._asked_s else []

    def over(self, references: Collection[Any]) -> bool:
        """Whether the front is back.

        Raises:
            ModelError: it will not come back, or takes too long.
        """
        error: Exception | None = None
        if self._ready in references:
            try:
                ray.get(self._ready)
            except RayActorError as caught:
                _LOG.debug("the front is not back yet: %s", caught)
                error = caught
            else:
                return True
            self._ready = self._front.ready.remote()
            self._asked_s = time.monotonic() + _POLL_S  # the name may answer before the process is there
        # A dead actor is final, e.g. one whose constructor raised; the rest is a restart under way.
        if isinstance(error, ActorDiedError) or time.monotonic() > self._deadline_s:
            raise ModelError(f"the cell's front process did not restart: {error or 'no answer'}", "cell", SEE_RAYS_LOGS) from error
        return False


def arrived(references: Sequence[Any], timeout_s: float) -> set[Any]:
    """Those of `references` that are ready: all of them, after a wait of up to `timeout_s` for the first."""
    if not references:
        return set()
    first, others = ray.wait(list(references), timeout=timeout_s)
    more, _ = ray.wait(others, num_returns=len(others), timeout=0) if first and others else ((), ())
    return {*first, *more}

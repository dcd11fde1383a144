"""The Ray actor that keeps a cell warm between commands, and lets one command at a time use it.

It owns the cell: whatever ends the keeper ends the cell. A command that waits or works comes back every few seconds to say so; one that
does not is taken for dead, since a killed command gives nothing back. A cell that nobody has used for a while is closed; the keeper
stays, and starts it again for the next command.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ray
from ray.exceptions import GetTimeoutError, RayError

from rumiai_ray.engine import cell as cells
from rumiai_ray.errors import RumiaiError

if TYPE_CHECKING:
    from collections.abc import Mapping

FORGOTTEN_S = 20.0
"""After so long without a word a command is taken for dead. One that lives speaks every few seconds."""
_TICK_S = 0.5
_ANSWER_S = 5.0


@dataclass(frozen=True)
class Turn:
    """What a command is told that wants the cell."""

    cell: cells.Cell | None = None
    """The cell, where it is the command's turn and the cell is there."""
    behind: str = ""
    """Who has it now, where it is not the command's turn."""
    error: RumiaiError | None = None
    """Why there is no cell, where it could not be started."""


@dataclass(frozen=True)
class HeldModel:
    """One actor of a warm cell."""

    name: str
    backend: str
    device: str
    stand_in: bool
    state: str
    """`warm`, `loading`, `busy`, or why it is not to be had."""
    load_s: float | None
    """Time its imports and weights took; None while it is not known."""


@dataclass(frozen=True)
class Held:
    """What a keeper says of itself."""

    key: str
    """Fingerprint of code, packages, weights and configuration."""
    state: str
    """`warm`, `starting`, `expired` or `failed: …`."""
    models: tuple[HeldModel, ...]
    bundle: Mapping[str, float]
    """What the cell takes of its node."""
    node: str
    """Address of the node it is on; empty where there is no cell."""
    user: str
    """Who uses it now; empty for nobody."""
    waiting: int
    idle_s: float
    """Since it was used last."""
    expires_s: float
    """Idle time after which it is closed."""


class Keeper:
    """Holds at most one cell, from when it is first asked for until nobody has used it for `idle_s`.

    Args:
        key: fingerprint of what the cell is made of.
        parts: what that is the fingerprint of, as flat text, to say in what another differs.
        spec: the cell.
        idle_s: time without use after which the cell is closed.
        place_timeout_s: longest wait for room.
    """

    def __init__(self, key: str, parts: Mapping[str, str], spec: cells.CellSpec, idle_s: float, place_timeout_s: float) -> None:
        self._key = key
        self._parts = dict(parts)
        self._spec = spec
        self._idle_s = idle_s
        self._place_timeout_s = place_timeout_s
        self._lock = threading.RLock()
        self._cell: cells.Cell | None = None
        self._node = ""
        self._starting = False
        self._error: RumiaiError | None = None
        self._queue: dict[str, tuple[str, float]] = {}
        """Who wants the cell, in the order of coming: by ticket, name and when it last spoke. The first has it."""
        self._turn = ""
        """The ticket whose turn it was last."""
        self._used_s = time.monotonic()
        self._loaded: dict[str, float] = {}
        threading.Thread(target=self._watch, name="keeper", daemon=True).start()

    def parts(self) -> dict[str, str]:
        """What the cell is made of."""
        return self._parts

    def ask(self, ticket: str, who: str, *, start: bool = True) -> Turn:
        """Stand in the queue, or go on standing there; the cell, when it is this ticket's turn.

        Args:
            ticket: of this command, unique.
            who: what to call it when others wait for it.
            start: whether the cell is to be started where there is none; not by a command that is about to replace it.
        """
        with self._lock:
            self._queue[ticket] = (who, time.monotonic())
            self._forget()
            first = next(iter(self._queue))
            self._used_s = time.monotonic()
            if first != ticket:
                return Turn(behind=self._queue[first][0])
            if not start:
                return Turn(self._cell)
            if self._turn != ticket:
                self._turn = ticket
                self._drop_if_broken()
            if self._error is not None:
                error, self._error = self._error, None
                return Turn(error=error)
            if self._cell is None and not self._starting:
                self._starting = True
                threading.Thread(target=self._start, name="cell", daemon=True).start()
            return Turn(self._cell)

    def here(self, ticket: str) -> None:
        """A word of a command that stands in the queue or has the cell; of one that has left it changes nothing."""
        with self._lock:
            if ticket in self._queue:
                self._queue[ticket] = (self._queue[ticket][0], time.monotonic())

    def leave(self, ticket: str) -> None:
        """Give the cell back, or stop waiting for it."""
        with self._lock:
            self._queue.pop(ticket, None)
            self._used_s = time.monotonic()

    def expire_after(self, idle_s: float) -> None:
        """Close the cell when nobody has used it for so long."""
        with self._lock:
            self._idle_s = idle_s

    def held(self) -> Held:
        """What there is, for people."""
        with self._lock:
            self._forget()
            cell, queue, error = self._cell, dict(self._queue), self._error
            state = "warm" if cell else "starting" if self._starting else f"failed: {error}" if error else "expired"
            idle_s = 0.0 if queue else time.monotonic() - self._used_s
        users = [who for who, _ in queue.values()]
        models = [] if cell is None else self._models(cell)
        if any(model.state == "loading" for model in models):
            state = "starting"
        return Held(
            key=self._key,
            state=state,
            models=tuple(models),
            bundle=self._spec.shape.bundle,
            node=self._node if cell else "",
            user=users[0] if users else "",
            waiting=max(len(users) - 1, 0),
            idle_s=idle_s,
            expires_s=self._idle_s,
        )

    def close(self) -> None:
        """Close the cell, whoever uses it."""
        with self._lock:
            self._close()

    def _forget(self) -> None:
        """Strike those from the queue who have not spoken for long."""
        limit = time.monotonic() - FORGOTTEN_S
        self._queue = {ticket: seen for ticket, seen in self._queue.items() if seen[1] > limit}

    def _start(self) -> None:
        cell = None
        try:
            cell = cells.start(self._spec, timeout_s=self._place_timeout_s)
            ray.get(cell.front.ready.remote())
            node = ray.get(cell.front.node.remote())
        except RumiaiError as error:
            with self._lock:
                self._error, self._starting = error, False
        except RayError as error:
            with self._lock:
                self._error, self._starting = RumiaiError(f"its front did not start: {error}", "the warm cell", "see Ray's logs"), False
            if cell is not None:
                cell.close()
        else:
            with self._lock:
                self._cell, self._node, self._starting = cell, node, False
                self._loaded.clear()
                self._used_s = time.monotonic()

    def _drop_if_broken(self) -> None:
        """Close a cell that has lost its front, or a model for good: the next command gets a fresh one."""
        if self._cell is None:
            return
        try:
            lost = ray.get(self._cell.front.lost.remote(), timeout=_ANSWER_S)
        except (RayError, GetTimeoutError):
            lost = ("front",)
        if lost:
            self._close()

    def _models(self, cell: cells.Cell) -> list[HeldModel]:
        models = []
        with contextlib.suppress(RayError, GetTimeoutError):
            gone = set(ray.get(cell.front.lost.remote(), timeout=_ANSWER_S))
            asked = {
                (plan.name, number): actor.ready.remote()
                for plan in self._spec.plans
                for number, actor in enumerate(cell.actors[plan.name])
            }
            done, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=_TICK_S)
            for plan in self._spec.plans:
                for number in range(len(cell.actors[plan.name])):
                    state = self._state(plan.name, f"{plan.name}-{number}", asked[plan.name, number], done, gone)
                    models.append(
                        HeldModel(plan.name, plan.backend, plan.device, plan.stand_in, state, self._loaded.get(f"{plan.name}-{number}"))
                    )
        return models

    def _state(self, model: str, actor: str, reference: object, done: list[object], gone: set[str]) -> str:
        if model in gone:
            return "lost"
        if reference not in done:
            return "busy" if actor in self._loaded else "loading"
        try:
            self._loaded[actor] = ray.get(reference).load_s  # type: ignore[call-overload]
        except RayError as error:
            cause = getattr(error, "cause", None) or error
            return f"failed: {cause}"
        return "warm"

    def _close(self) -> None:
        if self._cell is not None:
            with contextlib.suppress(ValueError):  # an actor that was never created cannot be killed
                self._cell.close()
            self._cell = None

    def _watch(self) -> None:
        while True:
            time.sleep(_TICK_S)
            with self._lock:
                self._forget()
                if self._queue:
                    self._used_s = time.monotonic()
                elif time.monotonic() - self._used_s > self._idle_s:
                    self._close()

"""The Ray actor that keeps a cell warm between commands, and lets one command at a time use it.

It owns the cell: whatever ends the keeper ends the cell. A command that waits or works comes back every few seconds to say so; one that
does not is taken for dead, since a killed command gives nothing back. A cell that nobody has used for a while is closed; the keeper
stays, and starts it again for the next command.

It outlives upgrades of this package, so what it answers is made of plain dicts with the version of their form (`PROTOCOL`), never of this
package's classes: a command of another version could not decode those. The one exception is the cell itself, which only a command of the
same source code is given.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from rumiai_ray.engine.cell import cell as cells
from rumiai_ray.engine.ray_session.folder import want_logs
from rumiai_ray.engine.ray_session.local_head import see_logs
from rumiai_ray.engine.warm.answers import PROTOCOL
from rumiai_ray.errors import RumiaiError
from rumiai_ray.logs import configure_worker, swallowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.engine.ray_session.local_head import Head

FORGOTTEN_S = 20.0
"""After so long without a word a command is taken for dead. One that lives speaks every few seconds."""
_TICK_S = 0.5
_ANSWER_S = 5.0

_LOG = logging.getLogger(__name__)


class Keeper:
    """Holds at most one cell, from when it is first asked for until nobody has used it for `idle_s`.

        no cell ──a command's turn──► starting ──ready──► warm ──`idle_s` without a queue, or a part is lost──► no cell
           ▲                             │
           └──could not start: the command whose turn it is gets the error
        warm ──`replace`, asked for by the command that has it──► no cell ──► starting

    A command's ticket:

        queued ──first in the queue──► has the cell ──leaves──► gone
          └────────silent for `FORGOTTEN_S`───┴──► struck; it gets its place back if it speaks before anybody else asks

    Args:
        key: fingerprint of what the cell is made of.
        parts: what that is the fingerprint of, as flat text, to say in what another differs.
        spec: the cell.
        idle_s: time without use after which the cell is closed.
        place_timeout_s: longest wait for room.
        head: the head of our own that this runs on, whose logs are kept where a cell fails; None on a cluster.
    """

    def __init__(
        self, key: str, parts: Mapping[str, str], spec: cells.CellSpec, idle_s: float, place_timeout_s: float, head: Head | None = None
    ) -> None:
        configure_worker()
        self._key = key
        self._parts = dict(parts)
        self._spec = spec
        self._idle_s = idle_s
        self._place_timeout_s = place_timeout_s
        self._head = head
        self._lock = threading.RLock()
        self._cell: cells.Cell | None = None
        self._node = ""
        self._starting = False
        self._error: RumiaiError | None = None
        self._trouble = ""
        """What last went wrong here that no command could be told of."""
        self._queue: dict[str, tuple[str, float]] = {}
        """Who wants the cell, in the order of coming: by ticket, name and when it last spoke. The first has it."""
        self._turn = ""
        """The ticket whose turn it was last."""
        self._used_s = time.monotonic()
        self._loaded: dict[str, float] = {}
        threading.Thread(target=self._watch, name="keeper", daemon=True).start()

    def parts(self) -> dict[str, Any]:
        """What the cell is made of, as `parts`."""
        return _answer(parts=self._parts)

    def ask(self, ticket: str, who: str, *, start: bool = True) -> dict[str, Any]:
        """Stand in the queue, or go on standing there.

        Returns:
            `cell`, where it is the ticket's turn and the cell is there; `behind`, who has it now, where it is not the ticket's turn;
            `error` as (what, subject, hint), where the cell could not be started.

        Args:
            ticket: of this command, unique.
            who: what to call it when others wait for it.
            start: whether the cell is wanted, and to be started where there is none; not by a command that is about to replace it.
        """
        with self._lock:
            self._queue[ticket] = (who, time.monotonic())
            self._forget()
            first = next(iter(self._queue))
            self._used_s = time.monotonic()
            if first != ticket:
                return _turn(behind=self._queue[first][0])
            if not start:
                return _turn()
            if self._turn != ticket:
                self._turn = ticket
                self._drop_if_broken()
            if self._error is not None:
                error, self._error = self._error, None
                return _turn(error=error)
            if self._cell is None and not self._starting:
                self._starting = True
                threading.Thread(target=self._start, name="cell", daemon=True).start()
            return _turn(cell=self._cell)

    def replace(self, ticket: str) -> dict[str, Any]:
        """Close the cell, which is broken; a call for a cell from the same ticket has another one started. Only in the ticket's turn."""
        with self._lock:
            if next(iter(self._queue), "") == ticket == self._turn:
                self._want_logs()
                self._close()
            return _answer()

    def here(self, ticket: str, who: str = "") -> dict[str, Any]:
        """A word of a command that stands in the queue or has the cell; of one that has left it changes nothing.

        A command that had the cell and was silent for so long that it was taken for dead gets its place back, where nobody has asked
        for the cell since and it still runs.

        Returns:
            `place`: whether the command still has its place; `user`: who has the cell now; `closed`: whether it is closed.
        """
        with self._lock:
            self._forget(but=ticket)
            if ticket not in self._queue and ticket == self._turn and not self._queue and self._cell is not None:
                self._queue[ticket] = (who, 0.0)
            place = ticket in self._queue
            if place:
                self._queue[ticket] = (self._queue[ticket][0], time.monotonic())
            user = next(iter(self._queue.values()))[0] if self._queue else ""
            return _answer(place=place, user=user, closed=self._cell is None)

    def leave(self, ticket: str) -> None:
        """Give the cell back, or stop waiting for it."""
        with self._lock:
            self._queue.pop(ticket, None)
            if ticket == self._turn:
                self._turn = ""
            self._used_s = time.monotonic()

    def expire_after(self, idle_s: float) -> dict[str, Any]:
        """Close the cell when nobody has used it for so long."""
        with self._lock:
            self._idle_s = idle_s
        return _answer()

    def held(self) -> dict[str, Any]:
        """What there is, for people: the fields of `answers.Held`."""
        with self._lock:
            self._forget()
            cell, queue, error = self._cell, dict(self._queue), self._error
            state = "warm" if cell else "starting" if self._starting else f"failed: {error}" if error else "expired"
            idle_s = 0.0 if queue else time.monotonic() - self._used_s
        users = [who for who, _ in queue.values()]
        models = [] if cell is None else self._models(cell)
        if any(model["state"] == "loading" for model in models):
            state = "starting"
        return _answer(
            key=self._key,
            state=state,
            models=models,
            bundle=dict(self._spec.shape.bundle),
            node=self._node if cell else "",
            user=users[0] if users else "",
            waiting=max(len(users) - 1, 0),
            idle_s=idle_s,
            expires_s=self._idle_s,
            trouble=self._trouble,
        )

    def close(self) -> None:
        """Close the cell, even while a command uses it."""
        with self._lock:
            self._close()

    def _forget(self, but: str = "") -> None:
        """Strike those from the queue who have not spoken for long, except `but`, who speaks now."""
        limit = time.monotonic() - FORGOTTEN_S
        silent = [ticket for ticket, (_, spoke_s) in self._queue.items() if spoke_s <= limit and ticket != but]
        for ticket in silent:
            who, spoke_s = self._queue.pop(ticket)
            _LOG.warning("%s has been silent for %.0f s and is taken for dead", who, time.monotonic() - spoke_s)

    def _start(self) -> None:
        cell, node = None, ""
        error: RumiaiError | None = None
        try:
            cell = cells.start(self._spec, timeout_s=self._place_timeout_s)
            ray.get(cell.front.ready.remote())
            node = ray.get(cell.front.node.remote())
        except RumiaiError as caught:
            error = caught
        except RayError as caught:
            error = RumiaiError(f"its front did not start: {caught}", "the warm cell", self._see_logs())
        except BaseException as caught:  # noqa: BLE001 -- the thread's boundary: without an ending every command would wait for ever
            _LOG.exception("the cell cannot be started")
            error = RumiaiError(f"it could not be started: {type(caught).__name__}: {caught}", "the warm cell", self._see_logs())
        if error is not None and cell is not None:
            cell.close()
        with self._lock:
            self._starting = False
            if error is not None:
                self._error = error
                return
            self._cell, self._node = cell, node
            self._loaded.clear()
            self._used_s = time.monotonic()

    def _drop_if_broken(self) -> None:
        """Close a cell that has lost its front, or a model for good: the next command gets a fresh one."""
        if self._cell is None:
            return
        try:
            lost = ray.get(self._cell.front.lost.remote(), timeout=_ANSWER_S)
        except (RayError, GetTimeoutError) as error:
            _LOG.info("the front of the cell gives no answer: %s", error)
            lost = ("front",)
        if lost:
            self._want_logs()
            self._close()

    def _models(self, cell: cells.Cell) -> list[dict[str, Any]]:
        """The fields of `answers.HeldModel` of every actor; of those alone that were known when the cell ceased to answer."""
        models: list[dict[str, Any]] = []
        with swallowed(_LOG, "asking a cell for its models", RayError, GetTimeoutError):
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
                    load_s = self._loaded.get(f"{plan.name}-{number}")
                    models.append(
                        {
                            "name": plan.name,
                            "backend": plan.backend,
                            "device": plan.device,
                            "stand_in": plan.stand_in,
                            "state": state,
                            "load_s": load_s,
                        }
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
            self._want_logs()
            cause = getattr(error, "cause", None) or error
            return f"failed: {cause}"
        return "warm"

    def _close(self) -> None:
        if self._cell is not None:
            cell, self._cell = self._cell, None
            cell.close()

    def _see_logs(self) -> str:
        """Where to look for why something has failed; what is there is kept from now on."""
        self._want_logs()
        return see_logs(self._head)

    def _want_logs(self) -> None:
        if self._head is not None:
            want_logs(Path(self._head.folder))

    def _watch(self) -> None:
        while True:
            time.sleep(_TICK_S)
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 -- the thread's boundary: without it no command is ever taken for dead again
                self._trouble = f"{type(error).__name__}: {error}"
                self._want_logs()
                _LOG.exception("the watch over the cell has failed, and goes on")

    def _look(self) -> None:
        """Forget the dead, and close a cell that nobody has used for long."""
        with self._lock:
            self._forget()
            if self._queue:
                self._used_s = time.monotonic()
            elif time.monotonic() - self._used_s > self._idle_s:
                self._close()


def _answer(**values: Any) -> dict[str, Any]:
    return {"protocol": PROTOCOL, **values}


def _turn(cell: cells.Cell | None = None, behind: str = "", error: RumiaiError | None = None) -> dict[str, Any]:
    return _answer(cell=cell, behind=behind, error=None if error is None else (type(error).__name__, error.what, error.subject, error.hint))

"""Waiting until the process of a model actor has loaded its model, or until it is clear that it will not.

Starts are counted, in the actor's note: one that dies again and again while it loads is given up, since Ray would restart it for
ever.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Literal

import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from rumiai_ray.engine.cell import call_journal as note
from rumiai_ray.engine.cell.messages import Failure
from rumiai_ray.tracebacks import bounded, traceback_of

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.cell.lane_policy import LanePolicy

_LOG = logging.getLogger(__name__)

_POLL_S = 0.25
"""How often the clock and the note are looked at; an answer is noticed at once."""
_MESSAGE_LENGTH = 1000


class Starter:
    """Finds one model actor by its name and waits for its starts; for one lane.

    Args:
        name: the model's.
        actor_name: the actor's in Ray, where it may not be registered yet.
        note_path: the actor's note.
        policy: of the lane.
        incarnation: what the numbers of the lane's own calls begin with.
    """

    def __init__(self, name: str, actor_name: str, note_path: Path, policy: LanePolicy, incarnation: str) -> None:
        self.actor: Any = None
        """The actor's handle; None until it was found."""
        self._name = name
        self._actor_name = actor_name
        self._note_path = note_path
        self._policy = policy
        self._incarnation = incarnation
        self._loaded_at = max(self.count() - 1, 0)  # a restarted front takes over an actor with a history
        self._asked: Any = None

    def count(self) -> int:
        """How often the actor's process has been started."""
        seen = note.read(self._note_path)
        return seen.starts if seen else 0

    def wait(self, *, after: int = 0) -> Failure | None:
        """Wait until the model is loaded.

        Args:
            after: start count when we issued the kill; readiness is ignored until it increases. 0 where we issued none. The old process
                may still answer after a kill (seen in 8 of 15 trials), and calls sent to it would die with it.

        Returns:
            None once it is loaded; the reason where it cannot be, or not in time.
        """
        self._asked = None
        deadline = self._deadline()
        while time.monotonic() < deadline:
            if self.count() - self._loaded_at > self._policy.fruitless_starts:
                return Failure("Crash", f"{self._name} died {self._policy.fruitless_starts} times in a row while it loaded")
            old = self._call_of_a_dead_front()
            if old is not None:
                deadline = self._deadline()  # it is no part of the start
                if after < old.starts and self._kill_if_overdue(old):
                    after = old.starts
            if after and self.count() <= after:
                time.sleep(_POLL_S)
                continue
            match self._ask():
                case "loaded":
                    self._loaded_at = self.count()
                    return None
                case Failure() as failure:
                    return failure
        return Failure("StartTimeout", f"{self._name} did not load within {self._policy.start_timeout_s:g} s")

    def _ask(self) -> Literal["loaded", "not yet"] | Failure:
        """Whether the model is loaded, after waiting a moment for it; the reason where it cannot be."""
        try:
            self.actor = self.actor or ray.get_actor(self._actor_name)
            self._asked = self._asked or self.actor.ready.remote()
            if not ray.wait([self._asked], timeout=_POLL_S)[0]:
                return "not yet"
            ray.get(self._asked)
        except RayTaskError as error:
            return failure_of(error)
        except ActorDiedError as error:
            lines = str(error).strip().splitlines()
            said = f"{self._name} could not be started: {lines[-1] if lines else 'no reason given'}"
            return Failure("StartFailed", said, traceback=bounded(str(error)))
        except (RayError, ValueError) as error:  # a restart is under way, or the name is not registered yet
            _LOG.debug("actor %s is not there yet: %s: %s", self._actor_name, type(error).__name__, error)
            self._asked = None
            time.sleep(_POLL_S)
            return "not yet"
        return "loaded"

    def _call_of_a_dead_front(self) -> note.Note | None:
        """What the actor is still executing for a front that is gone; nobody else would end it where it hangs."""
        seen = note.read(self._note_path)
        executing = seen is not None and seen.call and seen.begun and not seen.call.startswith(f"{self._incarnation}:")
        return seen if executing else None

    def _kill_if_overdue(self, old: note.Note) -> bool:
        if self.actor is None or time.monotonic() - old.since_s <= self._policy.call_timeout_s:
            return False
        ray.kill(self.actor, no_restart=False)
        self._asked = None
        return True

    def _deadline(self) -> float:
        return time.monotonic() + self._policy.start_timeout_s


def failure_of(error: RayTaskError) -> Failure:
    """What the code of a model actor raised."""
    cause = error.cause if isinstance(error.cause, BaseException) else error
    return Failure(type(cause).__name__, shortened(str(cause).strip() or repr(cause)), traceback=traceback_of(error))


def shortened(message: str) -> str:
    """A message fit for a table: some libraries put whole weight tensors into theirs."""
    return message if len(message) <= _MESSAGE_LENGTH else f"{message[:_MESSAGE_LENGTH]} … ({len(message)} characters)"

"""A command's place in the queue of a warm cell, kept by a thread that speaks to the cell's keeper."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import uuid
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from rumiai_ray.engine.warm.answers import ANSWER_S, OtherVersionError, answer
from rumiai_ray.errors import TransientError
from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOG = logging.getLogger(__name__)

SERVER_ENDED = "the warm cell was stopped, by `rumiai-ray down` or because its Ray ended"
_SPEAK_S = 3.0
"""Between two words of a command to the keeper, which takes it for dead after 20 s of silence."""


class QueuePlace:
    """A place in a keeper's queue."""

    def __init__(self, keeper: Any, say: Callable[[str], None]) -> None:
        self.ticket, self.who = uuid.uuid4().hex, f"process {os.getpid()} on {socket.gethostname()}"
        self._keeper = keeper
        self._say = say
        self._told = ""

    def ask(self, *, start: bool = True) -> dict[str, Any]:
        """Whether it is one's turn; see `Keeper.ask`."""
        turn = answer(self._keeper.ask.remote(self.ticket, self.who, start=start))
        if turn["behind"] and turn["behind"] != self._told:
            self._told = turn["behind"]
            self._say(f"waiting for the warm cell, which is used by {self._told}")
        return turn

    def replace(self) -> None:
        """Have the cell closed; the next `ask` has another one started."""
        self._say("replacing the warm cell, which is broken")
        answer(self._keeper.replace.remote(self.ticket))


@contextlib.contextmanager
def queued(keeper: Any, say: Callable[[str], None], evicted: Callable[[str], object] = lambda _: None) -> Iterator[QueuePlace]:
    """A place in a keeper's queue, kept by a thread that speaks to it.

    Args:
        keeper: the keeper's handle.
        say: told of who is waited for.
        evicted: told, by the thread and once, why the place is lost: the keeper took this process for dead, or has ended.
    """
    place = QueuePlace(keeper, say)
    over = threading.Event()

    def speak() -> None:
        while not over.wait(_SPEAK_S):
            why = _place_lost(keeper, place.ticket, place.who)
            if why and not over.is_set():
                evicted(why)
                return

    speaker = threading.Thread(target=speak, name="warm", daemon=True)
    speaker.start()
    try:
        yield place
    finally:
        over.set()
        speaker.join()
        with swallowed(_LOG, "giving the warm cell back", RayError, GetTimeoutError):
            ray.get(keeper.leave.remote(place.ticket), timeout=ANSWER_S)


def _place_lost(keeper: Any, ticket: str, who: str) -> str:
    """Speak to the keeper; returns why the place in its queue is lost, nothing where it is not."""
    try:
        told = answer(keeper.here.remote(ticket, who))
    except RayActorError as error:
        _LOG.info("the keeper has ended: %s", error)
        return SERVER_ENDED
    except (TransientError, OtherVersionError, RayError) as error:
        _LOG.debug("the keeper of the warm cell gives no answer: %s", error)
        return ""
    if told["place"]:
        return ""
    now = "is closed" if told["closed"] else f"is used by {told['user']}" if told["user"] else "has been used by another command since"
    return f"the warm cell lost contact with this command and dropped it from the queue; the cell {now}"

"""One model actor's only caller: a thread that submits, watches, blames, restarts and resends.

Rules (measured on Ray 2.60, see design): all calls of a dead actor fail alike, so only the call named in the actor's note
is charged; the others are sent again free of charge and in order. A kill the lane ordered itself (a recycled actor) charges
nobody; one it ordered because a call outran its limit charges that call. A call charged `attempts` times becomes the
model's typed failure for that video, which then is not asked again. Starts are counted: an actor that dies again and again
while it loads is given up, since Ray would restart it for ever.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections import OrderedDict, deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError, RayError, RayTaskError, WorkerCrashedError

from rumiai_ray.engine import note
from rumiai_ray.engine.calls import Answer, Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_POLL_S = 0.25
"""How often a waiting lane looks at the clock; results wake it at once."""
_MESSAGE_LENGTH = 1000
_REMEMBERED_FAILURES = 4096
"""Videos whose failure is remembered; a batch of a forgotten one is merely tried again."""


@dataclass(frozen=True)
class LanePolicy:
    """Limits of one lane."""

    outstanding: int
    """Calls the actor has in hand, the executing one included: 2 keep it busy 97 % of the time (measured)."""
    attempts: int
    call_timeout_s: float
    start_timeout_s: float
    memory_bytes: int
    """Past this the actor is recycled between calls."""
    fruitless_starts: int = 4
    """Starts in a row that ended before the model was loaded, after which it is given up."""


@dataclass
class Call:
    """One question to the model, with how often it was charged so far."""

    video: tuple[str, str]
    """Run id and video key: a warm cell must not answer for one run what another has seen."""
    method: str
    """`predict_frames` or `predict_audio`."""
    arguments: tuple[Any, ...]
    attempts: int = 0
    last: Failure | None = None
    reply: Future[tuple[Answer | Failure, int]] = field(default_factory=Future)
    """(answer or failure, attempts)."""


class Lane:
    """The thread and its queue."""

    def __init__(self, name: str, actor_name: str, note_path: Path, policy: LanePolicy) -> None:
        self.name = name
        self._actor_name = actor_name
        self._actor: Any = None
        self._note_path = note_path
        self._policy = policy
        self._incarnation = uuid.uuid4().hex[:12]
        self._count = 0
        self._queue: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._again: deque[Call] = deque()
        self._sent: OrderedDict[str, tuple[Any, Call]] = OrderedDict()
        self._failed: OrderedDict[tuple[str, str], Failure] = OrderedDict()
        self._given_up: Failure | None = None
        self._starts_ready = max(self._starts() - 1, 0)  # a restarted front takes over an actor with a history
        self._killed: note.Note | None = None
        self._recycle = False
        threading.Thread(target=self._guarded, name=f"lane-{name}", daemon=True).start()

    def submit(self, call: Call) -> Future[tuple[Answer | Failure, int]]:
        """Queue `call`; the future always gets a result, never an exception."""
        self._queue.put(call)
        return call.reply

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 -- the thread's boundary: waiting callers must get an ending
            self._given_up = Failure(type(error).__name__, f"the lane of {self.name} broke: {error}")
            for _, call in self._sent.values():
                self._end(call, self._given_up)
            while True:
                self._end(self._next(block=True) or self._queue.get(), self._given_up)

    def _run(self) -> None:
        self._await_start()
        while True:
            self._fill()
            number, (reference, call) = next(iter(self._sent.items()))
            done, _ = ray.wait([reference], timeout=_POLL_S, fetch_local=True)
            if not done:
                self._watch(number)
                continue
            try:
                answer: Answer = ray.get(reference)
            except RayTaskError as error:
                del self._sent[number]
                self._charge(call, _failure_of(error))
            except (RayActorError, OutOfMemoryError, WorkerCrashedError):
                self._bury()
            except RayError as error:
                del self._sent[number]
                self._charge(call, Failure(type(error).__name__, shortened(str(error))))
            else:
                del self._sent[number]
                call.reply.set_result((answer, call.attempts + 1))
                self._recycle = self._recycle or answer.memory_bytes > self._policy.memory_bytes
            if self._killed is not None:  # it ended just in time: the kill is on its way and takes what else is in hand with it
                self._bury()

    def _fill(self) -> None:
        """Send until the actor has enough in hand; a recycling waits for what it has, then restarts it."""
        if self._recycle and not self._sent:
            self._recycle = False
            before = self._starts()
            ray.kill(self._actor, no_restart=False)
            self._await_start(after=before)
        while not self._recycle and len(self._sent) < self._policy.outstanding:
            call = self._next(block=not self._sent)
            if call is None:
                return
            known = self._given_up or self._failed.get(call.video)
            if known is not None:
                self._end(call, known)
                continue
            self._count += 1
            number = f"{self._incarnation}:{self._count}"
            self._sent[number] = (getattr(self._actor, call.method).remote(number, *call.arguments), call)

    def _next(self, *, block: bool) -> Call | None:
        if self._again:
            return self._again.popleft()
        try:
            return self._queue.get(block=block)
        except queue.Empty:
            return None

    def _watch(self, number: str) -> None:
        """Kill the actor if the call it is executing has outrun the limit. `number` is the oldest call in hand."""
        seen = note.read(self._note_path)
        if seen is None or seen.call != number or self._killed is not None:
            return
        if time.monotonic() - seen.since_s > self._policy.call_timeout_s:
            self._killed = seen  # read before the kill: afterwards the next process may have written there already
            ray.kill(self._actor, no_restart=False)

    def _bury(self) -> None:
        """After a death: charge the noted call, queue the rest again in order, wait for the restart."""
        killed, self._killed = self._killed, None
        seen = killed or note.read(self._note_path)
        again: list[Call] = []
        for number, (_, call) in self._sent.items():
            if seen is None or seen.call != number:
                again.append(call)
            elif killed is not None:
                self._charge(call, Failure("Hang", f"{self.name} gave no answer within {self._policy.call_timeout_s:g} s"), again.append)
            else:
                self._charge(call, Failure("Crash", f"the process of {self.name} died while it worked on this video"), again.append)
        self._sent.clear()
        self._again.extendleft(reversed(again))
        self._recycle = False  # what starts now is fresh
        self._await_start(after=killed.starts if killed is not None else 0)

    def _charge(self, call: Call, failure: Failure, again: Callable[[Call], object] | None = None) -> None:
        call.attempts += 1
        call.last = failure
        if call.attempts < self._policy.attempts:
            (again or self._again.append)(call)
            return
        self._failed[call.video] = failure
        while len(self._failed) > _REMEMBERED_FAILURES:
            self._failed.popitem(last=False)
        self._end(call, failure)

    @staticmethod
    def _end(call: Call, failure: Failure) -> None:
        call.reply.set_result((failure, max(call.attempts, 1)))

    def _await_start(self, *, after: int = 0) -> None:
        """Wait until the actor's model is loaded; give the model up where that cannot be.

        `after` is the number of starts before a kill the lane ordered: until it has risen the old process may still answer
        (seen in 8 of 15 trials), and calls sent to it would die with it.
        """
        known = note.given_up(self._note_path)
        if known is not None:
            self._given_up = Failure(*known)
            return None
        deadline = time.monotonic() + self._policy.start_timeout_s
        pending: Any = None
        while time.monotonic() < deadline:
            if self._starts() - self._starts_ready > self._policy.fruitless_starts:
                return self._give_up(Failure("Crash", f"{self.name} died {self._policy.fruitless_starts} times in a row while it loaded"))
            old = self._call_of_a_dead_front()
            if old is not None:  # it is no part of the start
                deadline = time.monotonic() + self._policy.start_timeout_s
                if after < old.starts and self._end_overdue(old):
                    after, pending = old.starts, None
            if after and self._starts() <= after:
                time.sleep(_POLL_S)
                continue
            try:
                self._actor = self._actor or ray.get_actor(self._actor_name)
                pending = pending or self._actor.ready.remote()
                if ray.wait([pending], timeout=_POLL_S)[0]:
                    ray.get(pending)
                    self._starts_ready = self._starts()
                    return None
            except (RayError, ValueError) as error:
                pending = None
                final = self._final(error)
                if final is not None:
                    return self._give_up(final)
                time.sleep(_POLL_S)
        return self._give_up(Failure("StartTimeout", f"{self.name} did not load within {self._policy.start_timeout_s:g} s"))

    def _end_overdue(self, old: note.Note) -> bool:
        if self._actor is None or time.monotonic() - old.since_s <= self._policy.call_timeout_s:
            return False
        ray.kill(self._actor, no_restart=False)
        return True

    def _call_of_a_dead_front(self) -> note.Note | None:
        """What the actor is still executing for a front that is gone; nobody else would end it where it hangs."""
        seen = note.read(self._note_path)
        executing = seen is not None and seen.call and seen.begun and not seen.call.startswith(f"{self._incarnation}:")
        return seen if executing else None

    def _final(self, error: Exception) -> Failure | None:
        """Why a start has failed for good; None where it may yet succeed: the name is not registered, or a restart is under way."""
        match error:
            case RayTaskError():
                return _failure_of(error)
            case ActorDiedError():
                lines = str(error).strip().splitlines()
                return Failure("StartFailed", f"{self.name} could not be started: {lines[-1] if lines else 'no reason given'}")
            case _:
                return None

    def _starts(self) -> int:
        seen = note.read(self._note_path)
        return seen.starts if seen else 0

    def _give_up(self, failure: Failure) -> None:
        self._given_up = failure
        note.give_up(self._note_path, failure.error_class, failure.message)
        if self._actor is not None:
            ray.kill(self._actor, no_restart=True)


def _failure_of(error: RayTaskError) -> Failure:
    cause = error.cause if isinstance(error.cause, BaseException) else error
    return Failure(type(cause).__name__, shortened(str(cause).strip() or repr(cause)))


def shortened(message: str) -> str:
    """A message fit for a table: some libraries put whole weight tensors into theirs."""
    return message if len(message) <= _MESSAGE_LENGTH else f"{message[:_MESSAGE_LENGTH]} … ({len(message)} characters)"

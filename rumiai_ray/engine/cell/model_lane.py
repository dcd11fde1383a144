"""One model actor's only caller: a thread that submits, watches, blames, restarts and resends.

Rules (measured on Ray 2.60, see design): all calls of a dead actor fail alike, so only the call named in the actor's note
is charged; the others are sent again free of charge and in order. A kill the lane ordered itself (a recycled actor) charges
nobody; one it ordered because a call outran its limit charges that call. A call charged `attempts` times becomes the
model's typed failure for that video, which then is not asked again. An actor whose model cannot be loaded (`startup.py`) is given
up: every call gets the reason.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from collections import OrderedDict, deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError, WorkerCrashedError

from rumiai_ray.engine.cell import call_journal as note
from rumiai_ray.engine.cell.messages import Answer, CallUnderWay, Failure
from rumiai_ray.engine.cell.startup import Starter, failure_of, shortened
from rumiai_ray.tracebacks import traceback_of

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.cell.lane_policy import LanePolicy

_LOG = logging.getLogger(__name__)

_POLL_S = 0.25
"""How often a waiting lane looks at the clock; results wake it at once."""
_REMEMBERED_FAILURES = 4096
"""Videos whose failure is remembered; a batch of a forgotten one is merely tried again."""


@dataclass
class Call:
    """One question to the model, with how often it was charged so far."""

    video: tuple[str, str]
    """Run id and video key: a warm cell must not answer for one run what another has seen."""
    method: str
    """`predict_frames` or `predict_audio`."""
    arguments: tuple[Any, ...]
    entry_id: str = ""
    """The entry that the video is analysed for, for those who look on."""
    attempts: int = 0
    charged: list[Failure] = field(default_factory=list)
    """Why each attempt that was charged failed."""
    reply: Future[tuple[Answer | Failure, int]] = field(default_factory=Future)
    """(answer or failure, attempts)."""


class Lane:
    """The thread and its queue.

    The actor, as the lane sees it:

        starting ──loaded──► serving ──too much memory──► draining ──last answer: killed──► starting
           │                    │
           │                    └──call overran: killed, or process died──► calls charged or requeued ──► starting
           └──model cannot be loaded──► given up: every call, queued or new, gets the reason

    A call:

        queued ──► sent ──answer──► answered
          ▲          ├──died, another call was running──► queued, not charged
          │          └──failed, hung or crashed──► charged ──`attempts` times──► failed; the video is not asked again
          └──────────────────fewer times──────────────┘

    Args:
        name: the model's.
        actor_name: the actor's in Ray.
        note_path: the actor's note.
        policy: limits.
        failed: where failures for good are remembered by video; shared by the lanes of one model.
    """

    def __init__(
        self,
        name: str,
        actor_name: str,
        note_path: Path,
        policy: LanePolicy,
        failed: OrderedDict[tuple[str, str], Failure] | None = None,
    ) -> None:
        self.name = name
        self._actor_name = actor_name
        self._note_path = note_path
        self._policy = policy
        self._incarnation = uuid.uuid4().hex[:12]
        self._starter = Starter(name, actor_name, note_path, policy, self._incarnation)
        self._count = 0
        self._queue: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._again: deque[Call] = deque()
        self._sent: OrderedDict[str, tuple[Any, Call]] = OrderedDict()
        self._failed = OrderedDict[tuple[str, str], Failure]() if failed is None else failed
        self._given_up: Failure | None = None
        self._killed: note.Note | None = None
        self._recycle = False
        self.loaded = False
        """Whether the actor's model is loaded now; False from the moment the lane learns of its end."""
        self._first_loaded: tuple[float, float] | None = None
        """(`time.monotonic()`, time inside calls until then) when the model was first loaded for this lane."""
        self._lost_s: float | None = None
        """When the model was first seen to be gone for good."""
        threading.Thread(target=self._guarded, name=f"lane-{name}", daemon=True).start()

    @property
    def open(self) -> int:
        """Calls taken and not yet answered, about."""
        return self._queue.qsize() + len(self._again) + len(self._sent)

    @property
    def lost(self) -> bool:
        """Whether the model is gone for good here."""
        return self._given_up is not None

    def times_s(self) -> tuple[float, float]:
        """(time since the model was first loaded, of it the time inside calls); a call under way counts as far as it has got."""
        if self._first_loaded is None:
            return 0.0, 0.0
        seen = note.read(self._note_path)
        now_s = time.monotonic()
        if self.lost:
            self._lost_s = now_s = self._lost_s or now_s
        since_s, before_s = self._first_loaded
        return now_s - since_s, seen.busy_s(now_s) - before_s if seen else 0.0

    def under_way(self) -> CallUnderWay | None:
        """What the actor is executing for this lane; None while it is nothing."""
        seen = note.read(self._note_path)
        sent = self._sent.get(seen.call) if seen is not None and seen.executing else None
        return CallUnderWay(sent[1].entry_id, time.monotonic() - seen.since_s) if seen is not None and sent is not None else None

    def submit(self, call: Call) -> Future[tuple[Answer | Failure, int]]:
        """Queue `call`; the future always gets a result, never an exception."""
        self._queue.put(call)
        return call.reply

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 -- the thread's boundary: waiting callers must get an ending
            text = traceback_of(error)
            self._given_up = Failure(
                type(error).__name__, f"the thread that calls {self.name} failed: {error}", given_up=True, traceback=text
            )
            _LOG.error("the thread that calls %s failed", self._actor_name, exc_info=error)
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
                failure = failure_of(error)
                del self._sent[number]
                self._charge_and_requeue(call, failure)
            except (RayActorError, OutOfMemoryError, WorkerCrashedError) as error:
                _LOG.info("actor %s died with %d calls in flight: %s", self._actor_name, len(self._sent), error)
                self._bury()
            except RayError as error:
                failure = Failure(type(error).__name__, shortened(str(error)), traceback=traceback_of(error))
                del self._sent[number]
                self._charge_and_requeue(call, failure)
            else:
                del self._sent[number]
                call.reply.set_result((answer, call.attempts + 1))
                self._recycle = self._recycle or answer.memory_bytes > self._policy.memory_bytes
            if self._killed is not None:  # the call returned, but the kill we sent will still abort the other in-flight calls
                self._bury()

    def _fill(self) -> None:
        """Send until the actor has enough calls in flight; a recycling waits for those it has, then restarts the actor."""
        if self._recycle and not self._sent:
            self._recycle = False
            before = self._starter.count()
            ray.kill(self._starter.actor, no_restart=False)
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
            try:
                self._sent[number] = (getattr(self._starter.actor, call.method).remote(number, *call.arguments), call)
            except BaseException:
                self._again.appendleft(call)  # in nobody's hand it would wait for its answer for ever
                raise

    def _next(self, *, block: bool) -> Call | None:
        if self._again:
            return self._again.popleft()
        try:
            return self._queue.get(block=block)
        except queue.Empty:
            return None

    def _watch(self, number: str) -> None:
        """Kill the actor if the call it is executing has outrun the limit. `number` is the oldest call in flight."""
        seen = note.read(self._note_path)
        if seen is None or seen.call != number or self._killed is not None:
            return
        if time.monotonic() - seen.since_s > self._policy.call_timeout_s:
            self._killed = seen  # read before the kill: afterwards the next process may have written there already
            ray.kill(self._starter.actor, no_restart=False)

    def _bury(self) -> None:
        """After a death: charge the noted call, queue the rest again in order, wait for the restart."""
        killed, self._killed = self._killed, None
        seen = killed or note.read(self._note_path)
        again: list[Call] = []
        for number, (_, call) in self._sent.items():
            charged = seen is not None and seen.call == number
            if not charged or self._charge(call, self._death_of(killed)):
                again.append(call)
        self._sent.clear()
        self._again.extendleft(reversed(again))
        self._recycle = False  # what starts now is fresh
        self._await_start(after=killed.starts if killed is not None else 0)

    def _death_of(self, killed: note.Note | None) -> Failure:
        """Why the call that the actor was executing failed: `killed` is the note read before our kill, None where we sent none."""
        if killed is not None:
            return Failure("Hang", f"{self.name} gave no answer within {self._policy.call_timeout_s:g} s")
        return Failure("Crash", f"the process of {self.name} died while it worked on this video")

    def _charge_and_requeue(self, call: Call, failure: Failure) -> None:
        if self._charge(call, failure):
            self._again.append(call)

    def _charge(self, call: Call, failure: Failure) -> bool:
        """Count one failed attempt against a call.

        Returns:
            Whether the call has attempts left: then the caller puts it back into the queue. Otherwise the call has been answered with
            `failure`, and the video is not asked again.
        """
        call.attempts += 1
        call.charged.append(failure)
        _LOG.info(
            "%s failed at video %s, attempt %d: %s: %s", self.name, call.video[1], call.attempts, failure.error_class, failure.message
        )
        if call.attempts < self._policy.attempts:
            return True
        self._failed[call.video] = failure
        while len(self._failed) > _REMEMBERED_FAILURES:
            self._failed.popitem(last=False)
        self._end(call, failure)
        return False

    @staticmethod
    def _end(call: Call, failure: Failure) -> None:
        call.reply.set_result((failure, max(call.attempts, 1)))

    def _await_start(self, *, after: int = 0) -> None:
        """Wait until the actor's model is loaded; give the model up where that cannot be. `after` as for `Starter.wait`."""
        self.loaded = False
        known = note.given_up(self._note_path)
        if known is not None:
            error_class, message, traceback = known
            self._given_up = Failure(error_class, message, given_up=True, traceback=traceback)
            return
        failure = self._starter.wait(after=after)
        if failure is not None:
            self._give_up(failure)
            return
        if self._first_loaded is None:
            seen, now_s = note.read(self._note_path), time.monotonic()
            self._first_loaded = now_s, seen.busy_s(now_s) if seen else 0.0
        self.loaded = True

    def _give_up(self, failure: Failure) -> None:
        self._given_up = replace(failure, given_up=True)
        note.give_up(self._note_path, failure.error_class, failure.message, failure.traceback)
        _LOG.warning("actor %s is given up: %s: %s", self._actor_name, failure.error_class, failure.message)
        if self._starter.actor is not None:
            ray.kill(self._starter.actor, no_restart=True)

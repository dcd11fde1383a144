"""Trouble with the shared store: a cache, so it may cost a warning and a bounded wait, never a video.

Every request is tried three times and ends after two minutes, whatever its driver waits for. Then the process leaves the store
alone for a minute, twice as long each time, so that one that is gone costs few waits and one warning per pause.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from rumiai_ray.errors import RumiaiError
from rumiai_ray.frames.store.entry import DamagedEntryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

LIMIT_S = 120.0
"""Longest request, trying again included. A fetch keeps the node's other processes waiting at the entry's lock for that long."""
_WAITS_S = (0.5, 2.0)
"""Before the second and the third attempt. Drivers try again on their own, too."""
_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 960.0


class RemoteError(Exception):
    """The shared store did not do what was asked: unreachable, refused, too slow. Says why."""


@contextmanager
def remote_errors() -> Iterator[None]:
    """Turns what a driver raises into `RemoteError`; `DamagedEntryError` passes.

    A boundary where every exception is caught, because every driver brings its vendor's.
    """
    try:
        yield
    except (RemoteError, DamagedEntryError):
        raise
    except RumiaiError as error:
        raise RemoteError(error.what) from error  # its hints are those of run directories
    except Exception as error:
        raise RemoteError(f"{type(error).__name__}: {error}") from error


class Deadline:
    """When a request must end."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._until = time.monotonic() + limit_s

    def check(self) -> None:
        """Raise `RemoteError` where the time is up; to be called between blocks."""
        if time.monotonic() >= self._until:
            raise RemoteError(f"not done within {self._limit_s:g} s")


def insist(request: Callable[[Deadline], _T]) -> _T:
    """`request(deadline)`, tried again after a `RemoteError`, in a thread that is given up where the driver does not come back.

    Raises:
        RemoteError: the last attempt's, or the time is up. Anything else that `request` raises ends it at once.
    """
    deadline = Deadline(LIMIT_S)
    answer: Future[_T] = Future()

    def attempts() -> _T:
        for wait_s in _WAITS_S:
            try:
                return request(deadline)
            except RemoteError as error:
                _log.info("shared frame store: next attempt in %g s: %s", wait_s, error)
                time.sleep(wait_s)
                deadline.check()
        return request(deadline)

    def work() -> None:
        try:
            answer.set_result(attempts())
        except BaseException as error:  # noqa: BLE001 -- it is raised again in the thread that waits
            answer.set_exception(error)

    threading.Thread(target=work, name="shared-frame-store", daemon=True).start()
    if not wait([answer], LIMIT_S).done:
        raise RemoteError(f"no answer within {LIMIT_S:g} s")
    return answer.result()


class Patience:
    """What this process has been through with one shared store. Safe to use from any number of threads."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._lock = threading.Lock()
        self._alone_until = 0.0
        self._pause_s = 0.0
        self.failures = 0
        """Requests that failed for good."""
        self.unasked = 0
        """Requests not sent since the store was last heard of."""

    def ask(self, what: str, request: Callable[[Deadline], _T]) -> _T | None:
        """`request`'s answer; None where trouble prevented one, or where the store is left alone after trouble.

        Args:
            what: is being done, for the warning ("fetching entry 12ab…").
            request: as for `insist`; what it raises beside `RemoteError` is raised here.
        """
        with self._lock:
            if time.monotonic() < self._alone_until:
                self.unasked += 1
                return None
        try:
            answer = insist(request)
        except RemoteError as error:
            self._leave_alone(what, error)
            return None
        with self._lock:
            if self._pause_s:
                _log.warning("shared frame store %s answers again; %d requests were not sent meanwhile", self._uri, self.unasked)
            self._pause_s, self._alone_until, self.unasked = 0.0, 0.0, 0
        return answer

    def _leave_alone(self, what: str, error: RemoteError) -> None:
        with self._lock:
            self.failures += 1
            now = time.monotonic()
            if now < self._alone_until:
                return  # another thread's request failed meanwhile, and has said so
            self._pause_s = min(max(_PAUSE_S, 2 * self._pause_s), _LONGEST_PAUSE_S)
            self._alone_until = now + self._pause_s
            _log.warning(
                "shared frame store %s: %s failed: %s; going on with the node's own store for %g s (failure %d of this process)",
                self._uri,
                what,
                error,
                self._pause_s,
                self.failures,
            )


@cache
def patience_with(uri: str) -> Patience:
    """This process's patience with a shared store; stages come and go by pickle, and must not forget."""
    return Patience(uri)

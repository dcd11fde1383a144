"""A reader's turn at its entry's host: waited for, given back, and what the host said on the way."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from rumiai_ray.ingest.manners import LEFT_ALONE, refusal_of, refuses
from rumiai_ray.ingest.outcomes import HostPausedError, NoVideoError, PrivateError, RateLimitedError, RemovedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.errors import RumiaiError
    from rumiai_ray.ingest.manners import Host, Paused


class Hosts(Protocol):
    """The run's `HostBook`, wherever it is."""

    def ask(self, host: Host, entry_id: str) -> float | Paused: ...  # noqa: D102 -- as `HostBook.ask`; so are the others
    def refused(self, host: str, why: str, retry_after_s: float | None, entry_id: str) -> Paused | None: ...  # noqa: D102
    def ended(self, host: str, entry_id: str, *, answered: bool) -> Paused | None: ...  # noqa: D102


class HostTurn:
    """The turn of one entry. Without a host, or without a book, nothing is waited for and nothing told.

    Args:
        host: whom reading the entry asks.
        entry_id: of the entry.
        hosts: the run's book.
        sleep: `time.sleep`.
    """

    def __init__(
        self, host: Host | None = None, entry_id: str = "", hosts: Hosts | None = None, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._host = host
        self._entry_id = entry_id
        self._hosts = hosts if host is not None else None
        self._sleep = sleep

    def wait(self) -> Paused | None:
        """Return when the turn has come; or at once, with the reason, where the host is left alone."""
        while self._host is not None and self._hosts is not None:
            answer = self._hosts.ask(self._host, self._entry_id)
            if not isinstance(answer, float):
                return answer
            if not answer:
                break
            self._sleep(answer)
        return None

    def refused(self, error: RateLimitedError) -> None:
        """Tell of a refusal after which the fetch would try again.

        Raises:
            HostPausedError: the host is left alone from now on.
        """
        if self._host is not None and self._hosts is not None and refuses(self._host, error):
            paused = self._hosts.refused(self._host.name, error.what, error.retry_after_s, self._entry_id)
            if paused is not None:
                raise HostPausedError(error.what, error.subject, LEFT_ALONE) from error

    def ended(self, error: BaseException | None) -> Paused | None:
        """Give the turn back; why the entry is to be left undone, where its host is left alone and has refused it.

        Args:
            error: how the fetch ended; None where it has brought the bytes.
        """
        if self._host is None or self._hosts is None:
            return None
        refusal = self._refusal(error)
        if refusal is not None and not isinstance(refusal, RateLimitedError):  # of those each attempt was told
            self._hosts.refused(self._host.name, refusal.what, None, self._entry_id)
        paused = self._hosts.ended(self._host.name, self._entry_id, answered=self.answered(error))
        if paused is None or (refusal is None and not isinstance(error, HostPausedError)):
            return None
        return replace(paused, of_entry=True)

    def answered(self, error: BaseException | None) -> bool:
        """Whether the host has said something of the post, good or bad, where a fetch ended so.

        Errors of our own, such as rules that forbid the address, are none of the host's.
        """
        return error is None or (self._refusal(error) is None and isinstance(error, PrivateError | RemovedError | NoVideoError))

    def _refusal(self, error: BaseException | None) -> RumiaiError | None:
        """`error`, where it says that the host refuses. Where one to which it has sent us on does, that is this entry's trouble alone."""
        refusal = None if error is None else refusal_of(error)
        return refusal if refusal is not None and self._host is not None and refuses(self._host, refusal) else None

"""A question that the driver puts to an actor again and again, and never waits for."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import ray
from ray.exceptions import RayError

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class Poll(Generic[T]):
    """At most one question is open at a time. An actor that dies gives no answer to the question, and gets the next one.

    Args:
        ask: puts the question; returns a reference to the answer.
        every_s: time between two questions.
    """

    def __init__(self, ask: Callable[[], Any], every_s: float = 1.0) -> None:
        self._ask = ask
        self._every_s = every_s
        self._asked_s = float("-inf")
        self._open: Any = None

    def news(self) -> T | None:
        """The answer, where one has come since the last call. Puts the next question when it is due."""
        answer: T | None = None
        if self._open is not None and ray.wait([self._open], timeout=0)[0]:
            try:
                answer = cast("T", ray.get(self._open))
            except RayError as error:
                _LOG.debug("a question got no answer: %s: %s", type(error).__name__, error)
            self._open = None
        if self._open is None and time.monotonic() - self._asked_s >= self._every_s:
            self._asked_s = time.monotonic()
            self._open = self._ask()
        return answer

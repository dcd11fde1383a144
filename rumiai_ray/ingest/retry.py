"""Trying again what failed through no fault of the input."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar

from rumiai_ray.errors import TransientError
from rumiai_ray.ingest.outcomes import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.network import Network

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def retrying(
    call: Callable[[], _T], limits: FetchLimits, network: Network, refused: Callable[[RateLimitedError], object] = lambda _: None
) -> _T:
    """`call()`, again after a `TransientError`: `limits.attempts` times, with doubling waits or what the server asked for.

    Args:
        call: one attempt.
        limits: how often, and how long the waits are.
        network: whose time counts.
        refused: told of each attempt that the server has asked for patience after; raises to try no more.

    Raises:
        TransientError: the last attempt's, or that of an attempt after which there is no time left to wait.
    """
    for attempt in range(1, limits.attempts + 1):
        try:
            return call()
        except TransientError as error:
            error.attempts = attempt
            if isinstance(error, RateLimitedError):
                refused(error)
            wait_s = _wait_s(error, attempt, limits)
            if attempt == limits.attempts or wait_s > min(limits.retry_max_s, network.remaining_s):
                raise
            _log.info("attempt %d of %d failed, next in %.1f s: %s", attempt, limits.attempts, wait_s, error)
            time.sleep(wait_s)
    raise AssertionError("attempts is at least 1")


def _wait_s(error: TransientError, attempt: int, limits: FetchLimits) -> float:
    if isinstance(error, RateLimitedError) and error.retry_after_s is not None:
        return error.retry_after_s
    # The exponent is bounded: 2.0 ** 1024 is an OverflowError.
    return min(limits.retry_base_s * 2.0 ** min(attempt - 1, 64), limits.retry_max_s)

"""What a keeper of a warm cell answers: plain dicts with a version of their form, read without trusting that this version wrote them.

A keeper outlives upgrades of this package. An answer that holds classes of another version cannot be decoded, and one of another form must
not be misread: either is an `OtherVersionError`, whose receiver replaces the keeper.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RaySystemError, RayTaskError

from rumiai_ray import errors
from rumiai_ray.errors import RumiaiError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROTOCOL = 1
"""Form of the answers; raised with any change that an older or newer command would misread."""
ANSWER_S = 30.0
"""Longest wait for an answer."""
OTHER_VERSION = "of another version of this program; the next command replaces it"
"""State of a cell whose keeper cannot be understood."""


class OtherVersionError(Exception):
    """A keeper's answer cannot be understood: another version of this package has made it."""


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
    """`warm`, `starting`, `expired`, `failed: …` or `OTHER_VERSION`."""
    models: tuple[HeldModel, ...] = ()
    bundle: Mapping[str, float] = field(default_factory=dict)
    """What the cell takes of its node."""
    node: str = ""
    """Address of the node it is on; empty where there is no cell."""
    user: str = ""
    """Who uses it now; empty for nobody."""
    waiting: int = 0
    idle_s: float = 0.0
    """Since it was used last."""
    expires_s: float = 0.0
    """Idle time after which it is closed."""
    trouble: str = ""
    """What went wrong in the keeper that no command was told of."""

    @property
    def understood(self) -> bool:
        """Whether its keeper is of this version."""
        return self.state != OTHER_VERSION


def held_of(keeper: Any) -> Held:
    """What a keeper says of itself.

    Raises:
        OtherVersionError: it is another version's.
    """
    told = dict(answer(keeper.held.remote()))
    del told["protocol"]
    return Held(**told | {"models": tuple(HeldModel(**model) for model in told["models"])})


def error_of(told: Sequence[str]) -> RumiaiError:
    """The error that a keeper has told as (class, what, subject, hint)."""
    name, *parts = told
    kind = getattr(errors, name, RumiaiError)
    return kind(*parts) if isinstance(kind, type) and issubclass(kind, RumiaiError) else RumiaiError(*parts)


def answer(reference: Any) -> dict[str, Any]:
    """A keeper's answer.

    Raises:
        OtherVersionError: it cannot be decoded, or has another form.
        RayActorError: the keeper has ended.
        TransientError: it gives no answer.
    """
    try:
        with _quiet_decoder():
            told = ray.get(reference, timeout=ANSWER_S)
    except GetTimeoutError as error:
        raise TransientError(
            f"did not answer within {ANSWER_S:g} s", "the keeper of the warm cell", "`rumiai-ray down`, then `up`"
        ) from error
    except RayActorError:
        raise
    except (RaySystemError, RayTaskError) as error:  # its classes are not in this version, or it does not know the call
        raise OtherVersionError(f"{type(error).__name__}: {error}") from None
    protocol = told.get("protocol") if isinstance(told, dict) else None
    if not isinstance(told, dict) or protocol != PROTOCOL:
        raise OtherVersionError(f"an answer of type {type(told).__name__}, of protocol {protocol}")
    return told


@contextmanager
def _quiet_decoder() -> Iterator[None]:
    """Keep Ray from printing a traceback for what this thread cannot decode."""
    own = threading.get_ident()
    decoder = logging.getLogger("ray._private.serialization")

    def others(record: logging.LogRecord) -> bool:
        return record.thread != own

    decoder.addFilter(others)
    try:
        yield
    finally:
        decoder.removeFilter(others)

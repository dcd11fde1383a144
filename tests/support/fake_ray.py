"""As much of Ray as the driver's side of a cell uses, in this process: promises that a test fulfils, actors that only take notes.

`fake_ray(monkeypatch)` puts `ray.wait`, `ray.get` and `ray.kill` in place; nothing is started.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


@dataclass(eq=False)
class Promise:
    """A reference to what a call will give."""

    arguments: tuple[Any, ...] = ()
    value: Any = None
    error: Exception | None = None
    kept: bool = False

    def give(self, value: Any) -> None:
        """The call ends well."""
        self.value, self.kept = value, True

    def fail(self, error: Exception) -> None:
        """The call ends with an error."""
        self.error, self.kept = error, True


@dataclass(eq=False)
class Call:
    """A remote method or task: every call is written down and left open."""

    calls: list[Promise] = field(default_factory=list)
    """The first of each call's references: the one that is waited for."""
    _returns: int = 1

    def options(self, *, num_returns: int = 1) -> Call:
        """The same call with another number of references."""
        return Call(self.calls, num_returns)

    def remote(self, *arguments: Any) -> Any:
        """Begin a call."""
        promises = [Promise(arguments) for _ in range(self._returns)]
        self.calls.append(promises[0])
        return promises[0] if self._returns == 1 else tuple(promises)

    @property
    def open(self) -> list[Promise]:
        """Calls that have not ended."""
        return [call for call in self.calls if not call.kept]


@dataclass(eq=False)
class FakeFront:
    """A front whose answers a test gives."""

    analyze: Call = field(default_factory=Call)
    ready: Call = field(default_factory=Call)
    activity: Call = field(default_factory=Call)

    def rows(self) -> list[Any]:
        """The rows in flight, in the order in which they were sent."""
        return [call.arguments[0] for call in self.analyze.open]

    def die(self, error: Exception) -> None:
        """Every row in flight is lost."""
        for call in self.analyze.open:
            call.fail(error)


@dataclass
class FakeRay:
    """What was done to Ray."""

    killed: list[Any] = field(default_factory=list)

    @staticmethod
    def wait(references: Sequence[Promise], *, num_returns: int = 1, timeout: float | None = None) -> tuple[list[Promise], list[Promise]]:
        """As Ray: at most `num_returns` are called ready. Nobody else could fulfil a promise, so nothing is waited for."""
        del timeout
        ready = [reference for reference in references if reference.kept][:num_returns]
        return ready, [reference for reference in references if reference not in ready]

    @staticmethod
    def get(reference: Promise) -> Any:
        """The value, or the error raised."""
        assert reference.kept, "the product waits for what was not ready"
        if reference.error is not None:
            raise reference.error
        return reference.value

    def kill(self, actor: Any, *, no_restart: bool = True) -> None:
        """Write it down."""
        self.killed.append((actor, no_restart))


def fake_ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    """Put the fake in Ray's place for one test."""
    fake = FakeRay()
    for name in ("wait", "get", "kill"):
        monkeypatch.setattr(ray, name, getattr(fake, name))
    return fake

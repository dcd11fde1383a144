"""One claims actor for all drivers of a run with shards: the limits of a host hold for the run, however many drivers read from it.

Drivers on one Ray find the actor by its name; the first one makes it. It outlives that driver, and ends when no driver is attached. A
driver that was killed stays attached until its shard is resumed and ends; till then, or until the Ray ends, the actor is left. It takes
no CPU. Drivers on several Rays have an actor each, and then each of them keeps to a host's limits by itself.

Owners of shared bytes are known by shard: an entry must not wait for an analysis that another driver may never commit. So equal bytes in
two shards are analysed in both, and counted once where the run is read (`runs.sharded`).
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError

from rumiai_ray.engine.work.entry_registry import Claims
from rumiai_ray.errors import TransientError
from rumiai_ray.ingest.manners import HostBook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.ingest.limits import Manners
    from rumiai_ray.runs.shards import Shard

_LOG = logging.getLogger(__name__)

_NAMESPACE = "rumiai_ray"
"""Names of actors are looked up in the namespace of a driver's job, which is random, unless one is given."""
_METHODS = ("begin", "end", "release", "claim", "ask_host", "host_refused", "host_ended", "has_length", "take_news")
_TRIES = 20
_PAUSE_S = 0.5
"""An actor that ends keeps its name for a moment."""
_LEAVE_S = 10.0


class SharedClaims:
    """The actor: `Claims` of each shard, with one book of hosts.

    Where it dies it starts without owners, as `Claims` does: each driver's ledger still lets nothing of its shard be done twice.

    Args:
        manners: what the readers keep to towards hosts.
    """

    def __init__(self, manners: Manners) -> None:
        self._hosts = HostBook(manners)
        self._shards: dict[int, Claims] = {}

    def attach(self, shard: int, owners: Mapping[str, str]) -> None:
        """A driver begins with a shard; what an earlier driver of that shard had claimed is forgotten."""
        self._shards[shard] = Claims(owners, hosts=self._hosts)

    def of_shard(self, shard: int, method: str, *args: Any, **more: Any) -> Any:
        """Call a method of the `Claims` of a shard."""
        if shard not in self._shards:
            self.attach(shard, {})
        return getattr(self._shards[shard], method)(*args, **more)

    def leave(self, shard: int) -> None:
        """A driver has ended. The last one ends the actor."""
        self._shards.pop(shard, None)
        if not self._shards:
            ray.actor.exit_actor()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class _Method:
    """A method of the claims of one shard, called as that of an actor is."""

    actor: Any
    shard: int
    name: str

    def remote(self, *args: Any, **more: Any) -> Any:
        """Call it; returns a reference to the answer."""
        return self.actor.of_shard.remote(self.shard, self.name, *args, **more)


class ShardClaims:
    """The claims of one shard, to be used like the handle of a `Claims` actor. Can be pickled.

    Args:
        run: address of the run's directory, which the drivers of all shards share.
        shard: this driver's.
        owners: see `Claims`.
        manners: see `Claims`.

    Raises:
        TransientError: the actor cannot be reached.
    """

    def __init__(self, run: str, shard: Shard, owners: Mapping[str, str], manners: Manners) -> None:
        self._shard = shard.number
        self._actor = _attached(run, shard, owners, manners)
        for name in _METHODS:
            setattr(self, name, _Method(self._actor, shard.number, name))

    def leave(self) -> None:
        """The driver has ended."""
        try:
            ray.get(self._actor.leave.remote(self._shard), timeout=_LEAVE_S)
        except RayActorError as error:
            _LOG.debug("the claims actor has ended with this driver, the last one: %s", error)
        except ray.exceptions.RayError as error:
            _LOG.warning("the claims actor of the run was not told that the driver of shard %d ends: %s", self._shard, error)


def _attached(run: str, shard: Shard, owners: Mapping[str, str], manners: Manners) -> Any:
    name = f"claims-{hashlib.sha256(run.encode(errors='surrogatepass')).hexdigest()[:24]}"
    # Its calls may be repeated: what a death makes it forget, the entry trackers do not.
    claims = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(SharedClaims)
    shared = claims.options(name=name, namespace=_NAMESPACE, lifetime="detached", get_if_exists=True)
    problem: Exception | None = None
    for _ in range(_TRIES):
        try:
            actor: Any = shared.remote(manners)
            ray.get(actor.attach.remote(shard.number, dict(owners)))
        except (RayActorError, ValueError) as error:  # it is just ending: by the driver that was the last one
            problem = error
            time.sleep(_PAUSE_S)
        else:
            return actor
    raise TransientError(f"the claims actor that the shards share cannot be reached: {problem}", f"run {run}", "resume the shard")

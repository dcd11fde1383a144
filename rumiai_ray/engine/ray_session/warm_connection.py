"""The way to the Ray where warm cells are: the cluster that RAY_ADDRESS names, else the head that `rumiai-ray up` has started here."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

import ray
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

from rumiai_ray.engine.ray_session.local import restore_environment, start_ray, use_environment
from rumiai_ray.engine.ray_session.local_head import find_head
from rumiai_ray.engine.ray_session.watch import watching_cluster
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rumiai_ray.engine.ray_session.local_head import Head

NAMESPACE = "rumiai"
_HEAD_SILENT_S = 5.0
"""Time for which a head of our own may refuse connections: nothing restarts its GCS."""


def own_head() -> Head | None:
    """The head of our own that a command uses; None where RAY_ADDRESS names a cluster, or there is none."""
    return None if os.environ.get("RAY_ADDRESS") else find_head()


@contextlib.contextmanager
def attached(environment: Mapping[str, str] | None = None) -> Iterator[Head | None]:
    """Connected to the Ray where warm cells are: RAY_ADDRESS, else the head that `up` has started on this machine.

    Args:
        environment: Ray's `runtime_env` for what is started meanwhile. Without one a connection that is there already serves.

    Yields:
        The head of our own, or None on a cluster.

    Raises:
        ConfigError: there is neither.
        TransientError: it cannot be reached.
    """
    head = own_head()
    if head is None and not os.environ.get("RAY_ADDRESS"):
        raise ConfigError("no Ray is running that could keep one", "warm cells", "`rumiai-ray up` starts one")
    if ray.is_initialized():
        if environment is None:
            with _watching(head):
                yield head
            return
        _early.clear()
        ray.shutdown()  # a process gives its environment once, when it connects
    _connect(head, environment)
    try:
        with _watching(head):
            yield head
    finally:
        ray.shutdown()


def _watching(head: Head | None) -> contextlib.AbstractContextManager[None]:
    if head is None:
        return watching_cluster(ray.get_runtime_context().gcs_address)
    return watching_cluster(head.address, silent_s=_HEAD_SILENT_S)


def connect_early() -> None:
    """Connect to the head of our own, if there is one, for as long as this process lives, or until `disconnect`.

    Nothing undoes it at the end: Ray treats a process exit as a disconnect, so `ray.shutdown` (0.3 s, measured) can be skipped.
    """
    head = None if RAY_JOB_CONFIG_JSON_ENV_VAR in os.environ else own_head()
    if head is not None and not ray.is_initialized():
        _connect(head, None)
        _early.add(head.address)


def disconnect() -> None:
    """Undo `connect_early`, if it was called and found a head: another Ray may be started then."""
    if _early:
        _early.clear()
        ray.shutdown()
        restore_environment(_before)


def may_be_left() -> bool:
    """Whether this process is connected by `connect_early` and by nothing else."""
    return bool(_early) and ray.is_initialized()


_early: set[str] = set()
"""Where `connect_early` has connected to."""
_before: dict[str, str | None] = {}
"""What this process's variables for Ray were before it talked to a head of our own."""


def _connect(head: Head | None, environment: Mapping[str, str] | None) -> None:
    if head is not None:
        changed = use_environment(head.environment)
        for name, value in changed.items():
            _before.setdefault(name, value)
    address = head.address if head else os.environ["RAY_ADDRESS"]
    start_ray(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.WARNING, runtime_env=environment)

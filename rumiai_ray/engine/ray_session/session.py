"""The Ray a batch runs on: the cluster it was submitted to or that RAY_ADDRESS names, else one of our own on loopback."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
from typing import TYPE_CHECKING, Any

import ray
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

from rumiai_ray.engine.ray_session.code_snapshot import freeze
from rumiai_ray.engine.ray_session.folder import RayFolder
from rumiai_ray.engine.ray_session.local import LocalRay, local_ray, start_ray
from rumiai_ray.engine.ray_session.watch import watching_cluster
from rumiai_ray.errors import ConfigError
from rumiai_ray.logs import variables
from rumiai_ray.provenance import source_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.config import BaseConfig

_PROBE_S = 3.0
_OVERRIDE = "RAY_OVERRIDE_JOB_RUNTIME_ENV"
"""Ray's variable, read by `ray.init` alone."""


@contextlib.contextmanager
def connected(config: BaseConfig) -> Iterator[LocalRay]:
    """Connect for the time of a run.

    A submitted job's workers import the package from the job's own `--working-dir`, which Ray froze when it was uploaded;
    a driver outside a job uploads a frozen copy itself. Either way every worker of the run is told how much to log: on another node it has
    no other way to know what `--verbose` and RUMIAI_LOG ask of this process.

    Raises:
        ConfigError: see `check_address` and `start_ray`.
        TransientError: Ray did not start, or the cluster cannot be reached.
    """
    check_address()
    address = os.environ.get("RAY_ADDRESS", "")
    if not address:
        with local_ray(num_cpus=_cpus(config)) as ours:
            yield ours
        return
    with contextlib.ExitStack() as held:
        folder = RayFolder.make()
        held.callback(folder.remove)
        scratch = folder.path
        environment: dict[str, Any] = {"env_vars": variables()} if variables() else {}
        if RAY_JOB_CONFIG_JSON_ENV_VAR in os.environ:  # set by the job's supervisor, for the driver only
            code_sha256 = source_sha256()
        else:
            code, code_sha256 = freeze(scratch / "code")
            environment["working_dir"] = str(code)
        with _instead_of_the_jobs():
            start_ray(address=address, log_to_driver=False, logging_level=logging.WARNING, runtime_env=environment or None)
        try:
            with watching_cluster(ray.get_runtime_context().gcs_address):
                yield LocalRay(code_sha256, scratch)
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _instead_of_the_jobs() -> Iterator[None]:
    """Let `ray.init` set variables that the job's own runtime environment sets, too: it refuses a variable that both name.

    `--verbose` asks for more than the job's RUMIAI_LOG may.
    """
    before = os.environ.get(_OVERRIDE)
    os.environ[_OVERRIDE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_OVERRIDE]
        else:
            os.environ[_OVERRIDE] = before


def cluster_has_gpus() -> bool:
    """Whether a living node of that cluster has a GPU; connects to it for the question."""
    check_address()
    start_ray(address=os.environ["RAY_ADDRESS"], log_to_driver=False, logging_level=logging.WARNING)
    try:
        return float(ray.cluster_resources().get("GPU", 0.0)) > 0  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()


def _cpus(config: BaseConfig) -> int:
    """Ray may count the machine's CPUs, and at least what the user has asked for: one for each extraction task, and the cells'."""
    engine = config.engine
    return max(os.cpu_count() or 1, math.ceil((engine.cells or 1) * (engine.cell_cpus or 0.5)) + (engine.extract_tasks or 1))


def check_address() -> None:
    """See that something listens where RAY_ADDRESS says: `ray.init` on a dead address blocked for more than 120 s.

    Raises:
        ConfigError: nothing does, or RAY_ADDRESS is not HOST:PORT.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if not address or RAY_JOB_CONFIG_JSON_ENV_VAR in os.environ:
        return
    host, _, port = address.rpartition(":")
    if not port.isdigit() or "/" in host:
        raise ConfigError("is not HOST:PORT of a cluster's head", f"RAY_ADDRESS {address!r}", "the head's port is usually 6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_S).close()
    except OSError as error:
        raise ConfigError(f"no Ray answers there: {error}", f"RAY_ADDRESS {address}", "start the cluster, or unset RAY_ADDRESS") from error

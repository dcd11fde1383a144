"""The Ray a batch runs on: the cluster it was submitted to or that RAY_ADDRESS names, else one of our own on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import ray

from rumiai_ray.engine.code import freeze
from rumiai_ray.engine.local import LocalRay, local_ray
from rumiai_ray.errors import ConfigError
from rumiai_ray.provenance import source_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.config import BaseConfig

_PROBE_S = 3.0


@contextlib.contextmanager
def connected(config: BaseConfig) -> Iterator[LocalRay]:
    """Connect for the time of a run.

    A submitted job's workers import the package from the job's own `--working-dir`, which Ray froze when it was uploaded;
    a driver outside a job uploads a frozen copy itself.

    Raises:
        ConfigError: RAY_ADDRESS names a cluster that does not answer (`ray.init` would block on it for minutes).
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if not address:
        with local_ray(num_cpus=_cpus(config)) as ours:
            yield ours
        return
    submitted = "RAY_JOB_ID" in os.environ or "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
    if not submitted:
        _probe(address)
    scratch = Path(tempfile.mkdtemp(prefix="rr-"))
    try:
        if submitted:
            ray.init(address=address, log_to_driver=False)
            code_sha256 = source_sha256()
        else:
            folder, code_sha256 = freeze(scratch / "code")
            ray.init(address=address, log_to_driver=False, runtime_env={"working_dir": str(folder)})
        try:
            yield LocalRay(code_sha256, scratch)
        finally:
            ray.shutdown()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _cpus(config: BaseConfig) -> int:
    """Ray may count one CPU for each cell and each extraction task, at least the machine's: on 2 cores both fit."""
    engine = config.engine
    return max(os.cpu_count() or 1, engine.cells + engine.extract_tasks)


def _probe(address: str) -> None:
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_PROBE_S).close()
    except (OSError, ValueError) as error:
        raise ConfigError(f"no Ray answers there: {error}", f"RAY_ADDRESS {address}", "start the cluster, or unset RAY_ADDRESS") from error

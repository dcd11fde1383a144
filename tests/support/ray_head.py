"""A true Ray head on loopback, in a process of its own: what `ray job submit` and RAY_ADDRESS talk to."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray  # noqa: F401 -- puts its psutil on the path

from rumiai_ray.engine.ray_session.local_head import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

psutil: Any = importlib.import_module("psutil")

ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    # Ray would put the machine's routable address in the place of 127.0.0.1.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_PORTS = ("port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port",
          "metrics-export-port", "ray-client-server-port", "node-manager-port", "object-manager-port")  # fmt: skip
_HEAD_ID = "f" * 51 + "00000"
"""The provider wants to know the head's node: 56 hex digits."""
_HEAD_TYPE = "ray.head.default"
"""The provider knows the head's type by this name only."""
_AUTOSCALER = {
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD_ID,
    "RAY_CLOUD_INSTANCE_ID": _HEAD_ID,
}
_START_S = 120.0
_STOP_S = 10.0


@dataclass(frozen=True)
class Head:
    """A running head."""

    jobs: str
    """Address of the job server, for `ray job submit --address`."""
    gcs: str
    """Address for RAY_ADDRESS."""
    metrics: str
    """Where Prometheus would scrape it."""
    folder: Path
    """Its `--temp-dir`."""
    environment: dict[str, str]
    """For processes that talk to it. They find no package on PYTHONPATH: what is imported is what they bring."""


@contextlib.contextmanager
def ray_head(variables: Mapping[str, str], *, cpus: int = 3, workers: Mapping[str, Any] | None = None) -> Iterator[Head]:
    """Start a head and wait until its job server answers; at the end stop its processes, and no others.

    Args:
        variables: further environment of the head, and so of its job supervisors.
        cpus: CPUs it counts with.
        workers: types of nodes that Ray's autoscaler starts on this machine as they are wanted, as in a cluster's YAML; None for none.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith(("RAY_", "RUMIAI_"))}
    environment |= ENVIRONMENT
    # Short: a UNIX socket's path holds 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="rh-", dir="/tmp"))
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    command += ["--dashboard-host=127.0.0.1", "--include-dashboard=true", "--min-worker-port=0", "--max-worker-port=0"]
    command += [f"--num-cpus={cpus}", "--object-store-memory=500000000", f"--temp-dir={folder}", "--disable-usage-stats"]
    command += [f"--{name}={port}" for name, port in ports.items()]
    if workers is not None:
        variables = {**variables, **_AUTOSCALER}
        config = _autoscaling(workers, ports["port"], cpus)
        (folder / "autoscaling.json").write_text(json.dumps(config))
        command += [f"--autoscaling-config={folder / 'autoscaling.json'}", "--num-gpus=0"]
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**environment, **variables},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    addresses = [f"127.0.0.1:{ports[name]}" for name in ("dashboard-port", "port", "metrics-export-port")]
    head = Head(f"http://{addresses[0]}", addresses[1], f"http://{addresses[2]}/metrics", folder, environment)
    try:
        _wait(head, process)
        yield head
    finally:
        _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _autoscaling(workers: Mapping[str, Any], port: int, cpus: int) -> dict[str, Any]:
    """Ray's own provider of pretended nodes: further raylets on this machine."""
    provider = {
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "launch_multiple": True,
        "head_node_id": _HEAD_ID,
        "gcs_address": f"127.0.0.1:{port}",
    }
    lists = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands", "rsync_exclude")
    more_lists = ("rsync_filter", "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files")
    nothing: dict[str, list[str]] = {key: [] for key in (*lists, *more_lists)}
    return {
        "cluster_name": "pretended",
        "max_workers": sum(int(kind["max_workers"]) for kind in workers.values()),
        "idle_timeout_minutes": 0.2,
        "upscaling_speed": 100.0,
        "head_node_type": _HEAD_TYPE,
        "provider": provider,
        "available_node_types": {_HEAD_TYPE: {"resources": {"CPU": cpus}, "node_config": {}, "max_workers": 0}, **workers},
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
        **nothing,
    }


def _wait(head: Head, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{head.jobs}/api/jobs/", timeout=5).close()  # noqa: S310 -- our own http address
            return
        time.sleep(0.2)
    raise RuntimeError(f"the head does not answer:\n{(head.folder / 'head.log').read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the head and all it started. Ray gives workers and job drivers process groups of their own, so the tree is listed first."""
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    for left in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()  # looks whether the id is still that process
    process.wait()
    psutil.wait_procs(tree)

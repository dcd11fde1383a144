"""What every Ray that we start ourselves is started with."""

from __future__ import annotations

import shutil
from pathlib import Path

_LEAST_STORE_BYTES = 512 * 2**20
"""Decoded batches in flight: 3 batches of 32 frames of 720x1280 (85 MB each) and their JPEGs."""
_STORE_BYTES_PER_CPU = 64 * 2**20
"""A GPU cell has a model on nearly every CPU and up to 1.5 batches in flight for each (`cell/policy.py`): of 16 frames, 44 MB each."""
_MOST_STORE_BYTES = 8 * 2**30
"""Past 10 GB Ray refuses to start where shared memory is short."""
_SHARE_OF_SHARED_MEMORY = 0.8
"""Of what is free. Ray takes a disk without a word where there is too little."""
_SHARE_OF_MEMORY = 0.3
"""Of the machine's, or of the container's. Ray refuses more than there is."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- looked at, nothing is put there

ENVIRONMENT = {
    # With "1", Linux's default, 127.0.0.1 is replaced by the machine's routable address, and all of Ray listens to the network.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without this `uv run` would make Ray rebuild the driver's environment in every worker.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # 2.60 announces a future default on every start of an actor without a GPU; we set CUDA_VISIBLE_DEVICES ourselves.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray starts a worker for every CPU beside its first driver, without the environment that all of our workers have: none was ever used.
    "RAY_prestart_worker_first_driver": "0",
    # After 1 s without work Ray ends a worker where more live than it has CPUs, which a cell alone exceeds: each group of videos that was
    # written (`engine.group_age_s` apart) started a process, 1.4 s of CPU time (measured). In a minute's pause it waits instead.
    "RAY_idle_worker_killing_time_threshold_ms": "60000",
    # Nobody reads this Ray's dashboard: its agent need not look at every process every 5 s. On an idle Ray of 2 cores it took 0.8 % of a
    # core, and so 0.6 (measured).
    "REPORTER_UPDATE_INTERVAL_MS": "60000",
    "EVENT_AGENT_REPORT_INTERVAL_SECONDS": "5",
}
"""Without the token: each Ray has its own, see `folder`."""


def object_store_bytes(cpus: int) -> int:
    """Size of the object store: what `cpus` have in flight, where this machine has the room. It takes memory only as far as it fills.

    Args:
        cpus: that Ray counts with.
    """
    from ray._common.utils import get_system_memory  # noqa: PLC0415 -- heavy; `status` and `down` read this module's settings only

    room = shutil.disk_usage(_SHARED_MEMORY).free * _SHARE_OF_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else 0
    room = min(room, get_system_memory() * _SHARE_OF_MEMORY)
    return max(_LEAST_STORE_BYTES, min(cpus * _STORE_BYTES_PER_CPU, int(room), _MOST_STORE_BYTES))

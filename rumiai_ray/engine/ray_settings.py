"""What every Ray that we start ourselves is started with."""

from __future__ import annotations

OBJECT_STORE_BYTES = 512 * 2**20
"""Decoded batches in flight: 3 batches of 32 frames of 720x1280 (85 MB each) and their JPEGs."""

ENVIRONMENT = {
    # Ray 2.60 writes a token file and turns authentication on for local clusters unless the mode is explicit.
    "RAY_AUTH_MODE": "disabled",
    # With "1", Linux's default, 127.0.0.1 is replaced by the machine's routable address, and all of Ray listens to the network.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without this `uv run` would make Ray rebuild the driver's environment in every worker.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # 2.60 announces a future default on every start of an actor without a GPU; we set CUDA_VISIBLE_DEVICES ourselves.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Nobody reads this Ray's dashboard or has its logs brought: its agent need not look at every process every 5 s, nor its log monitor
    # for new files ten times a second. On an idle Ray of 2 cores they took 0.8 % of a core each, and so 0.6 and 0.4 % (measured).
    "REPORTER_UPDATE_INTERVAL_MS": "60000",
    "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
    "LOG_NAME_UPDATE_INTERVAL_S": "30",
    "EVENT_AGENT_REPORT_INTERVAL_SECONDS": "5",
}

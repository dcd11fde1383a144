"""What this machine is called in the logs of a run."""

from __future__ import annotations

import socket

import ray


def node_here() -> str:
    """The host's name, and the beginning of the node's id in Ray where this process has one: as `ray list nodes` shows them."""
    host = socket.gethostname()
    return f"{host}/{ray.get_runtime_context().get_node_id()[:8]}" if ray.is_initialized() else host

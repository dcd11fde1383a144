"""Notices that Ray's own processes have ended, before a call of the driver waits for them: Ray itself takes 60 s to give up on its GCS."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from ray._private import ray_constants, worker

from rumiai_ray.engine.ray_session.supervisor import end_as_lost, is_supervised, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOOK_S = 0.25
_VITAL = {ray_constants.PROCESS_TYPE_GCS_SERVER: "GCS", ray_constants.PROCESS_TYPE_RAYLET: "raylet"}
"""The processes without which nothing runs; Ray goes on without its monitors."""
_PROBE_S = 2.0
SILENT_S = 45.0
"""Time for which a cluster's head may refuse connections: a GCS that is restarted comes back, and Ray ends the driver after 60 s."""


@contextlib.contextmanager
def watching_own_ray() -> Iterator[None]:
    """End the driver, with the name of what has ended, when the GCS or the raylet that this process has started ends."""
    node: Any = worker._global_node  # noqa: SLF001 -- the only handle of Ray's processes
    processes = [(name, one.process) for kind, name in _VITAL.items() for one in node.all_processes.get(kind, ())] if node else []

    def lost() -> str | None:
        ended = [f"{name} ({_how(process.returncode)})" for name, process in processes if process.poll() is not None]
        return f"its {' and its '.join(ended)} has ended" if ended else None

    with _watching(lost, _LOOK_S):
        yield


@contextlib.contextmanager
def watching_cluster(address: str, silent_s: float = SILENT_S) -> Iterator[None]:
    """End the driver, likewise, when a head that another process has started refuses connections.

    Args:
        address: HOST:PORT of its GCS.
        silent_s: for how long it has to.
    """
    host, _, port = address.rpartition(":")
    answered_s = time.monotonic()

    def lost() -> str | None:
        nonlocal answered_s
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_S).close()
        except OSError as error:
            since_s = time.monotonic() - answered_s
            return f"the head at {address} has not answered for {since_s:.0f} s: {error}" if since_s > silent_s else None
        answered_s = time.monotonic()
        return None

    with _watching(lost, _PROBE_S):
        yield


@contextlib.contextmanager
def _watching(lost: Callable[[], str | None], every_s: float) -> Iterator[None]:
    if not is_supervised():
        yield
        return
    tell(connected=True)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(every_s):
            what = lost()
            if what is not None and not over.is_set():
                end_as_lost(what)

    watcher = threading.Thread(target=watch, name="ray-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"

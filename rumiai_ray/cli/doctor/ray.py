"""Can Ray work here? Ports are probed, Ray is not started: `ray.init` on a dead address blocks for minutes."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from rumiai_ray.cli.doctor.finding import Finding

_LOG = logging.getLogger(__name__)
PROBE_S = 0.5
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- looked at, nothing is put there
SHARED_MEMORY_BYTES = 1_000_000_000
"""A container's default is 64 MB; Ray then keeps its objects on disk, which is slower many times over."""


def ray_usability(*, quick: bool) -> list[Finding]:
    """Findings on loopback, shared memory and the cluster that the environment names; unless `quick`, on what a dead one left."""
    findings = [_loopback(), _shared_memory(), _address()]
    return findings if quick else [*findings, _left_over(), _left_behind()]


def _loopback() -> Finding:
    check = "loopback"
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=PROBE_S):
            return Finding(check, "ok", "127.0.0.1 accepts connections")
    except OSError as error:
        return Finding(
            check,
            "error",
            f"no connection over 127.0.0.1: {error}",
            "Ray needs it: check that the loopback interface is up and that no sandbox blocks it",
        )


def _shared_memory() -> Finding:
    check = "shared memory"
    if not SHARED_MEMORY.is_dir():
        return Finding(check, "warning", f"no {SHARED_MEMORY}: Ray keeps its objects on disk", f"mount a tmpfs of 2 GB at {SHARED_MEMORY}")
    total_bytes = shutil.disk_usage(SHARED_MEMORY).total
    message = f"{SHARED_MEMORY}: {total_bytes / 1e9:.2f} GB"
    if total_bytes < SHARED_MEMORY_BYTES:
        return Finding(check, "warning", f"{message}: Ray keeps its objects on disk", "start the container with `--shm-size=2g`")
    return Finding(check, "ok", message)


def _address() -> Finding:
    check = "ray cluster"
    address = os.environ.get("RAY_ADDRESS", "")
    if address in {"", "auto", "local"}:
        return Finding(check, "ok", "RAY_ADDRESS names none")
    if answers(address):
        return Finding(check, "ok", f"RAY_ADDRESS={address} answers")
    return Finding(check, "warning", f"nothing answers at RAY_ADDRESS={address}", "`unset RAY_ADDRESS`, or start that cluster")


def _left_over() -> Finding:
    """The note of its address that a killed head leaves behind. This package minds it not; a bare `ray.init()` takes it for a cluster."""
    check = "ray left-over"
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    try:
        address = note.read_text().strip()
    except FileNotFoundError:
        return Finding(check, "ok", "none")
    except OSError as error:
        return Finding(check, "warning", f"{note} cannot be read: {error.strerror}", "is another user's Ray running here? set RAY_TMPDIR")
    if answers(address):
        return Finding(check, "ok", f"a cluster runs at {address}")
    return Finding(check, "warning", f"{note} names a cluster that does not answer ({address})", f"`rm {note}`")


def _left_behind() -> Finding:
    """Directories of this package's Rays whose commands have ended: what killed commands left, and logs that were kept."""
    from rumiai_ray.engine.ray_session.folder import left_behind  # noqa: PLC0415 -- see `doctor`: a bare Python imports this module

    check = "left behind"
    found = left_behind()
    if not found:
        return Finding(check, "ok", "no command has left a directory of Ray's behind")
    named = ", ".join(f"{left.path} ({'logs' if left.kind == 'logs' else 'of a killed command'})" for left in found)
    total_mb = sum(left.size_bytes for left in found) / 1e6
    return Finding(check, "warning", f"{total_mb:.1f} MB in {named}", "`rumiai-ray doctor --clear` removes them; read the logs before")


def answers(address: str) -> bool:
    """Whether something accepts a connection at `address`: `host:port`, or a URL such as `ray://host:port`."""
    try:
        split = urlsplit(address if "://" in address else f"//{address}")
        port = split.port
    except ValueError as error:
        _LOG.debug("%s is no address: %s", address, error)
        return False
    if not split.hostname or port is None:
        return False
    try:
        socket.create_connection((split.hostname, port), timeout=PROBE_S).close()
    except OSError as error:
        _LOG.debug("nothing answers at %s: %s", address, error)
        return False
    return True

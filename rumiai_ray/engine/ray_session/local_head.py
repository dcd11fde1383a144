"""A Ray head of our own on loopback that outlives the command that started it: `rumiai-ray up` starts it, `down` ends it.

One for each user, machine and Python environment: its workers run in the environment of the command that started it, and a command of
another one would find other packages there, or none. A note under the machine's directory for temporary files says where it is; its
process is known by its id and its start in clock ticks since boot, since an id alone may be another process's by now. Talking to it takes
a token that only the user can read: every process that can talk to a Ray can run code on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from rumiai_ray.disk import remove_tree
from rumiai_ray.engine.ray_session.folder import RayFolder, environment_of, keep_logs, logs_are_wanted
from rumiai_ray.engine.ray_session.process_id import ProcessId
from rumiai_ray.engine.ray_session.settings import object_store_bytes
from rumiai_ray.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger(__name__)
_PORTS = ("port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port", "metrics-export-port",
          "ray-client-server-port", "node-manager-port", "object-manager-port")  # fmt: skip
_START_S = 60.0
_STOP_S = 10.0
_PROBE_S = 1.0


@dataclass(frozen=True)
class Head:
    """A head that was started."""

    address: str
    """HOST:PORT, as for RAY_ADDRESS."""
    process: ProcessId
    folder: str
    """Its directory for temporary files, with its logs and its token; gone with it."""

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to talk to it."""
        return environment_of(Path(self.folder))

    @property
    def logs(self) -> str:
        """The directory of Ray's logs while it lives."""
        return f"{self.folder}/ray/session_latest/logs"


def see_logs(head: Head | None) -> str:
    """What a message says of where to look: Ray's logs on this machine's head, or those of the cluster where there is None."""
    return (
        f"see Ray's logs in {head.logs}"
        if head
        else "see Ray's logs on the cluster's nodes, in /tmp/ray where --temp-dir names no other place"
    )


def find_head() -> Head | None:
    """The head that `start_head` has started on this machine for this user, if it lives and answers."""
    head = _noted()
    if head is None or not head.process.lives:
        return None
    host, _, port = head.address.rpartition(":")
    try:
        # `ray.init` on a dead address blocks for minutes.
        socket.create_connection((host, int(port)), timeout=_PROBE_S).close()
    except OSError as error:
        _LOG.info("the head at %s lives and does not answer: %s", head.address, error)
        return None
    return head


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold what keeps two commands from starting or stopping the head at the same time."""
    with (_private_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start_head(cpus: int) -> Head:
    """Start a head and wait until it answers. Called with `alone` held and no head there.

    Args:
        cpus: CPUs it may count with.

    Raises:
        TransientError: it did not come up.
    """
    stop_head()  # what a dead one left
    made = RayFolder.make()
    made.write_token()
    folder = made.path
    own = folder / "ray"  # Ray opens its directory for temporary files to all users (mode 0777); the one around it stays closed
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    # Copies: the package may be replaced while the head lives.
    program, setup_worker = (shutil.copy(Path(__file__).with_name(name), folder) for name in ("own_node.py", "setup_worker.py"))
    command = [sys.executable, "-P", program, setup_worker, "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    command += ["--include-dashboard=false", "--min-worker-port=0", "--max-worker-port=0", "--disable-usage-stats"]
    command += [f"--num-cpus={cpus}", f"--object-store-memory={object_store_bytes(cpus)}", f"--temp-dir={own}"]
    command += [f"--{name}={port}" for name, port in ports.items()]
    # The user's own settings for other Rays are not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | environment_of(folder)
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 -- the arguments are this module's own
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            pass_fds=[made.lock],  # the head is the directory's owner from now on
        )
    made.release()
    head = Head(f"127.0.0.1:{ports['port']}", ProcessId.of(process.pid), str(folder))
    part = _note().with_suffix(".part")
    part.write_text(json.dumps(asdict(head)), encoding="utf-8")
    part.replace(_note())  # whole or not at all: others read it without asking
    deadline = time.monotonic() + _START_S
    while not (own / "ray_current_cluster").exists():  # the last thing `ray start` does
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "head.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            stop_head(logs=True)
            kept = f"Ray's logs are kept in {folder}/logs; " if (folder / "logs").exists() else ""
            hint = f"{kept}is the machine very busy? try again"
            raise TransientError(f"did not come up: {said[-1] if said else 'it printed nothing'}", "Ray's head", hint)
        time.sleep(0.1)
    return head


def stop_head(*, logs: bool = False) -> bool:
    """End the head that `start_head` started, all its processes and its directory; called with `alone` held.

    Args:
        logs: keep Ray's logs in any case; otherwise they are kept where a part of the head has failed. Their place is logged.

    Returns:
        Whether there was one that lived.
    """
    head = _noted()
    if head is None:
        return False
    lived = head.process.lives
    if lived:
        # Ray gives workers process groups of their own, so the tree is listed first.
        process = psutil.Process(head.process.pid)
        tree = [process, *process.children(recursive=True)]
        process.terminate()
        psutil.wait_procs([process], _STOP_S)
        for left in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()  # looks whether the id is still that process
        psutil.wait_procs(tree, _STOP_S)
    folder = Path(head.folder)
    if logs or logs_are_wanted(folder):
        _keep_logs(folder)
    else:
        remove_tree(folder)
    _note().unlink(missing_ok=True)
    return lived


def _keep_logs(folder: Path) -> None:
    """Keep the logs of a Ray that has ended and say where. On a full disk, which may be why a cell failed, the whole folder is removed."""
    try:
        kept = keep_logs(folder)
    except OSError as error:
        remove_tree(folder)
        _LOG.warning("Ray's logs could not be kept: %s", error)
        return
    if kept is not None:
        _LOG.warning("something on this Ray has failed: its logs are kept in %s (`rumiai-ray doctor --clear` removes them)", kept)


def _noted() -> Head | None:
    """The head that the note names; None where there is no note.

    Raises:
        ConfigError: the note is none of this version's.
    """
    try:
        noted = json.loads(_note().read_text(encoding="utf-8"))
        return Head(noted["address"], ProcessId(**noted["process"]), noted["folder"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        hint = "another version started that Ray: end Ray with that version's `down`, or end Ray's process and remove the file"
        raise ConfigError("the file does not say which Ray was started", str(_note()), hint) from error


def _note() -> Path:
    return _private_folder() / "head.json"


def _private_folder() -> Path:
    """Of this user and Python environment on this machine; not under the home directory, which machines may share.

    Raises:
        ConfigError: somebody else has made it, or may write to it.
    """
    environment = hashlib.sha256(sys.prefix.encode()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / f"rumiai-ray-{os.getuid()}-{environment}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise ConfigError("is not a directory that is yours alone", str(folder), "remove it, or set TMPDIR to a directory of your own")
    return folder


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens at just now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]

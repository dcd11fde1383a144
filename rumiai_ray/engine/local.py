"""A Ray of our own on loopback, for one command on one machine."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray._private import auto_init_hook, ray_constants
from ray.exceptions import AuthenticationError, RayError

from rumiai_ray.engine.code import freeze
from rumiai_ray.engine.ray_settings import ENVIRONMENT, object_store_bytes
from rumiai_ray.errors import ConfigError, RumiaiError, StorageError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalRay:
    """What a run needs to know of the Ray it is on."""

    code_sha256: str
    """Source hash of the frozen package the workers import."""
    scratch: Path
    """Directory for the actors' notes, at the same place on every node; on this one it is gone with the Ray."""


def start_ray(**options: Any) -> None:
    """`ray.init` without four of its surprises.

    Raises:
        TransientError: Ray's processes did not come up in time (Ray allows them 30 s), or the cluster cannot be reached.
        ConfigError: the cluster is of another version of Ray or Python, or wants a token.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except SystemExit as end:  # halfway through, Ray puts a handler of SIGTERM there that does this
        if end.code != signal.SIGTERM:
            raise
        raise KeyboardInterrupt from end
    except Exception as error:
        named = _named(error, options.get("address", "local"))
        if named is None:
            raise
        raise named from error
    finally:
        if signal.getsignal(signal.SIGTERM) is not before:
            signal.signal(signal.SIGTERM, before)
    # A thread of Ray Data that outlives `ray.shutdown` would start another Ray by asking for anything.
    auto_init_hook.enable_auto_connect = False


def cpus_to_count() -> int:
    """CPUs that a Ray of our own may count with: the machine's, and two at least."""
    return max(os.cpu_count() or 1, 2)


def _named(error: Exception, address: str) -> RumiaiError | None:
    """What a failed `ray.init` is to whoever started the command; None for a mistake of ours."""
    # Exception itself: what Ray raises for a node that did not come up has no class of its own.
    if type(error) is not Exception and not isinstance(error, (OSError, RuntimeError, ValueError, RayError)):
        return None
    if address == "local":
        hint = "the machine is very busy or short of memory: try again when it is not"
        return TransientError(f"did not start: {str(error).partition(chr(10))[0]}", "Ray", hint)
    said = " ".join(str(error).split())
    if isinstance(error, (RuntimeError, ValueError, AuthenticationError)):
        hint = "use the cluster's versions of Ray and Python, and its token where it wants one"
        return ConfigError(f"does not take this program: {said}", f"Ray at {address}", hint)
    return TransientError(f"cannot be reached: {said}", f"Ray at {address}", "see that the cluster is up: `ray status`")


@contextlib.contextmanager
def local_ray(*, num_cpus: int | None = None, num_gpus: int | None = None, beside: Sequence[Path] = ()) -> Iterator[LocalRay]:
    """Start a Ray on loopback whose workers import a frozen copy of this package; stop it on the way out.

    Args:
        num_cpus: CPUs Ray may count with; the machine's, and two at least, where not given.
        num_gpus: GPUs Ray may count with; the machine's where not given.
        beside: further modules (files) the workers can import, frozen likewise.
    """
    cpus = num_cpus or cpus_to_count()
    os.environ.update(ENVIRONMENT)
    ray_constants.ENABLE_RAY_CLUSTER = False  # this process read the variable when it imported Ray
    # Short: a UNIX socket's path holds 107 bytes and Ray's session directory takes most of them.
    scratch = Path(tempfile.mkdtemp(prefix="rr-", dir="/tmp" if Path("/tmp").is_dir() else None))  # noqa: S108 -- mkdtemp makes it private
    keep = False
    try:
        folder, code_sha256 = freeze(scratch / "code")
        for module in beside:
            shutil.copy(module, folder)
        start_ray(
            address="local",
            _node_ip_address="127.0.0.1",
            _temp_dir=str(scratch / "ray"),
            include_dashboard=False,
            num_cpus=cpus,
            num_gpus=num_gpus,
            object_store_memory=object_store_bytes(cpus),
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
            runtime_env={"working_dir": str(folder)},
        )
        try:
            yield LocalRay(code_sha256, scratch)
        finally:
            ray.shutdown()
    except (ConfigError, StorageError):  # of whoever uses this Ray, whose logs do not know about it
        raise
    except Exception:
        keep = True
        _LOG.warning("Ray's logs are kept in %s", scratch / "ray" / "session_latest" / "logs")
        raise
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)

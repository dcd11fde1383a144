"""A Ray of our own on loopback, for one command on one machine.

Every Ray that this package starts, here and in `local_head`, has a directory of `folder` with a token that only the user can read. Every
user of the machine can open a connection to a loopback port, and a client that Ray accepts can run code as the user who started Ray.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray._private import auto_init_hook, ray_constants, services
from ray._private import worker as ray_worker
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]  # a module of C++
from ray._raylet import Config as RayConfig  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError, RayError

from rumiai_ray.engine.ray_session.code_snapshot import SETUP_WORKER, freeze
from rumiai_ray.engine.ray_session.folder import RayFolder, environment_of
from rumiai_ray.engine.ray_session.own_node import own_node
from rumiai_ray.engine.ray_session.settings import object_store_bytes
from rumiai_ray.engine.ray_session.supervisor import tell
from rumiai_ray.engine.ray_session.watch import watching_own_ray
from rumiai_ray.errors import ConfigError, RumiaiError, StorageError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_LOG = logging.getLogger(__name__)
_TOKEN_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@dataclass(frozen=True)
class LocalRay:
    """What a run needs to know of the Ray it is on."""

    code_sha256: str
    """Source hash of the frozen package the workers import."""
    scratch: Path
    """Directory for the actors' notes, at the same place on every node; on this one it is gone with the Ray."""
    _wanted: set[str] = field(default_factory=set, repr=False, compare=False)

    def keep_logs(self) -> None:
        """Keep Ray's logs when this Ray is ended: the run is not complete. A cluster keeps its own logs in any case."""
        self._wanted.add("logs")

    @property
    def logs_are_wanted(self) -> bool:
        """Whether `keep_logs` was called."""
        return bool(self._wanted)


def start_ray(**options: Any) -> None:
    """`ray.init` without five of its surprises.

    Raises:
        TransientError: Ray's processes did not come up in time (Ray allows them 30 s), or the cluster cannot be reached.
        ConfigError: the cluster is of another version of Ray or Python, or wants a token.
    """
    before = signal.getsignal(signal.SIGTERM)
    # What a raylet tells the driver (a worker died) Ray prints on stdout, which is the command's result.
    ray_worker.print_to_stdstream = _told_by_ray
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


def _told_by_ray(data: Mapping[str, Any], ignore_prefix: bool) -> None:  # noqa: FBT001 -- Ray's own signature
    """In place of Ray's `print_to_stdstream`: the log has it, and failures reach the user with the model's name."""
    del ignore_prefix
    _LOG.info("Ray's %s: %s", data["pid"], " ".join(data["lines"]))


def cpus_to_count() -> int:
    """CPUs that a Ray of our own may count with: the machine's, and two at least."""
    return max(os.cpu_count() or 1, 2)


def _named(error: Exception, address: str) -> RumiaiError | None:
    """The error that the command's user gets for a failed `ray.init`; None for a mistake of ours."""
    # Exception itself: what Ray raises for a node that did not come up has no class of its own.
    if type(error) is not Exception and not isinstance(error, (OSError, RuntimeError, ValueError, RayError)):
        return None
    if address == "local":
        hint = "the machine is very busy or short of memory: try again when it is not"
        return TransientError(f"did not start: {str(error).partition(chr(10))[0]}", "Ray", hint)
    said = " ".join(str(error).split())
    if isinstance(error, (RuntimeError, ValueError, AuthenticationError)):
        hint = "use the cluster's versions of Ray and Python, and its token if it requires one"
        return ConfigError(f"refused this program: {said}", f"Ray at {address}", hint)
    return TransientError(f"cannot be reached: {said}", f"Ray at {address}", "see that the cluster is up: `ray status`")


def use_environment(variables: Mapping[str, str]) -> dict[str, str | None]:
    """Set Ray's variables and make Ray read them again: this process did when it imported Ray, and keeps the first token it reads.

    Args:
        variables: to set. The token of a Ray that the user has elsewhere is left out of the way.

    Returns:
        What was there before of all that is changed, for `restore_environment`.
    """
    before = {name: os.environ.get(name) for name in (*_TOKEN_VARIABLES, *variables)}
    _set({name: variables.get(name) for name in before})
    return before


def restore_environment(before: Mapping[str, str | None]) -> None:
    """Undo `use_environment`."""
    _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    ray_constants.ENABLE_RAY_CLUSTER = os.environ.get("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "1") == "1"
    RayConfig.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def local_ray(*, num_cpus: int | None = None, num_gpus: int | None = None, beside: Sequence[Path] = ()) -> Iterator[LocalRay]:
    """Start a Ray on loopback whose workers import a frozen copy of this package; stop it on the way out.

    Its logs are kept where the way out is an error that may be Ray's, and where `LocalRay.keep_logs` was called.

    Args:
        num_cpus: CPUs Ray may count with; the machine's, and two at least, where not given.
        num_gpus: GPUs Ray may count with; the machine's where not given.
        beside: further modules (files) the workers can import, frozen likewise.
    """
    cpus = num_cpus or cpus_to_count()
    folder = RayFolder.make()
    folder.write_token()
    tell(ray=str(folder.path))
    before = use_environment(environment_of(folder.path))
    keep = False
    try:
        code, code_sha256 = freeze(folder.path / "code")
        for module in beside:
            shutil.copy(module, code)
        with _sessions_of_their_own(), own_node(str(code / SETUP_WORKER)):
            start_ray(
                address="local",
                _node_ip_address="127.0.0.1",
                _temp_dir=str(folder.path / "ray"),
                include_dashboard=False,
                num_cpus=cpus,
                num_gpus=num_gpus,
                object_store_memory=object_store_bytes(cpus),
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
                runtime_env={"working_dir": str(code)},
            )
        here = LocalRay(code_sha256, folder.path)
        try:
            with watching_own_ray():
                yield here
        finally:
            keep = here.logs_are_wanted
            ray.shutdown()
    except (ConfigError, StorageError, SystemExit, GeneratorExit):  # of the code that uses this Ray; Ray's logs do not know about it
        raise
    except BaseException:
        keep = True
        raise
    finally:
        restore_environment(before)
        tell(ray=None)
        kept = folder.keep_logs() if keep else None
        if kept is None:
            folder.remove()
        else:
            _LOG.warning("Ray's logs are kept in %s (`rumiai-ray doctor --clear` removes them)", kept)


@contextlib.contextmanager
def _sessions_of_their_own() -> Iterator[None]:
    """Ray's processes get sessions of their own, and so process groups, while this is entered.

    `timeout` and container runtimes send SIGTERM to the whole process group: Ray's processes ended first, and the driver could not drain.
    They end with this process nevertheless: the kernel kills them when it dies.
    """
    before = services.ConsolePopen

    class InItsOwnSession(before):  # type: ignore[misc, valid-type]  # Ray has no types
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options, start_new_session=True)

    services.ConsolePopen = InItsOwnSession  # type: ignore[misc]
    try:
        yield
    finally:
        services.ConsolePopen = before  # type: ignore[misc]

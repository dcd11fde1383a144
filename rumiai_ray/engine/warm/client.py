"""A command's side of warm cells: find the cell of its own code, weights and configuration, stand in the queue, replace what differs.

A keeper (see `server`) is a detached actor, named after its user and its fingerprint: a command cannot so much as find a cell that is made
of something else than what it wants. `rumiai-ray up` makes the first one, on a head of our own or on the cluster that RAY_ADDRESS names;
where there is none, a command starts a cell of its own and ends it.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import logging
import os
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import ray
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
from ray.exceptions import GetTimeoutError, RayActorError, RayError
from ray.util import list_named_actors

from rumiai_ray.engine.cell.policy import cell_spec, lane_policy
from rumiai_ray.engine.ray_session.code_snapshot import freeze
from rumiai_ray.engine.ray_session.folder import RayFolder
from rumiai_ray.engine.ray_session.local import LocalRay
from rumiai_ray.engine.ray_session.warm_connection import attached, disconnect, own_head
from rumiai_ray.engine.setup.machines import plan_of_ray
from rumiai_ray.engine.warm.answers import ANSWER_S, OTHER_VERSION, Held, OtherVersionError, answer, error_of, held_of
from rumiai_ray.engine.warm.queue_place import SERVER_ENDED, queued
from rumiai_ray.engine.warm.server import Keeper
from rumiai_ray.errors import ConfigError, TransientError
from rumiai_ray.logs import swallowed, variables
from rumiai_ray.models.catalogue import packages
from rumiai_ray.provenance import package_versions, result_packages
from rumiai_ray.runs.fingerprint import flat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.cell.cell import Cell
    from rumiai_ray.models.base import ModelPlan

_LOG = logging.getLogger(__name__)
_Said = TypeVar("_Said")

_PREFIX = "warm"
_POLL_S = 0.05
_REPLACED = 5
"""Times a command looks again for a cell that was replaced while it waited."""
_CONCURRENCY = 32
"""Calls a keeper answers at a time; all are short."""
_SHOWN = 3
"""Differences that are named where a cell is replaced."""
_ON_HEAD = {"node:__internal_head__": 0.001}
"""The keeper costs no node of its own, and none that an autoscaler wants to stop."""


@dataclass(frozen=True)
class WantedCell:
    """The cell a command wants."""

    config: BaseConfig
    models: Sequence[ModelPlan]
    code_sha256: str
    """Source hash of the code that is running here."""

    @cached_property
    def parts(self) -> dict[str, str]:
        """All that can make one cell differ from another, as flat text."""
        engine = self.config.engine
        place = {"cell_cpus": engine.cell_cpus, "cells_per_gpu": engine.cells_per_gpu, "gpu_memory_gb": engine.gpu_memory_gb}
        tree = {
            "source_sha256": self.code_sha256,
            "packages": result_packages(package_versions(packages(self.models))),
            "engine": asdict(lane_policy(self.config)) | place | {"batches_in_flight": engine.batches_in_flight},
            "models": {plan.name: _as_text(plan) for plan in self.models},
        }
        return dict(flat(tree))

    @cached_property
    def key(self) -> str:
        """SHA-256 over `parts`."""
        return hashlib.sha256("\n".join(f"{name}={value}" for name, value in sorted(self.parts.items())).encode()).hexdigest()


def _as_text(plan: ModelPlan) -> dict[str, Any]:
    files = {role: str(path) for role, path in plan.files.items()}
    # The reason says how the choice came about, not what runs: the same files found and fetched are the same cell.
    identity = {name: value for name, value in vars(plan).items() if name != "reason"}
    return identity | {"files": files, "digests": dict(plan.digests), "settings": plan.settings.model_dump(mode="json")}


class Lease:
    """A command's turn with a warm cell.

    Args:
        cell: the cell.
        ask: asks the server for the cell, as long as the turn lasts.
        replace: has the server close the cell and start another one, within the turn.
    """

    def __init__(self, cell: Cell, ask: Callable[[], Mapping[str, Any]], replace: Callable[[], object]) -> None:
        self.cell = cell
        self.lost_because = ""
        """Why the cell is this command's no more; empty while it may be used."""
        self._ask = ask
        self._replace = replace

    def replace(self) -> None:
        """Have the cell closed, which is broken, and another one started; `poll` has it when it is there.

        Raises:
            TransientError: the server has ended.
        """
        self._spoken(self._replace)

    def poll(self) -> Cell | None:
        """The cell that replaces the one before, once it is there. Does not wait for it.

        Raises:
            TransientError: the server has ended.
            RumiaiError: the cell cannot be started.
        """
        turn = self._spoken(self._ask)
        if turn["error"] is not None:
            raise error_of(turn["error"])
        cell: Cell | None = turn["cell"]
        return cell

    def _spoken(self, call: Callable[[], _Said]) -> _Said:
        """Ask the server, which `rumiai-ray down` or the end of its Ray may have ended."""
        try:
            return call()
        except (RayActorError, OtherVersionError) as error:
            raise TransientError(self.lost_because or SERVER_ENDED, "the warm cell", "run the command again") from error


@contextlib.contextmanager
def borrowed(wanted: WantedCell, say: Callable[[str], None], check: Callable[[], object] = lambda: None) -> Iterator[Lease | None]:
    """A warm cell for the time of a command, connected to its Ray; None where `up` was not called.

    A cell that is made of something else is replaced when the commands that use it are done. An expired cell is started again.

    Args:
        wanted: what the cell has to be made of.
        say: told what is waited for.
        check: called again and again while the cell is waited for; what it raises ends the wait and gives the place in the queue back.

    Raises:
        ConfigError: no node has room for the cell.
        TransientError: the cell's Ray cannot be reached.
    """
    if RAY_JOB_CONFIG_JSON_ENV_VAR in os.environ or not (os.environ.get("RAY_ADDRESS") or own_head()):
        disconnect()  # of a head that has gone since
        yield None  # a submitted job brings its own code, and is no interactive work
        return
    with contextlib.ExitStack() as held:
        yield _acquire(wanted, say, held, check=check)


def keep(wanted: WantedCell, say: Callable[[str], None]) -> Held:
    """Make the Ray where warm cells are hold this one, and wait until its models are loaded, or cannot be.

    Raises:
        ConfigError: as for `borrowed`.
        TransientError: likewise.
    """
    with contextlib.ExitStack() as held:
        _acquire(wanted, say, held, make=True)
        say("loading models")
        keeper = ray.get_actor(_name(wanted))
        answer(keeper.expire_after.remote(wanted.config.engine.warm_idle_s))
        seen = held_of(keeper)
        while seen.state == "starting":
            time.sleep(_POLL_S)
            seen = held_of(keeper)
        return replace(seen, user="")  # which is this command


def all_held() -> list[Held]:
    """What this user's keepers on the Ray this process is attached to say of themselves."""
    held = []
    for name in keepers():
        try:
            held.append(held_of(ray.get_actor(name)))
        except OtherVersionError as error:
            _LOG.info("%s: %s", name, error)
            held.append(Held(name.rpartition("-")[2], OTHER_VERSION))
        except (ValueError, RayActorError) as error:  # it has ended since it was listed
            _LOG.debug("%s: %s", name, error)
    return held


def drop_all() -> int:
    """End this user's keepers on the Ray this process is attached to, and so their cells; returns how many there were."""
    names = keepers()
    for name in names:
        _end(ray.get_actor(name))
    return len(names)


def keepers() -> list[str]:
    """Names of this user's keepers on the Ray this process is attached to."""
    return [name for name in list_named_actors() if name.startswith(f"{_PREFIX}-{_user()}-")]


def _is_there(name: str) -> bool:
    try:
        ray.get_actor(name)
    except ValueError as error:
        _LOG.debug("%s: %s", name, error)
        return False
    return True


def _user() -> str:
    """Cells of one user are not another's."""
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:  # a container's user may have no name
        _LOG.debug("the user has no name: %s", error)
        return str(os.getuid())


def _name(wanted: WantedCell) -> str:
    return f"{_PREFIX}-{_user()}-{wanted.key[:24]}"


def _acquire(
    wanted: WantedCell,
    say: Callable[[str], None],
    held: contextlib.ExitStack,
    *,
    make: bool = False,
    check: Callable[[], object] = lambda: None,
) -> Lease | None:
    """The cell, its turn and the connection, which last as long as `held`; None where nobody has asked for warm cells and `make` is not."""
    for _ in range(_REPLACED):
        head = held.enter_context(attached())
        there = _is_there(_name(wanted))
        if head is None and not make and not there and not keepers():
            held.close()
            return None
        if not there:
            # What is started for the first time needs the code: connect again, with a frozen copy of it.
            held.close()
            scratch = RayFolder.make()
            held.callback(scratch.remove)
            folder, code_sha256 = freeze(scratch.path / "code")
            if code_sha256 != wanted.code_sha256:
                raise ConfigError("the package's source changed while the command was starting", "warm cell", "start it again")
            held.enter_context(attached({"working_dir": str(folder)}))
        try:
            return held.enter_context(_turn(wanted, say, check))
        except RayActorError as error:  # a command that was before this one in the queue has replaced the cell
            _LOG.info("the warm cell was replaced while this command waited: %s", error)
            held.close()
        except OtherVersionError as error:  # not under this fingerprint, unless an answer was damaged
            _LOG.warning("the keeper of the warm cell cannot be understood and is ended: %s", error)
            with swallowed(_LOG, f"ending {_name(wanted)}", ValueError):
                _end(ray.get_actor(_name(wanted)))
            held.close()
    raise TransientError(f"was replaced or died {_REPLACED} times before this command had it", "the warm cell", "see `rumiai-ray status`")


@contextlib.contextmanager
def _turn(wanted: WantedCell, say: Callable[[str], None], check: Callable[[], object]) -> Iterator[Lease]:
    """The cell of `wanted`, when it is this command's turn."""
    lease: Lease | None = None

    def evicted(why: str) -> None:
        say(why)
        if lease is not None:
            lease.lost_because = why

    with queued(_keeper(wanted), say, evicted) as place:
        said = False
        while (turn := place.ask())["cell"] is None:
            check()
            if turn["error"] is not None:
                raise error_of(turn["error"])
            if not turn["behind"]:
                if not said:
                    say("starting a warm cell")
                said = True
                _replace_others(wanted, say, check)
            time.sleep(_POLL_S)
        lease = Lease(turn["cell"], place.ask, place.replace)
        yield lease


def _keeper(wanted: WantedCell) -> Any:
    """The keeper of such a cell, made where there is none."""
    with swallowed(_LOG, "looking for the keeper", ValueError):
        return ray.get_actor(_name(wanted))
    config = wanted.config
    head = own_head()
    # On a head of our own the notes go with its directory.
    notes = Path(head.folder if head else tempfile.gettempdir()) / f"rr-warm-{uuid.uuid4().hex[:12]}"
    shape = plan_of_ray(config, wanted.models, cells=1).cell
    spec = cell_spec(config, wanted.models, shape, LocalRay(wanted.code_sha256, notes))
    said = {"runtime_env": {"env_vars": variables()}} if variables() else {}
    options = {**said, "num_cpus": 0, "resources": _ON_HEAD, "max_restarts": 0, "max_concurrency": _CONCURRENCY}
    return (
        ray.remote(Keeper)
        .options(name=_name(wanted), lifetime="detached", get_if_exists=True, **options)
        .remote(wanted.key, wanted.parts, spec, config.engine.warm_idle_s, config.engine.place_timeout_s, head)
    )


def _replace_others(wanted: WantedCell, say: Callable[[str], None], check: Callable[[], object] = lambda: None) -> None:
    """End this user's cells that are made of something else, each when the commands that use it are done: there is room for one."""
    for name in keepers():
        if name == _name(wanted):
            continue
        with swallowed(_LOG, f"replacing {name}, which somebody else has ended meanwhile", ValueError, RayActorError):
            keeper = ray.get_actor(name)
            try:
                with queued(keeper, say) as place:
                    while place.ask(start=False)["behind"]:
                        check()
                        time.sleep(_POLL_S)
                    held = answer(keeper.parts.remote())["parts"]
                    say(f"replacing a warm cell that is made of something else: {_differences(held, wanted.parts)}")
                    _end(keeper)
            except OtherVersionError as error:
                _LOG.info("%s: %s", name, error)
                # Who uses it cannot be asked: an upgrade while another version's command is at work ends that command's cell.
                say("replacing a warm cell of another version of this program")
                _end(keeper)


def _differences(held: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    differing = sorted(name for name in held.keys() | wanted.keys() if held.get(name) != wanted.get(name))
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return ", ".join(differing[:_SHOWN]) + more


def _end(keeper: Any) -> None:
    with swallowed(_LOG, "closing a warm cell", RayError, GetTimeoutError):  # of another version's keeper, whatever it answers
        ray.get(keeper.close.remote(), timeout=ANSWER_S)
    ray.kill(keeper)

"""What is called at the end of a run, setting `on_end`: a command, or an address that the end is posted to.

Both get the same JSON. No shell reads the command, and nothing of a manifest's rows is in its arguments or environment. A hook that fails
or hangs is said, and changes no exit code: the run has ended by then.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from rumiai_ray.cli.terminal import say
from rumiai_ray.engine.setup.run_setup import fetch_limits
from rumiai_ray.errors import RumiaiError, TransientError
from rumiai_ray.ingest.limits import FetchLimits
from rumiai_ray.ingest.web import post_json
from rumiai_ray.shown import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.config import BaseConfig

LIMIT_S = 60.0
"""Longest time that a hook gets; then its processes are killed, or its connection is cut."""
_NOT_HANDED_ON = ("RUMIAI_ON_END", "RUMIAI_RUN_ID")
"""A hook that starts a run would otherwise call itself at that run's end, or give it this run's name."""

HookStatus = Literal["complete", "partial", "stopped", "aborted"]
"""`stopped`: told to stop, or left entries of hosts that refuse undone; it can be resumed. `aborted`: ended by an error, or by a signal
where it cannot be resumed."""


@dataclass(frozen=True)
class RunEnd:
    """What a hook is told."""

    run_id: str
    run: str
    """Path or URI of the run's directory."""
    status: HookStatus
    exit_code: int
    """Of the command that ran it; see `rumiai_ray.cli.exits`."""
    committed: int
    """Entries, of the run as a whole."""
    dead_letters: int
    format: int = 1
    shard: str | None = None
    """Of a run with shards, the one whose driver has ended, `2/4`: `status` and `exit_code` are of it alone. Else not told."""


@dataclass(frozen=True)
class EndHook:
    """What is called."""

    called: str = field(repr=False)
    """A command line, or an http(s) address."""
    proxy: str | None = field(default=None, repr=False)
    """See `FetchLimits.proxy`."""

    @classmethod
    def of(cls, config: BaseConfig) -> Self | None:
        """The hook that the settings name, if they name one."""
        return None if config.on_end is None else cls(config.on_end, fetch_limits(config).proxy)


def call(hook: EndHook, end: RunEnd) -> None:
    """Call the hook and wait for it, for `LIMIT_S` at most. Raises nothing: what goes wrong is said."""
    try:
        if hook.called.lower().startswith(("http://", "https://")):
            _post(hook, end)
        else:
            _run(shlex.split(hook.called), end)
    except KeyboardInterrupt:
        say("the end hook was interrupted; the run has ended as said above", err=True)
    except Exception as error:  # noqa: BLE001 -- the hook's boundary: the run has ended, and says how whatever becomes of its hook
        # An address may be a secret as a whole, as those of chat systems are: none of it is said.
        said = error.what if isinstance(error, RumiaiError) else f"{type(error).__name__}: {error}"
        say(f"the end hook failed, which changes nothing about the run: {shown(said, [hook.called])}", err=True)


def environment(end: RunEnd, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a hook's command."""
    told = {"RUN_ID": end.run_id, "RUN_PATH": end.run, "RUN_STATUS": end.status, "RUN_EXIT_CODE": str(end.exit_code)}
    return {name: value for name, value in base.items() if name not in _NOT_HANDED_ON} | told


def _document(end: RunEnd) -> bytes:
    return json.dumps({name: value for name, value in asdict(end).items() if value is not None}).encode() + b"\n"


def _post(hook: EndHook, end: RunEnd) -> None:
    # The user named this host, so that it may be a private one.
    limits = FetchLimits(total_s=LIMIT_S, stall_s=LIMIT_S, allow_private_hosts=True, proxy=hook.proxy)
    post_json(hook.called, _document(end), limits)


def _run(arguments: list[str], end: RunEnd) -> None:
    # A session of its own, so that what it has started can be ended with it. Standard output is our own JSON's.
    process = subprocess.Popen(  # noqa: S603 -- the user's own command, as a list
        arguments, stdin=subprocess.PIPE, stdout=2, env=environment(end, os.environ), start_new_session=True
    )
    try:
        process.communicate(_document(end), LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"it did not end within {LIMIT_S:g} s and was killed") from error
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        how = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        say(f"the end hook failed with {how}, which changes nothing about the run", err=True)

"""What is called at the end of a run, setting `on_end`: a command, or an address that the end is posted to.

Both get the same JSON. No shell reads the command, and nothing of a manifest's rows is in its arguments or environment. A hook that fails,
hangs or is interrupted is said, and changes no exit code: the run has ended by then.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from rumiai_ray.cli.terminal import say
from rumiai_ray.engine.setup.run_setup import fetch_limits
from rumiai_ray.errors import RumiaiError, TransientError
from rumiai_ray.ingest.limits import FetchLimits
from rumiai_ray.ingest.web import post_json
from rumiai_ray.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rumiai_ray.config import BaseConfig

LIMIT_S = 60.0
"""Longest time that a hook gets; then its processes are killed, or its connection is cut."""
_NOT_HANDED_ON = ("RUMIAI_ON_END", "RUMIAI_RUN_ID")
"""A hook that starts a run would otherwise call itself at that run's end, or give it this run's name."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that end a process which does not handle them."""

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
    """Call the hook and wait for it, for `LIMIT_S` at most. Raises nothing: what goes wrong is said.

    A signal that would end this process ends the hook instead, with all processes of its group: the run has ended, and how is said.
    """
    with _Signals() as signals:
        _call(hook, end, signals)


def _call(hook: EndHook, end: RunEnd, signals: _Signals) -> None:
    try:
        if hook.called.lower().startswith(("http://", "https://")):
            with signals.that_raise():
                _post(hook, end)
        else:
            _run(shlex.split(hook.called), end, signals)
    except _InterruptedError as interrupted:
        say(f"the end hook was stopped by {interrupted.signal.name}; the run ended as stated above", err=True)
    except Exception as error:  # noqa: BLE001 -- the hook's boundary: the run has ended, and says how whatever becomes of its hook
        # An address may be a secret as a whole, as those of chat systems are: none of it is said.
        said = error.what if isinstance(error, RumiaiError) else f"{type(error).__name__}: {error}"
        say(f"the end hook failed, which changes nothing about the run: {shown(said, [hook.called])}", err=True)


class _InterruptedError(BaseException):
    """A signal has come. No `Exception`, so that no library that is at work takes it for an error of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class _Signals:
    """While the context is open, a signal ends what the hook has started, and nothing else."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        """Whose group a signal kills."""
        self._came: int | None = None
        self._raises = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers, and none is sent signals
            taken = [number for number in _ENDING if signal.getsignal(number) not in (signal.SIG_IGN, None)]  # None: not Python's
            self._before = {number: signal.signal(number, self._come) for number in taken}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def that_raise(self) -> Iterator[None]:
        """Signals end what is done in this context, once."""
        self._raises = True
        try:
            self.check()
            yield
        finally:
            self._raises = False

    def check(self) -> None:
        """Raises `_InterruptedError` where a signal has come."""
        if self._came is not None:
            raise _InterruptedError(self._came)

    def end(self) -> None:
        """Kill the group, where its first process has not been waited for: after that its number may be another one's."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _come(self, number: int, _frame: object) -> None:
        self._came = number
        # Nothing is raised while there is a process: it would be lost between its start and its name.
        self.end()
        if self._raises:
            self._raises = False
            raise _InterruptedError(number)


def environment(end: RunEnd, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a hook's command."""
    told = {"RUN_ID": end.run_id, "RUN_PATH": end.run, "RUN_STATUS": end.status, "RUN_EXIT_CODE": str(end.exit_code)}
    return {name: value for name, value in base.items() if name not in _NOT_HANDED_ON} | told


def _document(end: RunEnd) -> bytes:
    return json.dumps(asdict(end)).encode() + b"\n"


def _post(hook: EndHook, end: RunEnd) -> None:
    # The user named this host, so that it may be a private one.
    limits = FetchLimits(total_s=LIMIT_S, stall_s=LIMIT_S, allow_private_hosts=True, proxy=hook.proxy)
    post_json(hook.called, _document(end), limits)


def _run(arguments: list[str], end: RunEnd, signals: _Signals) -> None:
    # A session of its own, so that what it has started can be ended with it. Standard output is our own JSON's.
    process = signals.process = subprocess.Popen(  # noqa: S603 -- the user's own command, as a list
        arguments, stdin=subprocess.PIPE, stdout=2, env=environment(end, os.environ), start_new_session=True
    )
    try:
        signals.check()  # one may have come before the process had a name
        process.communicate(_document(end), LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"the command did not end within {LIMIT_S:g} s and was killed") from error
    finally:
        if process.returncode is None:
            signals.end()
            process.wait()
    signals.check()
    if process.returncode:
        how = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        say(f"the end hook failed with {how}, which changes nothing about the run", err=True)

"""A process above the driver that says how a run has ended where the driver no longer can.

Ray's C++ ends the driver with `_Exit(1)` as soon as the driver's connection to its raylet breaks, and 60 s after the GCS has gone: no
handler of Python runs, no `finally`. So the command forks before it imports Ray. The child is the driver; the parent forwards signals and
waits, and has the last word: a named error, the line that resumes the run, and the exit code. The two share the terminal and one pipe, on
which the child leaves word of what the parent has to know. Without a parent (a test, `import rumiai_ray`) words go nowhere.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rumiai_ray.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

ABORTED = 3
"""Exit code of a run that was ended; `cli.exits` has the list."""
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)
_PR_SET_PDEATHSIG = 1
_to_parent: list[int] = []
"""The pipe's writing end, where this process has such a parent."""


class RayLostError(TransientError):
    """A process of Ray's without which the run cannot go on has ended. What was committed stays."""


class DriverLostError(TransientError):
    """The driver process was ended from outside. What was committed stays."""


def supervise() -> None:
    """Fork: returns in the child, which is the driver; the parent waits for the child and ends as it has ended.

    Call it while the process has one thread and has printed nothing.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    child = os.fork()
    if child:
        os.close(writing)
        _wait(child, reading)
    os.close(reading)
    # A group of its own: a signal to the group of the command then comes once, through the parent.
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(ABORTED)
    _to_parent.append(writing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)


def is_supervised() -> bool:
    """Whether this process is a driver with a parent that has the last word."""
    return bool(_to_parent)


def tell(**words: object) -> None:
    """Leave word for the parent; a word replaces an earlier one of its name.

    Known are `run` (URI), `resumable`, `connected` (to a Ray), `ray` (directory of a Ray of our own, None when it has ended in order),
    `lost` (what has ended) and `ended`: this process has said itself how it ended. `ended` is True, or the exit code, where Ray may end
    this process before it has ended itself.
    """
    for pipe in _to_parent:
        os.write(pipe, json.dumps(words).encode() + b"\n")


def end_as_lost(what: str) -> None:
    """End this process at once, where a parent can say why; otherwise nothing happens.

    Args:
        what: has ended, as a clause.
    """
    if is_supervised():
        tell(lost=what)
        os._exit(1)


def _wait(child: int, reading: int) -> NoReturn:
    """Forward signals until the child has ended; say how, unless it has said so itself."""

    def forward(number: int, _frame: object) -> None:
        os.kill(child, number)

    def stop(_number: int, _frame: object) -> None:
        os.kill(child, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)  # the shell continues this process with SIGCONT, which is forwarded

    for number in _FORWARDED:
        signal.signal(number, forward)
    signal.signal(signal.SIGTSTP, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
    said = b""
    while part := os.read(reading, 65536):
        said += part
    # Handlers may run until the child is reaped, and its number is the child's until then.
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    words: dict[str, Any] = {}
    for line in said.splitlines():
        words |= json.loads(line)
    code, lines = last_word(words, status)
    for text in lines:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    os._exit(code)


def last_word(words: Mapping[str, Any], status: int) -> tuple[int, list[str]]:
    """The exit code of the command, and what is to be said still, when its driver has ended.

    Args:
        words: that the driver left, see `tell`.
        status: exit status; negative for a signal.
    """
    ended = words.get("ended")
    if ended is None:
        return ABORTED, last_words(words, status)
    if ended is True:
        return (status if status >= 0 else ABORTED), []
    # Ray ended the driver while it closed its Ray: how the run has ended is said already, and does not change any more.
    folder = words.get("ray")
    if not folder:
        return int(ended), []
    if not ended:
        _remove(folder)
        return 0, []
    kept = _keep_logs(folder)
    return int(ended), [f"Ray's logs are kept in {kept}"] if kept else []


def _remove(folder: str) -> None:
    from rumiai_ray.disk import remove_tree  # noqa: PLC0415 -- nothing more than needed before the fork
    from rumiai_ray.logs import configure_worker  # noqa: PLC0415

    configure_worker()  # the log of the command is its child's, which has ended
    remove_tree(Path(folder))


def _keep_logs(folder: str) -> Path | None:
    from rumiai_ray.engine.ray_session.folder import keep_logs  # noqa: PLC0415 -- nothing more than needed before the fork

    return keep_logs(Path(folder))


def last_words(words: Mapping[str, Any], status: int) -> list[str]:
    """What is to be said of a driver that has ended without a word of its own.

    Args:
        words: that it left, see `tell`.
        status: exit status; negative for a signal.
    """
    folder = words.get("ray")
    kept = _keep_logs(folder) if folder else None
    hint = f"Ray's logs are kept in {kept}" if kept else ""
    if words.get("lost"):
        error: TransientError = RayLostError(words["lost"], "Ray", hint)
    elif status < 0:
        error = DriverLostError(f"was ended by {signal.Signals(-status).name}", "the driver process", hint)
    elif words.get("connected"):
        error = RayLostError("a process of Ray has ended, and Ray has ended the driver process", "Ray", hint)
    else:
        error = DriverLostError(f"ended with status {status} without a message", "the driver process", hint)
    lines = [f"{type(error).__name__}: {error}"]
    if words.get("run"):
        if words.get("resumable"):
            lines.append(f"stopped; continue with: rumiai-ray runs resume {words['run']}")
        else:
            lines.append("aborted; what was committed before stays readable")
    return lines

"""Where a program of ours ends: what it raises becomes one line on stderr and an exit code, whatever can be written."""

from __future__ import annotations

import errno
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.output import OutputError, to_nowhere
from rumiai_ray.cli.terminal import say
from rumiai_ray.cli.wrong_usage import in_our_words, possible_options
from rumiai_ray.errors import RumiaiError
from rumiai_ray.shown import shown, terminal_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOG = logging.getLogger(__name__)
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of a disk that takes no more, whatever the command asked for."""
_INTERRUPTED = 130
"""What typer makes of a KeyboardInterrupt, for itself to exit with."""


class OtherPipeError(Exception):
    """A pipe that is not standard output broke; the cause says more."""


@contextmanager
def pipes_apart() -> Iterator[None]:
    """Raise `OtherPipeError` for a broken pipe, inside a command of typer's: typer takes each for standard output's and exits silently."""
    try:
        yield
    except BrokenPipeError as error:
        raise OtherPipeError from error


def exit_code_of(work: Callable[[], Any]) -> int:
    """Do the work of a command line in a process whose streams are marked (`mark_streams`); returns its exit code.

    Args:
        work: an application of typer's, called with `standalone_mode=False`, so that it returns its exit code and raises its errors.
    """
    try:
        code = _code(work)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OutputError as error:
        return _without_output(error)
    return code


def _code(work: Callable[[], Any]) -> int:
    try:
        ended = work()
    except RumiaiError as error:
        say(f"{type(error).__name__}: {error}", err=True)
        return Exit.ABORTED if _is_of_disk(error) else Exit.USAGE
    except (OSError, OtherPipeError) as error:
        _LOG.debug("an error of the machine", exc_info=True)
        say(_of_machine(error if isinstance(error, OSError) else error.__cause__ or error), err=True)
        return Exit.ABORTED
    except (typer.Abort, KeyboardInterrupt):
        ended = _INTERRUPTED
    except typer.TyperException as error:
        _show(error)
        return Exit.USAGE
    if ended == _INTERRUPTED:
        say("aborted", err=True)
        return Exit.ABORTED
    return ended or Exit.COMPLETE


def _is_of_disk(error: BaseException | None) -> bool:
    """Whether a disk that takes no more has caused an error of ours. What was asked for may have been right then."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK:
            return True
        error = error.__cause__
    return False


def _of_machine(error: BaseException) -> str:
    """One line about an error that no part of the program has put in words: what it happened to, and why."""
    path, reason = getattr(error, "filename", None), getattr(error, "strerror", None) or str(error)
    hint = "free space there" if _is_of_disk(error) else "RUMIAI_LOG=debug shows the traceback"
    return f"{type(error).__name__}: {f'{path}: ' if path else ''}{reason} ({hint})"


def _without_output(error: OutputError) -> int:
    """Tell in one line that standard output cannot be written. Python would try again at its end, and say so in its own words."""
    to_nowhere(1)
    if error.errno != errno.EPIPE:  # the reader of the pipe has gone
        say(f"standard output cannot be written: {error.reason}; free space where it goes, or send it elsewhere", err=True)
    return Exit.ABORTED


def _show(error: typer.TyperException) -> None:
    """What typer itself would print of wrong usage."""
    from typer.rich_utils import rich_format_error  # noqa: PLC0415 -- only needed here

    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help; typer's own function leaves it out
        say(str(getattr(error, "message", "")), err=True)
        return
    if isinstance(message := getattr(error, "message", None), str):  # it may quote an argument: a file's name, a URL
        vars(error)["message"] = terminal_safe(shown(in_our_words(message)))
    if isinstance(wrong := getattr(error, "option_name", None), str) and hasattr(error, "possibilities"):
        vars(error)["possibilities"] = possible_options(wrong, error)
    rich_format_error(error)  # type: ignore[arg-type]  # wants the private class below the public one that can be caught

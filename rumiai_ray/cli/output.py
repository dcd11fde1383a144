"""What becomes of errors in writing the standard streams: those of standard output are known as such, standard error is given up.

A full disk or a closed pipe elsewhere must not be blamed on standard output. A message that standard error does not take must not change
the command's exit code, which its work decides.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO


class OutputError(Exception):
    """Standard output cannot be written.

    It is no `OSError`: typer and rich end the process with 1 at a broken pipe, and a handler of another file's errors would catch it.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.errno = error.errno
        self.reason = error.strerror


def mark_streams() -> None:
    """Do this to the streams of this process, once or more often: `mark_errors` to standard output, `give_up_errors` to standard error."""
    mark_errors(sys.stdout)
    give_up_errors(sys.stderr)


def mark_errors(stream: TextIO | None) -> None:
    """Have errors of writing `stream`, also those of a later flush, raise `OutputError`.

    A stream that does not end in a file descriptor is left as it is.
    """
    raw = _raw(stream)
    if raw is None or "write" in vars(raw):
        return
    write = raw.write

    def marked(data: bytes) -> int:
        try:
            return write(data)
        except OSError as error:
            raise OutputError(error) from error

    _replace_write(raw, marked)


def give_up_errors(stream: TextIO | None) -> None:
    """Have the first `OSError` of writing `stream` point its descriptor at nothing: nobody reads it, and there is no other place to say so.

    A stream that does not end in a file descriptor is left as it is.
    """
    raw = _raw(stream)
    if raw is not None and "write" not in vars(raw):
        _replace_write(raw, _giving_up(raw))


@contextmanager
def as_standard_error(stream: TextIO) -> Iterator[None]:
    """While the context is open, errors of `stream` are treated as those of standard error, where its descriptor leads meanwhile."""
    raw = _raw(stream)
    marked = None if raw is None else vars(raw).pop("write", None)
    if raw is not None:
        _replace_write(raw, _giving_up(raw))
    try:
        yield
    finally:
        if raw is not None:
            vars(raw).pop("write")
        if raw is not None and marked is not None:
            _replace_write(raw, marked)


def to_nowhere(descriptor: int) -> None:
    """Let a descriptor take, and lose, all that is written to it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _giving_up(raw: io.FileIO) -> Callable[[bytes], int]:
    write = raw.write

    def giving_up(data: bytes) -> int:
        try:
            return write(data)
        except OSError:
            to_nowhere(raw.fileno())
            return write(data)

    return giving_up


def _raw(stream: TextIO | None) -> io.FileIO | None:
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # the buffer itself under `python -u`
    return raw if isinstance(raw, io.FileIO) else None


def _replace_write(raw: io.FileIO, write: Callable[[bytes], int]) -> None:
    vars(raw)["write"] = write  # buffers look the method up at each write; a stream of another class could not be sys.stdout's own

"""What becomes of errors in writing the standard streams: those of standard output are known as such, standard error is given up.

A full disk or a closed pipe elsewhere must not be blamed on standard output. A message that standard error does not take must not change
the command's exit code, which its work decides.
"""

from __future__ import annotations

import codecs
import io
import os
import select
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
    """Prepare the standard streams of this process: `mark_errors` for output, `give_up_errors` for errors. Calling it again does no harm.

    A stream that was closed at the start (`>&-`) leads to nowhere: a file opened later would get its descriptor, and what is printed.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None and not _is_open(descriptor):
            to_nowhere(descriptor)
            nowhere = os.fdopen(descriptor, "w", encoding="utf-8")
            setattr(sys, name, nowhere)
            setattr(sys, f"__{name}__", nowhere)
    for stream in (sys.stdout, sys.stderr):
        _take_every_character(stream)
    mark_errors(sys.stdout)
    give_up_errors(sys.stderr)


def _take_every_character(stream: TextIO | None) -> None:
    """Let a stream take text that the locale has no characters for, instead of ending the command with a `UnicodeEncodeError`.

    ASCII becomes UTF-8, as Python does in the locale `C` unless it is told not to; any other encoding gets escapes for what it lacks.
    """
    if isinstance(stream, io.TextIOWrapper):
        if codecs.lookup(stream.encoding).name == "ascii":
            stream.reconfigure(encoding="utf-8")
        if stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def mark_errors(stream: TextIO | None) -> None:
    """Have errors of writing `stream`, also those of a later flush, raise `OutputError`.

    A stream that does not end in a file descriptor is left as it is.
    """
    raw = _raw(stream)
    if raw is None or "write" in vars(raw):
        return
    write = _waiting(raw)

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
    if nowhere != descriptor:  # it is the same where that descriptor was closed
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _waiting(raw: io.FileIO) -> Callable[[bytes], int]:
    """`raw.write` that writes everything, and waits for the reader of a non-blocking pipe (Node gives its children such).

    Buffers raise an error there, and `python -u`, which has none, drops what the pipe does not take at once.
    """
    write = raw.write

    def waiting(data: bytes) -> int:
        left = memoryview(data).cast("B")
        while left:
            written = write(left)
            if written is None:
                select.select([], [raw], [])
            else:
                left = left[written:]
        return len(data)

    return waiting


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _giving_up(raw: io.FileIO) -> Callable[[bytes], int]:
    write = _waiting(raw)

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

"""Which errors are those of standard output: a full disk or a closed pipe elsewhere must not be blamed on it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_STDOUT = "<stdout>"


def mark_errors(stream: TextIO | None) -> None:
    """Have `OSError`s of writing `stream`, also those of a later flush, name standard output, so that `is_of_output` knows them.

    A stream that does not end in a file descriptor is left as it is.
    """
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # the buffer itself under `python -u`
    if not isinstance(raw, io.FileIO) or "write" in vars(raw):
        return
    write = raw.write

    def marked(data: bytes) -> int:
        try:
            return write(data)
        except OSError as error:
            error.filename = _STDOUT
            raise

    vars(raw)["write"] = marked  # buffers look the method up at each write; a stream of another class could not be sys.stdout's own


def is_of_output(error: OSError) -> bool:
    """Whether `error` comes from writing a stream that was given to `mark_errors`."""
    return error.filename is _STDOUT

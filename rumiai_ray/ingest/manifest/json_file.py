"""The values of a JSON manifest: an array, objects one after another, or one object around an array. Read piece by piece."""

from __future__ import annotations

import json
import logging
from typing import IO, TYPE_CHECKING, Any

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.manifest.names import folded
from rumiai_ray.ingest.manifest.text_file import pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOG = logging.getLogger(__name__)

_BLANKS = " \t\r\n\ufeff"
_VALUE_CHARS = 2**27
"""Longest row, and longest object around an array: Python's values take several times as much memory."""
_VALUE_SIGNS = 2**23
"""Most commas and opening brackets in such a row or object, which bound the values in it: 100 MB of `{},` would take 2.5 GB of memory."""


def values(stream: IO[bytes], uri: str, wanted: Sequence[str]) -> Iterator[Any]:
    """Each row's value: the items of an array, or the objects of the file.

    A file of one object without a `wanted` name that holds one list of objects (`data`, `items`, …) stands for these objects.

    Raises:
        InputError: broken JSON, which ends the manifest: where the next row begins is not known. Or a row that is too large.
    """
    text = _Text(stream, uri)
    if text.next() == "[":
        yield from text.items()
        return
    if not text.next():
        return
    first = text.value()
    if not text.next():
        yield from _inside(first, wanted)
        return
    yield first
    while text.next():
        yield text.value()


def _inside(value: Any, wanted: Sequence[str]) -> list[Any]:
    if not isinstance(value, dict) or any(folded(name) in wanted for name in value):
        return [value]
    lists = [inner for inner in value.values() if isinstance(inner, list) and inner]
    return lists[0] if len(lists) == 1 and all(isinstance(item, dict) for item in lists[0]) else [value]


class _Text:
    """The text of the file from a position on; more is read when it is wanted."""

    def __init__(self, stream: IO[bytes], uri: str) -> None:
        self._pieces = (text for text, _ in pieces(stream, uri))
        self._uri = uri
        self._held = ""
        self._at = 0
        self._values = 0

    def next(self) -> str:
        """The next character that is no blank; empty at the end of the file."""
        while True:
            while self._at < len(self._held) and self._held[self._at] in _BLANKS:
                self._at += 1
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._read(1):
                return ""

    def items(self) -> Iterator[Any]:
        """The items of the array that begins here."""
        self._at += 1
        more = self.next() != "]"
        while more:
            yield self.value()
            sign = self.next()
            if sign not in (",", "]"):
                raise self._broken("a comma or a closing bracket is missing")
            self._at += 1
            more = sign == ","
            if more and self.next() == "]":
                raise self._broken("a comma before the closing bracket")

    def value(self) -> Any:
        """The value that begins here."""
        self.next()
        while True:
            try:
                value, self._at = json.JSONDecoder().raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                _LOG.debug("%s, value %d may go on: %s", self._uri, self._values + 1, error)
                if not self._read(len(self._held) - self._at):
                    raise self._broken(error.msg) from error
                if len(self._held) - self._at > _VALUE_CHARS:
                    raise self._broken(f"a row of more than {_VALUE_CHARS:,} characters") from error
                if self._signs() > _VALUE_SIGNS:
                    raise self._broken(f"an object or a row with more than {_VALUE_SIGNS:,} values") from error
            except ValueError as error:  # Python refuses integers of more than 4,300 digits
                raise self._broken(f"a number that cannot be read: {error}") from error
            except RecursionError as error:
                raise self._broken("values nested too deeply") from error
            else:
                self._values += 1
                return value

    def _read(self, at_least: int) -> bool:
        """Read on by so many characters; whether there were any."""
        parts = [self._held[self._at :]]
        missing = max(1, at_least)
        while missing > 0 and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            missing -= len(piece)
        self._held, self._at = "".join(parts), 0
        return any(parts[1:])

    def _signs(self) -> int:
        """Commas and opening brackets in what is held, unless it is too short to have too many."""
        if len(self._held) - self._at <= _VALUE_SIGNS:
            return 0
        return sum(self._held.count(sign, self._at) for sign in ",[{")

    def _broken(self, what: str) -> InputError:
        hint = "export it again, as an array of objects or one object a line"
        return InputError(f"broken JSON: {what}", f"{self._uri}, row {self._values + 1}", hint)

"""Arguments of a run's command line that name inputs: a file, a folder or a pattern. For a forgetting, which leaves no name behind."""

from __future__ import annotations

import fnmatch
import glob
import logging
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rumiai_ray.ingest.location import unquoted
from rumiai_ray.shown import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

_LOG = logging.getLogger(__name__)

_VALUE = re.compile(r"(--?[A-Za-z][\w-]*=)(.+)", re.DOTALL)
_NAMELESS = frozenset({"..", "/"})
"""Parts of a path that name nobody."""


def values_of(argument: str) -> Iterator[tuple[str, str]]:
    """(what stands before it, value) of what an argument may name: itself, and of `--option=value` the value."""
    yield "", argument
    if option := _VALUE.fullmatch(argument):
        yield option[1], option[2]


def names_of(command: Sequence[str], gone: Collection[str], left: Collection[str]) -> set[str]:
    """Values in a command line that stand for some of the inputs `gone` and for none of those that are `left`.

    A folder or a pattern that stands for others, too, is theirs as well and stays.

    Args:
        command: the arguments, as a manifest has them.
        gone: inputs of entries that are forgotten, as entries have them.
        left: inputs of all other entries.
    """
    values = {value for argument in command for _, value in values_of(argument)}
    return {value for value in values if _stands_for_any(value, gone) and not _stands_for_any(value, left)}


def _stands_for_any(value: str, inputs: Iterable[str]) -> bool:
    text = unquoted(value)
    spellings = {value, text, shown(text)}
    path = _path_of(text)
    names_a_place = path is not None and not _NAMELESS.issuperset(path.parts)
    return any(not spellings.isdisjoint((one, shown(one))) or (path is not None and names_a_place and _is_in(path, one)) for one in inputs)


def _path_of(text: str) -> PurePosixPath | None:
    """The path that an argument or an input names; None for an address that is no file's."""
    if "://" not in text:
        return PurePosixPath(text)
    if not text.lower().startswith("file:"):
        return None
    try:
        return PurePosixPath(unquote(urlsplit(text).path))
    except ValueError as error:  # brackets where a host would be: no file has such an address
        _LOG.debug("%s names no file: %s", shown(text), error)
        return None


def _is_in(path: PurePosixPath, given: str) -> bool:
    """Whether an input is that path, lies below it, or is matched by it. Only spellings are compared: nothing of it need be there now."""
    one = _path_of(given)
    if one is None:
        return False
    if path.parts[0].startswith("~"):  # of a home directory that may be another user's; inputs found in it have their whole path
        if not path.parts[1:]:
            return False
        path, one = PurePosixPath(*path.parts[1:]), PurePosixPath(*one.parts[1:]) if one.is_absolute() else one
        ends = [PurePosixPath(*one.parts[place:]) for place in range(len(one.parts))]
    else:
        ends = [one]
    matches = glob.has_magic(str(path))
    return any(end.is_relative_to(path) or (matches and _matches(path.parts, end.parts)) for end in ends)


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a pattern matches a path, as `glob` has it; in time that grows with the product of their lengths."""
    places = _from(0, pattern)
    for part in parts:
        after = {at if pattern[at] == "**" else at + 1 for at in places if at < len(pattern) and _fits(pattern[at], part)}
        places = {place for at in after for place in _from(at, pattern)}
    return len(pattern) in places


def _from(at: int, pattern: Sequence[str]) -> set[int]:
    """`at`, and what comes after it where `**` stands for no directory."""
    found = {at}
    while at < len(pattern) and pattern[at] == "**":
        at += 1
        found.add(at)
    return found


def _fits(pattern: str, part: str) -> bool:
    return pattern == "**" or fnmatch.fnmatchcase(part, pattern)

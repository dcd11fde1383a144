"""Entries: the rows of work of a run, from the command line or from a manifest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.identity import Namer
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

INPUT_COLUMNS = ("input", "path", "url")
"""Names of the column that holds the input, first one found; compared without case."""

_BAD_ID = re.compile(r"[\x00-\x1f\x7f]")
_MAX_ID = 200


@dataclass(frozen=True)
class Entry:
    """One row of work: what is committed, dead-lettered, resumed and retried."""

    entry_id: str
    """Unique in its run."""
    input: str
    """The path, URL or URI as it was given."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The manifest's further columns."""
    location: str = ""
    """Where `fetch` looks: `input`, made absolute on the machine that read it, because workers run in other directories.
    Empty: the same as `input`."""


def entries_from_inputs(inputs: Sequence[str]) -> list[Entry]:
    """The entries of a command line.

    Args:
        inputs: paths, URLs and URIs. Ids come from them: a post's number, else the file's stem; repeated ones get -2, -3, …

    Raises:
        InputError: an argument is empty or has a scheme that is not supported; names it. Nothing has been opened or fetched.
    """
    namer = Namer()
    entries = []
    for number, text in enumerate(inputs, 1):
        place = f"argument {number}"
        try:
            location = locate(text)
        except InputError as error:
            raise InputError(error.what, f"{place} ({error.subject})", error.hint) from error
        entries.append(Entry(namer.derive(text, place), text, {}, location.address))
    return entries


def read_manifest(uri: str) -> Iterator[Entry]:
    """The entries of a manifest, one by one; only their ids are held in memory.

    CSV, JSON lines (`.jsonl`, `.ndjson`), Parquet, or text (`.txt`, one input a line, `#` starts a comment line). A column `input`
    (or `path`, or `url`), an optional `id`, further columns are carried along as text: numbers and nested values as JSON, nulls
    left out. Relative paths are relative to the working directory.

    Args:
        uri: a local path or a URI of any protocol that fsspec and its installed drivers know.

    Raises:
        InputError: the manifest cannot be read, a row has no input, an unsupported one, or an id that another row has; names
            the file and the line (for Parquet the row). Raised when the row is reached: entries before it were given out.
    """
    namer = Namer()
    for line, row in read_rows(uri):
        place = f"{uri}, line {line}"
        try:
            yield _entry(row, place, namer)
        except InputError as error:
            if error.subject.startswith(place):
                raise
            raise InputError(error.what, f"{place}: {error.subject}", error.hint) from error


def _entry(row: dict[str, str], place: str, namer: Namer) -> Entry:
    names = {name.strip().casefold(): name for name in reversed(row)}
    input_name = next((names[name] for name in INPUT_COLUMNS if name in names), None)
    if input_name is None:
        there = ", ".join(row) or "none"
        raise InputError("no column with the input", place, f"name it {', '.join(INPUT_COLUMNS)}; the columns here are: {there}")
    text = row[input_name]
    location = locate(text)
    id_name = names.get("id")
    given = row[id_name].strip() if id_name is not None else ""
    columns = {name: value for name, value in row.items() if name not in (input_name, id_name)}
    return Entry(_claimed(given, place, namer) if given else namer.derive(text, place), text, columns, location.address)


def _claimed(entry_id: str, place: str, namer: Namer) -> str:
    if len(entry_id) > _MAX_ID or _BAD_ID.search(entry_id):
        raise InputError(f"unusable id {entry_id[:_MAX_ID]!r}", place, f"at most {_MAX_ID} characters, no control characters")
    holder = namer.claim(entry_id, place)
    if holder is not None:
        raise InputError(f"the id {entry_id!r} is already taken by {holder}", place, "give every row an id of its own, or none an id")
    return entry_id

"""Entries: the rows of work of a run, from the command line or from a manifest."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.cleaning import CELL_CHARS, INPUT_CHARS, NAME_CHARS, SHORT_CHARS, Cleaner, cleaned
from rumiai_ray.ingest.identity import Namer, stem_of
from rumiai_ray.ingest.location import locate, unquoted
from rumiai_ray.ingest.manifest.listing import ListedFile, check_folder, files_of
from rumiai_ray.ingest.manifest.names import by_folded_name, folded, unwrapped, visible
from rumiai_ray.ingest.manifest.rows import place_of, read_rows, unit_of
from rumiai_ray.ingest.outcomes import ManifestRowError
from rumiai_ray.shown import shown_addresses, shown_input, unguarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

from rumiai_ray.ingest.manifest.rows import ManifestRow

_LOG = logging.getLogger(__name__)

INPUT_COLUMNS = (
    *("input", "path", "url"),
    *("webvideourl", "postpage", "share_url", "shareurl", "post_url", "posturl", "permalink", "webpage_url"),
    *("post_link", "video_link", "tiktok_url", "tiktok_link"),
    *("video_url", "videourl"),
)
"""Names of the column that holds the input, compared as `folded`: the first one that is not blank in a row. After the first three come the
names in exports of common scrapers and in people's own tables: those of posts' pages, then those of media files, whose addresses expire
within days."""

_BAD_ID = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,3}")
"""How a spreadsheet, or a column of floats, shows an integer of many digits: 7.30123E+18."""
_NUMBER = re.compile("[0-9]{16,25}")
"""A post's number of more digits than a spreadsheet keeps."""
_SHEET_DIGITS = 15
_GUARDED = re.compile('="([^"]*)"|\'([0-9]+)')
"""How spreadsheets are kept from reading digits as a number: ="7301…" and '7301…."""
_MAX_COLUMNS = 1000
_MOST_ROWS = 10_000_000
_MOST_CHARS = 2**29
"""Of a manifest, all rows together: compressed, 1 KB can stand for gigabytes, and the driver keeps them."""
_ROW_CHARS = 2_000_000


@dataclass(frozen=True)
class Problem:
    """Why a row of a manifest cannot be used; the three parts of an error."""

    what: str
    subject: str
    hint: str

    @classmethod
    def of(cls, error: InputError) -> Problem:
        """The parts of `error`, fit for a table."""
        return cls(*(cleaned(str(part), SHORT_CHARS) for part in (error.what, error.subject, error.hint)))


@dataclass(frozen=True)
class Entry:
    """One row of work: what is committed, dead-lettered, resumed and retried. All texts are fit for a table; see `cleaning`."""

    entry_id: str
    """Unique in its run."""
    input: str
    """The path, URL or URI as it was given, but for secrets in it: they are in `location` only. See `shown`."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The manifest's further columns, addresses in them without their secrets."""
    location: str = field(default="", repr=False)
    """Where `fetch` looks: `input`, made absolute on the machine that read it, because workers run in other directories, and with the
    secrets in it. Empty: the same as `input`."""
    line: int | None = None
    """Line of the manifest (Parquet and JSON: row), counted from 1; None for an input of the command line."""
    notes: tuple[str, ...] = ()
    """What was changed in the texts above so that a table can hold them."""
    problem: Problem | None = None
    """Why the row cannot be used; such an entry becomes a dead letter."""

    def __post_init__(self) -> None:
        public = shown_input(self.input)
        if public != self.input:
            object.__setattr__(self, "location", self.location or self.input)
            object.__setattr__(self, "input", public)
        columns = {name: shown_addresses(text) for name, text in self.columns.items()}
        if columns != self.columns:
            object.__setattr__(self, "columns", columns)

    @property
    def language(self) -> str | None:
        """What the manifest's column `language` says of the video; None without one."""
        return by_folded_name(self.columns).get("language")

    @property
    def hides(self) -> bool:
        """Whether its location holds secrets, which only the run's private file may hold."""
        return shown_input(self.location) != self.location

    def check(self) -> None:
        """Raises `ManifestRowError` for an entry with a problem."""
        if self.problem is not None:
            raise ManifestRowError(self.problem.what, self.problem.subject, self.problem.hint)


def entries_from_inputs(inputs: Sequence[str]) -> list[Entry]:
    """The entries of a command line.

    Args:
        inputs: paths, URLs and URIs; a folder stands for the media in it, a glob pattern for what matches. Ids come from them: a post's
            number, else the file's stem; repeated ones get -2, -3, …

    Raises:
        InputError: an argument is empty or has a scheme that is not supported, or a folder holds no video; names it. Nothing has been
            opened or fetched.
    """
    namer = Namer()
    entries = []
    for number, argument in enumerate(inputs, 1):
        place = f"argument {number}"
        try:
            location = locate(argument)
            # Quotes and blanks are dropped from what is no file's name as it stands.
            literal = location.kind != "file" or os.path.lexists(location.address)
            text = argument if literal else unquoted(argument)
            entries += [_listed_entry(file, text, place, namer) for file in files_of(text)]
        except InputError as error:
            raise InputError(error.what, f"{place} ({error.subject})", error.hint) from error
    return entries


def read_manifest(uri: str, *, input_column: str | None = None, id_column: str | None = None) -> Iterator[Entry]:
    """The entries of a manifest, one by one; only their ids are held in memory.

    CSV or TSV (separated by commas, semicolons, tabs or bars), JSON (`.json`), JSON lines (`.jsonl`, `.ndjson`), Parquet, or text (`.txt`,
    one input a line, `#` starts a comment line); text in UTF-8, UTF-16 or UTF-32. A column `input` (or `path`, `url`, …: `INPUT_COLUMNS`),
    an optional `id`, further columns are carried along as text: numbers and nested values as JSON, nulls left out. Relative paths are
    relative to the working directory. A folder, or a glob pattern that matches, stands for a manifest of its files: see `files_of`.

    A row that cannot be used costs only itself: it is given out as an entry with a `problem` that names its line or row.

    Args:
        uri: a local path or a URI of any protocol that fsspec and its installed drivers know.
        input_column: name of the column with the input, in place of `INPUT_COLUMNS`.
        id_column: name of the column with the id, in place of `id`.

    Raises:
        InputError: the manifest cannot be read as a whole: no such file, no such format, no column with the input, no rows, or not one
            row that can be used; names the file and, where there is one, the line. Raised when the place is reached: entries before it
            were given out.
    """
    files = files_of(uri) if "://" not in uri else []
    if any(file.name != uri for file in files):
        namer = Namer()
        yield from (_listed_entry(file, uri, uri, namer) for file in files)
        return
    check_folder(uri)
    reader = _RowReader(uri, input_column, id_column)
    usable, first = False, None
    characters = 0
    for count, (line, row) in enumerate(read_rows(uri, reader.inputs), 1):
        entry = reader.entry(line, row)
        characters += len(entry.input) + sum(map(len, entry.columns.values()))
        if count > _MOST_ROWS or characters > _MOST_CHARS:
            what = f"more than {_MOST_ROWS:,} rows" if count > _MOST_ROWS else f"more than {_MOST_CHARS:,} characters"
            raise InputError(what, place_of(uri, line), "split the manifest, or remove columns that are not needed")
        usable = usable or entry.problem is None
        first = first or entry.problem
        yield entry
    if usable:
        return
    if first is None:
        hint = "add one row per video below the header" if uri.lower().endswith((".csv", ".tsv")) else "add one row per video"
        raise InputError("no rows", uri, hint)
    raise InputError(f"not one row can be used; the first problem: {first.what}", first.subject, first.hint)


def _listed_entry(file: ListedFile, given: str, place: str, namer: Namer) -> Entry:
    """The entry of a file that the input `given` stands for."""
    entry_id = namer.derive(shown_input(file.name), place)
    try:
        file.name.encode()
    except UnicodeEncodeError as error:
        _LOG.debug("%s: a name is not valid UTF-8: %s", place, error)
        hint = "rename the file: no table can hold such a name"
        problem = Problem("the name is not valid UTF-8", f"{cleaned(given, SHORT_CHARS)}: {file.name!a}", hint)
        return Entry(entry_id, cleaned(file.name, INPUT_CHARS), problem=problem)
    return Entry(entry_id, file.name, {}, file.address)


class _RowReader:
    """Turns the rows of one manifest into entries."""

    def __init__(self, uri: str, input_column: str | None, id_column: str | None) -> None:
        self._uri = uri
        self._unit = unit_of(uri)
        self.inputs = (folded(input_column),) if input_column else INPUT_COLUMNS
        self._id = folded(id_column or "id")
        self._id_required = id_column is not None
        self._namer = Namer()

    def entry(self, line: int, row: ManifestRow | InputError) -> Entry:
        """The entry of one row.

        Raises:
            InputError: the manifest as a whole has no column with the input.
        """
        place = f"{cleaned(self._uri, SHORT_CHARS)}, {self._unit} {line}"
        if isinstance(row, InputError):
            return self._unusable(line, place, "", None, {}, (), row)
        names: dict[str, list[str]] = {}
        for name in row.cells:
            names.setdefault(folded(name), []).append(name)
        input_name = _first_filled((there for name in self.inputs for there in names.get(name, ())), row)
        id_name = _first_filled(names.get(self._id, ()), row)
        cleaner = Cleaner()
        further = {name: text for name, text in row.cells.items() if name not in (input_name, id_name)}
        if row.guarded:
            further = {name: text and unguarded(text) for name, text in further.items()}
        columns = _columns(further, cleaner)
        given = _plain_id(row.cells[id_name] or "") if id_name is not None else ""
        text = (row.cells[input_name] or "") if input_name is not None else ""
        text = _sole(unquoted(visible(unguarded(text) if row.guarded else text)))
        missing = self._missing(input_name, id_name, place, list(row.cells))
        if missing is not None and row.tabular:
            raise missing
        try:
            if missing is not None:
                raise missing
            location = locate(text)
            if given and _is_rounded(given, text):
                raise _rounded_id(given, place)
            entry_id = self._claimed(given, place) if given else self._namer.derive(shown_input(text), place)
        except InputError as error:
            return self._unusable(line, place, text, given, columns, cleaner.notes, error)
        return Entry(entry_id, text, columns, location.address, line, cleaner.notes)

    def _missing(self, input_name: str | None, id_name: str | None, place: str, there: list[str]) -> InputError | None:
        shown = cleaned(", ".join(there), SHORT_CHARS) or "none"
        if input_name is None:
            hint = f"name it {', '.join(self.inputs[:3])}, or say which one with --input-column; the columns here are: {shown}"
            return InputError("no column with the input", place, hint)
        if id_name is None and self._id_required:
            return InputError(f"no column {self._id!r}", place, f"the columns here are: {shown}")
        return None

    def _claimed(self, given: str, place: str) -> str:
        entry_id = shown_input(given)
        if len(entry_id) > NAME_CHARS or _BAD_ID.search(entry_id):
            hint = f"at most {NAME_CHARS} characters, no control characters and no lone surrogates"
            raise InputError(f"unusable id {cleaned(entry_id, NAME_CHARS)!a}", place, hint)
        if _ROUNDED.fullmatch(entry_id):
            raise _rounded_id(entry_id, place)
        if entry_id != given:  # an address for an id: two that differ in their secrets only are two ids
            return self._namer.free(entry_id, place)
        holder = self._namer.claim(entry_id, place)
        if holder is not None:
            hint = "give every row an id of its own, or none an id"
            raise InputError(f"the id {entry_id!r} is already taken by {holder}", place, hint)
        return entry_id

    def _unusable(
        self, line: int, place: str, text: str, given: str | None, columns: Mapping[str, str], notes: tuple[str, ...], error: InputError
    ) -> Entry:
        """An entry for a row that cannot be used. Its id is the row's own where that is usable and free."""
        if not error.subject.startswith(place):
            error = InputError(error.what, f"{place}: {error.subject}", error.hint)
        try:
            entry_id = self._claimed(given, place) if given else self._namer.free(f"{self._unit}-{line}", place)
        except InputError as unusable:
            _LOG.debug("%s: the row gets an ID of its own: %s", place, unusable)
            entry_id = self._namer.free(f"{self._unit}-{line}", place)
        return Entry(entry_id, cleaned(shown_input(text), INPUT_CHARS), columns, "", line, notes, Problem.of(error))


def _first_filled(names: Iterable[str], row: ManifestRow) -> str | None:
    """The first of `names` whose cell in `row` is not blank, else the first of them; None where there is none."""
    there = list(names)
    return next((name for name in there if visible(row.cells[name] or "")), there[0] if there else None)


def _is_rounded(entry_id: str, text: str) -> bool:
    """Whether an id is the number in its post's address with other last digits: as a spreadsheet (15 digits) or a float (17) keeps it."""
    number = stem_of(text)
    if entry_id == number or len(entry_id) != len(number) or not (_NUMBER.fullmatch(entry_id) and _NUMBER.fullmatch(number)):
        return False
    cut = entry_id[:_SHEET_DIGITS] == number[:_SHEET_DIGITS] and not entry_id[_SHEET_DIGITS:].strip("0")
    return cut or float(entry_id) == float(number)


def _rounded_id(entry_id: str, place: str) -> InputError:
    what = f"the id {entry_id} has been rounded by a spreadsheet or a float column: its last digits are lost"
    return InputError(what, place, "import the original export with this column as text, and save it again")


def _columns(cells: Mapping[str, str | None], cleaner: Cleaner) -> dict[str, str]:
    """A row's further columns, cleaned; nulls left out."""
    columns: dict[str, str] = {}
    left = _ROW_CHARS
    for name, text in cells.items():
        if text is None:
            continue
        if len(columns) >= _MAX_COLUMNS or left <= 0:
            cleaner.note(name, f"left out: a row's further columns are at most {_MAX_COLUMNS:,} with {_ROW_CHARS:,} characters together")
            continue
        label = cleaner.text(f"name of column {len(columns) + 1}", name, NAME_CHARS)
        if label in columns:
            cleaner.note(label, "left out: another column of this row has the same name")
            continue
        columns[label] = cleaner.text(label, text, min(CELL_CHARS, left))
        left -= len(columns[label]) + len(label)
    return columns


def _plain_id(text: str) -> str:
    digits = _GUARDED.fullmatch(text.strip())
    return (digits[1] or digits[2] or "").strip() if digits else unquoted(unguarded(text.strip()))


def id_of_cell(cell: str, text: str) -> str | None:
    """The id that the cell of a CSV manifest gives the row of the input `text`; None where it cannot be that row's id.

    What decides is the cell alone, not whether another row has the same id.
    """
    given = _plain_id(cell)
    unusable = len(given) > NAME_CHARS or _BAD_ID.search(given) or _ROUNDED.fullmatch(given) or _is_rounded(given, text)
    return given if given and not unusable and shown_input(given) == given else None


def _sole(text: str) -> str:
    """The address in a list of one, as a column of lists holds it; else `text`."""
    match unwrapped(text):
        case [str(address)]:
            return address
    return text

"""The records of a CSV manifest, so that a broken one costs only itself."""

from __future__ import annotations

import csv
import logging
import re
from itertools import islice
from typing import TYPE_CHECKING

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.manifest.names import folded, visible
from rumiai_ray.ingest.manifest.text_file import LINE_CHARS, Overlong

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LOG = logging.getLogger(__name__)

_DELIMITERS = ",;\t|"
_RECORD_LINES = 10_000
_RECORD_CHARS = 4_000_000
"""Most that a record with line ends in it may take: a quote that is never closed would otherwise swallow the rest of the file."""
_TITLE_LINES = 20
"""Lines among which the header is looked for where the first one is not it."""
_QUOTES = "check the quotes on that line"


class Records:
    """Reads records and can take lines back.

    Args:
        lines: of the file, with their line ends.
        wanted: folded names of which the header has one: they tell what separates the cells.
        uri: names the file in errors.
    """

    def __init__(self, lines: Iterable[str], wanted: Sequence[str], uri: str) -> None:
        self._lines = iter(lines)
        self._back: list[str] = []
        self._uri = uri
        self._line = 0
        """Lines read and not taken back."""
        self._delimiter = ","
        csv.field_size_limit(max(csv.field_size_limit(), LINE_CHARS))  # 131,072 by default: captions are longer
        self.header = self._header(wanted)

    def __iter__(self) -> Iterator[tuple[int, list[str] | InputError]]:
        """(number of the first line, cells or what is wrong) of every record below the header; blank ones are left out.

        Cells are as many as the header's names.
        """
        while (line := self._next()) is not None:
            number = self._line
            record = self._record(line, len(self.header))
            if isinstance(record, InputError) or any(cell.strip() for cell in record):
                yield number, record

    def _header(self, wanted: Sequence[str]) -> list[str]:
        while (line := self._next()) is not None:
            if line.lower().startswith("sep=") and len(line.rstrip("\r\n")) == len("sep=;"):  # Excel's own line
                self._delimiter = line[4]
            elif line.strip(_DELIMITERS + " \r\n\"'"):
                break
        if line is None:
            raise InputError("an empty CSV file", self._uri, "the first line names the columns, one of them `input`")
        number = self._line
        self._delimiter = max(_DELIMITERS, key=lambda delimiter: self._score(line, delimiter, wanted))
        names = self._record(line, None)
        if isinstance(names, InputError):
            raise names
        header = [visible(name) for name in names]
        while header and not header[-1]:
            header.pop()
        if not {folded(name) for name in header} & set(wanted):
            self._check_no_header(header, line, wanted)
        if not header:
            raise InputError("a header of blanks", f"{self._uri}, line {number}", "the first line names the columns, one of them `input`")
        header = [name or f"column_{place}" for place, name in enumerate(header, 1)]
        if repeated := sorted({name for name in header if header.count(name) > 1}):
            raise InputError(f"the column {repeated[0]!r} appears twice", f"{self._uri}, line {number}", "rename one of them")
        return header

    def _check_no_header(self, header: Sequence[str], title: str, wanted: Sequence[str]) -> None:
        """Raises `InputError` where the first line is plainly not the header: a title above a table, or the first row of one without."""
        number = self._line
        below, found = list(islice(iter(self._next, None), _TITLE_LINES)), None
        for place, line in enumerate(below, number + 1):
            if found is None and any(self._heads(line, title, delimiter, wanted) for delimiter in _DELIMITERS):
                found = place
        self._back.extend(reversed(below))
        self._line = number
        if found is not None:
            what = f"the column names are in line {found}, not in the first line"
            raise InputError(what, self._place(number), f"delete the lines above line {found}")
        if any("://" in name for name in header):
            hint = f"add a first line with the column names, one of them `{wanted[0]}`; or put the addresses alone into a .txt file"
            raise InputError("the first line holds an address, not the column names", self._place(number), hint)

    def _heads(self, line: str, title: str, delimiter: str, wanted: Sequence[str]) -> bool:
        """Whether a line is the header below a title: rows may have a cell `url`, too, but an address beside it and no more cells."""
        names, above = ([name for cell in self._split(text, delimiter) if (name := visible(cell))] for text in (line, title))
        return len(names) > len(above) and bool(set(map(folded, names)) & set(wanted)) and not any("/" in name for name in names)

    def _score(self, line: str, delimiter: str, wanted: Sequence[str]) -> tuple[bool, int, bool]:
        names = set(map(folded, self._split(line, delimiter)))
        return bool(names & set(wanted)), len(names), delimiter == self._delimiter

    @staticmethod
    def _split(line: str, delimiter: str) -> list[str]:
        try:
            return next(_reader([line], delimiter))
        except (csv.Error, StopIteration) as error:
            _LOG.debug("a line is no header with the separator %r: %s", delimiter, error)
            return []

    def _record(self, line: str, width: int | None) -> list[str] | InputError:
        """The record that begins with `line`. Where it is broken, `line` alone is lost: the lines after it are read again."""
        number, taken = self._line, [line]
        broken = InputError(f"a line of more than {LINE_CHARS:,} characters", self._place(number), _QUOTES)
        if not isinstance(line, Overlong):
            try:
                cells = self._cells(taken)
            except csv.Error as error:
                broken = InputError(f"broken CSV: {error}", self._place(number), _QUOTES)
            else:
                while width is not None and len(cells) > width and not cells[-1].strip():
                    cells.pop()
                if width in (None, len(cells)) or not any(cell.strip() for cell in cells):
                    return cells
                named = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}.get(self._delimiter, "its separator")
                what = f"{len(cells)} fields where the header has {width}"
                broken = InputError(
                    what, self._place(number), f"quote fields that contain {named}, and name every column in the first line"
                )
        self._back.extend(reversed(taken[1:]))
        self._line = number
        return broken

    def _cells(self, taken: list[str]) -> list[str]:
        """The cells of the record that begins with the line in `taken`, to which its further lines are added."""
        try:
            return next(_reader(self._feed(taken), self._delimiter))
        except csv.Error:
            # Blanks between a closing quote and the separator are no valid CSV, and people write them.
            trimmed = re.sub(rf'" +(?={re.escape(self._delimiter)}|[\r\n]*$)', '"', taken[0])
            if len(taken) > 1 or trimmed == taken[0]:
                raise
            return next(_reader([trimmed], self._delimiter))

    def _feed(self, taken: list[str]) -> Iterator[str]:
        """The lines of one record for the csv module, which asks for more while a quote is open; at the limit it sees the end."""
        yield taken[0]
        size = len(taken[0])
        while len(taken) < _RECORD_LINES and size < _RECORD_CHARS and (line := self._next()) is not None:
            taken.append(line)
            size += len(line)
            if isinstance(line, Overlong):
                return
            yield line

    def _next(self) -> str | None:
        line = self._back.pop() if self._back else next(self._lines, None)
        self._line += line is not None
        return line

    def _place(self, number: int) -> str:
        return f"{self._uri}, line {number}"


def _reader(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    return islice(csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True), 1)

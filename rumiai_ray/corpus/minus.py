"""A manifest without what a corpus has analysed already: its own rows, cell by cell as they were."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rumiai_ray.errors import ConfigError, InputError, StorageError
from rumiai_ray.ingest.cleaning import cleaned
from rumiai_ray.ingest.entries import INPUT_COLUMNS, read_manifest
from rumiai_ray.ingest.local import open_regular
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.manifest.listing import files_of
from rumiai_ray.ingest.manifest.names import folded
from rumiai_ray.ingest.manifest.rows import ManifestRow, read_rows
from rumiai_ray.ingest.rules import ANYTHING
from rumiai_ray.runs.export.folder import removed_unless_written
from rumiai_ray.storage import in_parallel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from rumiai_ray.corpus.reader import Corpus
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.location import Location
    from rumiai_ray.ingest.rules import InputRules

_LOG = logging.getLogger(__name__)

Cells = dict[str, str | None]
_WRITERS = (".csv", ".jsonl")


@dataclass(frozen=True)
class Remainder:
    """What is left of a manifest."""

    rows: tuple[Cells, ...]
    """The rows that are not analysed yet, in order."""
    cleaned: int
    """How many of them have cells with characters that no file can hold, replaced by U+FFFD."""
    analysed: int
    """Rows that are left out."""
    untold: int
    """Rows that are kept because their address has a query that no run keeps: whether it is analysed cannot be told."""
    unreadable: tuple[str, ...]
    """Rows that are left out because they cannot be read, in words."""


class Analysed:
    """What a corpus has read: contents, and the inputs whose content only a download would tell.

    Args:
        corpus: its committed entries count, however their models ended; a dead letter does not.
        rules: what a row may name; a file that it must not is not looked at, and counts as new.
    """

    def __init__(self, corpus: Corpus, rules: InputRules = ANYTHING) -> None:
        self._rules = rules
        rows: dict[str, list[Any]] = corpus.table("entries", ["input", "video_key", "size_bytes"]).to_pydict()
        self._inputs = set(rows["input"])
        self._keys = set(rows["video_key"])
        self._sizes = set(rows["size_bytes"])

    def judge(self, entry: Entry) -> Literal["analysed", "new", "untold"]:
        """Whether the video of a manifest's row is analysed.

        A local file is judged by its bytes alone: under another name it is analysed, with other bytes under its old name it is new. A web
        address or an object in a store is judged by its text. A run keeps no query of an address that might hold a secret, so such an
        address cannot be told from its like.
        """
        if entry.problem is not None:
            return "new"
        location = locate(entry.location or entry.input)
        if location.kind == "file":
            return "analysed" if self._has_bytes_of(location) else "new"
        if entry.hides:
            return "untold"
        return "analysed" if entry.input in self._inputs else "new"

    def _has_bytes_of(self, location: Location) -> bool:
        try:
            with open_regular(self._rules.checked(location)) as stream:
                # Most new files have a size that no analysed one has, and need not be read.
                if os.fstat(stream.fileno()).st_size not in self._sizes:
                    return False
                return hashlib.file_digest(stream, "sha256").hexdigest() in self._keys
        except (InputError, OSError) as error:
            _LOG.info("%s stays in the manifest, since it cannot be read: %s", location.address, error)
            return False


def minus(
    uri: str, corpus: Corpus, *, input_column: str | None = None, id_column: str | None = None, rules: InputRules = ANYTHING
) -> Remainder:
    """The rows of a manifest that a corpus has not analysed.

    Args:
        uri: the manifest, or a folder or pattern of videos; see `read_manifest`.
        corpus: what is analysed.
        input_column: name of the column with the input.
        id_column: name of the column with the id.
        rules: what a row may name.

    Raises:
        InputError: the manifest cannot be read.
        StorageError: a run is damaged.
    """
    analysed = Analysed(corpus, rules)
    pairs = list(_rows(uri, input_column, id_column))
    judged = in_parallel(analysed.judge, (entry for entry, _ in pairs))
    kept = [(row, verdict) for (_, row), verdict in zip(pairs, judged, strict=True) if verdict != "analysed"]
    rows = [dict(row.cells) for row, _ in kept if isinstance(row, ManifestRow)]
    fit = [{_fit(name): None if cell is None else _fit(cell) for name, cell in cells.items()} for cells in rows]
    return Remainder(
        rows=tuple(fit),
        cleaned=sum(one != other for one, other in zip(rows, fit, strict=True)),
        analysed=judged.count("analysed"),
        untold=judged.count("untold"),
        unreadable=tuple(str(row) for row, _ in kept if isinstance(row, InputError)),
    )


def _fit(text: str) -> str:
    """A cell as a file can hold it, at its full length."""
    return cleaned(text, len(text))


def _rows(uri: str, input_column: str | None, id_column: str | None) -> Iterator[tuple[Entry, ManifestRow | InputError]]:
    """Each entry of a manifest with the row that it is of."""
    entries = read_manifest(uri, input_column=input_column, id_column=id_column)
    if "://" not in uri and any(file.name != uri for file in files_of(uri)):
        yield from ((entry, ManifestRow({"input": entry.input})) for entry in entries)
        return
    wanted = (folded(input_column),) if input_column else INPUT_COLUMNS
    yield from ((entry, row) for entry, (_, row) in zip(entries, read_rows(uri, wanted), strict=True))


def write_manifest(rows: Iterable[Mapping[str, str | None]], path: Path) -> None:
    """Write rows as a manifest: `.csv`, where a null is an empty cell, or `.jsonl`.

    Raises:
        ConfigError: the name has another ending, or the file is there.
        StorageError: it cannot be written. No part of it is left.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ConfigError("not a manifest format that can be written", str(path), f"known endings: {', '.join(_WRITERS)}")
    listed = list(rows)
    try:
        with path.open("x", encoding="utf-8", newline="") as file, removed_unless_written(path):
            if suffix == ".jsonl":
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in listed)
            else:
                names = list(dict.fromkeys(name for row in listed for name in row))
                writer = csv.DictWriter(file, names, lineterminator="\n")
                writer.writeheader()
                writer.writerows(listed)
    except FileExistsError as error:
        raise ConfigError("already exists", str(path), "choose another name") from error
    except OSError as error:
        raise StorageError(f"cannot write the file: {error.strerror}", str(path), "choose another place") from error

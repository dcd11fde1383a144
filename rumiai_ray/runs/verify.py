"""Whether a run still is what was committed: every record there, every committed file byte for byte, every entry with its row."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rumiai_ray.errors import StorageError
from rumiai_ray.runs.commits import record_path
from rumiai_ray.runs.datafile import read_data_file, stored_schema
from rumiai_ray.runs.forgotten import Remembered
from rumiai_ray.runs.labels import read_labels
from rumiai_ray.runs.reviews.table import review_files, without_rows_of
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from rumiai_ray.runs.datafile import DataFile
    from rumiai_ray.runs.manifest import RunManifest
    from rumiai_ray.runs.protocols import RunRecords

ENTRY_TABLES = {"videos": "committed", "dead_letter": "dead_lettered"}
"""Tables with one row per entry, by the list of the commit record that names those entries."""


def problems(run: RunRecords) -> list[str]:
    """Everything that is wrong with a run, in words; nothing for a sound one."""
    found = list(run.log.problems)
    found += [f"{record_path(number)} was cut short: its writer died, or it was damaged; it commits nothing" for number in run.log.torn]
    left = [record_path(number) for number in run.log.outdated]
    replaced = (file.old for record in run.log.forgettings if record.forgotten is not None for file in record.forgotten.replaced)
    left += [path for path in replaced if run.store.exists(path)]
    gone = Remembered.of(run.log.forgettings)
    try:
        left += [path for path, rows in review_files(run.store) if without_rows_of(rows, gone).num_rows < rows.num_rows]
    except StorageError as error:
        found.append(str(error))
    found += [f"{path} still holds what was forgotten: the same `rumiai-ray corpus forget` once more removes it" for path in left]
    manifest = None
    try:
        manifest = run.manifest
    except StorageError as error:
        found.append(str(error))
    try:
        read_labels(run.store)
    except StorageError as error:
        found.append(str(error))
    rows_of: dict[str, list[str]] = {name: [] for name in ENTRY_TABLES}
    for file in (file for record in run.log.records for file in record.files):
        try:
            rows = read_data_file(run.store, file)
        except StorageError as error:
            found.append(str(error))
            continue
        found += _schema_problems(file, rows, manifest)
        if file.table in rows_of and "entry_id" in rows.column_names:
            rows_of[file.table] += [str(entry) for entry in rows["entry_id"].to_pylist()]
    for table, listed in ENTRY_TABLES.items():
        entries = [entry for record in run.log.records for entry in getattr(record, listed)]
        found += _entry_problems(table, Counter(entries), Counter(rows_of[table]))
    return found


def _schema_problems(file: DataFile, rows: pa.Table, manifest: RunManifest | None) -> Iterator[str]:
    """A file declares its table and version; the manifest says the same, and where that version is today's, so does the code."""
    facts = rows.schema.metadata or {}
    name, version = (facts.get(key, b"").decode(errors="replace") for key in (b"table", b"version"))
    if name != file.table:
        yield f"{file.path}: states that it belongs to table {name!r}"
    if manifest is not None and version != str(manifest.tables.get(file.table)):
        yield f"{file.path}: written in schema version {version or 'unknown'}, the manifest says {manifest.tables.get(file.table)}"
    current = TABLES_BY_NAME.get(file.table)
    if current is not None and version == str(current.version) and not rows.schema.equals(stored_schema(current)):
        yield f"{file.path}: the columns are not those of schema version {version}"


def _entry_problems(table: str, entries: Counter[str], rows: Counter[str]) -> Iterator[str]:
    for entry in sorted(entries.keys() | rows.keys()):
        if table == "videos" and entries[entry] > 1:
            yield f"entry {entry} was committed {entries[entry]} times"
        if entries[entry] != rows[entry]:
            yield f"entry {entry} has {rows[entry]} rows in {table} and is named {entries[entry]} times by the records"

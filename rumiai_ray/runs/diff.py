"""Two runs side by side: what was run, and which rows say something else. The answer to "what did the new code change?".

Rows are matched by what names them within their table (`Table.key`), numbers compared within a tolerance. Compared are the videos that both
runs have; others are counted in `videos` alone. Not compared is what is never the same twice or says nothing of the result: run ids, times
taken, where video and frames came from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rumiai_ray.runs._compare import differs
from rumiai_ray.runs.fingerprint import side_by_side
from rumiai_ray.schema.registry import natural_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rumiai_ray.runs.manifest import RunManifest
    from rumiai_ray.runs.reader import Run

TOLERANCE = 1e-4
"""Far above the noise of float32 (1e-7) and of another order of summation, far below what anybody would call a change: 0.1 of a pixel
in a picture 1000 pixels wide, 0.0001 of a probability."""

EXAMPLES = 3

_INDIVIDUAL = {
    "videos": {"frame_store", "input"},
    "analyses": {"processing_time_s"},
    "dead_letter": {"traceback_sha256"},
}
"""Columns beside `run_id` that two runs with equal results may differ in."""

_OF_ENTRIES = ("videos", "dead_letter")
"""Tables whose rows tell which videos a run has."""

_PLACE = "place"
"""Name of the number that tells rows of one key apart; 0 for the first."""


@dataclass(frozen=True)
class ChangedRow:
    """One row that is in both runs and says something else."""

    key: dict[str, Any]
    """The columns that name it, and their values."""
    values: dict[str, tuple[Any, Any]]
    """For each column that differs: (before, after)."""


@dataclass(frozen=True)
class TableDiff:
    """One table of two runs."""

    name: str
    rows: tuple[int | None, int | None]
    """Rows in each run, of the videos that both have; None where a run has no such table, which is not the same as an empty one."""
    gone: int = 0
    """Rows only the first run has."""
    new: int = 0
    """Rows only the second run has."""
    changed: int = 0
    """Rows both have, with different values."""
    videos: int = 0
    """Videos with any such row."""
    columns: tuple[tuple[str, int], ...] = ()
    """How many rows differ in each column, most first."""
    schema: tuple[str, ...] = ()
    """Columns that only one run has, in words; they are not compared."""
    examples: tuple[ChangedRow, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the two runs say different things in this table."""
        return bool(self.gone or self.new or self.changed or self.schema) or None in self.rows


@dataclass(frozen=True)
class RunDiff:
    """Two runs."""

    runs: tuple[str, str]
    status: tuple[str, str]
    provenance: tuple[tuple[str, str, str], ...]
    """What can change a result and is not the same: (part, before, after)."""
    execution: tuple[tuple[str, str, str], ...]
    """Settings that change how a run goes, never what it says: (setting, before, after)."""
    videos: tuple[int, int, int]
    """Different videos that are in both, in the first alone, in the second alone."""
    tolerance: float
    tables: tuple[TableDiff, ...]

    @property
    def differs(self) -> bool:
        """Whether the two runs say different things. Different code that says the same is no difference."""
        return any(table.differs for table in self.tables)


def compare_runs(before: Run, after: Run, *, tolerance: float = TOLERANCE, examples: int = EXAMPLES) -> RunDiff:
    """Compare two runs, table by table; one table of each is in memory at a time.

    Args:
        before: a run.
        after: another one.
        tolerance: two numbers a and b are the same where |a - b| ≤ tolerance · max(1, |a|, |b|).
        examples: how many changed rows of each table are shown.

    Raises:
        StorageError: a run is damaged.
    """
    before, after = before.unfilled(), after.unfilled()
    names = [set(run.tables()) for run in (before, after)]
    videos: list[set[Any]] = [set(run.table("videos", ["video_key"])["video_key"].to_pylist()) for run in (before, after)]
    both = pa.array(sorted(videos[0] & videos[1]), pa.string())
    tables = []
    for name in sorted(names[0] | names[1]):
        sides = [run.table(name) if name in known else None for run, known in zip((before, after), names, strict=True)]
        if name not in _OF_ENTRIES:
            sides = [None if rows is None else rows.filter(pc.field("video_key").isin(both)) for rows in sides]
        tables.append(_table(name, sides[0], sides[1], tolerance, examples))
    return RunDiff(
        runs=(before.run_id, after.run_id),
        status=(before.status, after.status),
        provenance=tuple(side_by_side(_provenance(before.manifest), _provenance(after.manifest))),
        execution=tuple(_execution(before.manifest, after.manifest)),
        videos=(len(both), len(videos[0] - videos[1]), len(videos[1] - videos[0])),
        tolerance=tolerance,
        tables=tuple(tables),
    )


def _provenance(manifest: RunManifest) -> dict[str, object]:
    git = {"git.commit": manifest.git.commit, "git.dirty": manifest.git.dirty}
    return {**git, "entries_sha256": manifest.entries_sha256, **manifest.result_parts()}


def _execution(before: RunManifest, after: RunManifest) -> list[tuple[str, str, str]]:
    results = {name for name, _, _ in side_by_side(before.result_settings, after.result_settings)}
    return [change for change in side_by_side(before.config, after.config) if change[0] not in results]


def _table(name: str, before: pa.Table | None, after: pa.Table | None, tolerance: float, examples: int) -> TableDiff:
    if before is None or after is None:
        return TableDiff(name, (_length(before), _length(after)))
    key = [column for column in natural_key(name) if column in before.column_names and column in after.column_names]
    left, right = _matched(before, after, key)
    gone, new, common = left[right < 0], right[left < 0], (left >= 0) & (right >= 0)
    left, right = left[common], right[common]
    cells = _changed_cells(name, before, after, (left, right), tolerance)
    changed = np.logical_or.reduce([*cells.values(), np.zeros(len(left), dtype=np.bool_)])
    counts = Counter({column: int(cell.sum()) for column, cell in cells.items() if cell.any()})
    videos = set(_videos(before, gone)) | set(_videos(after, new)) | set(_videos(before, left[changed]))
    return TableDiff(
        name=name,
        rows=(before.num_rows, after.num_rows),
        gone=len(gone),
        new=len(new),
        changed=int(changed.sum()),
        videos=len(videos),
        columns=tuple(counts.most_common()),
        schema=tuple(_schema_changes(before, after)),
        examples=tuple(
            ChangedRow(
                key=before.select(key).slice(int(left[row]), 1).to_pylist()[0],
                values={
                    column: (before[column][int(left[row])].as_py(), after[column][int(right[row])].as_py())
                    for column, cell in cells.items()
                    if cell[row]
                },
            )
            for row in np.flatnonzero(changed)[:examples]
        ),
    )


def _length(rows: pa.Table | None) -> int | None:
    return None if rows is None else rows.num_rows


def _matched(before: pa.Table, after: pa.Table, key: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers of both sides that belong together, in the order of `before`; -1 where a side has no such row."""
    if not before.num_rows + after.num_rows:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)  # pandas 3.1 cannot merge two empty columns of strings
    sides = []
    for number, rows in enumerate((before, after)):
        frame = rows.select(list(key)).to_pandas()
        frame[_PLACE] = frame.groupby(list(key), dropna=False).cumcount()
        frame[f"row{number}"] = np.arange(rows.num_rows)
        sides.append(frame)
    merged = sides[0].merge(sides[1], how="outer", on=[*key, _PLACE]).sort_values(["row0", "row1"])
    left, right = (merged[f"row{number}"].fillna(-1).to_numpy(dtype=np.int64) for number in (0, 1))
    return left, right


def _changed_cells(
    name: str, before: pa.Table, after: pa.Table, rows: tuple[NDArray[np.int64], NDArray[np.int64]], tolerance: float
) -> dict[str, NDArray[np.bool_]]:
    """For each column both have: where it differs."""
    ignored = {"run_id", *_INDIVIDUAL.get(name, ())}
    columns = [column for column in before.column_names if column in after.column_names and column not in ignored]
    left, right = rows
    return {column: differs(before[column].take(left), after[column].take(right), tolerance) for column in columns}


def _videos(rows: pa.Table, numbers: NDArray[np.int64]) -> list[Any]:
    return rows["video_key"].take(numbers).unique().to_pylist()


def _schema_changes(before: pa.Table, after: pa.Table) -> list[str]:
    gone = [f"{name} is gone" for name in before.column_names if name not in after.column_names]
    return gone + [f"{name} is new" for name in after.column_names if name not in before.column_names]

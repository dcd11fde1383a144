"""Reading the shards of a run as one: which rows count where two shards have analysed the same bytes, and what their figures add up to.

Each shard analyses what it is given. Two inputs in two shards may have the same bytes, and only afterwards can it be told: then the
analysis of the shard with the lowest number counts, and the rows of the others are left out wherever the run's tables are read. Rows by
entry (`videos`, `dead_letter`) all count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from rumiai_ray.runs.datafile import read_data_file
from rumiai_ray.schema.run import ANALYSES
from rumiai_ray.storage import in_parallel

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rumiai_ray.runs.commits import Log
    from rumiai_ray.storage import Store

KEY = "video_key"

_OF_A_SHARD = ("videos_per_hour", "video_hours_per_day", "speed_of_light", "not_computed")
"""Figures that say how fast one driver was: their sum would be a speed only if all had gone at the same time."""


def copies_in(run: Store, shards: Sequence[Log]) -> Mapping[str, Collection[str]]:
    """By path of a data file, the keys of the videos in it that a shard before its own has analysed.

    Raises:
        StorageError: a file of the table `analyses` is not what was committed.
    """
    seen: set[str] = set()
    copies: dict[str, Collection[str]] = {}
    for shard in shards:
        files = [file for record in shard.records for file in record.files]
        told = in_parallel(lambda file: read_data_file(run, file, [KEY]), [file for file in files if file.table == ANALYSES.name])
        keys = {str(key) for rows in told for key in pc.unique(rows[KEY]).to_pylist()}
        if again := keys & seen:
            copies |= dict.fromkeys((file.path for file in files), again)
        seen |= keys
    return copies


def without_keys(rows: pa.Table, keys: Collection[str]) -> pa.Table:
    """The rows of other videos; all of them where the table has no such column."""
    if not keys or KEY not in rows.column_names:
        return rows
    gone: Any = pc.is_in(rows[KEY], value_set=pa.array(sorted(keys), pa.string()))
    return rows.filter(pc.invert(gone))


def summed(of_shards: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a run whose end records have these, by shard; those of a run without shards as they are.

    Counts and seconds are added up. `elapsed_s` is the longest of the drivers'.
    """
    if len(of_shards) == 1:
        return dict(next(iter(of_shards.values())))
    whole: dict[str, Any] = {}
    for figures in of_shards.values():
        for name, value in figures.items():
            if name in _OF_A_SHARD:
                continue
            if name == "elapsed_s":
                whole[name] = max(value, whole.get(name, value))
            elif isinstance(value, dict) and all(isinstance(one, int | float) for one in value.values()):
                before = whole.get(name, {})
                whole[name] = {key: before.get(key, 0) + value.get(key, 0) for key in dict.fromkeys((*before, *value))}
            elif isinstance(value, int | float):
                whole[name] = whole.get(name, 0) + value
            else:
                whole.setdefault(name, value)
    return {**whole, "shards": {name: dict(figures) for name, figures in of_shards.items()}}

"""Rows of one video at a time, and the reason where there are none. Absent is never empty: a page must not show 0 for "not measured"."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from rumiai_ray.report.draw import DRAWN, LANDMARKS, FrameRows
from rumiai_ray.schema.registry import TABLES_BY_NAME, made_by
from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from rumiai_ray.runs.reader import Run
    from rumiai_ray.schema.table import Row

NOT_COMPUTED = "not computed in this run"
NOTHING_TO_MEASURE = "nothing to measure it on"


@dataclass(frozen=True)
class Found:
    """The rows of one table for one video, or why there are none to have."""

    rows: tuple[Row, ...] = ()
    missing: str | None = None
    """Why nothing was measured; None where it was, even if nothing was found."""

    def __bool__(self) -> bool:
        return bool(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class RunRows:
    """All tables of a run, by video. A table is read when it is first asked for.

    Args:
        run: the run.
        only: the one video to keep rows of; all by default.
    """

    def __init__(self, run: Run, only: str | None = None) -> None:
        self.run = run
        self._only = only
        self._tables: dict[str, tuple[pa.Table, dict[str, tuple[int, int]]]] = {}
        self.known = frozenset(run.tables())
        """Tables this run can have."""

    @cached_property
    def videos(self) -> list[Row]:
        """The committed entries, in order."""
        rows: list[Row] = self.run.table("videos").to_pylist(maps_as_pydicts="lossy")
        return [row for row in rows if self._only in {None, row["video_key"]}]

    def analyses(self, key: str) -> dict[str, Row]:
        """The status rows of a video, by model."""
        return {row["model_name"]: row for row in self._rows("analyses", key)}

    def looked_at(self, key: str) -> dict[str, frozenset[int]]:
        """The `frame_index` of every sampled frame that a model answered for, by model.

        Models that failed or were skipped are left out, because they have no rows, and so are models that look at no sampled frames.
        """
        return {
            name: frozenset(row["frames_seen"])
            for name, row in self.analyses(key).items()
            if row["frames_seen"] is not None and row["status"] not in {Status.FAILED, Status.SKIPPED}
        }

    def found(self, table: str, key: str) -> Found:
        """The rows of a table for a video, without bulky columns, or why there are none."""
        if table not in self.known:
            return Found(missing=NOT_COMPUTED)
        rows = tuple(self._rows(table, key))
        return Found(rows) if rows else Found(missing=self._why(table, key))

    def drawn(self, key: str) -> dict[int, FrameRows]:
        """What is drawn on a video's sampled frames, by `frame_index`."""
        frames: dict[int, FrameRows] = defaultdict(FrameRows)
        for table, columns in DRAWN.items():
            for row in self._with_landmarks(table, key, self._rows(table, key, columns)):
                getattr(frames[row["frame_index"]], table).append(row)
        return dict(frames)

    def times_s(self, key: str) -> dict[int, float]:
        """When sampled frames are shown, as far as any row says so, by `frame_index`."""
        return {row["frame_index"]: row["time_s"] for table in DRAWN for row in self._rows(table, key, ())}

    def _with_landmarks(self, table: str, key: str, rows: list[Row]) -> list[Row]:
        """Drawn rows of a video, each with what is drawn of its part of the table."""
        if table not in LANDMARKS:
            return rows
        part, columns = LANDMARKS[table]
        number = columns[0]
        landmarks = {(row["frame_index"], row[number]): row for row in self._rows(part, key, columns)}
        return [row | landmarks.get((row["frame_index"], row[number]), {}) for row in rows]

    def _rows(self, table: str, key: str, drawn: Sequence[str] | None = None) -> list[Row]:
        """The rows of a video; `drawn` names columns wanted beside frame and time, where not all but the bulky ones are."""
        if table not in self.known:
            return []
        rows, places = self._table(table)
        start, count = places.get(key, (0, 0))
        if drawn is not None:
            rows = rows.select(["frame_index", "time_s", *drawn])
        elif table in TABLES_BY_NAME:
            rows = TABLES_BY_NAME[table].light(rows)
        return rows.slice(start, count).to_pylist(maps_as_pydicts="lossy") if count else []

    def _table(self, name: str) -> tuple[pa.Table, dict[str, tuple[int, int]]]:
        """A table with its videos one after the other, and where each one's rows are: (first, how many)."""
        if name not in self._tables:
            rows = self.run.table(name)
            if self._only is not None:
                rows = rows.filter(pc.field("video_key") == self._only)
            keys = rows["video_key"].to_numpy()
            order = np.argsort(keys.astype(str), kind="stable")
            names, first, counts = np.unique(keys[order].astype(str), return_index=True, return_counts=True)
            places = {str(key): (int(start), int(count)) for key, start, count in zip(names, first, counts, strict=True)}
            self._tables[name] = rows.take(order), places
        return self._tables[name]

    def _why(self, table: str, key: str) -> str | None:
        """Why a table has no rows of a video; None where it was looked for and nothing was there."""
        analyses = self.analyses(key)
        reasons = (reason_of(name, analyses) for name in made_by(table))
        return next((reason for reason in reasons if reason), None)


def reason_by_source(source: str, analyses: Mapping[str, Row]) -> str:
    """Why a figure is null.

    Args:
        source: what its column's schema says it is made of, such as "faces, gaze.eye_contact".
        analyses: the video's status rows.
    """
    models = dict.fromkeys(model for table in re.findall(r"\w+", source) for model in made_by(table))
    return next((reason for model in models if (reason := reason_of(model, analyses))), NOTHING_TO_MEASURE)


def reason_of(model: str, analyses: Mapping[str, Row]) -> str | None:
    """Why a model measured nothing on a video; None where it did."""
    row = analyses.get(model)
    if row is None:
        return f"{model} was not part of this run"
    if row["status"] == Status.FAILED:
        return f"{model} failed: {row['error_class']}: {row['error_message']}"
    return f"{model} was skipped: {row['detail']}" if row["status"] == Status.SKIPPED else None

"""What a table is: a name, a version and a `pa.Schema` whose fields carry their own data dictionary.

Every table of a run begins with `run_id` and `video_key`. Producers never write these two: a model returns rows without
them (`Table.row_schema`) and the engine stamps them on, so a model cannot attribute a row to the wrong video.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LARGEST_MEASUREMENT = 1e15
"""No length, time, share or level of a video comes near it; sums and products of what lies below it stay finite."""

_CLOSED_LIST = re.compile(r"[\w ]+(\|[\w ]+)+")
"""A `range_` that names every value a column of strings can have."""


Row = dict[str, Any]
"""One row of a table, by column, as `pa.Table.to_pylist` gives it."""


class SchemaError(ValueError):
    """Rows do not fit the table they were written to. A programming error, never a user's."""


def column(
    name: str,
    type_: pa.DataType,
    definition: str,
    *,
    unit: str = "",
    range_: str = "",
    source: str = "",
    nullable: bool = False,
) -> pa.Field[pa.DataType]:
    """One column with its definition, unit, range and source as field metadata; it travels in the Parquet file.

    `nullable=True` means "null where it was not measured"; a measured zero is 0.
    """
    facts = {"definition": definition, "unit": unit, "range": range_, "source": source}
    return pa.field(name, type_, nullable=nullable, metadata={k: v for k, v in facts.items() if v})


STAMP = (
    column("run_id", pa.string(), "The run that computed this row."),
    column("video_key", pa.string(), "SHA-256 of the video's bytes.", range_="64 hex digits"),
)
"""The columns the engine puts in front of every table."""

FRAME = (
    column("frame_index", pa.int32(), "Position among the video's sampled frames, 0 first.", range_="0..frames_sampled-1"),
    column("time_s", pa.float64(), "When the frame is shown, from the first presented frame.", unit="s"),
)
"""The columns every per-frame table begins with, after the stamp."""


def box(of: str) -> tuple[pa.Field[pa.DataType], ...]:
    """The four columns of a bounding box: x1, y1, x2, y2 in source pixels after rotation, origin at the top left."""
    return tuple(
        column(name, pa.float32(), f"{side} edge of the {of}.", unit="px", source="source pixels after rotation")
        for name, side in (("x1", "Left"), ("y1", "Top"), ("x2", "Right"), ("y2", "Bottom"))
    )


def track_id(of: str) -> pa.Field[pa.DataType]:
    """The column that says which track of `tracks` a box belongs to."""
    return column(
        "track_id",
        pa.int32(),
        f"The track this {of} belongs to, of table `tracks`; null where it was linked to no other sighting and is not held.",
        range_="0.., unique within the video",
        source="assembly",
        nullable=True,
    )


def in_shot(of: str) -> tuple[pa.Field[pa.DataType], pa.Field[pa.DataType]]:
    """The two columns that place a sampled frame in its shot. A table that has them among its derived columns gets them from assembly."""
    return (
        column(
            "shot_index",
            pa.int32(),
            f"The shot of `shots` that the frame of this {of} belongs to; null where shots were not analysed.",
            range_="0..",
            source="assembly",
            nullable=True,
        ),
        column(
            "is_key_frame",
            pa.bool_(),
            "Of its shot's frames in this table, the one nearest to the middle of the shot; null where shots were not analysed.",
            source="assembly",
            nullable=True,
        ),
    )


_TRACKED_KEY = 3
"""Columns in the key of a tracked table: video, frame, number of the box within the frame."""


@dataclass(frozen=True)
class Table:
    """One table of a run."""

    name: str
    """Directory name under the run and the name in SQL, e.g. `objects`."""
    version: int
    """Raised by one whenever a column is added, removed or redefined."""
    definition: str
    """One sentence: what one row is."""
    columns: tuple[pa.Field[pa.DataType], ...]
    """The producer's columns, without the stamp."""
    derived: tuple[pa.Field[pa.DataType], ...] = ()
    """Columns that come last and that assembly adds to the producer's, from all rows of a video: nullable, null where it could not tell."""
    key: tuple[str, ...] = ("video_key",)
    """The columns that name a row in any run: `diff` matches rows by them. Rows of equal keys are told apart by their order."""
    made_by: tuple[str, ...] = ()
    """The model families without which the table cannot have rows: a report says why a table is empty from how they ended. Empty where
    no single family decides it, as for tables whose columns name their own sources."""
    bulky: tuple[str, ...] = ()
    """Columns of many numbers a row that neither insights nor a report's texts read; pictures ask for them by name."""
    formerly: tuple[tuple[str, str], ...] = ()
    """(column, name it had in older versions) of renamed columns; rows of those versions are read under the names of today."""
    same_since: int | None = None
    """The oldest version whose rows, once read by the names of today, say the same as rows of this version, but for what its source did
    not say or was not asked (nullable columns that came later); None where none does."""
    part_of: str | None = None
    """The table whose bulky columns these are, in rows of their own under the same key, so that people can read its rows; earlier versions
    of it had the columns itself. None for a table that is no part of another. See `registry.parts_of`."""
    tracked_as: str | None = None
    """What a box of this table is called in `tracks.label` where the row has no `label` of its own; None where boxes are not linked into
    tracks. A tracked table has the columns of `FRAME` and `box`, a key that ends with the number of the box within its frame, one family
    in `made_by`, and `track_id` among its derived columns."""

    def __post_init__(self) -> None:
        known = {field.name for field in (*STAMP, *self.columns, *self.derived)}
        needed = {*self.key, *self.bulky, *(today for today, _ in self.formerly)}
        if self.tracked_as is not None:
            needed |= {"frame_index", "time_s", "x1", "y1", "x2", "y2", "track_id"}
            if self.key[:2] != ("video_key", "frame_index") or len(self.key) != _TRACKED_KEY or len(self.made_by) != 1:
                raise SchemaError(f"{self.name}: a tracked table is named by video, frame and number, and made by one family")
        if self.in_shots:
            needed |= {"frame_index", "time_s", "is_key_frame"}
        if needed - known:
            raise SchemaError(f"{self.name}: declares facts about columns it does not have: {sorted(needed - known)}")

    @property
    def in_shots(self) -> bool:
        """Whether assembly says of each row which shot it belongs to and whether its frame is the key frame: `in_shot` is in `derived`."""
        return any(field.name == "shot_index" for field in self.derived)

    def says_the_same_as(self, version: int) -> bool:
        """Whether rows of a version, once read by the names of today, say what rows of this version say."""
        return version == self.version or (self.same_since is not None and self.same_since <= version < self.version)

    @cached_property
    def row_schema(self) -> pa.Schema:
        """What the producer returns: the columns without `run_id` and `video_key`."""
        return pa.schema(self.columns)

    @cached_property
    def schema(self) -> pa.Schema:
        """What is written: stamp, columns and derived ones, with the table's name, version and definition as schema metadata."""
        facts: dict[bytes | str, bytes | str] = {"table": self.name, "version": str(self.version), "definition": self.definition}
        own = {field.name for field in self.columns}
        return pa.schema((*(field for field in STAMP if field.name not in own), *self.columns, *self.derived), metadata=facts)

    def rows(self, records: Iterable[Mapping[str, object]]) -> pa.Table:
        """An Arrow table of `row_schema` from records.

        Raises:
            SchemaError: a record lacks a column, has one too many, holds a value of another type, or null where null is not allowed.
        """
        listed = list(records)
        names = set(self.row_schema.names)
        for record in listed:
            if record.keys() != names:
                missing, extra = sorted(names - record.keys()), sorted(record.keys() - names)
                raise SchemaError(f"{self.name}: record lacks {missing} and has unknown {extra}")
        try:
            table = pa.Table.from_pylist(listed, schema=self.row_schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaError(f"{self.name}: {error}") from error
        return self.check(table, self.row_schema)

    def empty(self) -> pa.Table:
        """No rows of `row_schema`."""
        return self.row_schema.empty_table()

    def light(self, rows: pa.Table) -> pa.Table:
        """`rows` without the bulky columns."""
        return rows.select([name for name in rows.column_names if name not in self.bulky])

    def stamp(self, rows: pa.Table, *, run_id: str, video_key: str, derived: Mapping[str, pa.Array[Any]] | None = None) -> pa.Table:
        """Rows of `row_schema` turned into rows of `schema` for one video of one run.

        Args:
            rows: of `row_schema`.
            run_id: the run.
            video_key: the video.
            derived: values of derived columns, one for each row; a column that is not given is null.

        Raises:
            SchemaError: `rows` have other columns, a forbidden null, or a value that no measurement has (`impossible`).
        """
        self.check(rows, self.row_schema)
        count = rows.num_rows
        stamps = {"run_id": run_id, "video_key": video_key}
        values: dict[str, pa.Array[Any]] = {name: pa.repeat(pa.scalar(value, pa.string()), count) for name, value in stamps.items()}
        values |= {field.name: pa.array([None] * count, field.type) for field in self.derived}
        values |= derived or {}
        arrays = [rows[name] if name in rows.column_names else values[name] for name in self.schema.names]
        stamped = self.check(pa.Table.from_arrays(arrays, schema=self.schema), self.schema)
        self.check_values(stamped)
        return stamped

    def check(self, table: pa.Table, schema: pa.Schema) -> pa.Table:
        """`table` itself if it has exactly `schema` and no forbidden null; otherwise SchemaError naming the column."""
        if not table.schema.equals(schema):
            raise SchemaError(f"{self.name}: columns differ from schema v{self.version}:\n{_difference(table.schema, schema)}")
        for field in schema:
            if not field.nullable and table[field.name].null_count:
                raise SchemaError(f"{self.name}.{field.name}: null in a column that must always be measured")
        return table

    def check_values(self, rows: pa.Table) -> None:
        """Refuse rows in which `impossible` finds a column.

        Raises:
            SchemaError: the message names the column.
        """
        if problem := self.impossible(rows):
            raise SchemaError(f"{self.name}.{problem}")

    def impossible(self, rows: pa.Table) -> str:
        """Name a column of `rows` that holds a value of the right type which this table cannot have, and say what is wrong with the value.

        Such a value is a float that `immeasurable` finds, or a string outside the closed list that its column's range gives. Nulls pass;
        `check` looks for them. The answer is "" where no column holds such a value.

        Example:
            >>> from rumiai_ray.schema.whisper import WORDS
            >>> WORDS.impossible(pa.table({"start_s": [0.5, float("inf")]}))
            "start_s: a number that no measurement has"
        """
        for name, listed in self._closed_lists.items():
            found = pc.unique(rows[name]).to_pylist() if name in rows.column_names else []
            if strange := [value for value in found if value is not None and value not in listed]:
                return f"{name}: {strange[0][:40]!r} is not one of {', '.join(sorted(listed))}"
        return immeasurable(rows)

    @cached_property
    def _closed_lists(self) -> dict[str, frozenset[str]]:
        """The values that columns of strings can have, where their range names them all."""
        ranges = {field.name: (field.metadata or {}).get(b"range", b"").decode() for field in self.schema if pa.types.is_string(field.type)}
        return {name: frozenset(range_.split("|")) for name, range_ in ranges.items() if _CLOSED_LIST.fullmatch(range_)}


def immeasurable(rows: pa.Table) -> str:
    """Name a column of `rows` that holds a float which is infinite, not a number or beyond `LARGEST_MEASUREMENT`; "" where none does."""
    for name in rows.column_names:
        if any(pc.all(pc.less(pc.abs(floats), pa.scalar(LARGEST_MEASUREMENT))).as_py() is False for floats in _floats(rows[name])):
            return f"{name}: a number that no measurement has"
    return ""


def _floats(values: Any) -> Iterator[pa.Array[Any]]:
    """The floats of a column, those inside lists, structs and maps too."""
    if isinstance(values, pa.ChunkedArray):
        for chunk in values.iterchunks():
            yield from _floats(chunk)
    elif pa.types.is_floating(values.type):
        yield values.cast(pa.float32()) if pa.types.is_float16(values.type) else values
    elif pa.types.is_map(values.type):
        yield from _floats(values.keys)
        yield from _floats(values.items)
    elif pa.types.is_struct(values.type):
        for child in values.flatten():
            yield from _floats(child)
    elif pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type) or pa.types.is_large_list(values.type):
        yield from _floats(values.flatten())


def _difference(got: pa.Schema, want: pa.Schema) -> str:
    lines = [f"  missing: {name}" for name in want.names if name not in got.names]
    lines += [f"  unknown: {name}" for name in got.names if name not in want.names]
    lines += [
        f"  {name}: {got.field(name).type} (nullable {got.field(name).nullable}), "
        f"declared {want.field(name).type} (nullable {want.field(name).nullable})"
        for name in want.names
        if name in got.names and not got.field(name).equals(want.field(name))
    ]
    return "\n".join(lines or ["  the columns are in another order"])

"""Absurd values of the right type, and a finished run in which some cells hold them under digests that fit."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from report_run import plain_rows, write_run
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import analysis_row, rewrite, video_row

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from rumiai_ray.runs.commits import CommitRecord
    from rumiai_ray.runs.datafile import DataFile
    from rumiai_ray.runs.reader import Run

_TEXTS = ["", "\x1b[2J\u202e", "=1+1", "[/nope]", "../../x", "nan", "9" * 400, "é" * 300_000]
_YEAR_9999_S, _YEAR_1_S = 253_402_300_799, -62_135_596_800


def ordinary(field: pa.Field[Any]) -> Any:
    """An ordinary value of a column; the first of those that its schema lists."""
    listed = (field.metadata or {}).get(b"range", b"").decode()
    if pa.types.is_string(field.type) and "|" in listed:
        return listed.partition("|")[0]
    return _plain(field.type)


def _plain(type_: pa.DataType) -> Any:  # noqa: PLR0911 -- one line a type
    """An ordinary value of a type."""
    if pa.types.is_fixed_size_list(type_):
        return [_plain(type_.value_type)] * type_.list_size
    if pa.types.is_map(type_):
        return []
    if pa.types.is_list(type_):
        return [_plain(type_.value_type)]
    if pa.types.is_struct(type_):
        return {field.name: _plain(field.type) for field in type_}
    if pa.types.is_string(type_):
        return "a"
    if pa.types.is_boolean(type_):
        return True
    return 0.5 if pa.types.is_floating(type_) else 1


def absurd(type_: pa.DataType, rng: random.Random) -> Any:  # noqa: PLR0911 -- one line a type
    """A value that the type allows and no run ever holds."""
    if pa.types.is_fixed_size_list(type_):
        return [absurd(type_.value_type, rng) for _ in range(type_.list_size)]
    if pa.types.is_map(type_):
        return [(absurd(type_.key_type, rng) or "", absurd(type_.item_type, rng))] * rng.choice([0, 1, 2])
    if pa.types.is_list(type_):
        return [
            absurd(type_.value_type, rng) for _ in range(rng.choice([0, 1, 7] if pa.types.is_string(type_.value_type) else [0, 1, 7, 3000]))
        ]
    if pa.types.is_struct(type_):
        return {field.name: absurd(field.type, rng) for field in type_}
    if pa.types.is_string(type_):
        return rng.choice(_TEXTS)
    if pa.types.is_boolean(type_):
        return rng.random() < 0.5
    if pa.types.is_floating(type_):
        huge = 3e38 if type_.bit_width == 32 else 1.7e308
        return rng.choice([math.nan, math.inf, -math.inf, huge, -huge, -1.0, 1e15, 1e-300])
    if pa.types.is_timestamp(type_):
        scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[type_.unit]
        return (
            rng.choice([_YEAR_9999_S * scale, _YEAR_1_S * scale, 2**62, -(2**62)]) if type_.unit != "ns" else rng.choice([2**62, -(2**62)])
        )
    low, high = (
        (-(2 ** (type_.bit_width - 1)), 2 ** (type_.bit_width - 1) - 1)
        if pa.types.is_signed_integer(type_)
        else (0, 2**type_.bit_width - 1)
    )
    return rng.choice([low, high, 0, max(low, -1), min(high, 10**9)])


def full_run(out: Path) -> Run:
    """A finished run with rows in every table."""
    given: dict[str, list[dict[str, Any]]] = plain_rows() | {"videos": [video_row("clip")]}
    given["analyses"] = [analysis_row(name) for name in ("mediapipe", "yolo", "ocr", "emotion", "whisper", "shots", "sound")]
    for name, table in TABLES_BY_NAME.items():
        if name != "dead_letter" and name not in given:
            given[name] = [{field.name: ordinary(field) for field in table.columns}]
    return write_run(out, {"clip": given}, dead=("gone",))


def with_absurd_cells(run: Run, rng: random.Random, cells: int) -> list[str]:
    """Replace random cells of a run and rewrite files and records with digests that fit. Gives the cells as `table.column=value`."""
    done: list[str] = []
    for _ in range(cells):
        table = rng.choice([file.table for record in run.records for file in record.files])

        def change(rows: pa.Table, table: str = table) -> pa.Table:
            field = rng.choice([field for field in rows.schema if field.name != "run_id"])
            value = None if field.nullable and rng.random() < 0.15 else absurd(field.type, rng)
            done.append(f"{table}.{field.name}={str(value)[:40]}")
            return _with_cell(rows, field, value, rng.random())

        rewrite_table(run, table, change)
    return done


def rewrite_table(run: Run, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the rows of a table's first file; its record has a digest that fits."""
    now = run.again()
    record, file = _file(now, table)
    rows = change(pq.read_table(pa.BufferReader(now.store.read(file.path))))
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    data = sink.getvalue().to_pybytes()
    facts = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "rows": rows.num_rows}
    now.store.replace(file.path, data)
    rewrite(
        now.store, record.model_copy(update={"files": tuple(one.model_copy(update=facts if one == file else {}) for one in record.files)})
    )


def _file(run: Run, table: str) -> tuple[CommitRecord, DataFile]:
    return next((record, file) for record in run.records for file in record.files if file.table == table)


def _with_cell(rows: pa.Table, field: pa.Field[Any], value: Any, place: float) -> pa.Table:
    """Rows in which one cell of a column, so far down as `place` (0 to 1) says, has this value."""
    is_time = pa.types.is_timestamp(field.type)
    values: list[Any] = (rows[field.name].cast(pa.int64()) if is_time else rows[field.name]).to_pylist()
    values[int(place * len(values))] = value
    column = pa.array(values, pa.int64()).cast(field.type) if is_time else pa.array(values, field.type)
    return rows.set_column(rows.column_names.index(field.name), field, column)

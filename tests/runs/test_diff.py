"""Two runs side by side: what is found, what is not taken for a difference, and what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from rumiai_ray import open_run
from rumiai_ray.provenance import GitState
from rumiai_ray.runs._compare import differs
from rumiai_ray.runs.diff import RunDiff, TableDiff, compare_runs
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import analysis_row, manifest, object_row, stamped, video_key, video_row

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.reader import Run

A, B = "20261122T150712Z-aaaaaa", "20261123T150712Z-bbbbbb"
Rows = list[dict[str, Any]]


def written(out: Path, run_id: str, objects: dict[str, Rows], analysis: dict[str, Any] | None = None, **changes: Any) -> Run:
    """A run of these videos with these objects; yolo is in `analyses` for each."""
    said = manifest(run_id, **changes)
    writer = RunWriter.create(out, said, {name: TABLES_BY_NAME[name] for name in said.tables})
    for entry, rows in objects.items():
        row = analysis_row("yolo", **(analysis or {}))
        tables = {"videos": [video_row(entry)], "objects": rows, "analyses": [row]}
        writer.add({name: stamped(name, records, entry, run_id) for name, records in tables.items()})
        writer.commit([entry])
    writer.finish("complete", {})
    return open_run(writer.run.uri())


def pair(out: Path, before: Rows, after: Rows) -> TableDiff:
    """The comparison of `objects` of one video."""
    return table(compare_runs(written(out, A, {"v": before}), written(out, B, {"v": after})), "objects")


def table(diff: RunDiff, name: str) -> TableDiff:
    (found,) = [table for table in diff.tables if table.name == name]
    return found


def test_two_runs_that_say_the_same_do_not_differ_whatever_the_order_of_their_rows_and_videos(tmp_path: Path) -> None:
    rows = [object_row(0), object_row(0, 1), object_row(1)]
    one = written(tmp_path, A, {"v": rows, "w": rows}, {"processing_time_s": 1.0})
    other = written(tmp_path, B, {"w": rows[::-1], "v": rows[::-1]}, {"processing_time_s": 9.0})
    diff = compare_runs(one, other)
    assert not diff.differs
    assert table(diff, "objects").rows == (6, 6)
    assert diff.provenance == ()


def test_a_changed_value_is_found_with_its_row_and_both_values(tmp_path: Path) -> None:
    found = pair(tmp_path, [object_row(0), object_row(3)], [object_row(0), object_row(3, label="dog", confidence=0.5)])
    assert (found.gone, found.new, found.changed, found.videos) == (0, 0, 1, 1)
    assert dict(found.columns) == {"label": 1, "confidence": 1}
    (example,) = found.examples
    assert example.key == {"video_key": video_key("v"), "frame_index": 3, "object_index": 0}
    assert example.values["label"] == ("person", "dog")


def test_rows_that_only_one_run_has_are_counted_on_its_side(tmp_path: Path) -> None:
    found = pair(tmp_path, [object_row(0), object_row(1)], [object_row(1), object_row(2), object_row(2, 1)])
    assert (found.gone, found.new, found.changed) == (1, 2, 0)


def test_videos_of_one_run_only_are_told_once_and_their_rows_are_no_changes(tmp_path: Path) -> None:
    rows = [object_row(0)]
    diff = compare_runs(written(tmp_path, A, {"v": rows, "w": rows}), written(tmp_path, B, {"v": rows}))
    assert diff.videos == (1, 1, 0)
    assert (table(diff, "videos").gone, table(diff, "videos").videos) == (1, 1)
    assert not table(diff, "objects").differs
    assert diff.differs


@pytest.mark.parametrize(("shift_px", "changed"), [(0.0, 0), (0.01, 0), (0.5, 1)])
def test_numbers_are_compared_within_the_tolerance(tmp_path: Path, shift_px: float, changed: int) -> None:
    assert pair(tmp_path, [object_row(0, x2=400.0)], [object_row(0, x2=400.0 + shift_px)]).changed == changed


def test_the_tolerance_can_be_zero(tmp_path: Path) -> None:
    runs = written(tmp_path, A, {"v": [object_row(0, confidence=0.9)]}), written(tmp_path, B, {"v": [object_row(0, confidence=0.90001)]})
    assert not table(compare_runs(*runs), "objects").differs
    assert table(compare_runs(*runs, tolerance=0.0), "objects").changed == 1


def test_a_failed_model_is_a_difference_even_where_there_are_no_rows(tmp_path: Path) -> None:
    failed = {"status": "failed", "error_class": "ModelError", "error_message": "it crashed", "processing_time_s": None}
    found = table(compare_runs(written(tmp_path, A, {"v": []}), written(tmp_path, B, {"v": []}, failed)), "analyses")
    assert {"status", "error_class", "error_message"} <= dict(found.columns).keys()


def test_other_code_is_told_and_is_no_difference_of_the_rows(tmp_path: Path) -> None:
    one = written(tmp_path, A, {"v": [object_row(0)]}, git=GitState("1" * 40, dirty=False))
    other = written(tmp_path, B, {"v": [object_row(0)]}, git=GitState("2" * 40, dirty=True), source_sha256="b" * 64)
    diff = compare_runs(one, other)
    assert not diff.differs
    assert ("source_sha256", "a" * 64, "b" * 64) in diff.provenance
    assert ("git.commit", "1" * 40, "2" * 40) in diff.provenance


def test_settings_of_execution_are_told_apart_from_those_of_the_result(tmp_path: Path) -> None:
    changed: dict[str, Any] = {"config": {"cells": 4, "sampling": {"fps": 2}}, "result_settings": {"sampling": {"fps": 2}}}
    diff = compare_runs(
        written(tmp_path, A, {"v": []}, config={"cells": 2, "sampling": {"fps": 5}}, result_settings={"sampling": {"fps": 5}}),
        written(tmp_path, B, {"v": []}, **changed),
    )
    assert ("result_settings.sampling.fps", "5", "2") in diff.provenance
    assert diff.execution == (("cells", "2", "4"),)


def test_a_table_that_a_run_never_had_is_not_an_empty_one(tmp_path: Path) -> None:
    known = {name: declared.version for name, declared in TABLES_BY_NAME.items() if name != "texts"}
    diff = compare_runs(written(tmp_path, A, {"v": []}, tables=known), written(tmp_path, B, {"v": []}))
    assert table(diff, "texts").rows == (None, 0)
    assert diff.differs


@pytest.mark.parametrize("name", sorted(TABLES_BY_NAME))
def test_every_table_has_columns_that_name_its_rows(name: str) -> None:
    assert set(TABLES_BY_NAME[name].key) <= set(TABLES_BY_NAME[name].schema.names)


def column(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray[Any]:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("kind", "left", "right", "expected"),
    [
        (pa.float32(), [1.0, None, None, float("nan")], [None, 1.0, None, float("nan")], [True, True, False, False]),
        (pa.float64(), [float("inf"), float("inf"), 1e9], [float("inf"), float("-inf"), 1e9 + 1], [False, True, False]),
        (pa.list_(pa.float32()), [[1, 2], [1, 2], [], None], [[1, 2.5], [1], [], []], [True, True, False, True]),
        (pa.list_(pa.float32(), 2), [[1, 2], None, [3, 4]], [[1, 2], None, [3, 5]], [False, False, True]),
        (pa.list_(pa.string()), [["a"], []], [["a"], ["b"]], [False, True]),
        (pa.string(), ["a", "", None], ["a", None, None], [False, True, False]),
        (pa.bool_(), [True, False], [True, True], [False, True]),
        (pa.map_(pa.string(), pa.string()), [[("k", "v")]], [[("k", "w")]], [True]),
    ],
)
def test_values_of_every_type_are_compared(kind: pa.DataType, left: list[Any], right: list[Any], expected: list[bool]) -> None:
    assert differs(column(left, kind), column(right, kind), 1e-4).tolist() == expected


def test_an_integer_column_that_became_a_float_is_compared_by_value() -> None:
    assert differs(column([1, 2], pa.int32()), column([1.0, 2.5], pa.float64()), 1e-4).tolist() == [False, True]


def test_no_rows_are_no_difference() -> None:
    assert differs(column([], pa.float32()), column([], pa.float32()), 1e-4).dtype == np.bool_

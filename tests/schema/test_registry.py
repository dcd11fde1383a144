from __future__ import annotations

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest

from rumiai_ray.schema import SchemaError, Table, column
from rumiai_ray.schema.registry import TABLES_BY_NAME, by_name, parts_of
from rumiai_ray.schema.table import FRAME, box, in_shot, track_id


def test_every_family_is_found_without_a_line_of_its_own() -> None:
    assert {"videos", "analyses", "dead_letter", "objects", "faces", "texts", "words", "emotions"} <= TABLES_BY_NAME.keys()


def test_two_tables_of_one_name_are_refused() -> None:
    table = Table("objects", 1, "x", ())
    with pytest.raises(ValueError, match="objects"):
        by_name([table, table])


def test_gathering_the_tables_imports_no_model() -> None:
    code = "import sys, rumiai_ray.schema.registry; print([m for m in sys.modules if m.startswith('rumiai_ray.models')])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


BOXED = (*FRAME, column("thing_index", pa.int32(), "Number."), *box("thing"))
KEY = ("video_key", "frame_index", "thing_index")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"key": ("video_key", "thing_indx")}, "thing_indx"),
        ({"bulky": ("landmarks",)}, "landmarks"),
        ({"tracked_as": "thing", "made_by": ("toy",), "key": KEY}, "track_id"),
        ({"tracked_as": "thing", "made_by": ("toy",), "derived": (track_id("thing"),)}, "tracked table"),
        ({"tracked_as": "thing", "made_by": (), "key": KEY, "derived": (track_id("thing"),)}, "tracked table"),
    ],
)
def test_a_table_that_declares_facts_of_columns_it_lacks_is_refused(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        Table("things", 1, "A thing.", BOXED, **facts)


def test_a_tracked_table_may_be_named_as_its_boxes_are_numbered() -> None:
    table = Table("things", 1, "A thing.", BOXED, (track_id("thing"),), key=KEY, made_by=("toy",), tracked_as="thing")
    assert table.light(table.empty()).column_names == table.row_schema.names


def test_a_table_whose_rows_are_placed_in_shots_has_frames() -> None:
    assert Table("views", 1, "A view.", (*FRAME,), in_shot("view")).in_shots
    assert not Table("views", 1, "A view.", (*FRAME,)).in_shots
    with pytest.raises(SchemaError, match="time_s"):
        Table("views", 1, "A view.", FRAME[:1], in_shot("view"))
    with pytest.raises(SchemaError, match="is_key_frame"):
        Table("views", 1, "A view.", FRAME, in_shot("view")[:1])


def test_bulky_columns_are_left_out_of_light_rows_and_only_there() -> None:
    table = Table("things", 1, "A thing.", BOXED, bulky=("x1", "y2"))
    assert [name for name in table.row_schema.names if name not in table.light(table.empty()).column_names] == ["x1", "y2"]
    assert "x1" in table.schema.names


def test_a_part_of_a_table_has_the_key_and_the_family_of_the_whole_and_only_the_part_has_bulky_columns() -> None:
    parts = [part for part in TABLES_BY_NAME.values() if part.part_of is not None]
    assert {part.name for part in parts} == {"face_landmarks", "pose_landmarks", "hand_landmarks"}
    for part in parts:
        whole = TABLES_BY_NAME[part.part_of or ""]
        assert (part.key, part.made_by, parts_of(whole.name)) == (whole.key, whole.made_by, (part,))
        assert part.bulky
        assert not whole.bulky
        assert not {*part.bulky} & {*whole.schema.names}


MEASURED = Table(
    "measured",
    1,
    "Rows of every shape that holds a float.",
    (
        column("plain", pa.float64(), "x", nullable=True),
        column("half", pa.float16(), "x", nullable=True),
        column("listed", pa.list_(pa.float32()), "x", nullable=True),
        column("fixed", pa.list_(pa.float32(), 2), "x", nullable=True),
        column("inside", pa.struct([pa.field("deep", pa.list_(pa.float64()))]), "x", nullable=True),
        column("mapped", pa.map_(pa.string(), pa.float64()), "x", nullable=True),
        column("side", pa.string(), "x", range_="left|right", nullable=True),
        column("open", pa.string(), "x", range_="latin|han|…|unknown", nullable=True),
        column("prose", pa.string(), "x", range_="camera|left (of the picture)", nullable=True),
    ),
)
ORDINARY: dict[str, Any] = {
    "plain": -1.5,
    "half": 0.5,
    "listed": [],
    "fixed": [0.0, 1.0],
    "inside": {"deep": [1e12]},
    "mapped": [("a", 0.0)],
    "side": "left",
    "open": "thai",
    "prose": "anything",
}


@pytest.mark.parametrize("rows", [[], [ORDINARY], [ORDINARY, dict.fromkeys(ORDINARY)]])
def test_measurements_and_nulls_pass(rows: list[dict[str, Any]]) -> None:
    assert MEASURED.impossible(MEASURED.rows(rows)) == ""
    assert MEASURED.stamp(MEASURED.rows(rows), run_id="r", video_key="v").num_rows == len(rows)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 1e16, -1.7e308])
@pytest.mark.parametrize(
    ("name", "shaped"),
    [
        ("plain", lambda number: number),
        ("listed", lambda number: [0.0, number]),
        ("fixed", lambda number: [number, 0.0]),
        ("inside", lambda number: {"deep": [0.0, number]}),
        ("mapped", lambda number: [("a", 0.0), ("b", number)]),
    ],
)
def test_a_value_that_no_measurement_has_is_named(name: str, shaped: Any, number: float) -> None:
    rows = MEASURED.rows([ORDINARY, ORDINARY | {name: shaped(number)}])
    assert MEASURED.impossible(rows) == f"{name}: a number that no measurement has"
    with pytest.raises(SchemaError, match=rf"measured\.{name}: a number"):
        MEASURED.stamp(rows, run_id="r", video_key="v")


def test_a_value_outside_a_closed_list_is_named() -> None:
    assert MEASURED.impossible(MEASURED.rows([ORDINARY | {"side": "up"}])) == "side: 'up' is not one of left, right"

"""Every column explains itself: what it is, in what unit, within which range."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from rumiai_ray import schema
from rumiai_ray.schema.dictionary import markdown
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.schema.table import Table, column

COLUMNS = [(name, field) for name, table in TABLES_BY_NAME.items() for field in table.schema]
INSIGHTS = {"audio_energy", "shots", "tracks", "text_spans", "person_framing", "person_framing_seconds", "windows", "timeline"}


def _facts(field: pa.Field[pa.DataType]) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}


@pytest.mark.parametrize(("table", "field"), COLUMNS, ids=[f"{name}.{field.name}" for name, field in COLUMNS])
def test_every_column_has_a_definition_that_is_a_sentence(table: str, field: pa.Field[pa.DataType]) -> None:
    assert _facts(field)["definition"].endswith("."), table


@pytest.mark.parametrize(
    ("table", "field"),
    [(name, field) for name, field in COLUMNS if name in INSIGHTS and field.name not in {"run_id", "video_key"}],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_figure_of_the_insights_has_a_unit_or_a_range_and_says_when_it_is_null(table: str, field: pa.Field[pa.DataType]) -> None:
    facts = _facts(field)
    if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
        assert facts.keys() & {"unit", "range"}, table
    if field.nullable and table != "person_framing_seconds":
        assert "null" in facts["definition"], table


def test_derived_columns_come_last_and_are_null_until_they_are_told() -> None:
    objects = TABLES_BY_NAME["objects"]
    assert "track_id" not in objects.row_schema.names
    assert objects.schema.names[-1] == "track_id"
    row = dict.fromkeys(("frame_index", "object_index", "class_id"), 0) | {"time_s": 0.0, "label": "dog", "confidence": 0.5}
    rows = objects.rows([row | dict.fromkeys(("x1", "y1", "x2", "y2"), 1.0)])
    assert objects.stamp(rows, run_id="r", video_key="v")["track_id"].to_pylist() == [None]
    known = objects.stamp(rows, run_id="r", video_key="v", derived={"track_id": pa.array([7], pa.int32())})
    assert known["track_id"].to_pylist() == [7]


def test_the_committed_dictionary_is_what_the_schemas_say() -> None:
    committed = (Path(schema.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert committed == markdown(TABLES_BY_NAME[name] for name in sorted(TABLES_BY_NAME)), "make dictionary"


def test_a_table_in_markdown_keeps_its_columns_whatever_stands_in_a_definition() -> None:
    odd = Table("odd", 1, "One row.", (column("a", pa.list_(pa.float32(), 3), "This | that <b>.", range_="x|y", nullable=True),))
    (line,) = [line for line in markdown([odd]).splitlines() if line.startswith("| `a`")]
    assert line == "| `a` | `[float32 × 3]?` | This \\| that &lt;b>. |  | x\\|y |  |"

"""The data dictionary: every column of every table as its schema says it, as plain records and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rumiai_ray.schema.table import Table


@dataclass(frozen=True)
class ColumnEntry:
    """One column."""

    name: str
    type: str
    """A short name of its Arrow type; `?` at the end where it may be null."""
    definition: str
    unit: str
    range: str
    source: str


def entries(table: Table) -> list[ColumnEntry]:
    """The columns of a table, in order."""
    found = []
    for field in table.schema:
        facts = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        kind = type_name(field.type) + ("?" if field.nullable else "")
        found.append(ColumnEntry(field.name, kind, **{part: facts.get(part, "") for part in ("definition", "unit", "range", "source")}))
    return found


def type_name(kind: pa.DataType) -> str:
    """An Arrow type in a few letters: `float64`, `[float32 × 8]`, `{string: string}`, `timestamp`."""
    if pa.types.is_fixed_size_list(kind):
        return f"[{type_name(kind.value_type)} × {kind.list_size}]"
    if pa.types.is_list(kind):
        return f"[{type_name(kind.value_type)}]"
    if pa.types.is_map(kind):
        return f"{{{type_name(kind.key_type)}: {type_name(kind.item_type)}}}"
    if pa.types.is_struct(kind):
        return "{" + ", ".join(f"{field.name}: {type_name(field.type)}" for field in kind) + "}"
    return {"double": "float64", "float": "float32"}.get(str(kind), "timestamp" if pa.types.is_timestamp(kind) else str(kind))


def markdown(tables: Iterable[Table]) -> str:
    """The dictionary as a Markdown document."""
    lines = [
        "# Data dictionary",
        "",
        "Written by `make dictionary` from the schemas in this directory; the same texts travel in every Parquet file, as field metadata.",
        "A type with `?` may be null: null means not measured, 0 means measured, and none.",
    ]
    for table in tables:
        lines += ["", f"## {table.name}", "", f"{table.definition} Version {table.version}.", ""]
        lines += ["| Column | Type | Definition | Unit | Range | Source |", "|---|---|---|---|---|---|"]
        lines += [
            "| "
            + " | ".join((f"`{entry.name}`", f"`{entry.type}`", *map(_cell, (entry.definition, entry.unit, entry.range, entry.source))))
            + " |"
            for entry in entries(table)
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text inside a cell of a Markdown table, where a bar would end it."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")

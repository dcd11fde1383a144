"""Every table of a run by its name, gathered from the schema modules without importing a model.

A schema module announces its tables with `TABLES`; nothing else needs a line here.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from rumiai_ray import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rumiai_ray.schema.table import Table

_NOT_TABLES = ("dictionary", "registry", "table")


def by_name(tables: Iterable[Table]) -> dict[str, Table]:
    """Tables by name.

    Raises:
        ValueError: two tables have one name, and would share one directory of a run.
    """
    named: dict[str, Table] = {}
    for table in tables:
        if table.name in named:
            raise ValueError(f"two tables are named {table.name!r}")
        named[table.name] = table
    return named


def _declared() -> Iterable[Table]:
    for module in sorted(iter_modules(schema.__path__), key=lambda found: found.name):
        if module.name not in _NOT_TABLES:
            yield from import_module(f"{schema.__name__}.{module.name}").TABLES


TABLES_BY_NAME: Mapping[str, Table] = by_name(_declared())
"""All tables this version of the package can write."""


TRACKED: Mapping[str, Table] = {name: table for name, table in TABLES_BY_NAME.items() if table.tracked_as is not None}
"""The tables whose boxes are linked into tracks."""


def parts_of(table: str) -> tuple[Table, ...]:
    """The tables that hold the bulky columns of `table`."""
    return tuple(part for part in TABLES_BY_NAME.values() if part.part_of == table)


def natural_key(table: str) -> tuple[str, ...]:
    """The columns that name a row of `table`; `video_key` alone, to which the row's place is added, for a table of another version."""
    return TABLES_BY_NAME[table].key if table in TABLES_BY_NAME else ("video_key",)


def made_by(table: str) -> tuple[str, ...]:
    """The families without which `table` cannot have rows; none for a table of another version."""
    return TABLES_BY_NAME[table].made_by if table in TABLES_BY_NAME else ()

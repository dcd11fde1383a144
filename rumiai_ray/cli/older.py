"""What is said of a run of an older schema version: the columns whose nulls mean that the run does not have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rumiai_ray.cli.terminal import say
from rumiai_ray.runs.views import named_in

if TYPE_CHECKING:
    from rumiai_ray.runs.reader import Run

_ALL_COLUMNS = re.compile(r"\*|^(?!.*\bselect\b)", re.IGNORECASE | re.DOTALL)
"""A statement that may ask for columns which it does not name; DuckDB takes `FROM words` for `SELECT * FROM words`."""


def say_absent(run: Run, sql: str | None = None) -> None:
    """Name on stderr, table by table, the columns that are null because the run's schema version lacks them.

    Args:
        run: the run.
        sql: only columns that this statement may ask for; by default those of every table.

    Raises:
        StorageError: the run is damaged.
    """
    for name in run.tables() if sql is None else named_in(sql, run.tables()):
        lacking = run.absent(name)
        if sql is not None and not _ALL_COLUMNS.search(sql):
            lacking = named_in(sql, lacking)
        if lacking:
            version = run.manifest.tables.get(name, "unknown")
            say(f"{name}: schema version {version}, in which this run was written, lacks {', '.join(lacking)}: null", err=True)

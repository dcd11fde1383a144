"""What is said of a run of an older schema version: the columns whose nulls mean that the run does not have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rumiai_ray.cli.terminal import say
from rumiai_ray.runs.views import named_in

if TYPE_CHECKING:
    from rumiai_ray.corpus.reader import Corpus
    from rumiai_ray.runs.reader import Run

_ALL_COLUMNS = re.compile(r"\*|^(?!.*\bselect\b)", re.IGNORECASE | re.DOTALL)
"""A statement that may ask for columns which it does not name; DuckDB takes `FROM words` for `SELECT * FROM words`."""
_COUNT = re.compile(r"\bcount\s*\(\s*\*\s*\)", re.IGNORECASE)
"""Counts rows and asks for no column."""


def say_absent(run: Run, sql: str | None = None) -> None:
    """Name on stderr, table by table, the columns that are null because the run's schema version lacks them.

    Args:
        run: the run.
        sql: only columns that this statement may ask for; by default those of every table.

    Raises:
        StorageError: the run is damaged.
    """
    for name in run.tables() if sql is None else named_in(sql, run.tables()):
        if lacking := _asked_for(sql, run.absent(name)):
            version = run.manifest.tables.get(name, "unknown")
            say(f"{name}: schema version {version}, in which this run was written, lacks {', '.join(lacking)}: null", err=True)


def say_absent_in(corpus: Corpus, sql: str) -> None:
    """As `say_absent`, of a corpus and a statement: by table and schema version.

    Raises:
        StorageError: a run is damaged.
    """
    for name in named_in(sql, corpus.tables()):
        for version, columns in corpus.absent(name).items():
            if lacking := _asked_for(sql, columns):
                say(f"{name}: schema version {version or 'unknown'} lacks {', '.join(lacking)}: null in its rows", err=True)


def _asked_for(sql: str | None, columns: list[str]) -> list[str]:
    return columns if sql is None or _ALL_COLUMNS.search(_COUNT.sub("", sql)) else named_in(sql, columns)

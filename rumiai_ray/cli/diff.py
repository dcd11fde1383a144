"""`rumiai-ray runs diff A B` for people and for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, counted, say_json
from rumiai_ray.runs.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from rumiai_ray.runs.diff import ChangedRow, RunDiff, TableDiff

_KEY_DIGITS = 12
_CHARACTERS_SHOWN = 48
_COLUMNS_SHOWN = 4


def print_diff(diff: RunDiff) -> None:
    """Tables on stdout: what ran, what it says, examples of what changed."""
    console = SafeConsole()
    console.print(Text.assemble(f"A  {diff.runs[0]}  {diff.status[0]}\nB  {diff.runs[1]}  {diff.status[1]}"))
    _print_changes(console, "What can change a result", diff.provenance)
    _print_changes(console, "Settings of execution", diff.execution)
    table = Table(
        *folding("table", "rows A", "rows B", "only A", "only B", "changed", "videos", "columns that changed"),
        title=f"Rows of the {_videos(diff)}",
        title_justify="left",
    )
    for found in diff.tables:
        table.add_row(*_cells(found))
    console.print(table)
    for found in diff.tables:
        for example in found.examples:
            console.print(Text.assemble((f"{found.name}  ", "bold"), _example(example)), soft_wrap=True)
    verdict = "the runs differ" if diff.differs else "no row differs"
    console.print(f"{verdict} (numbers within {diff.tolerance:g} of each other, relative above 1, count as the same)", soft_wrap=True)


def _videos(diff: RunDiff) -> str:
    both, before, after = diff.videos
    others = [f"{number} more in {run}" for number, run in ((before, "A"), (after, "B")) if number]
    return f"{counted(both, 'video')} of both runs" + (f" ({', '.join(others)})" if others else "")


def print_json(diff: RunDiff) -> None:
    """The same as one JSON document."""
    say_json(plain({**asdict(diff), "differs": diff.differs}), indent=1)


def _print_changes(console: Console, title: str, changes: tuple[tuple[str, str, str], ...]) -> None:
    if not changes:
        console.print(f"{title}: the same")
        return
    table = Table(*folding("part", "A", "B"), title=title, title_justify="left")
    for part, before, after in changes:
        table.add_row(*map(Text, (part, before, after)))
    console.print(table)


def _cells(table: TableDiff) -> list[Text]:
    counts = [Text("not there", "yellow") if rows is None else Text(str(rows)) for rows in table.rows]
    figures = [Text(str(figure), "bold" if figure else "dim") for figure in (table.gone, table.new, table.changed, table.videos)]
    columns = [*(f"{column} {count}" for column, count in table.columns), *table.schema]
    return [Text(table.name), *counts, *figures, Text(", ".join(columns))]


def _example(row: ChangedRow) -> str:
    shown = list(row.values.items())[:_COLUMNS_SHOWN]
    changes = [f"{column}: {_value(before)} → {_value(after)}" for column, (before, after) in shown]
    more = len(row.values) - len(shown)
    return f"[{_key(row.key)}]  " + "; ".join(changes) + (f"; and {more} more" if more else "")


def _key(key: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value[:_KEY_DIGITS] if name == 'video_key' else value}" for name, value in key.items())


def _value(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _CHARACTERS_SHOWN else text[: _CHARACTERS_SHOWN - 1] + "…"

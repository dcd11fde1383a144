"""`rumiai-ray query RUN "SQL"`: ask a run's tables."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from rumiai_ray.cli.older import say_absent
from rumiai_ray.cli.options import CsvRaw, with_settings
from rumiai_ray.cli.runs import RunName
from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, say
from rumiai_ray.config import BaseConfig

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_SHOWN = 50
_ROWS_DOWN = 10
"""Rows shown where each takes as many lines as it has columns."""
_CHARACTERS_SHOWN = 60
_LEGIBLE = 20
"""Width that a column needs at most: longer texts go on in the next line."""
_DIGEST = re.compile("[0-9a-f]{64}")
"""A video's key; its beginning tells it from all others of a run."""

Sql = Annotated[str, typer.Argument(metavar="SQL", help="One SQL statement over the tables.", show_default=False)]
AsCsv = Annotated[bool, typer.Option("--csv", help="Write CSV to stdout, with null as an empty cell.")]
RowsAsJson = Annotated[bool, typer.Option("--json", help="Write a JSON array of objects to stdout.")]
ExternalAccess = Annotated[
    bool, typer.Option("--external-access", help="Let the statement read and write files and load extensions; only for your own SQL.")
]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("query")(query)


@with_settings("out")
def query(
    run: RunName,
    sql: Sql,
    config: BaseConfig,
    as_csv: AsCsv = False,  # noqa: FBT002 -- typer's way
    csv_raw: CsvRaw = False,  # noqa: FBT002
    as_json: RowsAsJson = False,  # noqa: FBT002
    external_access: ExternalAccess = False,  # noqa: FBT002
) -> None:
    """Query a run's tables in SQL (DuckDB): SELECT label, count(*) FROM objects GROUP BY label. Only committed rows are visible."""
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    check_one_format(as_csv=as_csv, as_json=as_json)
    found = find_run(run, config.out)
    rows = found.query(sql, external_access=external_access)
    say_absent(found, sql)
    answer(rows, as_csv=as_csv, csv_raw=csv_raw, as_json=as_json)


def check_one_format(*, as_csv: bool, as_json: bool) -> None:
    """Refuse two formats at once, before anything is asked."""
    if as_csv and as_json:
        raise typer.BadParameter("give either --csv or --json")


def answer(rows: pa.Table, *, as_csv: bool, csv_raw: bool, as_json: bool) -> None:
    """Print the rows of an answer: as CSV, as JSON, or as a table for people."""
    from rumiai_ray.runs.text import write_csv, write_json  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    if as_csv:
        write_csv(rows, sys.stdout, raw=csv_raw)
    elif as_json:
        write_json(rows, sys.stdout)
    else:
        print_rows(rows)


def print_rows(rows: pa.Table) -> None:
    """Print a table, or, where its columns do not fit side by side, one row after the other down the page; their names without rows."""
    from rumiai_ray.runs.text import records  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    console = SafeConsole()
    names = rows.column_names
    cells = [[_cell(value) for value in record.values()] for record in records(rows.slice(0, _ROWS_SHOWN))]
    columns = list(zip(*cells, strict=True)) or [()] * len(names)
    widths = [min(max(map(len, (name, *column))), _LEGIBLE) for name, column in zip(names, columns, strict=True)]
    if not cells:
        say("no rows", err=True)
    if sum(widths) + 3 * len(names) + 1 <= console.width:
        table = Table(*folding(*names))
        for row in cells:
            table.add_row(*row)
        console.print(table)
    elif not cells:
        console.print(Text(f"columns: {', '.join(names)}"))
    else:
        cells = cells[:_ROWS_DOWN]
        for number, row in enumerate(cells, start=1):
            down = Table.grid(*folding("name", "value", whole="name"), padding=(0, 2))
            for name, value in zip(names, row, strict=True):
                down.add_row(Text(name), value)
            console.print(Text(f"row {number}", "bold"), down)
    if rows.num_rows > len(cells):
        say(f"{len(cells)} of {rows.num_rows} rows; --csv and --json print all", err=True)


def _cell(value: object) -> Text:
    if value is None:
        return Text("null", "dim")
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if _DIGEST.fullmatch(text):
        return Text(f"{text[:12]}…")
    return Text(text if len(text) <= _CHARACTERS_SHOWN else text[: _CHARACTERS_SHOWN - 1] + "…")

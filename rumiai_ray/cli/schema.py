"""`rumiai-ray schema`: the data dictionary."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, say
from rumiai_ray.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("schema")(schema)


def schema(
    table: Annotated[str | None, typer.Argument(metavar="[TABLE]", help="One table; by default all.", show_default=False)] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Write one Markdown document to stdout.")] = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Print what every column of every table means: definition, unit, range, source."""
    from rumiai_ray.schema.dictionary import entries, markdown  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.schema.registry import TABLES_BY_NAME  # noqa: PLC0415

    if table is not None and table not in TABLES_BY_NAME:
        raise ConfigError("no such table", repr(table), f"the tables are {', '.join(sorted(TABLES_BY_NAME))}")
    tables = [TABLES_BY_NAME[name] for name in ([table] if table else sorted(TABLES_BY_NAME))]
    if as_markdown:
        say(markdown(tables), nl=False)
        return
    console = SafeConsole()
    for declared in tables:
        shown = Table(*folding("column", "type", "definition", "unit", "range", "source", whole="column"), title_justify="left")
        shown.title = Text.assemble((declared.name, "bold"), f" (version {declared.version}): {declared.definition}")
        for entry in entries(declared):
            shown.add_row(*map(Text, (entry.name, entry.type, entry.definition, entry.unit, entry.range, entry.source)))
        console.print(shown)

"""`rumiai-ray runs …`: list runs, show one, export one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rumiai_ray.cli.options import with_settings
from rumiai_ray.config import BaseConfig

app = typer.Typer(help="Runs: list, show, export.", no_args_is_help=True)

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run id under --out, or a path.", show_default=False)]


@app.command("ls")
@with_settings("out")
def ls(config: BaseConfig) -> None:
    """List the runs under --out, oldest first."""
    from rumiai_ray.runs.find import list_runs  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    table = Table("run", "status", "entries", "command")
    for run in list_runs(config.out):
        table.add_row(run.run_id, run.status, str(len(run.entries())), " ".join(run.manifest.command[1:]))
    Console().print(table)


@app.command("show")
@with_settings("out")
def show(
    run: RunName,
    config: BaseConfig,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,  # noqa: FBT002 -- typer's way
    export_json: Annotated[
        Path | None,
        typer.Option(
            "--export-json", metavar="DIR", help="Write the five JSON documents per video that earlier tools read.", show_default=False
        ),
    ] = None,
) -> None:
    """Show how every video and model of a run ended."""
    from rumiai_ray.cli.summary import print_json, print_tables  # noqa: PLC0415
    from rumiai_ray.runs.export_json import export_json as export  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = find_run(run, config.out)
    if json:
        print_json(found)
    elif export_json is None:
        print_tables(found)
    if export_json is not None:
        written = export(found, export_json)
        typer.echo(f"{len(written)} documents under {export_json}", err=True)

"""`rumiai-ray runs …`: list, show, verify, export, compare; resume what was stopped, retry what failed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import with_settings
from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, say
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import StorageError
from rumiai_ray.shown import shown

if TYPE_CHECKING:
    from rumiai_ray.runs.reader import Run

_LOG = logging.getLogger(__name__)

app = typer.Typer(help="Runs: list, show, verify, compare, resume, retry.", no_args_is_help=True)

_RUN_HELP = "A run id under --out, its beginning, `latest`, or a path."
RunName = Annotated[str, typer.Argument(metavar="RUN", help=_RUN_HELP, show_default=False)]


def add_to(parent: typer.Typer) -> None:
    """Register the verbs."""
    parent.add_typer(app, name="runs")


@app.command("ls")
@with_settings("out")
def ls(config: BaseConfig) -> None:
    """List the runs under --out, oldest first."""
    from rumiai_ray.runs.find import list_runs  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    table = Table(*folding("run", "status", "entries", "command", whole="run"))
    for run in list_runs(config.out):
        table.add_row(*_cells(run))
    SafeConsole().print(table)


def _cells(run: Run) -> tuple[str | Text, ...]:
    try:
        return run.run_id, run.status, str(len(run.entries())), Text(shown(" ".join(run.manifest.command[1:])))
    except StorageError as error:
        _LOG.debug("run %s: %s", run.run_id, error)
        return run.run_id, Text("damaged", "red"), "", Text(f"`rumiai-ray runs verify {run.run_id}` says what is wrong")


@app.command("show")
@with_settings("out")
def show(
    run: RunName,
    config: BaseConfig,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,  # noqa: FBT002 -- typer's way
    failures: Annotated[  # noqa: FBT002 -- typer's way
        bool, typer.Option("--failures", help="Print every failure in the run's log, also of attempts that were repeated, with tracebacks.")
    ] = False,
    export_json: Annotated[
        Path | None,
        typer.Option(
            "--export-json", metavar="DIR", help="Write the five JSON documents per video that earlier tools read.", show_default=False
        ),
    ] = None,
) -> None:
    """Show how every video and model of a run ended."""
    from rumiai_ray.cli.summary import print_json, print_tables  # noqa: PLC0415
    from rumiai_ray.runs.export.document import export_json as export  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = find_run(run, config.out)
    if failures:
        from rumiai_ray.cli.failures import print_failures  # noqa: PLC0415

        print_failures(found, as_json=json)
    elif json or export_json is None:
        with found.read_with_todays_columns():
            (print_json if json else print_tables)(found)
    if export_json is not None:
        with found.read_with_todays_columns():
            written = export(found, export_json)
        say(f"{len(written)} documents under {export_json}", err=True)


@app.command("why")
@with_settings("out")
def why(
    run: RunName,
    entry: Annotated[
        str, typer.Argument(metavar="ENTRY", help="Its id, its path or address, or its line in the manifest.", show_default=False)
    ],
    config: BaseConfig,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Say what became of one entry and what happened on its way: attempts, nodes, times, errors, cost."""
    from rumiai_ray.cli.why import find_entries, print_json, print_why, tell_of  # noqa: PLC0415
    from rumiai_ray.engine.setup.resume import given_entries  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = find_run(run, config.out)
    told = [tell_of(found, one) for one in find_entries(given_entries(found), entry, f"run {found.run_id}")]
    if json:
        print_json(found, told)
        return
    for one in told:
        print_why(found, one)


@app.command("top")
@with_settings("out")
def top(
    run: RunName,
    config: BaseConfig,
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Show what every cell of a running batch does now, wherever its directory can be read. Exit code 1 where it does not run."""
    from rumiai_ray.cli.top import top as show_top  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    raise typer.Exit(show_top(find_run(run, config.out), once=once))


@app.command("verify")
@with_settings("out")
def verify(run: RunName, config: BaseConfig) -> None:
    """Check every committed file of a run: there, checksum, rows, schema. Exit code 1 where something is wrong."""
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    problems = find_run(run, config.out).verify()
    for problem in problems:
        say(problem)
    if problems:
        raise typer.Exit(Exit.TROUBLED)
    say("sound")


@app.command("diff")
@with_settings("out")
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=_RUN_HELP, show_default=False)],
    after: Annotated[str, typer.Argument(metavar="B", help="The run to set beside it.", show_default=False)],
    config: BaseConfig,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Numbers a and b are the same where |a - b| ≤ tolerance · max(1, |a|, |b|).")
    ] = 1e-4,
    examples: Annotated[int, typer.Option(min=0, help="Changed rows shown of each table.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Compare two runs: what ran, and which rows say something else. Exit code 1 where any does."""
    from rumiai_ray.cli.diff import print_diff, print_json  # noqa: PLC0415
    from rumiai_ray.runs.diff import compare_runs  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = compare_runs(find_run(before, config.out), find_run(after, config.out), tolerance=tolerance, examples=examples)
    (print_json if json else print_diff)(found)
    if found.differs:
        raise typer.Exit(Exit.TROUBLED)


@app.command("resume")
@with_settings()
def resume(run: RunName, config: BaseConfig) -> None:
    """Go on with a run that was stopped or killed; refused where code, weights or result settings have changed."""
    from rumiai_ray.cli.batch import resume as go_on  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    raise typer.Exit(go_on(find_run(run, config.out), config))


@app.command("retry")
@with_settings()
def retry(run: RunName, config: BaseConfig) -> None:
    """Start a new run of a run's dead letters and of its videos with a failed model."""
    from rumiai_ray.cli.batch import retry as again  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    raise typer.Exit(again(find_run(run, config.out), config))

"""`rumiai-ray analyze INPUT…` (the default verb): a few videos through all models, now."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import with_settings
from rumiai_ray.config import BaseConfig  # noqa: TC001 -- typer reads the annotations
from rumiai_ray.errors import RumiaiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.engine.interactive import Interactive
    from rumiai_ray.runs.writer import RunWriter

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...", help="Paths, http(s) URLs or fsspec URIs; a name that begins with a dash goes after `--`.", show_default=False
    ),
]
RunId = Annotated[
    str | None, typer.Option("--run-id", envvar="RUMIAI_RUN_ID", help="Name of the run; made up where not given.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("analyze")(with_settings()(analyze))


def analyze(inputs: Inputs, config: BaseConfig, run_id: RunId = None, json: AsJson = False) -> None:  # noqa: FBT002 -- typer's way
    """Analyse videos with all models and write a fresh run."""
    raise typer.Exit(analyze_inputs(inputs, config, run_id=run_id, as_json=json))


def analyze_inputs(inputs: list[str], config: BaseConfig, *, run_id: str | None = None, as_json: bool = False) -> Exit:
    """The verb without typer: prepares, runs, prints; returns the exit code.

    Raises:
        RumiaiError: usage or preflight; nothing was started and nothing was written.
    """
    from rumiai_ray.cli.doctor_verb import preflight  # noqa: PLC0415
    from rumiai_ray.cli.progress import progress_to_stderr  # noqa: PLC0415 -- `--help` must not wait for rich and Ray
    from rumiai_ray.cli.summary import print_json, print_tables  # noqa: PLC0415
    from rumiai_ray.cli.weights import choose_or_fetch  # noqa: PLC0415
    from rumiai_ray.engine.prepare import prepare  # noqa: PLC0415
    from rumiai_ray.ingest.entries import entries_from_inputs  # noqa: PLC0415
    from rumiai_ray.runs.reader import open_run  # noqa: PLC0415

    entries = entries_from_inputs(inputs)
    preflight(config)
    prepared = prepare(config, choose_or_fetch(config), command=sys.argv, run_id=run_id)
    with (
        progress_to_stderr(prepared.models) as reporter,
        tempfile.TemporaryDirectory(prefix="rumiai-", ignore_cleanup_errors=True) as workdir,
    ):
        writer = prepared.create_run()
        engine = prepared.interactive(writer, Path(workdir), reporter)
        with _stopping(engine):
            exit_code = _to_the_end(lambda: engine.run(entries), writer)
    run = open_run(writer.run.uri())
    if as_json:
        print_json(run)
    else:
        print_tables(run)
    return exit_code


def _to_the_end(run: Callable[[], Literal["complete", "partial"]], writer: RunWriter) -> Exit:
    """Run, and write the end record: a run that was begun says how it ended, unless the disk itself refuses."""
    from rumiai_ray.engine.interactive import Stopped  # noqa: PLC0415

    try:
        status = run()
        writer.finish(status, {})
    except Stopped:
        writer.finish("aborted", {})
        typer.echo("aborted; what was committed before stays readable", err=True)
        return Exit.ABORTED
    except RumiaiError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        return Exit.ABORTED
    return Exit.COMPLETE if status == "complete" else Exit.TROUBLED


@contextlib.contextmanager
def _stopping(engine: Interactive) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops between two steps; a second one ends the process at once."""

    def stop(number: int, _frame: object) -> None:
        engine.stop()
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

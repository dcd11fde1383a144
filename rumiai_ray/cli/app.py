"""The command line: `rumiai-ray` and `python -m rumiai_ray`. Verbs live in modules of their own; here is what is common.

Exit codes: 0 complete, 1 some video or model failed, 2 usage or preflight, 3 aborted.
"""

from __future__ import annotations

import logging
import signal
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from rumiai_ray import __version__
from rumiai_ray.cli import (
    analyze,
    annotate,
    batch,
    demo,
    doctor_verb,
    export,
    frames,
    plan,
    query,
    report,
    runs,
    schema,
    warm,
    weights,
)
from rumiai_ray.cli.exits import Exit
from rumiai_ray.errors import RumiaiError

_INTERRUPTED = 130
"""What typer makes of a KeyboardInterrupt, for itself to exit with."""


class _DefaultsToAnalyze(TyperGroup):
    """`rumiai-ray VIDEO` means `rumiai-ray analyze VIDEO`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help", "--version"}:
            args = ["analyze", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_DefaultsToAnalyze,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Analyse short videos with five model families. Frames are cached, model outputs never.",
)


def _version(value: bool) -> None:  # noqa: FBT001 -- typer's callback
    if value:
        typer.echo(f"rumiai_ray {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and end."),  # noqa: ARG001, FBT001, FBT003
) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


analyze.add_to(app)
batch.add_to(app)
demo.add_to(app)
doctor_verb.add_to(app)
plan.add_to(app)
query.add_to(app)
report.add_to(app)
annotate.add_to(app)
export.add_to(app)
schema.add_to(app)
warm.add_to(app)
app.add_typer(frames.app, name="frames")
app.add_typer(weights.app, name="weights")
app.add_typer(runs.app, name="runs")


def main() -> None:
    """Run the command line; every error of ours becomes one line on stderr and an exit code, and SIGTERM means what Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(_run())


def _run() -> int:
    try:
        ended = app(standalone_mode=False)
    except RumiaiError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        return Exit.USAGE
    except (typer.Abort, KeyboardInterrupt):
        ended = _INTERRUPTED
    except typer.TyperException as error:
        _show(error)
        return Exit.USAGE
    if ended == _INTERRUPTED:
        typer.echo("aborted", err=True)
        return Exit.ABORTED
    return ended or Exit.COMPLETE


def _show(error: typer.TyperException) -> None:
    """What typer itself would print of wrong usage."""
    from typer.rich_utils import rich_format_error  # noqa: PLC0415 -- only needed here

    rich_format_error(error)  # type: ignore[arg-type]  # wants the private class below the public one that can be caught

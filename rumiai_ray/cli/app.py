"""The command line: `rumiai-ray` and `python -m rumiai_ray`. Verbs live in modules of their own; here is what is common.

Exit codes: 0 complete, 1 some video or model failed, 2 usage or preflight, 3 aborted.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from rumiai_ray import __version__
from rumiai_ray.cli import analyze, batch, demo, doctor_verb, frames, runs, weights
from rumiai_ray.cli.exits import Exit
from rumiai_ray.errors import RumiaiError


class _DefaultsToAnalyze(TyperGroup):
    """`rumiai-ray VIDEO` means `rumiai-ray analyze VIDEO`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in {"--help", "--version", "--install-completion", "--show-completion"}:
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
app.add_typer(frames.app, name="frames")
app.add_typer(weights.app, name="weights")
app.add_typer(runs.app, name="runs")


def main() -> None:
    """Run the command line; every error of ours becomes one line on stderr and an exit code."""
    try:
        app()
    except RumiaiError as error:
        _say(error)
        sys.exit(Exit.USAGE)
    except KeyboardInterrupt:
        typer.echo("aborted", err=True)
        sys.exit(Exit.ABORTED)


def _say(error: RumiaiError) -> None:
    typer.echo(f"{type(error).__name__}: {error}", err=True)

"""`rumiai-ray manifest minus`: a manifest without what runs have analysed already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rumiai_ray.cli.batch import IdColumn, InputColumn
from rumiai_ray.cli.options import RunNames, with_settings
from rumiai_ray.cli.terminal import counted, say
from rumiai_ray.config import BaseConfig

app = typer.Typer(help="Manifests: what is not analysed yet.", no_args_is_help=True)


def add_to(parent: typer.Typer) -> None:
    """Register the verbs."""
    parent.add_typer(app, name="manifest")


@app.callback()
def _manifest() -> None:
    """Keep `minus` a verb of its own: typer would make a group of one command that command."""


@app.command("minus")
@with_settings("out", "shared")
def minus(
    manifest: Annotated[
        str,
        typer.Argument(metavar="MANIFEST", help="CSV, TSV, JSON, JSONL, Parquet or text list of videos; or a folder.", show_default=False),
    ],
    runs: RunNames,
    to: Annotated[Path, typer.Option("--to", help="New file for what is left, .csv or .jsonl.", show_default=False)],
    config: BaseConfig,
    input_column: InputColumn = None,
    id_column: IdColumn = None,
) -> None:
    """Write the rows of a manifest that no run has analysed, cell by cell as they are. Nothing is written over.

    A file counts as analysed if its bytes are, whatever its name; an address, if it was read. Dead letters stay in.
    """
    from rumiai_ray.corpus.minus import minus as left_of  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.corpus.minus import write_manifest  # noqa: PLC0415
    from rumiai_ray.corpus.reader import open_corpus  # noqa: PLC0415

    corpus = open_corpus(runs, allow_mixed=True, out=config.out)  # what was read is the same question whatever ran
    left = left_of(manifest, corpus, input_column=input_column, id_column=id_column, rules=config.limits.rules)
    for problem in left.unreadable:
        say(f"left out, since it cannot be read: {problem}", err=True)
    if left.untold:
        rows_stay = counted(left.untold, "row stays", "rows stay")
        say(f"{rows_stay} in: a run does not keep the query of an address, so it is unknown whether such a row has been analysed", err=True)
    if left.cleaned:
        say(
            f"{counted(left.cleaned, 'row has', 'rows have')} characters that no file can hold, replaced by \N{REPLACEMENT CHARACTER}",
            err=True,
        )
    analysed = f"{counted(left.analysed, 'row is', 'rows are')} analysed already"
    if not left.rows:
        say(f"nothing is left: {analysed}; {to} was not written", err=True)
        return
    write_manifest(left.rows, to)
    say(f"{counted(len(left.rows), 'row')} written to {to}; {analysed}", err=True)

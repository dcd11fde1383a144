"""`rumiai-ray corpus compact`: the rows of many small files in few large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rumiai_ray.cli.options import RunNames, with_settings
from rumiai_ray.cli.terminal import say
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import StorageError


@with_settings("out")
def compact(
    runs: RunNames,
    config: BaseConfig,
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="New directory.", show_default=False)] = None,
    check: Annotated[bool, typer.Option("--check", help="Check every byte of compacted corpora, in place of RUNS.")] = False,  # noqa: FBT002
) -> None:
    """Copy the rows of many runs into few large files, which questions about the same runs read faster.

    Name the directory beside the runs, or alone: `corpus query compacted "SQL"`. The runs stay, and say what counts.
    """
    from rumiai_ray.corpus.compacted import compact as put_together  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.corpus.compacted import problems  # noqa: PLC0415
    from rumiai_ray.corpus.members import find_runs  # noqa: PLC0415

    if check == (to is not None):
        raise typer.BadParameter("either --to or --check")
    if to is None:
        wrong = [problem for directory in runs for problem in problems(directory)]
        if wrong:
            raise StorageError("; ".join(wrong), "", "compact the runs anew, into another directory")
        say("sound: every file is what was written")
        return
    done = put_together(find_runs(runs, config.out), to)
    say(f"{done.rows:,} rows of {done.sources:,} files in {done.files:,} files under {to}; index {done.sha256}", err=True)

"""`rumiai-ray corpus compact`: the rows of many small files in few large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rumiai_ray.cli.options import RunNames, with_settings
from rumiai_ray.cli.terminal import counted, say
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import StorageError


@with_settings("out")
def compact(
    runs: RunNames,
    config: BaseConfig,
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Directory to create.", show_default=False)] = None,
    check: Annotated[bool, typer.Option("--check", help="Check every byte of the compacted directories given as RUNS.")] = False,  # noqa: FBT002
) -> None:
    """Copy the rows of many runs into a few large files, so that queries over those runs are faster.

    Pass the directory together with the runs, or alone: `corpus query compacted "SQL"`. The runs stay and still decide which rows count.
    """
    from rumiai_ray.corpus.compacted import compact as put_together  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.corpus.compacted import problems  # noqa: PLC0415
    from rumiai_ray.corpus.members import find_runs  # noqa: PLC0415

    if check == (to is not None):
        raise typer.BadParameter("give either --to or --check")
    if to is None:
        wrong = [problem for directory in runs for problem in problems(directory)]
        if wrong:
            raise StorageError("; ".join(wrong), "", "compact the runs again, into another directory")
        say("every file is intact")
        return
    done = put_together(find_runs(runs, config.out), to)
    rows, sources, files = counted(done.rows, "row"), counted(done.sources, "file"), counted(done.files, "file")
    say(f"{rows} from {sources} written to {files} under {to}; index {done.sha256}", err=True)

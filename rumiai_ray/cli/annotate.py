"""`rumiai-ray annotate RUN VIDEO out.mp4`: the results drawn on the video itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from rumiai_ray.cli.options import with_settings
from rumiai_ray.cli.runs import RunName
from rumiai_ray.cli.terminal import SafeConsole, say
from rumiai_ray.config import BaseConfig
from rumiai_ray.shown import counted


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("annotate")(annotate)


@with_settings("out", "limits", "shared")
def annotate(
    run: RunName,
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="One of the run's videos: entry id, input or key.", show_default=False)],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="MP4 file to create; an existing file is never overwritten.", show_default=False)
    ],
    config: BaseConfig,
    source: Annotated[
        Path | None, typer.Option("--input", help="Where the video is now; by default, where the run found it.", show_default=False)
    ] = None,
) -> None:
    """Draw a run's results on a video: on every frame, the result of each model that is nearest in time."""
    from rumiai_ray.engine.setup.run_setup import decode_limits  # noqa: PLC0415 -- brings Ray along
    from rumiai_ray.report.annotate import annotate as write  # noqa: PLC0415
    from rumiai_ray.report.write import find_video  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = find_run(run, config.out)
    with found.read_with_todays_columns() as read:
        length_s: float = find_video(read, video)["duration_s"]
    with found.read_with_todays_columns() as read, Progress(console=SafeConsole(stderr=True), transient=True) as progress:
        task = progress.add_task("drawing", total=length_s)
        frames = write(
            read, video, target, decode_limits(config), source=source, told=lambda time_s: progress.update(task, completed=time_s)
        )
    say(f"{counted(frames, 'frame')} in {target}")

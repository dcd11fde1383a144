"""`rumiai-ray report RUN`: pages to look at."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rumiai_ray.cli.older import say_absent
from rumiai_ray.cli.options import with_settings
from rumiai_ray.cli.runs import RunName
from rumiai_ray.cli.terminal import counted, say
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import StorageError

if TYPE_CHECKING:
    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.runs.reader import Run

_LOG = logging.getLogger(__name__)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report")(report)


@with_settings("out", "store", "shared")
def report(
    run: RunName,
    config: BaseConfig,
    video: Annotated[
        str | None,
        typer.Option("--video", metavar="VIDEO", help="Write only this video's page: entry id, input or key.", show_default=False),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Directory to create, or file with --video; by default, one named after the run.", show_default=False),
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Maximum number of frames on a video's page.")] = 120,
    pages: Annotated[int, typer.Option(min=0, help="Maximum number of video pages.")] = 200,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Show the sampled frames.")] = True,  # noqa: FBT002 -- typer's way
) -> None:
    """Write a run as HTML pages that need no server or network: one for the run, and one per video with results drawn on its frames."""
    from rumiai_ray.engine.setup.run_setup import open_store  # noqa: PLC0415 -- brings Ray along
    from rumiai_ray.report.write import INDEX, ReportSize, find_video, write_report, write_video  # noqa: PLC0415
    from rumiai_ray.runs.export.document import file_name  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = find_run(run, config.out)
    store = open_store(config.model_copy(update={"store_remote": None})) if pictures else None
    limits = ReportSize(frames, pages)
    with found.read_with_todays_columns() as read:
        if video is not None:
            path = to or Path(f"{found.run_id}-{file_name(find_video(read, video)['entry_id'])}.html")
            write_video(read, video, path, store, limits)
        else:
            path = (to or Path(f"{found.run_id}-report")) / INDEX
            written = write_report(read, path.parent, store, limits, told=lambda name: say(name, err=True))
            videos = len(set(read.table("videos", ["video_key"])["video_key"].to_pylist()))
            pages = len(written) - 1
            if pages < videos:
                few = f"{counted(pages, 'page')} for {counted(videos, 'video')}"
                say(f"{few}; more with --pages {videos}, or one with --video ENTRY", err=True)
    say_absent(found)
    if store is not None and (hint := _where_the_frames_are(found, store)):
        say(hint, err=True)
    say(f"open {path}")


def _where_the_frames_are(run: Run, store: FrameStore) -> str:
    """A line that names the frame store the run was made with, if `store` has none of its frames; empty if `store` has some.

    The line only names that store and does not open it, because the run may be somebody else's.
    """
    keys = {key for key in run.table("videos", ["frames_key"])["frames_key"].to_pylist() if key}
    recorded = run.manifest.config.get("store")
    if (
        not keys
        or not isinstance(recorded, str)
        or Path(recorded).expanduser().absolute() == store.root.absolute()
        or any(_is_in(store, key) for key in sorted(keys))
    ):
        return ""
    return f"no pictures: the frame store {store.root} has none of this run's frames; it was made with --store {recorded}"


def _is_in(store: FrameStore, key: str) -> bool:
    try:
        with store.open(key):
            return True
    except StorageError as error:
        _LOG.debug("%s: %s", key, error)
        return False

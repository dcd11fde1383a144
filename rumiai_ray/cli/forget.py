"""`rumiai-ray corpus forget`: take a video or a creator out of runs for good."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import RunNames, with_settings
from rumiai_ray.cli.terminal import say
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from rumiai_ray.corpus.forget import ForgetChoice
    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.storage import Store

NOT_REACHED = (
    "not reached: compacted corpora, exports, reports and pages written elsewhere; runs that were not named; names, tags and notes of "
    "runs; the manifest and the videos themselves; frame stores of other machines; logs that Ray kept; backups, and earlier versions that "
    "an object store keeps"
)


@with_settings("out", "store", "store_remote")
def forget(
    runs: RunNames,
    config: BaseConfig,
    video: Annotated[
        str | None,
        typer.Option("--video", metavar="KEY", help="Forget the video with this `video_key`; its beginning is enough.", show_default=False),
    ] = None,
    author: Annotated[
        str | None,
        typer.Option(
            "--author", metavar="NAME", help="Forget every video of this creator; case and a leading @ do not matter.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be forgotten, and change nothing.")] = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Permanently remove a video or a creator from runs: rows, logs, addresses, report pages, stored frames. This cannot be undone.

    Each run keeps a record of when something was forgotten and how many rows it had, without a name. If the command was interrupted, the
    same command finishes its work. If a compacted directory beside the runs, or among RUNS, still has forgotten rows, the command names it
    and ends with exit code 1.
    """
    from rumiai_ray.corpus.compacted import CompactedRows  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.corpus.forget import choose  # noqa: PLC0415
    from rumiai_ray.corpus.members import named_runs  # noqa: PLC0415
    from rumiai_ray.runs.forget import forget as take_out  # noqa: PLC0415
    from rumiai_ray.runs.forget import rows_of  # noqa: PLC0415
    from rumiai_ray.runs.hold import alone_with  # noqa: PLC0415

    if (video is None) == (author is None) or not (video or author or "").strip():
        raise ConfigError("exactly one of --video and --author must say what to forget", "", "give one of them")
    compacted, named = CompactedRows.among(runs)
    found = named_runs(named, config.out)
    with ExitStack() as alone:
        if not dry_run:
            for run in found:
                alone.enter_context(alone_with(run))
            found = [run.again() for run in found]
        store = _frame_store(config)
        stored = set() if store is None else {entry.video_key for entry in store.entries()}
        choice = choose(found, video=video, author=author, stored=stored)
        counts = {place: rows_of(found[place], doomed) for place, doomed in choice.doomed.items()}
        _remove_pages(found, choice, dry_run=dry_run)
        if store is not None:
            _remove_frames(store, choice, config, stored, dry_run=dry_run)
        for place, run in enumerate(found):
            if place in choice.doomed:
                if not dry_run:
                    take_out(run, choice.doomed[place], choice.selected)
                _say_forgotten(run, len(choice.doomed[place].entries), counts[place], dry_run=dry_run)
            else:
                _finish_earlier(run, choice, dry_run=dry_run)
            if place in choice.kept:
                stays = f"{run.run_id}: the rows of {_count(choice.kept[place], 'video')} stay: another creator's entry has the same bytes"
                say(f"{stays}; `--video KEY` forgets these as well")
    concerned = [found[place] for place in choice.doomed] if dry_run else [run.again() for run in found]
    held = _say_compacted(concerned, () if compacted is None else compacted.stores, dry_run=dry_run)
    say(NOT_REACHED, err=True)
    if held and not dry_run:
        raise typer.Exit(Exit.TROUBLED)


def _say_compacted(runs: Sequence[Run], named: Iterable[Store], *, dry_run: bool) -> bool:
    """Name the compacted directories that keep forgotten rows, or, in a dry run, rows of these runs at all.

    Returns:
        Whether there are any, or one that cannot be read.
    """
    from rumiai_ray.corpus.compacted import compacted_beside, runs_in  # noqa: PLC0415

    is_any = False
    for store in {store.uri(): store for store in (*named, *compacted_beside(runs, Path.cwd()))}.values():
        try:
            ids = runs_in(store, runs, only_forgotten=not dry_run)
        except StorageError as error:  # of a directory that nobody may have named: what was forgotten is forgotten all the same
            say(f"cannot determine whether it holds forgotten rows: {error}", err=True)
            is_any = True
            continue
        if ids:
            is_any = True
            holds = "holds rows of" if dry_run else "still holds forgotten rows of"
            then = "once they are forgotten, " if dry_run else ""
            say(f"{store.uri()} {holds} {', '.join(ids)}: {then}delete this directory, and compact the runs again", err=True)
    return is_any


def _finish_earlier(run: Run, choice: ForgetChoice, *, dry_run: bool) -> None:
    """Finish what an earlier forgetting of the same began in a run, if there was one."""
    from rumiai_ray.runs.forget import clean, earlier  # noqa: PLC0415

    before = earlier(run, choice.selected)
    if before is None:
        return
    if not dry_run:
        clean(run)
    say(f"{run.run_id}: forgotten on {before.written_at:%Y-%m-%d %H:%M} UTC")


def _say_forgotten(run: Run, entries: int, rows: Mapping[str, int], *, dry_run: bool) -> None:
    verb = "would be forgotten" if dry_run else "forgotten"
    counts = f"{_count(entries, 'entry', 'entries')} and {_count(sum(rows.values()), 'row')} of {_count(len(rows), 'table')}"
    say(f"{run.run_id}: {counts} {verb}")


def _frame_store(config: BaseConfig) -> FrameStore | None:
    """The frame store; None where none was ever filled here."""
    if not (config.store.expanduser().is_dir() or config.store_remote):
        return None
    from rumiai_ray.engine.setup.run_setup import open_store  # noqa: PLC0415 -- brings Ray along

    return open_store(config)


def _remove_pages(runs: Sequence[Run], choice: ForgetChoice, *, dry_run: bool) -> None:
    """Remove pages. They come before the rows, which alone tell what they are of; pages that are missed are made anew. So are frames."""
    from rumiai_ray.report.write import pages_about  # noqa: PLC0415

    places = {Path.cwd(), *(Path(run.store.root).parent for run in runs if run.store.on_disk)}
    for place, doomed in choice.doomed.items():
        pages = [page for where in sorted(places) for page in pages_about(runs[place].run_id, doomed.entries, where)]
        for page in pages:
            if not dry_run:
                _remove(page)
        if pages:
            verb = "would be removed" if dry_run else "removed"
            say(f"{_count(len(pages), 'page')} {verb}: {', '.join(map(str, pages[:3]))}{', …' if len(pages) > 3 else ''}")  # noqa: PLR2004


def _remove_frames(store: FrameStore, choice: ForgetChoice, config: BaseConfig, stored: Collection[str], *, dry_run: bool) -> None:
    """Remove the stored frames of videos.

    Args:
        store: where they are.
        choice: what is forgotten.
        config: names the store as the user does.
        stored: keys of the videos in the store.
        dry_run: only say what would be removed.
    """
    if not choice.videos:
        return
    if dry_run:
        here = _count(len(choice.videos & set(stored)), "video")
        elsewhere = f"; {config.store_remote} would be looked into" if config.store_remote else ""
        say(f"stored frames of {here} in {config.store} would be removed{elsewhere}")
        return
    forgot = store.forget(choice.videos)
    if forgot.removed or forgot.shared:
        shared = f", {_count(len(forgot.shared), 'entry', 'entries')} of {config.store_remote}" if config.store_remote else ""
        say(f"stored frames removed: {_count(len(forgot.removed), 'entry', 'entries')} of {config.store}{shared}")
    for key in forgot.in_use:
        say(f"stored frames of a video are in use and stay: {key}; give the same command again later", err=True)


def _remove(page: Path) -> None:
    try:
        page.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot remove the page: {error.strerror}", str(page), "remove it yourself, then run `corpus forget` again"
        ) from error


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"

"""`rumiai-ray list URL`: the posts of a creator, a playlist or another list as a manifest."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.help_text import examples
from rumiai_ray.cli.options import CsvRaw, with_settings
from rumiai_ray.cli.terminal import say
from rumiai_ray.config import BaseConfig  # noqa: TC001 -- typer reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from rumiai_ray.ingest.sites.lists import ListedPost, Walked

EXAMPLES = examples(
    "rumiai-ray list https://www.tiktok.com/@someone > posts.csv",
    "rumiai-ray list https://www.youtube.com/@someone/shorts --limit 200 > shorts.csv",
    "rumiai-ray list https://www.tiktok.com/@someone --since 2026-01-01 --until 2026-03-31 > quarter.csv",
)
_DAY = ["%Y-%m-%d"]
_DISPLAYED_DIGITS = 11
"""Most digits of a number that spreadsheets show, and save, as they are: more become 7.30123E+18."""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("list", epilog=EXAMPLES)(with_settings("cookies", "proxy", "impersonate", "limits")(list_posts))


def list_posts(
    url: Annotated[str, typer.Argument(metavar="URL", help="Page of a creator, a playlist or another list.", show_default=False)],
    config: BaseConfig,
    since: Annotated[
        datetime | None, typer.Option(formats=_DAY, metavar="DATE", help="First day (UTC), for example 2026-01-31.", show_default=False)
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DAY, metavar="DATE", help="Last day (UTC).", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Maximum number of posts.")] = 10_000,
    csv_raw: CsvRaw = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Print the posts of a creator, a playlist or another list as CSV that `batch --manifest` reads. No post is fetched.

    Hashtag, sound and search pages that yt-dlp cannot list are refused: export those with a scraper, whose CSV and JSON `batch` reads, too.
    """
    if since is not None and until is not None and since > until:
        raise typer.BadParameter("--since is after --until")
    from rumiai_ray.engine.setup.run_setup import fetch_limits  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.errors import InputError, RumiaiError  # noqa: PLC0415
    from rumiai_ray.ingest.sites.lists import Walked, Wanted, rows_of, walked_list  # noqa: PLC0415
    from rumiai_ray.runs.text import write_csv  # noqa: PLC0415

    wanted, walked = Wanted(limit, since and since.date(), until and until.date()), Walked()
    posts = walked_list(url, wanted, fetch_limits(config), walked)

    def tables() -> Iterator[pa.Table]:
        first = next(posts, None)  # the names of the columns only when the list has answered
        if walked.undated and not walked.kept:
            hint = "list it without --since and --until; `batch` finds the days in the posts themselves"
            raise InputError("the list does not say when its posts were published", url, hint)
        yield rows_of([])
        if first is not None:
            yield _row(first, raw=csv_raw)
        for post in posts:
            sys.stdout.flush()
            yield _row(post, raw=csv_raw)

    try:
        write_csv(tables(), sys.stdout, raw=csv_raw)
    except RumiaiError as error:
        if not walked.kept:
            raise
        say(f"{type(error).__name__}: {error}", err=True)
        say(f"the list broke off: {_told(walked)}", err=True)
        raise typer.Exit(Exit.TROUBLED) from error
    say(_told(walked), err=True)


def _row(post: ListedPost, *, raw: bool) -> pa.Table:
    """The row of one post; without its id where a manifest's reader would find another one in the cell."""
    from rumiai_ray.ingest.entries import id_of_cell  # noqa: PLC0415 -- as above
    from rumiai_ray.ingest.sites.lists import rows_of  # noqa: PLC0415
    from rumiai_ray.runs.text import harmless  # noqa: PLC0415

    if post.id is None:
        return rows_of([post])
    digits = post.id.isascii() and post.id.isdigit() and len(post.id) > _DISPLAYED_DIGITS
    cell = f"'{post.id}" if digits and not raw else post.id
    reads_back = id_of_cell(cell if raw else harmless(cell), post.url) == post.id
    return rows_of([replace(post, id=cell if reads_back else None)])


def _told(walked: Walked) -> str:
    left_out = {
        "from other days": walked.other_days,
        "whose date the list does not give": walked.undated,
        "listed twice": walked.repeated,
        "without an address": walked.unusable,
    }
    named = ", ".join(f"{count:,} {why}" for why, count in left_out.items() if count)
    told = f"{walked.kept:,} {'post' if walked.kept == 1 else 'posts'}"
    return "; ".join(
        [told, *([f"left out: {named}"] if named else []), *([f"the list may be longer: {walked.stopped}"] if walked.stopped else [])]
    )

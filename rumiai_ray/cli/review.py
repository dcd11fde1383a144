"""`rumiai-ray corpus review`: corrections made in a labelling tool come back."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rumiai_ray.cli.options import with_settings
from rumiai_ray.cli.runs import RunName
from rumiai_ray.cli.terminal import counted, say
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from rumiai_ray.runs.reader import Run
    from rumiai_ray.runs.reviews.given import GivenReview
    from rumiai_ray.runs.reviews.judged import Judged


@with_settings("out")
def review(
    run: RunName,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="What the tool exported: Label Studio's JSON, COCO's, or FiftyOne's samples.json.", show_default=False
        ),
    ],
    config: BaseConfig,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Name of the reviewer, if FILE does not give one.", show_default=False)
    ] = None,
    field: Annotated[str, typer.Option("--field", help="FiftyOne: the field with the corrected boxes.")] = "objects",
    tag: Annotated[
        str | None, typer.Option("--tag", help="FiftyOne: treat only samples with this tag as reviewed.", show_default=False)
    ] = None,
) -> None:
    """Import corrections made in a labelling tool; `corpus query` shows them in the tables `reviews` and `accuracy`.

    The boxes that `rumiai-ray export --format labelstudio|coco|fiftyone` wrote are compared with those in FILE. The run is not changed.
    """
    from rumiai_ray.ingest.cleaning import NAME_CHARS, cleaned  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.ingest.local import open_regular  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415
    from rumiai_ray.runs.hold import WriterHold  # noqa: PLC0415
    from rumiai_ray.runs.reviews.given import MOST_BYTES, parse_review  # noqa: PLC0415
    from rumiai_ray.runs.reviews.judged import judge  # noqa: PLC0415

    found = find_run(run, config.out)
    with open_regular(str(file)) as stream:
        data = stream.read(MOST_BYTES + 1)  # one more, which is refused
    given = parse_review(data, str(file), field=field, tag=tag)
    who = None if by is None else cleaned(by, NAME_CHARS)
    hold = WriterHold(found.store)  # from here on nothing of the run is forgotten or removed, where there are locks
    try:
        _check_there(found)
        with found.again().read_with_todays_columns() as read:
            judged = judge(read, given, imported_at=datetime.now(UTC), file_sha256=hashlib.sha256(data).hexdigest(), by=who)
        _say_of_frames(given, judged)
        if not judged.frames:
            raise ConfigError("holds no reviewed frame of this run", str(file), "name the run whose export was reviewed")
        if not judged.changed and not judged.outside:
            say(
                "no box differs from what the detector found: check that FILE is the tool's export, not the file that rumiai-ray wrote",
                err=True,
            )
        _keep(found, judged, file)
    finally:
        hold.let_go()
    frames, videos = counted(judged.frames, "reviewed frame"), counted(judged.videos, "video")
    say(f"{counted(judged.changed, 'correction')} in {frames} of {videos}", err=True)
    say(f"see the tables `reviews` and `accuracy` in `rumiai-ray corpus query {found.run_id}`", err=True)


def _check_there(run: Run) -> None:
    from rumiai_ray.runs.writer import MANIFEST  # noqa: PLC0415 -- as above

    if not run.store.exists(MANIFEST):  # a review alone would make the run's directory again
        raise ConfigError("the run was removed in the meantime", run.store.uri(), "`rumiai-ray runs ls` lists the runs that exist")


def _say_of_frames(given: GivenReview, judged: Judged) -> None:
    for count, one, many in (
        (given.unreviewed, "frame left out: nobody has reviewed it", "frames left out: nobody has reviewed them"),
        (given.shapes, "label left out: it is not a box", "labels left out: they are not boxes"),
        (judged.of_other_runs, "frame left out: according to the file, it belongs to another run",
         "frames left out: according to the file, they belong to other runs"),
        (judged.unknown, "frame left out: this run has no such frame", "frames left out: this run has no such frames"),
        (judged.by_name, "frame known by the name of its picture alone: the file does not say which frame it is",
         "frames known by the names of their pictures alone: the file does not say which frames they are"),
        (judged.outside, "box left out: it lies outside the picture, or has no extent",
         "boxes left out: they lie outside the picture, or have no extent"),
    ):  # fmt: skip
        if count:
            say(counted(count, one, many), err=True)


def _keep(run: Run, judged: Judged, file: Path) -> None:
    """Keep a review beside the run. An object store has no locks: what was removed or forgotten meanwhile must not come back.

    Raises:
        ConfigError: nothing of it is to be kept.
    """
    from rumiai_ray.runs.forget import remembered  # noqa: PLC0415 -- as above
    from rumiai_ray.runs.reviews.table import last_import, without_rows_of, write_reviews  # noqa: PLC0415

    _check_there(run)
    rows = without_rows_of(judged.rows, remembered(run.again()))
    if not rows.num_rows:
        raise ConfigError("contains only reviews of videos that this run has forgotten", str(file), "there is nothing to keep")
    if forgotten := judged.rows.num_rows - rows.num_rows:
        say(f"{counted(forgotten, 'row')} left out: the run has forgotten the video", err=True)
    before = last_import(run.store, rows["file_sha256"][0].as_py())
    if _without_time(before).equals(_without_time(rows)):
        hint = "export the project again after further corrections, or pass another --field, --tag or --by to import the same file again"
        raise ConfigError("has already been imported into this run, with the same rows", str(file), hint)
    write_reviews(run.store, rows)
    if before.num_rows:
        rows_of = counted(
            before.num_rows,
            "row of the earlier import of this file no longer counts",
            "rows of the earlier import of this file no longer count",
        )
        say(rows_of, err=True)


def _without_time(rows: pa.Table) -> pa.Table:
    """Reviews without the time at which they were read, which differs from import to import."""
    return rows.drop_columns(["imported_at"])

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
        str | None, typer.Option("--by", metavar="NAME", help="Who reviewed, where the file does not say.", show_default=False)
    ] = None,
    field: Annotated[str, typer.Option("--field", help="FiftyOne: the field with the corrected boxes.")] = "objects",
    tag: Annotated[
        str | None, typer.Option("--tag", help="FiftyOne: take the samples with this tag only, as reviewed.", show_default=False)
    ] = None,
) -> None:
    """Keep what people corrected in a labelling tool beside the run: the tables `reviews` and `accuracy` of `corpus query`.

    The boxes of `rumiai-ray export --format labelstudio|coco|fiftyone` are set against those in FILE. Nothing of the run is changed.
    """
    from rumiai_ray.ingest.cleaning import NAME_CHARS, cleaned  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.ingest.local import open_regular  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415
    from rumiai_ray.runs.hold import WriterHold  # noqa: PLC0415
    from rumiai_ray.runs.reviews.given import parse_review  # noqa: PLC0415

    found = find_run(run, config.out)
    with open_regular(str(file)) as stream:
        data = stream.read()
    given = parse_review(data, str(file), field=field, tag=tag)
    who = None if by is None else cleaned(by, NAME_CHARS)
    hold = WriterHold(found.store)  # from here on nothing of the run is forgotten or removed, where there are locks
    try:
        judged = _judged(found.again(), given, file, hashlib.sha256(data).hexdigest(), who)
    finally:
        hold.let_go()
    say(f"{judged.changed} corrections in {judged.frames} reviewed frames of {judged.videos} videos", err=True)
    say(f"the tables `reviews` and `accuracy` of `rumiai-ray corpus query {found.run_id}` have them", err=True)


def _judged(found: Run, given: GivenReview, file: Path, digest: str, who: str | None) -> Judged:
    """Judge a review and keep it beside a run that nobody changes meanwhile.

    Raises:
        ConfigError: nothing of it can be kept.
    """
    from rumiai_ray.runs.forget import remembered  # noqa: PLC0415 -- as above
    from rumiai_ray.runs.reviews.judged import judge  # noqa: PLC0415
    from rumiai_ray.runs.reviews.table import review_files, without_rows_of, write_reviews  # noqa: PLC0415
    from rumiai_ray.runs.writer import MANIFEST  # noqa: PLC0415

    removed = ConfigError("the run was removed meanwhile", found.store.uri(), "`rumiai-ray runs ls` lists those that are there")
    if not found.store.exists(MANIFEST):
        raise removed
    if any(digest in rows["file_sha256"].to_pylist() for _, rows in review_files(found.store)):
        raise ConfigError("is in this run's reviews already", str(file), "export the project anew after further corrections")
    with found.read_with_todays_columns() as read:
        judged = judge(read, given, imported_at=datetime.now(UTC), file_sha256=digest, by=who)
    for count, what in (
        (given.unreviewed, "frames left out: nobody has reviewed them"),
        (given.shapes, "labels left out: they are no boxes"),
        (judged.of_other_runs, "frames left out: the file says that they are of other runs"),
        (judged.unknown, "frames left out: this run has no such frame"),
    ):
        if count:
            say(f"{count} {what}", err=True)
    if not judged.frames:
        raise ConfigError("holds no reviewed frame of this run", str(file), "name the run whose export was reviewed")
    if not judged.changed:
        say("no box differs from what the detector found: is this the export as it was written?", err=True)
    # An object store has no locks: what was removed or forgotten meanwhile must not come back.
    if not found.store.exists(MANIFEST):
        raise removed
    rows = without_rows_of(judged.rows, remembered(found.again()))
    if not rows.num_rows:
        raise ConfigError("reviews nothing but what this run has forgotten", str(file), "there is nothing to keep")
    if forgotten := judged.rows.num_rows - rows.num_rows:
        say(f"{counted(forgotten, 'row')} left out: the run has forgotten the video", err=True)
    write_reviews(found.store, rows)
    return judged

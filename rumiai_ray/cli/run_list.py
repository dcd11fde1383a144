"""`rumiai-ray runs ls` and `runs rm`: the runs of a directory as people tell them apart, and removing some of them."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from rumiai_ray.cli.tables import listing
from rumiai_ray.cli.terminal import SafeConsole, counted, say
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.find import find_run, list_runs, shown_id
from rumiai_ray.runs.labels import LABELS, Labels, clean_line, read_labels
from rumiai_ray.runs.remove import age_of, check_is_run, older_than, remove_run
from rumiai_ray.shown import one_line, shown

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from rumiai_ray.runs.reader import Run

_LOG = logging.getLogger(__name__)

DAMAGED = "damaged"
_SHOWN = 5
"""Names of what a removal leaves that are said."""
_NAMED = "name, or else command"


@dataclass(frozen=True)
class ListedRun:
    """A run as it is listed."""

    run_id: str
    started_at: str | None
    """ISO 8601, UTC; None for a damaged run, like the figures."""
    status: str
    videos: int | None
    dead_letters: int | None
    name: str
    tags: tuple[str, ...]
    note: str
    command: str
    shown_as: str
    """Its id, and its directory's name where that is another."""
    problem: str = ""
    """What is wrong with its labels, which are left out then."""


def listed(run: Run) -> ListedRun:
    """What is listed of a run; a damaged one is listed like the others."""
    labels, problem = Labels(), ""
    try:
        labels = read_labels(run.store)
    except StorageError as error:
        problem = str(error)
    try:
        states = Counter(run.entries().values())
        return ListedRun(
            run.run_id,
            run.manifest.created_at.astimezone(UTC).isoformat(timespec="seconds"),
            run.status,
            states["committed"],
            states["dead_lettered"],
            labels.name,
            labels.tags,
            labels.note,
            shown(" ".join(run.manifest.command[1:])),
            shown_id(run),
            problem,
        )
    except StorageError as error:
        _LOG.debug("run %s: %s", run.run_id, error)
        return ListedRun(run.run_id, None, DAMAGED, None, None, labels.name, labels.tags, labels.note, "", shown_id(run), problem)


def print_runs(rows: Sequence[ListedRun]) -> None:
    """A line for each run; of one without a name the command."""
    table = listing("run", "date", "status", "videos", _NAMED, "tags", folds=(_NAMED, "tags"))
    for row in rows:
        if row.status == DAMAGED:
            said = Text(f"`rumiai-ray runs verify {row.run_id}` says what is wrong")
            table.add_row(row.shown_as, "", Text(DAMAGED, "red"), "", said, "")
            continue
        dead = f" +{row.dead_letters} dead" if row.dead_letters else ""
        named = Text(row.name, "bold") if row.name else Text(one_line(row.command))
        if row.problem:
            named = Text(f"{LABELS} is unreadable", "red")
        table.add_row(row.shown_as, (row.started_at or "")[:10], row.status, f"{row.videos}{dead}", named, Text(", ".join(row.tags)))
    SafeConsole().print(table)


def remove(
    names: Sequence[str], age: str | None, keep_tags: Sequence[str], out: str | os.PathLike[str], *, yes: bool, dry_run: bool
) -> None:
    """Remove runs that are named, or that are as old as a rule says.

    Raises:
        ConfigError: nothing or both were given; a run is being written; or nobody can be asked and `yes` was not given.
        StorageError: a run cannot be removed.
    """
    runs = _chosen(names, age, keep_tags, out)
    if not runs:
        say("no run is old enough to remove")
        return
    for run in runs:
        check_is_run(run)
    for run in runs:
        row = listed(run)
        say("  ".join(filter(None, [shown_id(run), (row.started_at or "")[:10], row.status, row.name, run.store.uri()])))
    if dry_run:
        say(f"{len(runs)} would be removed; nothing was")
    elif yes or _confirmed(len(runs)):
        for run in runs:
            _remove(run, skip=age is not None)
    else:
        say("nothing was removed")


def _chosen(names: Sequence[str], age: str | None, keep_tags: Sequence[str], out: str | os.PathLike[str]) -> list[Run]:
    if bool(names) == (age is not None):
        raise ConfigError("either RUN or --older-than must say what to remove", "", "give one of them")
    if age is None:
        if keep_tags:
            raise ConfigError("belongs to --older-than", "--keep-tag", "leave it out: runs that are named are removed")
        return list({run.store.uri(): run for run in (find_run(name, out) for name in names)}.values())
    aged = older_than(list_runs(out), datetime.now(UTC) - age_of(age), [clean_line(tag) for tag in keep_tags])
    for run in aged.kept:
        say(f"kept for its tag: {run.run_id}", err=True)
    for run in aged.unknown:
        say(f"kept, because its age or tags cannot be read: {run.run_id}; `rumiai-ray runs verify {run.run_id}`", err=True)
    return list(aged.old)


def _confirmed(count: int) -> bool:
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(
            "there is no terminal on which to ask for confirmation", counted(count, "run"), "give --yes to remove without asking"
        )
    return typer.confirm(f"Remove {'this run' if count == 1 else f'these {count} runs'} permanently?", default=False, err=True)


def _remove(run: Run, *, skip: bool) -> None:
    """Remove a run; one that is being written is left alone, and with `skip` that ends nothing: the rule finds it again."""
    try:
        left = remove_run(run)
    except ConfigError as error:
        if not skip:
            raise
        say(f"kept: {error}", err=True)
    else:
        say(f"removed: {shown_id(run)}")
        if left:
            shown_names = ", ".join(one_line(name) for name in left[:_SHOWN]) + (", …" if len(left) > _SHOWN else "")
            say(f"left in {run.store.uri()}, since no run has it: {shown_names}", err=True)

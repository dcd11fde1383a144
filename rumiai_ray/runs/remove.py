"""Removing runs: whole, by name or by age, never one that is being written."""

from __future__ import annotations

import logging
import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.commits import DIRECTORY as RECORDS
from rumiai_ray.runs.hold import alone_with
from rumiai_ray.runs.labels import read_labels
from rumiai_ray.runs.writer import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from rumiai_ray.runs.reader import Run

_LOG = logging.getLogger(__name__)

_AGE = re.compile(r"\s*(\d{1,6})\s*([hdw])\s*", re.IGNORECASE)
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


@dataclass(frozen=True)
class Aged:
    """What a retention rule says of the runs of a directory."""

    old: tuple[Run, ...]
    """To be removed, oldest first."""
    kept: tuple[Run, ...]
    """As old, and kept for a tag."""
    unknown: tuple[Run, ...]
    """Damaged, so that their age or their tags cannot be told; they are kept."""


def age_of(text: str) -> timedelta:
    """An age as people write it: `90d`, `12h`, `4w`.

    Raises:
        ConfigError: it is none.
    """
    found = _AGE.fullmatch(text)
    if not found:
        raise ConfigError("not an age", repr(text), "write hours, days or weeks: 12h, 90d, 4w")
    return timedelta(hours=int(found[1]) * _HOURS[found[2].lower()])


def older_than(runs: Iterable[Run], before: datetime, keep_tags: Collection[str] = ()) -> Aged:
    """The runs in which nothing was written since a time.

    Args:
        runs: those that the rule is about.
        before: the time.
        keep_tags: runs with one of these tags stay.
    """
    old: list[tuple[datetime, str, Run]] = []
    kept: list[Run] = []
    unknown: list[Run] = []
    for run in runs:
        try:
            last, tags = max((record.written_at for record in run.records), default=run.manifest.created_at), read_labels(run.store).tags
        except StorageError as error:
            _LOG.info("the age of run %s cannot be told: %s", run.run_id, error)
            unknown.append(run)
            continue
        if last < before:
            if set(tags) & set(keep_tags):
                kept.append(run)
            else:
                old.append((last, run.run_id, run))
    return Aged(tuple(run for *_, run in sorted(old, key=lambda one: one[:2])), tuple(kept), tuple(unknown))


def remove_run(run: Run) -> None:
    """Remove a run's directory and all that is in it. The manifest goes last: what is left of a broken-off removal can be named again.

    Raises:
        ConfigError: another process writes the run, or may be writing it; or its directory is a link.
        StorageError: something cannot be removed; the same call again goes on.
    """
    if run.store.on_disk and Path(run.store.root).is_symlink():
        raise ConfigError("is a link to a run", run.store.uri(), "name the directory itself, or remove the link")
    with alone_with(run):
        if not run.store.on_disk:
            root = run.store.root
            run.store.fs.invalidate_cache()
            names = [str(path).rstrip("/").removeprefix(f"{root}/") for path in run.store.fs.find(root)]
            for name in sorted(names, key=_last_of_all):
                run.store.remove(name)
            return
        try:
            for child in sorted(Path(run.store.root).iterdir(), key=lambda path: _last_of_all(path.name)):
                if child.is_dir() and not child.is_symlink():
                    shutil.rmtree(child)
                else:
                    child.unlink()
            Path(run.store.root).rmdir()
        except OSError as error:
            hint = "change the permissions, then remove the run again"
            raise StorageError(f"cannot remove it: {error.strerror}", str(error.filename or run.store.uri()), hint) from error


def _last_of_all(name: str) -> tuple[int, str]:
    """The order of removal: data before the records that name it, so that no reader takes what is left for a smaller run."""
    return (2 if name == MANIFEST else 1 if name.startswith(RECORDS) else 0), name

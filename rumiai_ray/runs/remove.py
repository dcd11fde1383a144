"""Removing runs: whole, by name or by age, never one that is being written."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.commits import DIRECTORY as RECORDS
from rumiai_ray.runs.commits import record_path
from rumiai_ray.runs.datafile import PART, TABLE_NAME
from rumiai_ray.runs.hold import alone_with
from rumiai_ray.runs.labels import LABELS, read_labels
from rumiai_ray.runs.line_log import DIRECTORY as LOGS
from rumiai_ray.runs.line_log import LOG_NAME, PICTURE
from rumiai_ray.runs.reviews.table import REVIEW_FILE, REVIEWS
from rumiai_ray.runs.writer import MANIFEST, PRIVATE, SUMMARY
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from rumiai_ray.runs.reader import Run

_LOG = logging.getLogger(__name__)

_AGE = re.compile(r"\s*(\d{1,6})\s*([hdw])\s*", re.IGNORECASE)
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}

_FILE = re.compile(
    rf"""({TABLE_NAME}/{PART}
    | {RECORDS}/\d{{8,}}\.json
    | {LOGS}/{LOG_NAME}
    | {REVIEWS}/{REVIEW_FILE}
    | {re.escape(PICTURE)}
    | {PRIVATE}/[0-9a-f]{{32}}\.parquet
    | entries-[0-9a-f]{{16}}\.parquet
    | {re.escape(MANIFEST)} | {re.escape(SUMMARY)} | {re.escape(LABELS)}
    | traceback\.txt)
    (\.[0-9a-f]{{32}}\.part)?""",
    re.VERBOSE,
)
"""Paths of all that a run writes, of what a broken-off writing leaves, too."""


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


def check_is_run(run: Run) -> None:
    """See that a directory with a manifest.json is a run: many programs name a file so.

    Raises:
        ConfigError: the manifest is not a run's, and there are no commit records beside it.
    """
    try:
        _ = run.manifest
    except StorageError as error:
        if not run.store.exists(record_path(0)):
            hint = "remove the directory yourself if you do not need it"
            raise ConfigError("holds no run: its manifest.json is not a run's", run.store.uri(), hint) from error


def remove_run(run: Run) -> list[str]:
    """Remove a run: the files that a run has, and the directories that are empty then. Other files and links to directories stay.

    The manifest goes last: what is left of a broken-off removal can be named again.

    Returns:
        Names in the run's directory of what stays there, and so does the directory; empty where nothing does.

    Raises:
        ConfigError: there is no run; another process writes it, or may be writing it; or its directory is a link.
        StorageError: something cannot be removed; the same call again goes on.
    """
    if run.store.on_disk:
        if Path(run.store.root).is_symlink():
            raise ConfigError("is a link to a run", run.store.uri(), "name the directory itself, or remove the link")
        # `mine/..` would end with the removal of `mine`.
        run = replace(run, store=Store.at(Path(run.store.root).resolve()))
    check_is_run(run)
    with alone_with(run):
        return _remove_local(Path(run.store.root), run.store.uri()) if run.store.on_disk else _remove_objects(run.store)


def _remove_local(root: Path, uri: str) -> list[str]:
    try:
        # A directory that cannot be listed ends the removal before anything is gone.
        below = {Path(path).relative_to(root): names for path, _, names in os.walk(root, onerror=_raise)}
        for name in _in_order((directory / name).as_posix() for directory, names in below.items() for name in names):
            (root / name).unlink()
        directories = [root / directory for directory in below if re.fullmatch(TABLE_NAME, directory.as_posix())]
        for directory in (*directories, root):  # records, logs and addresses lie in directories that are named as tables are
            if not any(directory.iterdir()):
                directory.rmdir()
        return sorted(path.name for path in root.iterdir()) if root.exists() else []
    except OSError as error:
        hint = "change the permissions, then remove the run again"
        raise StorageError(f"cannot remove the run: {error.strerror}", str(error.filename or uri), hint) from error


def _raise(error: OSError) -> None:
    raise error


def _remove_objects(run: Store) -> list[str]:
    run.fs.invalidate_cache()
    found = [str(path).rstrip("/").removeprefix(f"{run.root}/") for path in run.fs.find(run.root)]
    for name in _in_order(found):
        run.remove(name)
    return sorted({name.partition("/")[0] for name in found if not _FILE.fullmatch(name)})


def _in_order(names: Iterable[str]) -> list[str]:
    """Those of the names that a run's files have, in the order of removal.

    Data goes before the records that name it, so that no reader takes what is left for a smaller run. The first record goes after the
    others: a run with a damaged manifest is known by it.
    """
    own = sorted((name for name in names if _FILE.fullmatch(name)), reverse=True)
    return sorted(own, key=lambda name: 2 if name == MANIFEST else 1 if name.startswith(f"{RECORDS}/") else 0)

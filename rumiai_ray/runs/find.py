"""Finding runs: all of a directory, or one by its id or path."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.labels import clean_line, read_labels
from rumiai_ray.runs.reader import Run, run_at
from rumiai_ray.storage import Store, in_parallel

if TYPE_CHECKING:
    from pathlib import Path

_LOG = logging.getLogger(__name__)

_SHOWN = 5
LATEST = "latest"
"""Names the run that was started last, unless a run is called so."""


def list_runs(out: str | os.PathLike[str]) -> list[Run]:
    """All runs of an output directory, by name, which for ids of this package's making is by age; none where it does not exist."""
    store = Store.at(out)
    return [run for run in in_parallel(run_or_damaged, map(store.below, store.names())) if run is not None]


def run_or_damaged(store: Store) -> Run | None:
    """As `run_at`; a manifest that cannot be read (a pipe, say) makes this run damaged and does not hide the others."""
    try:
        return run_at(store)
    except StorageError as error:
        _LOG.debug("%s: %s", store.uri(), error)
        return Run(store, store.name)


def find_run(run: str | Path, out: str | os.PathLike[str]) -> Run:
    """One run: by its id or name under `out`, the beginning of one only, the word `latest`, or the path or URI of its directory.

    Raises:
        ConfigError: there is no such run, or several are meant; the message names them, or the ids most like it.
    """
    text = os.fspath(run)
    is_name = "/" not in text and text not in {"", ".", ".."}
    found = (run_at(Store.at(out).below(text)) if is_name else None) or (run_at(Store.at(text)) if text else None)
    if found is not None:
        return found
    known_runs = list_runs(out)
    if text == LATEST and known_runs:
        return max(known_runs, key=_created_at)
    meant = _meant(text, known_runs) if is_name else {}
    if len(meant) == 1:
        return next(iter(meant))
    if meant:
        listed = ", ".join(f"{shown_id(one)} ({name})" if name else shown_id(one) for one, name in list(meant.items())[-_SHOWN:])
        raise ConfigError(f"{len(meant)} runs match", repr(text), f"type more of one id: {listed}")
    # Of a path, the directory that it names is the one to look in, not the one where runs go by default.
    directory, slash, name = text.rstrip("/").rpartition("/")
    searched = out if is_name else directory or slash or "."
    ids = [known.run_id for known in (known_runs if is_name else list_runs(searched))]
    near = get_close_matches(name, ids, n=_SHOWN, cutoff=0.5) or ids[-_SHOWN:]
    prefix = "" if is_name else f"{directory}{slash or './'}"
    hint = f"did you mean {', '.join(prefix + found for found in near)}?" if near else f"there are no runs under {Store.at(searched).uri()}"
    raise ConfigError("no such run", repr(text), hint)


def shown_id(run: Run) -> str:
    """A run's id, and its directory's name where that is another, as a copy's is."""
    return run.run_id if run.store.name == run.run_id else f"{run.run_id} in {run.store.name}"


def _meant(text: str, runs: list[Run]) -> dict[Run, str]:
    """The runs that a text may mean, each with its name: those whose id begins so, and those that are called so or else begin so."""
    names = dict(zip(runs, in_parallel(_name, runs), strict=True))
    wanted = clean_line(text)
    named = [run for run in runs if wanted and names[run] == wanted] or [run for run in runs if wanted and names[run].startswith(wanted)]
    return {run: names[run] for run in runs if run.run_id.startswith(text) or run in named}


def _name(run: Run) -> str:
    """What a run is called; nothing where that cannot be read."""
    try:
        return read_labels(run.store).name
    except StorageError as error:
        _LOG.debug("the labels of %s cannot be read: %s", run.run_id, error)
        return ""


def _created_at(run: Run) -> datetime:
    """When a run was started; a run whose manifest cannot be read comes before all others."""
    try:
        return run.manifest.created_at
    except StorageError as error:
        _LOG.debug("the manifest of %s cannot be read: %s", run.run_id, error)
        return datetime.min.replace(tzinfo=UTC)

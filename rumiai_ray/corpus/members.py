"""The runs that a corpus is made of: named by paths and patterns, and what makes two of them comparable."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError
from rumiai_ray.provenance import result_packages
from rumiai_ray.runs.find import find_run, list_runs, run_or_damaged
from rumiai_ray.runs.fingerprint import ABSENT, differences
from rumiai_ray.runs.older import versions_as_read
from rumiai_ray.runs.reader import run_at
from rumiai_ray.shown import one_line
from rumiai_ray.storage import Store, in_parallel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from rumiai_ray.runs.manifest import RunManifest
    from rumiai_ray.runs.reader import Run

_RUNS_NAMED = 5
_DIFFERENCES_NAMED = 5
"""As many as a person reads; the table `runs` has them all."""
_HANDLES_SINCE = 5
"""Version of `videos` from which on `author` is the handle on every platform."""


def find_runs(patterns: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str] = ".") -> list[Run]:
    """The runs that paths and patterns name, each once, in the order of their last commits.

    Args:
        patterns: of each run its directory or URI; a glob pattern of such, of which whatever is no run is left out; or whatever
            `runs.find.find_run` takes for a run under `out`.
        out: the directory that holds the runs which are named without a slash.

    Raises:
        ConfigError: one of them names no run.
        StorageError: the records of a run are damaged.
    """
    return in_order(named_runs(patterns, out))


def named_runs(patterns: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str]) -> list[Run]:
    """As `find_runs`, in the order in which they are named; damaged ones are among them.

    On a disk a directory is one run, whatever links and dots lead to it; the first name is kept.

    Raises:
        ConfigError: one of them names no run.
        StorageError: the manifest of a run that is named without a pattern cannot be read.
    """
    found: dict[str, Run] = {}
    for pattern in patterns:
        for run in _named(os.fspath(pattern), out):
            found.setdefault(os.path.realpath(run.store.root) if run.store.on_disk else run.store.uri(), run)
    if not found:
        raise ConfigError("no runs were named", "", "give directories of runs, or a pattern such as 'runs/*'")
    return list(found.values())


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Runs in the order of their last commits.

    Raises:
        StorageError: the records of a run are damaged.
    """
    pairs = zip(in_parallel(last_commit, runs), runs, strict=True)
    return [run for _, run in sorted(pairs, key=lambda pair: (pair[0], pair[1].run_id, pair[1].store.uri()))]


def has_rows(run: Run) -> bool:
    """Whether a run has committed anything; one that has not is compared with none.

    Raises:
        StorageError: its records are damaged.
    """
    return any(file.rows for record in run.records for file in record.files)


def newest_with_rows(runs: Sequence[Run]) -> Run:
    """The run that the others are compared with: the last that has committed anything, the last of all where none has."""
    return next((run for run in reversed(runs) if has_rows(run)), runs[-1])


def last_commit(run: Run) -> datetime:
    """When the last record of a run was written; when the run was started, where it has none.

    Raises:
        StorageError: the run is damaged.
    """
    return max((record.written_at for record in run.records), default=run.manifest.created_at)


def comparable_parts(manifest: RunManifest) -> dict[str, object]:
    """What two runs must have in common for their rows to be read as one: models, weights, *result* settings, schema versions."""
    parts = manifest.result_parts()
    models = {
        model.name: {
            "backend": model.backend,
            "precision": model.precision,
            "weights": {file.role: file.sha256 for file in model.files},
            "settings": model.result_settings,
        }
        for model in manifest.models
    }
    tables = versions_as_read(manifest.tables)
    return {"models": models, "sampling": parts["sampling"], "settings": parts["result_settings"], "tables": tables}


def different_parts(theirs: RunManifest, its: RunManifest) -> list[str]:
    """What makes two runs not comparable, theirs | its, in words."""
    return _differences(comparable_parts(theirs), comparable_parts(its))


def different_notes(theirs: RunManifest, its: RunManifest) -> list[str]:
    """What else differs between two runs and can change a result, theirs | its, in words."""
    both = {model.name for model in theirs.models} & {model.name for model in its.models}
    parts = [noted_parts(manifest) for manifest in (theirs, its)]
    return differences(*({**one, "models": {name: facts for name, facts in _models(one).items() if name in both}} for one in parts))


def _differences(theirs: Mapping[str, object], its: Mapping[str, object]) -> list[str]:
    """As `differences`, and a model that only one side has is one line."""
    ours, others = _models(theirs), _models(its)
    alone = sorted(ours.keys() ^ others.keys())
    lines = [f"models.{name}: {_backend(ours.get(name))} | {_backend(others.get(name))}" for name in alone]
    both = ({**one, "models": {name: facts for name, facts in _models(one).items() if name not in alone}} for one in (theirs, its))
    return sorted([*map(one_line, lines), *differences(*both)])


def _models(parts: Mapping[str, object]) -> dict[str, dict[str, object]]:
    models = parts["models"]
    return models if isinstance(models, dict) else {}


def _backend(facts: Mapping[str, object] | None) -> str:
    return ABSENT if facts is None else str(facts["backend"])


def noted_parts(manifest: RunManifest) -> dict[str, object]:
    """What can change a result as well, and is shown where it differs: source, packages, each model's library and kind of device.

    What `videos.author` is, too: one creator in runs of both kinds has two names.
    """
    models = {model.name: {"version": model.version, "device": model.device.partition(":")[0]} for model in manifest.models}
    handles = manifest.tables.get("videos", 0) >= _HANDLES_SINCE
    authors = "handles" if handles else "handles, but full names on Instagram, X and YouTube"
    return {"source_sha256": manifest.source_sha256, "packages": result_packages(manifest.packages), "models": models, "authors": authors}


def check_comparable(runs: Sequence[Run]) -> None:
    """See that the runs with rows are comparable with the last of them.

    Raises:
        ConfigError: they are not; the message names the differences.
    """
    newest = newest_with_rows(runs)
    found = [(run, different_parts(run.manifest, newest.manifest)) for run in runs if has_rows(run)]
    different = [(run, parts) for run, parts in found if parts]
    if not different:
        return
    lines = [f"  {run.run_id}: {_first(parts, _DIFFERENCES_NAMED)}" for run, parts in different[:_RUNS_NAMED]]
    if len(different) > _RUNS_NAMED:
        lines.append(f"  and {len(different) - _RUNS_NAMED} more runs")
    raise ConfigError(
        f"{len(different)} of {len(runs)} runs cannot be compared with the newest, {newest.run_id} (theirs | its):\n"
        + "\n".join(lines)
        + "\n",
        "",
        "leave them out, or allow mixed runs (allow_mixed=True, --allow-mixed); `rumiai-ray corpus ls` shows every difference",
    )


def _first(parts: Sequence[str], count: int) -> str:
    more = f"; and {len(parts) - count} more" if len(parts) > count else ""
    return "; ".join(parts[:count]) + more


def _named(text: str, out: str | os.PathLike[str]) -> list[Run]:
    """The runs that one argument names; a directory whose name looks like a pattern is that directory."""
    store = Store.at(out).below(text) if "/" not in text else Store.at(text)
    if glob.has_magic(text) and run_at(store) is None:
        runs = [run for run in in_parallel(run_or_damaged, _matching(text, store, out)) if run is not None]
        if not runs:
            raise ConfigError("no run matches", repr(text), "quote the pattern, and let it match the runs' own directories")
        return runs
    try:
        return [find_run(text, out)]
    except ConfigError as error:
        if held := list_runs(text):
            hint = f"it holds {len(held)} runs: name them with the pattern {text.rstrip('/')}/*"
            raise ConfigError("not a run but a directory of runs", repr(text), hint) from error
        raise


def _matching(pattern: str, store: Store, out: str | os.PathLike[str]) -> list[Store]:
    """The directories that a pattern matches. On a disk nothing but the pattern itself is read as one, whatever the place is called."""
    if not store.on_disk:
        return [Store(store.fs, str(path).rstrip("/")) for path in sorted(store.fs.glob(store.root))]
    place = Path() if "/" in pattern else Path(out)
    found = glob.glob(str(Path(pattern).expanduser()), root_dir=place)  # noqa: PTH207 -- Path.glob takes no whole path for a pattern
    return [Store.at(place / path) for path in sorted(found)]

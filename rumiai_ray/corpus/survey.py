"""The runs of a corpus as `corpus ls` lists them: one that is damaged is a row like the others and hides none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rumiai_ray.corpus.compacted import CompactedRows
from rumiai_ray.corpus.members import in_order, named_runs
from rumiai_ray.corpus.reader import Corpus
from rumiai_ray.corpus.runs_table import RUNS, SCHEMA
from rumiai_ray.errors import StorageError
from rumiai_ray.schema.table import column
from rumiai_ray.shown import shown_input
from rumiai_ray.storage import in_parallel

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from rumiai_ray.runs.reader import Run

DAMAGED = "damaged"
_PROBLEM = column("problem", pa.string(), "What is wrong with a damaged run; null for a sound one.", nullable=True)
_COLUMNS = pa.schema([*(field.with_nullable(nullable=True) for field in SCHEMA), _PROBLEM])


def survey(patterns: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str] = ".") -> pa.Table:
    """The table `runs` of a corpus, then one row per damaged run: its `status` is `damaged`, and `problem` says why.

    What counts is found among the sound runs alone. A run is damaged if its manifest, its records or a file that says what counts cannot
    be read; other files are not opened.

    Args:
        patterns: see `find_runs`.
        out: see `find_runs`.

    Raises:
        ConfigError: one of the patterns names no run.
    """
    runs = named_runs(CompactedRows.among(list(patterns))[1], out)
    problems = dict(zip(runs, in_parallel(_problem, runs), strict=True))
    sound = in_order([run for run, problem in problems.items() if problem is None])
    listed = _COLUMNS.empty_table()
    while sound:
        try:
            listed = Corpus(tuple(sound)).table(RUNS)
        except StorageError as error:
            run = _whose(sound, error)
            problems[run] = str(error)
            sound.remove(run)
        else:
            break
    damaged = [_row(run, problem) for run, problem in problems.items() if problem is not None]
    return pa.concat_tables([listed, pa.Table.from_pylist(damaged, schema=_COLUMNS)], promote_options="default")


def _problem(run: Run) -> str | None:
    try:
        _ = run.records, run.manifest
    except StorageError as error:
        return str(error)
    return None


def _whose(runs: Iterable[Run], error: StorageError) -> Run:
    """The run whose file an error is about.

    Raises:
        StorageError: the error itself, where it is about no file of a run.
    """
    for run in runs:
        if error.subject.startswith(f"{run.store.uri()}/"):
            return run
    raise error


def _row(run: Run, problem: str) -> dict[str, Any]:
    directory = shown_input(run.store.uri())
    return {"run_id": run.run_id, "directory": directory, "status": DAMAGED, "differences": [], "notes": [], "problem": problem}

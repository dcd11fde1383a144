"""The table `runs` of a corpus: which runs it reads, how much of each counts, and in what each differs from the newest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rumiai_ray.corpus.members import different_notes, different_parts, has_rows, last_commit, newest_with_rows
from rumiai_ray.schema.table import column
from rumiai_ray.shown import shown_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.corpus.choice import CorpusChoice
    from rumiai_ray.corpus.files import Files
    from rumiai_ray.runs.reader import Run

RUNS = "runs"

_TIME = pa.timestamp("ms", tz="UTC")
_TEXTS = pa.list_(pa.string())

SCHEMA = pa.schema(
    (
        column("run_id", pa.string(), "The run."),
        column("directory", pa.string(), "Where it is: its directory or URI."),
        column("status", pa.string(), "How it ended.", range_="complete|partial|aborted|incomplete"),
        column("started_at", _TIME, "When it was started."),
        column("last_commit_at", _TIME, "When its last commit record was written; when it was started, where it has none."),
        column("committed", pa.int64(), "Entries that it committed."),
        column("dead_lettered", pa.int64(), "Entries that it could not read or assemble."),
        column("counted", pa.int64(), "Its rows in `entries`: what no later run has committed again."),
        column("models", _TEXTS, "What ran: family and backend."),
        column(
            "differences",
            _TEXTS,
            "What makes it not comparable with the newest run that has rows, theirs | its; empty for a run without rows.",
        ),
        column("notes", _TEXTS, "What else differs from that run and can change a result: source, packages, devices."),
    ),
    metadata={"table": RUNS, "definition": "One run of the corpus, oldest first by its last commit."},
)


def runs_table(runs: Sequence[Run], files: Files, choice: CorpusChoice) -> pa.Table:
    """The table.

    Args:
        runs: oldest first.
        files: theirs.
        choice: among their rows.
    """
    place_of = {part.number: part.run for part in files.parts.get("videos", ())}
    numbers: list[Any] = choice.entries["part"].to_pylist()
    counted = Counter(place_of[number] for number in numbers)
    newest = newest_with_rows(runs).manifest
    records = []
    for place, run in enumerate(runs):
        compared = has_rows(run)
        states = Counter(run.entries().values())
        records.append(
            {
                "run_id": run.run_id,
                "directory": shown_input(run.store.uri()),
                "status": run.status,
                "started_at": run.manifest.created_at,
                "last_commit_at": last_commit(run),
                "committed": states["committed"],
                "dead_lettered": states["dead_lettered"],
                "counted": counted[place],
                "models": [f"{model.name}: {model.backend}" for model in run.manifest.models],
                "differences": different_parts(run.manifest, newest) if compared else [],
                "notes": different_notes(run.manifest, newest) if compared else [],
            }
        )
    return pa.Table.from_pylist(records, schema=SCHEMA)

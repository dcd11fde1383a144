"""What a person reads of a run over many videos: how often each model ended how, how fast it went, and the failures by name."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow.compute as pc
from rich.table import Table
from rich.text import Text

from rumiai_ray.engine.work.counts import tally_of
from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from rumiai_ray.runs.reader import Run

FAILURES_NAMED = 20
"""As many as a person reads; the tables have them all."""


def print_overview(run: Run, console: Console) -> None:
    """Counts by model and status, then throughput as far as the run's end record tells."""
    tally = tally_of(run)
    table = Table()
    table.add_column("model")
    for heading in (*Status, "frames", "seconds"):
        table.add_column(heading, justify="right")
    for model in sorted(tally.seconds, key=lambda name: -tally.seconds[name]):
        counts = [str(tally.statuses[model, status] or "") for status in Status]
        table.add_row(model, *counts, f"{tally.frames[model]:,}" if tally.frames[model] else "", f"{tally.seconds[model]:,.1f}")
    if table.rows:
        console.print(table)
    for line in figures(run):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def figures(run: Run) -> list[str]:
    """Entries, throughput and speed of light in words; nothing where the run's end record has no figures."""
    summary = run.summary
    if "videos_per_hour" not in summary:
        return []
    entries, took = summary["entries"], timedelta(seconds=round(summary["elapsed_s"]))
    speed = f"{summary['videos_per_hour']:,g} videos an hour, {summary['video_hours_per_day']:,g} hours of video a day"
    lines = [
        f"{_count(entries.get('committed', 0), 'entry', 'entries')} committed, {_count(entries.get('dead_letter', 0), 'dead letter')}",
        f"throughput: {speed}, over {took} since Ray was ready",
    ]
    light = summary.get("speed_of_light")
    if light is not None:
        lines.append(
            f"speed of light: {light['videos_per_hour']:,g} videos an hour, bound by {light['bound_by']}; "
            f"{light['share_reached']:.2f} of it reached, loading and decoding included"
        )
    return lines


def failures(run: Run) -> list[str]:
    """The run's dead letters and failed models, one a line; of many the first, and how many more there are."""
    inputs = {row["video_key"]: row["input"] for row in run.table("videos", ["video_key", "input"]).to_pylist()}
    analyses = run.table("analyses", ["video_key", "model_name", "status", "error_class", "error_message"])
    failed = analyses.filter(pc.field("status") == Status.FAILED).to_pylist()
    dead = run.table("dead_letter", ["input", "error_class", "error_message"]).to_pylist()
    told = [f"dead letter: {named(row['input'], row)}" for row in dead]
    told += [f"failed: {row['model_name']}: {named(inputs[row['video_key']], row)}" for row in failed]
    more = len(told) - FAILURES_NAMED
    return told if more <= 0 else [*told[:FAILURES_NAMED], f"and {more} more, in the tables dead_letter and analyses"]


def named(source: str, row: Mapping[str, str]) -> str:
    """What went wrong, and with which input where the message does not begin with it."""
    said = f"{row['error_class']}: {row['error_message']}"
    return said if row["error_message"].startswith(f"{source}:") else f"{said} [{source}]"


def forgettings(run: Run) -> list[str]:
    """What was taken out of the run for good, as far as its records tell; see `corpus forget`."""
    return [
        f"on {record.written_at:%Y-%m-%d %H:%M} UTC a{'n author' if record.forgotten.kind == 'author' else ' video'} was forgotten: "
        f"{_count(len(record.forgotten.entries), 'entry', 'entries')}, {_count(sum(record.forgotten.rows.values()), 'row')}"
        for record in run.log.forgettings
        if record.forgotten is not None
    ]


def ending(run: Run) -> Text:
    """How the run ended and where it is."""
    return Text.assemble("run ", (run.run_id, "bold"), f": {run.status}, in {run.store.uri()}")


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"

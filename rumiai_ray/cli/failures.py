"""`rumiai-ray runs show RUN --failures`: the run's log of failures, for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rumiai_ray.cli.overview import failures
from rumiai_ray.cli.terminal import say, say_json

if TYPE_CHECKING:
    from rumiai_ray.runs.failure_log import LoggedFailure
    from rumiai_ray.runs.reader import Run


def print_failures(run: Run, *, as_json: bool = False) -> None:
    """Print every failure in the order in which the driver learned of it; where nothing was logged, what the tables say failed."""
    found = run.failures()
    if as_json:
        say_json([asdict(failure) for failure in found])
        return
    for failure in found:
        say("\n".join(_lines(failure)) + "\n")
    if found:
        return
    told = failures(run)
    if not told:
        say("no failures")
        return
    say("this run has no log of failures, because an earlier version wrote it or the log could not be written; its tables have:")
    for line in told:
        say(line)


def _lines(failure: LoggedFailure) -> list[str]:
    place = failure.model if failure.where == "model" else failure.where
    attempt = f", attempt {failure.attempt}" if failure.attempt is not None else ""
    lines = [f"{failure.time} {place}{attempt}: {failure.error}"]
    if failure.entry_id is not None:
        lines.append(f"  entry {failure.entry_id}" + (f", {failure.input}" if failure.input else ""))
    if failure.video_key is not None:
        lines.append(f"  video {failure.video_key}")
    text = failure.traceback or "no traceback: nothing was raised, as where a process was killed"
    return [*lines, *(f"  {line}" for line in text.rstrip().splitlines())]

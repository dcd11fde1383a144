"""`rumiai-ray runs why RUN ENTRY`: what became of one entry, and what happened to it on the way, from the run's tables and logs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from rumiai_ray.cli.terminal import counted, say, say_json
from rumiai_ray.errors import ConfigError
from rumiai_ray.runs.shards import Shard
from rumiai_ray.shown import one_line, shown_input

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.runs.failure_log import LoggedFailure
    from rumiai_ray.runs.history_log import AnalysisFact, HistoryLine
    from rumiai_ray.runs.reader import Run

_NEAR = 3
_IDS_LOOKED_AT = 100_000
"""Ids that are compared with one that does not exist."""
_NO_LOG = "the log has nothing of this entry: an earlier version wrote the run, its log was full, or it could not be written"


@dataclass(frozen=True)
class EntryOutcome:
    """How an entry ended, from the run's tables."""

    state: str | None
    """`committed`, `dead_lettered`, or None: it is not in the run."""
    sequence: int | None
    """Number of the commit record."""
    shard: int | None
    """Whose record it is, where the run has shards."""
    dead_letter: dict[str, Any] | None
    analyses: list[dict[str, Any]]


_UNKNOWN_NODE = "a machine that the log does not name"


@dataclass(frozen=True)
class EntryStory:
    """All that is known of one entry."""

    entry: Entry
    outcome: EntryOutcome
    history: list[tuple[str, HistoryLine]]
    """(session, line), of the entry and of the sessions that had to do with it."""
    failures: list[LoggedFailure]


def find_entries(entries: Iterable[Entry], name: str, subject: str) -> list[Entry]:
    """The entries that `name` stands for: the one with that id, else those with that input, else the one of that row.

    Args:
        entries: of the run.
        name: an id, an address or a path, or a number: the manifest's line, without a manifest the position on the command line.
        subject: the run, in words.

    Raises:
        ConfigError: there is none; the message names ids that are like it.
    """
    public, path = shown_input(name), os.path.abspath(name)  # noqa: PTH100 -- compared as text, nothing is opened
    with_input: list[Entry] = []
    of_row: list[Entry] = []
    ids: list[str] = []
    count = 0
    for count, entry in enumerate(entries, 1):
        if entry.entry_id == name:
            return [entry]
        if entry.input == public or entry.location in {name, path}:
            with_input.append(entry)
        if name.isdecimal() and name.isascii() and (entry.line or count) == int(name):
            of_row.append(entry)
        if count <= _IDS_LOOKED_AT:
            ids.append(entry.entry_id)
    if with_input or of_row:
        return with_input or of_row
    near = get_close_matches(name, ids, n=_NEAR)
    like = f"did you mean {', '.join(near)}?" if near else "give its id, its address, or its line in the manifest"
    raise ConfigError(f"no such entry among {count:,}", f"{public!r} in {subject}", like)


def tell_of(run: Run, entry: Entry) -> EntryStory:
    """What is known of one entry.

    Raises:
        StorageError: the run is damaged.
    """
    of_entry = [(session, line) for session, line in run.history() if line.entry in {None, entry.entry_id}]
    sessions = {session for session, line in of_entry if line.entry is not None}
    failures = [failure for failure in run.failures() if failure.entry_id == entry.entry_id]
    return EntryStory(
        entry, _outcome(run, entry.entry_id), [(session, line) for session, line in of_entry if session in sessions], failures
    )


def _outcome(run: Run, entry_id: str) -> EntryOutcome:
    state, sequence, shard = None, None, None
    for record in run.records:
        for name, ids in (("committed", record.committed), ("dead_lettered", record.dead_lettered)):
            if entry_id in ids:
                state, sequence, shard = name, record.sequence, record.shard
    if state is None:
        return EntryOutcome(None, None, None, None, [])
    if state == "dead_lettered":
        columns = ["entry_id", "stage", "error_class", "error_message", "attempts", "retryable"]
        rows = run.table("dead_letter", columns).filter(pc.field("entry_id") == entry_id).to_pylist()
        return EntryOutcome(state, sequence, shard, rows[-1] if rows else None, [])
    keys = run.table("videos", ["entry_id", "video_key"]).filter(pc.field("entry_id") == entry_id)["video_key"].to_pylist()
    columns = ["video_key", "model_name", "status", "detail", "attempts", "processing_time_s", "error_class", "error_message"]
    analyses = run.table("analyses", columns).filter(pc.field("video_key").isin(keys)).to_pylist()
    return EntryOutcome(state, sequence, shard, None, analyses)


def print_why(run: Run, told: EntryStory) -> None:
    """Print it for people."""
    entry = told.entry
    place = f", line {entry.line} of the manifest" if entry.line is not None else ""
    say(one_line(f"entry {entry.entry_id}{place}: {entry.input}"))
    for line in _outcome_lines(run, told):
        say(one_line(line))
    say("what happened, by the clocks of the machines that say so")
    events = sorted([*_of_history(told), *_of_failures(told.failures)])
    for at, text in events:
        say(one_line(f"  {at}  {text}"))
    if not any(line.entry for _, line in told.history):
        say(f"  {_NO_LOG}")
    for line in _cost_lines(told):
        say(one_line(line))


def print_json(run: Run, told: list[EntryStory]) -> None:
    """Print it for programs: a list, since several entries may have one input."""
    say_json(
        [
            {
                "run_id": run.run_id,
                "run_status": run.status,
                "entry_id": one.entry.entry_id,
                "input": one.entry.input,
                "manifest_line": one.entry.line,
                "outcome": vars(one.outcome),
                "history": [{"session": session} | line.model_dump(exclude_none=True) for session, line in one.history],
                "failures": [vars(failure) for failure in one.failures],
            }
            for one in told
        ]
    )


def _outcome_lines(run: Run, told: EntryStory) -> list[str]:
    outcome = told.outcome
    commit = f"commit {outcome.sequence}{'' if outcome.shard is None else f' of shard {outcome.shard}'}"
    match outcome.state:
        case None:
            count = run.manifest.shards
            which = f" --shard {Shard.holding(told.entry.input, count)}" if count > 1 else ""
            goes_on = f"it may still come, or `rumiai-ray runs resume {run.run_id}{which}` reads it"
            going = goes_on if run.status == "incomplete" else "it never came"
            return [f"outcome: not in the run, which is {run.status}: {going}"]
        case "dead_lettered":
            row = outcome.dead_letter
            said = (
                f" at {row['stage']}, after {counted(row['attempts'], 'attempt')}: {row['error_class']}: {row['error_message']}"
                if row
                else ""
            )
            again = f"; `rumiai-ray runs retry {run.run_id}` may help" if row and row["retryable"] else ""
            return [f"outcome: a dead letter ({commit}){said}{again}"]
        case _:
            copied = any(line.outcome == "copy" for _, line in told.history)
            note = "; its bytes were analysed for another entry" if copied else ""
            return [f"outcome: committed ({commit}){note}", *(f"  {_analysis(row)}" for row in outcome.analyses)]


def _analysis(row: dict[str, Any]) -> str:
    said = f"{row['model_name']}: {row['status']}"
    if row["error_class"]:
        said += f", {row['error_class']}: {row['error_message']}"
    elif row["detail"]:
        said += f", {row['detail']}"
    return said + (f" (after {row['attempts']} attempts)" if (row["attempts"] or 0) > 1 else "")


def _of_history(told: EntryStory) -> list[tuple[str, str]]:
    """(time, words) of each event."""
    events: list[tuple[str, str]] = []
    begun: dict[str, str] = {}
    reading: dict[str, int] = {}
    """By session, the place in `events` where its last reading begins. The driver learns of that late; the reader's clock knows."""
    ended = {session for session, line in told.history if line.event == "session_ends"}
    for session, line in told.history:
        match line.event:
            case "session_begins":
                begun[session] = line.time
                events.append((line.time, f"a driver on {line.node or _UNKNOWN_NODE} begins"))
            case "session_ends":
                events.append((line.time, f"the session ends: {line.detail}"))
            case "reading":
                again = f" for the {_nth(line.attempt)} time, the process before it died" if (line.attempt or 1) > 1 else ""
                reading[session] = len(events)
                events.append((line.time, f"{line.node or _UNKNOWN_NODE} begins to read it{again}"))
            case "lost":
                events.append((line.time, f"it is read again: {line.detail}"))
            case "put_off":
                events.append((line.time, f"it is left undone, `runs resume` takes it up: {line.detail}"))
            case "ended":
                if session in reading and line.reading is not None:
                    events[reading[session]] = (_time(line.reading.began), events[reading[session]][1])
                events += _of_end(line)
    for session in begun.keys() - ended:
        last = max(line.time for of, line in told.history if of == session)
        events.append((last, "the session's last line: the driver still works, or was killed"))
    return events


def _of_end(line: HistoryLine) -> list[tuple[str, str]]:
    events: list[tuple[str, str]] = []
    if line.reading is not None:
        events.append((_time(line.reading.began + line.reading.took_s), f"read on {line.reading.node}, in {_seconds(line.reading.took_s)}"))
    if line.analysis is not None:
        events += _of_analysis(line.analysis)
    how = {"committed": "it is in the run", "dead_letter": "it is in the run, as a dead letter", "copy": "it is in the run, as a copy"}
    return [*events, (line.time, how[line.outcome] if line.outcome else "it has ended, in a way that the log does not say")]


def _of_analysis(analysis: AnalysisFact) -> list[tuple[str, str]]:
    if analysis.began is None or analysis.ended is None:
        return []
    where = ", ".join(f"{count} on {node}" for node, count in sorted(analysis.nodes.items()))
    resent = f"; {counted(analysis.resent, 'row')} sent again, as a cell died or lost a model" if analysis.resent else ""
    took = (
        f"{counted(analysis.rows, 'row')} of work answered: {where}; {_seconds(analysis.ended - analysis.began)} from the first to the last"
    )
    return [(_time(analysis.began), "a cell begins with it"), (_time(analysis.ended), took + resent)]


def _of_failures(failures: list[LoggedFailure]) -> list[tuple[str, str]]:
    """(time, words) of each failure."""
    events = []
    for failure in failures:
        place = failure.model if failure.where == "model" else failure.where
        attempt = f", attempt {failure.attempt}" if failure.attempt is not None else ""
        node = f" on {failure.node}" if failure.node else ""
        events.append((failure.time, f"{place}{attempt}{node}: {failure.error}"))
    return events


def _cost_lines(told: EntryStory) -> list[str]:
    """What the entry cost, over all sessions; from the tables where the log does not say."""
    ends = [line for _, line in told.history if line.event == "ended"]
    parts = [f"reading {_seconds(line.reading.took_s)}" for line in ends if line.reading is not None]
    for line in ends:
        models = line.analysis.models if line.analysis is not None else {}
        parts += [f"{name} {_seconds(model.seconds)} ({_seconds(model.cpu_s)} of CPU)" for name, model in models.items()]
    if not ends:
        timed = [row for row in told.outcome.analyses if row["processing_time_s"] is not None]
        parts = [f"{row['model_name']} {_seconds(row['processing_time_s'])}" for row in timed]
    return [f"cost, without attempts that failed: {', '.join(parts)}"] if parts else []


def _time(since_1970_s: float) -> str:
    return datetime.fromtimestamp(since_1970_s, UTC).isoformat(timespec="milliseconds")


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"  # noqa: PLR2004 -- three digits are enough


def _nth(number: int | None) -> str:
    return {2: "second", 3: "third"}.get(number or 0, f"{number}th")

"""What a run says of itself: tables for people, one JSON document for machines. Both are read from the committed rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from rich.table import Table
from rich.text import Text

from rumiai_ray.cli.overview import ending, failures, forgettings, print_overview
from rumiai_ray.cli.terminal import SafeConsole, say_json
from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from rich.console import Console

    from rumiai_ray.runs.reader import Run

_SHOWN_ONE_BY_ONE = 20
"""Entries; a table for each of thousands is nothing to read."""
_STYLES = {Status.OK: "green", Status.EMPTY: "cyan", Status.DEGRADED: "yellow", Status.FAILED: "red", Status.SKIPPED: "dim"}


def summarise(run: Run) -> dict[str, Any]:
    """The document of `--json`: run, then one item per entry in order of commitment."""
    analyses: dict[str, dict[str, Any]] = {}
    for row in run.table("analyses").to_pylist():
        analyses.setdefault(row["video_key"], {})[row["model_name"]] = {
            "status": row["status"],
            "rows": row["rows"],
            "processing_time_s": row["processing_time_s"],
            "backend": row["backend"],
            "stand_in": row["stand_in"],
            "weights_sha256": row["weights_sha256"],
            "frames_planned": row["frames_planned"],
            "frames_analyzed": row["frames_analyzed"],
            "detail": row["detail"],
            "error": _error(row),
        }
    videos = [_video(row, analyses.get(row["video_key"], {})) for row in run.table("videos").to_pylist()]
    dead = [
        {
            "input": row["input"],
            "entry_id": row["entry_id"],
            "video_key": row["video_key"],
            "status": "dead_letter",
            "frame_store": None,
            "stage": row["stage"],
            "notes": row.get("notes") or [],
            "error": _error(row),
            "models": {},
        }
        for row in run.table("dead_letter").to_pylist()
    ]
    return {"run_id": run.run_id, "run_dir": run.store.uri(), "status": run.status, "videos": videos + dead}


def _video(row: dict[str, Any], models: dict[str, Any]) -> dict[str, Any]:
    failed = any(model["status"] == Status.FAILED for model in models.values())
    return {
        "input": row["input"],
        "entry_id": row["entry_id"],
        "video_key": row["video_key"],
        # Every run says of every video how each model ended; where none is named, the run is not as it was written.
        "status": "partial" if failed or not models else "complete",
        "frame_store": row["frame_store"],
        "duration_s": row["duration_s"],
        "problems": row["media_problems"],
        "notes": row.get("notes") or [],
        "error": None,
        "models": models,
    }


def _error(row: dict[str, Any]) -> dict[str, str] | None:
    return {"class": row["error_class"], "message": row["error_message"]} if row["error_class"] else None


def print_json(run: Run, out: TextIO | None = None) -> None:
    """The document on `out`, else on stdout, and nothing else."""
    say_json(summarise(run), out)


def print_tables(run: Run, out: TextIO | None = None) -> None:
    """One table per video, dead letters in words, and the line that opens the rows; of many videos an overview instead."""
    console = SafeConsole(file=out)
    if len(run.entries()) > _SHOWN_ONE_BY_ONE:
        for line in failures(run):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        print_overview(run, console)
    else:
        _print_videos(summarise(run), console)
    for line in forgettings(run):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(ending(run), highlight=False, soft_wrap=True)
    if not any(record.committed for record in run.records):
        console.print(Text("no video is committed", "dim"))
        return
    query = f"SELECT * FROM read_parquet('{run.store.uri()}/objects/*.parquet')"  # noqa: S608 -- shown, never run
    console.print(Text(f"open it in DuckDB:  {query}", "dim"), soft_wrap=True)


def _print_videos(document: dict[str, Any], console: Console) -> None:
    for video in document["videos"]:
        if video["status"] == "dead_letter":
            text = Text.assemble((f"{video['input']}\n", "bold"), (f"  dead letter: {video['error']['message']}", "red"))
            console.print(text, soft_wrap=True)
            continue
        facts = f"{video['duration_s']:.2f} s, {'frame store: ' + video['frame_store']}"
        table = Table(title=Text.assemble((video["input"], "bold"), f"  ({facts})"), title_justify="left")
        for heading in ("model", "status"):
            table.add_column(heading, overflow="fold")
        for heading in ("rows", "frames", "seconds"):
            table.add_column(heading, justify="right")
        table.add_column("backend", overflow="fold")
        for name, model in video["models"].items():
            table.add_row(*_cells(name, model))
        console.print(table)
        for problem in video["problems"]:
            console.print(Text(f"  media: {problem}", "yellow"), soft_wrap=True)
        for name, model in video["models"].items():
            reason = model["error"]["class"] + ": " + model["error"]["message"] if model["error"] else model["detail"]
            if reason:
                console.print(Text(f"  {name}: {reason}", "red" if model["error"] else "yellow"), soft_wrap=True)


def _cells(name: str, model: dict[str, Any]) -> tuple[Text | str, ...]:
    seconds = "" if model["processing_time_s"] is None else f"{model['processing_time_s']:.2f}"
    frames = "" if model["frames_planned"] is None else f"{model['frames_analyzed']}/{model['frames_planned']}"
    stand_in = " (stand-in)" if model["stand_in"] else ""
    status = model["status"]
    return name, Text(status, _STYLES.get(status, "")), str(model["rows"]), frames, seconds, model["backend"] + stand_in

"""Prints every verb of `corpus` with its output on five made runs: docs/corpus-commands.md from its first heading of a section on.

Use: PYTHONPATH=tests/support python tests/support/corpus_tour.py EMPTY_DIRECTORY [PAGE, whose sections are to be these]

The commands run in this process; `<SHA-256>` stands for digests and the directory's own path is left out, as both differ
from directory to directory; nothing else is changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from cohort_runs import liked_videos
from report_run import analysis_row, word_rows, write_run
from rumiai_ray.cli import app
from synthetic_run import object_row

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDER = Path(__file__).resolve().parents[1] / "runs/older/2026-11-27.tar.gz"
COLUMNS = 120
TRIED = datetime(2026, 11, 29, 2, tzinfo=UTC)
"""When the trial ended: after the run in older tables, so that this one is not what the others are compared with."""
BATCHES = 3
AGAIN = 4
"""Posts of the first batch that the last one has, too."""


@dataclass(frozen=True)
class Step:
    """A heading, a sentence, and commands."""

    heading: str
    sentence: str
    commands: tuple[str, ...]


STEPS = (
    Step(
        "Which runs are there?",
        "The trial has another setting, and one run was written in older tables. The first and the third batch share four posts.",
        ("rumiai-ray corpus ls 'runs/*'",),
    ),
    Step(
        "SQL over all of them",
        "Runs that cannot be compared are refused, unless they are allowed.",
        (
            "rumiai-ray corpus query 'runs/*' \"SELECT count(*) AS videos FROM videos\"",
            "rumiai-ray corpus query 'runs/*' \"SELECT count(*) AS videos FROM videos\" --allow-mixed",
            "rumiai-ray corpus query 'runs/batch-*' \"SELECT run_id, count(*) AS videos FROM videos GROUP BY 1 ORDER BY 1\"",
        ),
    ),
    Step("Where is a word?", "", ("rumiai-ray corpus search 'runs/batch-*' 'dog runs'",)),
    Step(
        "What do liked posts have more of?",
        "The most liked sixth was made with more cuts and captions in its hooks, and shorter.",
        ("rumiai-ray corpus compare 'runs/batch-*' --by like_count --top 10",),
    ),
    Step(
        "Files for others",
        "",
        (
            "rumiai-ray corpus report 'runs/batch-*' --title 'Three batches' --to batches.html",
            "rumiai-ray corpus export 'runs/batch-*' --format feature-csv --to features.csv",
            "rumiai-ray corpus export 'runs/batch-*' --format parquet --tables summary,windows --no-landmarks --to tables",
        ),
    ),
    Step(
        "Corrections",
        "Between the two commands somebody deletes one of four boxes.",
        (
            "rumiai-ray export batch-1 --format coco --no-pictures --to coco",
            "rumiai-ray corpus review batch-1 coco/annotations.json --by ann",
            "rumiai-ray corpus query 'runs/batch-*' \"SELECT backend, detections, reviewed_boxes, precision, recall FROM accuracy\"",
        ),
    ),
    Step(
        "Few large files",
        "",
        (
            "rumiai-ray corpus compact 'runs/batch-*' --to compacted",
            'rumiai-ray corpus query compacted "SELECT count(*) AS videos FROM videos"',
            "rumiai-ray corpus compact compacted --check",
        ),
    ),
    Step(
        "What is left to analyse?",
        "`posts.csv` has two posts that are in the runs, and one that is not.",
        ("rumiai-ray manifest minus posts.csv 'runs/*' --to left.csv",),
    ),
    Step("Before a creator is forgotten", "", ("rumiai-ray corpus forget 'runs/batch-*' --author @author-3 --dry-run",)),
)


def write_runs(place: Path) -> None:
    """Write five runs below `place`/runs, and `place`/posts.csv."""
    entries: dict[str, dict[str, list[dict[str, Any]]]] = liked_videos()
    for name, rows in entries.items():
        rows["videos"][0]["input"] = f"https://video.example/{name}.mp4"
    entries["post-01"] |= word_rows(["the", "dog", "runs"])
    entries["post-03"] |= word_rows(["a", "running", "dog"])
    seen = analysis_row("yolo", frames_seen=[0, 1], frames_planned=2, frames_analyzed=2)
    boxes = [object_row(frame, index, x1=200.0 * index, x2=200.0 * index + 100) for frame in range(2) for index in range(2)]
    entries["post-00"] |= {"analyses": [seen], "objects": boxes}
    names = list(entries)
    runs = place / "runs"
    batches = [names[number::BATCHES] for number in range(BATCHES)]
    batches[-1] += batches[0][-AGAIN:]
    for number, batch in enumerate(batches, start=1):
        dead = ("https://video.example/gone",) if number == 1 else ()
        write_run(
            runs, {name: entries[name] for name in batch}, dead=dead, run_id=f"batch-{number}", at=TRIED + timedelta(hours=6 * number)
        )
    trial = {name: entries[name] for name in names[:AGAIN]}
    write_run(runs, trial, run_id="trial", at=TRIED, result_settings={"ocr": {"engine": "easyocr"}})
    with tarfile.open(OLDER) as archive:
        archive.extractall(runs, filter="data")
    posts = "".join(f"https://video.example/{name}.mp4,{name}\n" for name in ("post-00", "post-59", "post-60"))
    (place / "posts.csv").write_text(f"input,id\n{posts}")


def delete_a_box(place: Path) -> None:
    """What somebody does in a labelling tool."""
    path = place / "coco/annotations.json"
    given = json.loads(path.read_text())
    given["annotations"].pop()
    path.write_text(json.dumps(given))


def tour(place: Path) -> str:
    """Make the runs in an empty directory and run every command there.

    Returns:
        Markdown: a section for each step.
    """
    with _inside(place):
        write_runs(place)
        return "\n".join(section for step in STEPS for section in _section(step, place))


@contextlib.contextmanager
def _inside(place: Path) -> Iterator[None]:
    """In that directory, with no setting from outside and nothing waiting for the disk."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RUMIAI_")}
    ours = {"COLUMNS": str(COLUMNS), "RUMIAI_OUT": "runs", "RUMIAI_STORE": "store"}
    with contextlib.chdir(place), patch.dict(os.environ, plain | ours, clear=True), patch("os.fsync"):
        yield


def _section(step: Step, place: Path) -> Iterator[str]:
    yield f"## {step.heading}\n"
    if step.sentence:
        yield f"{step.sentence}\n"
    yield "```"
    for number, command in enumerate(step.commands):
        yield f"$ {command}"
        yield from _normalised(_output(command), place).splitlines()
        if "--format coco" in command:
            delete_a_box(place)
        if number < len(step.commands) - 1:
            yield ""
    yield "```\n"


def _output(command: str) -> str:
    """What a command writes, on stdout and stderr, and its exit code where that is not 0."""
    said = BytesIO()
    text = TextIOWrapper(said, encoding="utf-8", write_through=True)
    code = 0
    with patch.object(sys, "argv", shlex.split(command)), contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            app.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    text.flush()
    return said.getvalue().decode() + (f"(exit code {code})\n" if code else "")


def _normalised(text: str, place: Path) -> str:
    shorter = text.replace(f"{place}{os.sep}", "").replace(str(place), ".")
    return "\n".join(line.rstrip() for line in re.sub(r"\b[0-9a-f]{64}\b", "<SHA-256>", shorter).splitlines())


if __name__ == "__main__":
    printed = tour(Path(sys.argv[1]).resolve())
    sys.stdout.write(printed)
    for page in map(Path, sys.argv[2:]):
        page.write_text(page.read_text(encoding="utf-8").partition("## ")[0] + printed, encoding="utf-8")

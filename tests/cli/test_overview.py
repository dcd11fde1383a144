"""What a person reads of a run over many videos."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from product import ROOT, rumiai_ray
from rumiai_ray.cli.overview import figures, named, print_overview
from rumiai_ray.runs.reader import Run, open_run
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import analysis_row, dead_letter_row, manifest, rows_of, stamped

if TYPE_CHECKING:
    from pathlib import Path

SUMMARY: dict[str, Any] = {
    "entries": {"committed": 1200, "dead_letter": 1},
    "elapsed_s": 3600.4,
    "videos_per_hour": 1199.9,
    "video_hours_per_day": 48.2,
    "speed_of_light": {"videos_per_hour": 1395.2, "bound_by": "cores", "share_reached": 0.86},
}


def run_of(place: Path, videos: int, summary: dict[str, Any]) -> Run:
    """A run over `videos` clips, the first of which has a failed model, and a dead letter."""
    writer = RunWriter.create(place, manifest())
    failed = analysis_row("yolo", "failed", error_class="ModelError", error_message="it crashed")
    names = [f"clip{number}" for number in range(videos)]
    for name in names:
        writer.add(rows_of(name))
        yolo = failed if name == "clip0" else analysis_row("yolo")
        writer.add({"analyses": stamped("analyses", [analysis_row("ocr"), yolo], name)})
    writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row("gone")], "gone")})
    writer.commit(names, ["gone"])
    writer.finish("partial", summary)
    return open_run(writer.run.uri())


def printed(run: Run) -> list[list[str]]:
    """The overview's lines, split at its columns."""
    console = Console(file=StringIO(), width=140)
    print_overview(run, console)
    out: str = console.file.getvalue()  # type: ignore[attr-defined]
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]


def test_each_model_has_its_counts_by_status_and_a_count_of_none_is_left_blank(tmp_path: Path) -> None:
    rows = {row[0]: row[1:6] for row in printed(run_of(tmp_path, 3, SUMMARY))}
    assert rows == {"ocr": ["3", "", "", "", ""], "yolo": ["2", "", "", "1", ""]}


def test_throughput_and_speed_of_light_are_told_in_words(tmp_path: Path) -> None:
    assert figures(run_of(tmp_path, 1, SUMMARY)) == [
        "1,200 entries committed, 1 dead letter",
        "throughput: 1,199.9 videos an hour, 48.2 hours of video a day, over 1:00:00 since Ray was ready",
        "speed of light: 1,395.2 videos an hour, bound by cores; 0.86 of it reached, loading and decoding included",
    ]


@pytest.mark.parametrize("summary", [{}, {"error": "ModelError: gone"}])
def test_a_run_that_ended_without_figures_has_none_to_tell(tmp_path: Path, summary: dict[str, Any]) -> None:
    assert figures(run_of(tmp_path, 1, summary)) == []


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("no such file", "InputError: no such file [a.mp4]"),
        ("a.mp4: no media file", "InputError: a.mp4: no media file"),
        ("a.mp4x: no media file", "InputError: a.mp4x: no media file [a.mp4]"),
    ],
)
def test_an_input_is_named_once(message: str, told: str) -> None:
    assert named("a.mp4", {"error_class": "InputError", "error_message": message}) == told


def test_runs_show_gives_few_videos_one_by_one_and_many_as_an_overview(tmp_path: Path) -> None:
    few, many = run_of(tmp_path / "few", 2, SUMMARY), run_of(tmp_path / "many", 21, SUMMARY)
    shown = rumiai_ray("runs", "show", few.store.uri(), cwd=ROOT).stdout
    assert "clip1.mp4" in shown
    shown = rumiai_ray("runs", "show", many.store.uri(), cwd=ROOT).stdout
    assert "clip1.mp4" not in shown
    assert "failed: yolo: ModelError: it crashed [clip0.mp4]" in shown
    assert "dead letter: InputError: no such file [gone.mp4]" in shown
    assert "1,200 entries committed" in shown

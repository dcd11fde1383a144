"""What a batch says of its progress, on a terminal and in a log."""

from __future__ import annotations

import io
from collections import Counter, defaultdict

from rich.console import Console

import fakes
from rumiai_ray.cli.batch_progress import BatchProgress
from rumiai_ray.engine.work.counts import Tally

MODELS = (fakes.plan("eye"), fakes.plan("ear"))


ONE_EACH = {"eye": 1, "ear": 1}
TWO_EACH = {"eye": 2, "ear": 2}


def tally(elapsed_s: float) -> Tally:
    """After `elapsed_s`: 6 committed, one of them with a failed model, 2 dead letters; `eye` was busy half of the time."""
    return Tally(
        Counter(committed=6, dead_letter=2),
        Counter({("eye", "ok"): 6, ("ear", "ok"): 5, ("ear", "failed"): 1}),
        defaultdict(float, eye=elapsed_s / 2, ear=elapsed_s / 4),
        frames=Counter(eye=round(elapsed_s * 30), ear=0),
        failures=Counter({"ingest: MediaError": 2, "ear: ModelError": 1}),
    )


def shown(progress: BatchProgress, elapsed_s: float) -> None:
    """Pretend that the run began `elapsed_s` ago."""
    progress._began -= elapsed_s
    progress._told -= elapsed_s
    progress.tick(8, 40, tally(elapsed_s))


def test_a_terminal_shows_a_bar_of_the_videos_and_one_of_each_models_busy_share() -> None:
    paper = io.StringIO()
    with BatchProgress(MODELS, ONE_EACH, console=Console(file=io.StringIO(), force_terminal=True)) as progress:
        shown(progress, 100.0)
        Console(file=paper, width=120).print(progress._bars.get_renderable())
    bars = {line.split()[0]: line for line in paper.getvalue().splitlines() if "━" in line}
    for figure in ("8/40", "2 dead letters", "1 failed models", "30.0 frames/s", "0:06:40 left"):
        assert figure in bars["videos"], bars
    assert "50% busy" in bars["eye"]
    assert "25% busy" in bars["ear"]


def test_a_log_gets_one_line_of_key_and_value_in_an_interval_and_one_at_the_end() -> None:
    log = io.StringIO()
    with BatchProgress(MODELS, TWO_EACH, console=Console(file=log), log_every_s=50.0) as progress:
        progress.tick(0, 40, Tally())
        shown(progress, 100.0)
        progress.tick(9, 40, tally(100.0))
    plans, lines = log.getvalue().splitlines()[:2], log.getvalue().splitlines()[2:]
    assert [line.split()[0] for line in plans] == ["eye", "ear"]
    assert len(lines) == 2, lines
    assert dict(pair.split("=") for pair in lines[0].split()) == {
        "elapsed_s": "100",
        "done": "8",
        "total": "40",
        "dead_letter": "2",
        "failed_models": "1",
        "frames_per_s": "30.0",
        "eta_s": "400",
        "busy_eye": "0.25",
        "busy_ear": "0.12",
        "failure_ear_ModelError": "1",
        "failure_ingest_MediaError": "2",
    }
    assert "done=9" in lines[1]


def test_before_the_first_video_is_done_nobody_claims_to_know_how_long_it_takes() -> None:
    log = io.StringIO()
    with BatchProgress(MODELS, ONE_EACH, console=Console(file=log)) as progress:
        progress.tick(0, 40, Tally())
    assert "eta_s=?" in log.getvalue()

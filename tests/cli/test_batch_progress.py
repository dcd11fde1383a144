"""What a batch says of its progress, on a terminal and in a log."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from dataclasses import replace

from rich.console import Console

import fakes
from rumiai_ray.cli.batch_progress import BatchProgress, line
from rumiai_ray.engine.results.progress import Phase, Progress
from rumiai_ray.engine.work.counts import Tally

MODELS = (fakes.plan("eye"), fakes.plan("ear"))
TALLY = Tally(
    Counter(committed=6, dead_letter=2),
    Counter({("eye", "ok"): 6, ("ear", "ok"): 5, ("ear", "failed"): 1}),
    defaultdict(float, eye=50.0, ear=25.0),
    frames=Counter(eye=3000, ear=0),
    video_s=60.0,
    failures=Counter({"ingest: MediaError": 2, "ear: ModelError": 1}),
)
AT_WORK = Progress(
    phase=Phase.ANALYSING,
    elapsed_s=100.4,
    models_loaded=2,
    models=2,
    cells=1,
    cells_wanted=1,
    rows=3,
    writing=4,
    total=40,
    done=8,
    video_s_known=180.0,
    video_s_analysed=95.25,
    video_s_total=400.0,
    eta_s=400.0,
    frames_per_s=30.0,
    busy={"eye": 0.5, "ear": 0.125},
    quiet_s=1.0,
    tally=TALLY,
)
AT_FIRST = replace(
    AT_WORK,
    phase=Phase.WAITING_FOR_CELLS,
    elapsed_s=0.3,
    models_loaded=0,
    cells=0,
    rows=0,
    writing=0,
    done=0,
    video_s_known=0.0,
    video_s_analysed=0.0,
    video_s_total=None,
    eta_s=None,
    frames_per_s=None,
    busy={"eye": None, "ear": None},
    tally=Tally(),
)


class Paper:
    """A log, and the clock of its writer."""

    def __init__(self) -> None:
        self.file = io.StringIO()
        self.now_s = 0.0
        self.progress = BatchProgress(MODELS, console=Console(file=self.file), clock=lambda: self.now_s)

    def told(self, progress: Progress, after_s: float = 0.25) -> list[dict[str, str]]:
        """The lines that are written when time has gone by."""
        begin = len(self.file.getvalue())
        self.now_s += after_s
        self.progress.tick(progress)
        return [pairs(text) for text in self.file.getvalue()[begin:].splitlines()]


def pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


def shown(progress: Progress) -> dict[str, str]:
    """The bars of a terminal by their first word."""
    now, paper = [0.0], io.StringIO()
    terminal = Console(file=io.StringIO(), force_terminal=True)
    with BatchProgress(MODELS, console=terminal, clock=lambda: now[0]) as bars:
        now[0] += 1
        bars.tick(progress)
        Console(file=paper, width=120).print(bars._bars.get_renderable())
    return {text.split()[0]: " ".join(text.split()) for text in paper.getvalue().splitlines() if text.strip()}


def test_a_terminal_shows_what_is_happening_the_seconds_of_video_the_entries_and_each_models_busy_share() -> None:
    bars = shown(AT_WORK)
    assert list(bars) == ["analysing", "videos", "eye", "ear"]
    for figure in ("95 of 180 s of video", "30.0 frames/s", "0:06:40 left"):
        assert figure in bars["analysing"]
    for figure in ("12 analysed, 6 committed of 40", "2 dead letters", "1 failed model"):
        assert figure in bars["videos"]
    assert "50% busy" in bars["eye"]
    assert "12% busy" in bars["ear"]


def test_a_terminal_says_from_the_start_what_is_waited_for_and_shows_no_figure_that_is_not_known() -> None:
    bars = shown(AT_FIRST)
    assert bars["waiting"].startswith("waiting for a first cell")
    assert bars["waiting"].endswith("no video read yet")
    assert "not loaded" in bars["eye"]
    loading = shown(replace(AT_FIRST, phase=Phase.LOADING_MODELS, models_loaded=1))
    assert loading["loading"].startswith("loading models, 1 of 2")


def test_a_line_of_the_log_has_the_same_figures_as_key_and_value() -> None:
    assert pairs(line(AT_WORK)) == {
        "elapsed_s": "100",
        "now": "analysing",
        "video_s_analysed": "95.2",
        "video_s_known": "180.0",
        "analysed": "12",
        "committed": "6",
        "dead_letter": "2",
        "done": "8",
        "total": "40",
        "failed_models": "1",
        "frames_per_s": "30.0",
        "eta_s": "400",
        "busy_eye": "0.50",
        "busy_ear": "0.12",
        "failure_ear_ModelError": "1",
        "failure_ingest_MediaError": "2",
    }


def test_what_is_not_known_is_a_question_mark_in_a_log() -> None:
    told = pairs(line(AT_FIRST))
    assert {told[key] for key in ("eta_s", "frames_per_s", "busy_eye", "busy_ear")} == {"?"}
    assert (told["now"], told["models_loaded"]) == ("waiting_for_cells", "0/2")


def test_a_log_says_at_once_what_is_happening_now_and_then_every_half_minute() -> None:
    paper = Paper()
    with paper.progress:
        plans = paper.file.getvalue().splitlines()
        assert [text.split()[0] for text in plans] == ["eye", "ear"]
        (first,) = paper.told(AT_FIRST)
        assert first["now"] == "waiting_for_cells"
        loading = replace(AT_FIRST, phase=Phase.LOADING_MODELS)
        assert [told["models_loaded"] for told in paper.told(loading)] == ["0/2"]
        assert paper.told(loading) == []
        assert [told["models_loaded"] for told in paper.told(replace(loading, models_loaded=1))] == ["1/2"]
        assert [told["now"] for told in paper.told(AT_WORK)] == ["analysing"]
        assert paper.told(AT_WORK, 29.0) == []
        assert len(paper.told(AT_WORK, 1.0)) == 1


def test_a_log_tells_of_a_phase_once_however_often_it_comes_back() -> None:
    paper = Paper()
    with paper.progress:
        decoding = replace(AT_WORK, phase=Phase.DECODING)
        told = [len(paper.told(progress)) for progress in (AT_WORK, decoding, AT_WORK, decoding, AT_WORK)]
    assert told == [1, 1, 0, 0, 0]


def test_the_last_line_of_a_log_tells_of_the_end() -> None:
    paper = Paper()
    with paper.progress:
        assert paper.told(replace(AT_WORK, phase=Phase.DONE, done=40)) == []
    assert pairs(paper.file.getvalue().splitlines()[-1])["done"] == "40"

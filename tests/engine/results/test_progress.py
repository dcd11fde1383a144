"""The progress of a run on a fake clock: it must say what an onlooker with a watch would see."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Console

from rumiai_ray.cli.batch_progress import BatchProgress
from rumiai_ray.engine.cell.messages import Activity, Index, ModelActivity, Outcome
from rumiai_ray.engine.results.drive_state import DriveState
from rumiai_ray.engine.results.progress import Phase, Progress, ProgressMeter
from rumiai_ray.engine.work.counts import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

QUICK = ("yolo", "whisper")
SLOW = "ocr"


@dataclass
class Actor:
    """One model's actor by the clock of its node."""

    loaded_s: float | None = None
    ended_s: float = 0.0
    """Time inside calls that have ended."""
    since_s: float | None = None
    """Start of the call under way."""

    def activity(self, now_s: float) -> ModelActivity:
        if self.loaded_s is None:
            return ModelActivity(1, 0, 0, 0.0, 0.0)
        under_way_s = 0.0 if self.since_s is None else now_s - self.since_s
        return ModelActivity(1, 1, 0, now_s - self.loaded_s, self.ended_s + under_way_s)


@dataclass
class Run:
    """A run as its driver sees it, second by second."""

    total: int = 122
    now_s: float = 0.0
    state: DriveState = field(init=False)
    actors: dict[str, Actor] = field(default_factory=lambda: {name: Actor() for name in (*QUICK, SLOW)})
    seen: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = DriveState(0, self.total, Tally(), cells=1, cells_wanted=1, reading=True)
        self.meter = ProgressMeter(list(self.actors), lambda: self.now_s)

    def look(self) -> Progress:
        said = [Activity("front", {name: actor.activity(self.now_s) for name, actor in self.actors.items()})] if self.state.cells else []
        self.seen.append(self.meter.look(replace(self.state, activity=said)))
        return self.seen[-1]

    def wait(self, seconds: float) -> Progress:
        """As much time goes by as that, with a look each second."""
        for _ in range(round(seconds)):
            self.now_s += 1
            self.look()
        return self.seen[-1]

    def load_all(self) -> None:
        for actor in self.actors.values():
            actor.loaded_s = self.now_s
        self.look()

    def begin(self, name: str) -> None:
        self.actors[name].since_s = self.now_s

    def end(self, name: str) -> None:
        actor = self.actors[name]
        assert actor.since_s is not None
        actor.ended_s += self.now_s - actor.since_s
        actor.since_s = None

    def analyse(self, entry: str, took_s: float, row: int = 0, rows: int = 1) -> None:
        """The slow model is in one call for `took_s`; then the row is back."""
        self.state = replace(self.state, rows=3)
        self.begin(SLOW)
        self.wait(took_s)
        self.end(SLOW)
        outcome = Outcome(1, took_s, 0, tuple(range(32)), 0.0, (), None)
        self.meter.answered(Index(entry, f"video of {entry}", row, rows, {SLOW: outcome}))
        self.look()

    def settle(self, *entries: str) -> None:
        """Entries are analysed and wait to be written."""
        self.state = replace(self.state, writing=self.state.writing + len(entries))

    def commit(self, *entries: str, video_s: float = 10.0) -> None:
        tally = Tally(video_s=self.state.tally.video_s + video_s * len(entries))
        tally.entries["committed"] = self.state.done + len(entries)
        self.state = replace(self.state, done=tally.entries.total(), writing=self.state.writing - len(entries), tally=tally)
        for entry in entries:
            self.meter.ended(entry)


def etas(seen: Sequence[Progress]) -> list[float]:
    return [progress.eta_s for progress in seen if progress.eta_s is not None]


def worked(run: Run, count: int, each_s: float, first: int = 0) -> list[str]:
    """Entries of 10 s each are read and analysed one after the other, and none of them committed."""
    names = [f"e{number}" for number in range(first, first + count)]
    for name in names:
        run.meter.measured({name: 10.0})
        run.analyse(name, each_s)
        run.settle(name)
    return names


def loaded(total: int = 122) -> Run:
    run = Run(total)
    run.wait(20)
    run.load_all()
    return run


def test_the_seen_batch_whose_text_model_works_for_four_minutes_at_one_call_is_told_as_it_was() -> None:
    run = loaded()
    run.commit(*worked(run, 36, 8.0))
    before = run.look()
    assert (before.done, round(before.busy[SLOW] or 0, 2)) == (36, 1.0)
    run.meter.measured({"long": 240.0})
    told = len(run.seen)
    run.analyse("long", 240.0)
    during = run.seen[told:]
    assert {progress.done for progress in during} == {36}
    assert all(progress.busy[SLOW] == 1.0 for progress in during), "187 % CPU, and it counted for 0.48"
    assert all(progress.busy[name] == 0.0 for progress in during for name in QUICK)
    assert {progress.phase for progress in during} == {Phase.ANALYSING}


def test_seconds_advance_while_no_entry_is_committed() -> None:
    run = loaded()
    run.commit(*worked(run, 36, 8.0))
    told = len(run.seen)
    worked(run, 20, 8.0, first=36)
    seen = run.seen[told:]
    assert {progress.done for progress in seen} == {36}
    assert (seen[0].video_s_analysed, run.look().video_s_analysed) == (360.0, 560.0)
    assert run.look().tally.video_s == 360.0
    assert run.look().analysed == 56


def test_rows_of_a_long_video_count_as_they_come_back() -> None:
    run = loaded(total=1)
    run.meter.measured({"film": 600.0})
    told = []
    for row in range(10):
        run.analyse("film", 30.0, row, 10)
        told.append(run.look())
    assert [round(progress.video_s_analysed) for progress in told] == [60 * (row + 1) for row in range(10)]
    assert {progress.analysed for progress in told} == {0}
    assert [round(progress.eta_s or -1) for progress in told[:3]] == [270, 240, 210]


def test_the_time_left_runs_down_with_the_clock_where_nothing_gets_slower() -> None:
    run = loaded()
    worked(run, 60, 8.0)
    left = etas(run.seen)
    assert all(after <= before for before, after in pairwise(left)), left
    assert round(left[-1]) == 62 * 8
    assert left[0] - left[-1] == run.now_s - next(one.elapsed_s for one in run.seen if one.eta_s is not None)


def test_start_up_costs_no_speed() -> None:
    slow_start = loaded()
    slow_start.meter = ProgressMeter([*QUICK, SLOW], lambda: slow_start.now_s)
    for actor in slow_start.actors.values():
        actor.loaded_s = None
    slow_start.wait(300)
    slow_start.load_all()
    worked(slow_start, 10, 8.0)
    assert round(slow_start.look().eta_s or -1) == 112 * 8


def test_a_call_that_takes_longer_than_any_before_holds_the_time_left_and_then_raises_it() -> None:
    run = loaded()
    worked(run, 30, 8.0)
    at_its_begin = run.look().eta_s
    assert at_its_begin is not None
    told = len(run.seen)
    run.meter.measured({"slow": 10.0})
    run.analyse("slow", 80.0)
    left = etas(run.seen[told:])
    assert left[7] == at_its_begin - 8
    assert all(after > before for before, after in pairwise(left[7:-1])), "it gets slower, and that is said"
    assert left[-1] > at_its_begin


def test_the_time_left_counts_seconds_of_video_and_not_entries() -> None:
    run = loaded(total=12)
    run.meter.measured({"film": 1000.0} | {f"e{number}": 10.0 for number in range(11)})
    for number in range(10):
        run.analyse(f"e{number}", 2.0)
    assert round(run.look().eta_s or -1) == 202, "eleven in twelve entries are nearly done, and a tenth of the seconds"


def test_entries_that_have_not_been_read_count_as_much_as_the_mean_of_those_that_have() -> None:
    run = loaded(total=40)
    run.meter.measured({"a": 10.0, "b": 30.0, "copy of a": 0.0, "dead": 0.0})
    progress = run.look()
    assert (progress.video_s_known, progress.video_s_total) == (40.0, 400.0)


def test_a_video_that_is_said_to_be_read_twice_or_answered_twice_counts_once() -> None:
    run = loaded()
    for _ in range(2):
        run.meter.measured({"a": 10.0})
        run.analyse("a", 5.0, 0, 2)
    assert (run.look().video_s_known, run.look().video_s_analysed) == (10.0, 5.0)
    run.analyse("a", 5.0, 1, 2)
    run.commit("a")
    run.meter.measured({"a": 10.0})
    run.analyse("a", 5.0, 0, 2)
    assert (run.look().video_s_known, run.look().video_s_analysed) == (10.0, 10.0)


def test_what_a_dead_letter_leaves_unanswered_is_not_waited_for() -> None:
    run = loaded()
    run.meter.measured({"dead": 10.0})
    run.analyse("dead", 5.0, 0, 4)
    run.meter.ended("dead")
    assert run.look().video_s_analysed == 10.0


def test_no_time_left_is_told_while_nothing_with_a_length_has_been_read() -> None:
    run = loaded(total=1000)
    run.commit(*(f"dead{number}" for number in range(20)), video_s=0.0)
    progress = run.wait(60)
    assert (progress.video_s_total, progress.eta_s) == (None, None)
    worked(run, 10, 8.0)
    progress = run.look()
    assert progress.video_s_total is not None
    assert round(progress.video_s_total) == 3333
    assert progress.eta_s is not None
    assert progress.eta_s > 2000


def test_a_run_of_entries_without_any_length_has_no_time_left_once_all_are_read() -> None:
    run = loaded(total=2)
    run.commit("dead", "gone", video_s=0.0)
    assert (run.look().video_s_total, run.look().eta_s) == (0.0, 0.0)


def test_a_dead_letter_in_the_middle_of_a_video_leaves_the_pace_as_it_was() -> None:
    run = loaded()
    worked(run, 20, 8.0)
    run.meter.measured({"broken": 10.0})
    run.analyse("broken", 8.0, 0, 2)
    before = run.look()
    run.meter.measured({"broken": 0.0})
    run.meter.ended("broken")
    after = run.look()
    assert (before.video_s_analysed, after.video_s_analysed) == (205.0, 200.0)
    assert None not in (before.eta_s, after.eta_s)
    assert after.frames_per_s == before.frames_per_s
    assert round(after.eta_s or -1) == round((200 * 122 / 21 - 200) * 168 / 205), "205 s took 168 s"


def test_entries_that_go_round_again_are_analysed_again() -> None:
    run = loaded()
    worked(run, 3, 8.0)
    assert run.look().eta_s is not None
    run.meter.again(["e2", "never read"])
    progress = run.look()
    assert (progress.eta_s, progress.frames_per_s) == (None, None), "the second round is measured for itself"
    assert (progress.video_s_known, progress.video_s_analysed) == (20.0, 20.0)
    worked(run, 1, 8.0, first=2)
    assert run.look().video_s_analysed == 30.0


def test_the_phases_of_a_run_are_told_one_after_the_other() -> None:
    run = Run(total=2)
    run.state = replace(run.state, cells=0, cells_wanted=1)
    assert run.look().phase == Phase.WAITING_FOR_CELLS
    run.state = replace(run.state, cells=1)
    told = []
    for name in ("whisper", "yolo", "ocr"):
        told.append((run.look().phase, run.look().models_loaded))
        run.actors[name].loaded_s = run.now_s
    assert told == [(Phase.LOADING_MODELS, count) for count in range(3)]
    assert (run.look().phase, run.look().models_loaded, run.look().models) == (Phase.DECODING, 3, 3)
    run.state = replace(run.state, rows=2)
    assert run.look().phase == Phase.ANALYSING
    run.state = replace(run.state, rows=0, reading=False, writing=2, cells=0, cells_wanted=0)
    assert run.look().phase == Phase.WRITING
    run.state = replace(run.state, writing=0, done=2, last=True)
    assert run.look().phase == Phase.DONE


def test_what_is_not_known_yet_is_none_and_not_zero() -> None:
    run = Run()
    progress = run.wait(30)
    assert (progress.eta_s, progress.frames_per_s, progress.video_s_total) == (None, None, None)
    assert set(progress.busy.values()) == {None}
    run.load_all()
    assert set(run.wait(1).busy.values()) == {0.0}


def test_a_busy_share_is_of_the_last_half_minute() -> None:
    run = loaded()
    run.begin(SLOW)
    run.wait(300)
    run.end(SLOW)
    assert run.look().busy[SLOW] == 1.0
    assert run.wait(15).busy[SLOW] == 0.5
    assert run.wait(15).busy[SLOW] == 0.0


def test_a_front_that_is_restarted_or_replaced_changes_no_busy_share() -> None:
    run = loaded()
    run.begin(SLOW)
    run.wait(60)
    meter, state = run.meter, run.state
    for second in range(1, 10):
        run.now_s += 1
        again = {name: ModelActivity(1, 1, 0, second, second if name == SLOW else 0.0) for name in run.actors}
        progress = meter.look(replace(state, activity=[Activity("front after its restart", again)]))
        assert progress.busy[SLOW] == 1.0


def test_no_busy_share_is_told_of_cells_that_have_been_silent_for_as_long() -> None:
    run = loaded()
    run.begin(SLOW)
    run.wait(60)
    run.state = replace(run.state, cells=0)
    assert run.wait(29).busy[SLOW] == 1.0
    assert run.wait(1).busy[SLOW] is None


def test_a_model_that_is_lost_for_good_keeps_nobody_waiting() -> None:
    run = Run()
    run.load_all()
    lost = {name: actor.activity(0.0) for name, actor in run.actors.items()} | {SLOW: ModelActivity(2, 0, 2, 0.0, 0.0)}
    assert run.meter.look(replace(run.state, activity=[Activity("front", lost)], rows=1)).phase == Phase.ANALYSING


def test_one_cell_that_can_work_is_enough_for_the_run_to_go_on() -> None:
    run = Run()
    run.load_all()
    can = Activity("one", {name: actor.activity(0.0) for name, actor in run.actors.items()})
    loads = Activity("other", {name: Actor().activity(0.0) for name in run.actors})
    assert run.meter.look(replace(run.state, activity=[loads, can], rows=1)).phase == Phase.ANALYSING
    assert run.meter.look(replace(run.state, activity=[loads], rows=1)).phase == Phase.LOADING_MODELS


class LoggedRun(Run):
    """A run whose progress is written to a log, beside what its onlooker saw on the clock when each line came."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.paper = io.StringIO()
        self.log = BatchProgress([], console=Console(file=self.paper, width=2000), clock=lambda: self.now_s)
        self.lines: list[tuple[float, dict[str, str]]] = []

    def look(self) -> Progress:
        begin = len(self.paper.getvalue())
        progress = super().look()
        self.log.tick(progress)
        for text in self.paper.getvalue()[begin:].splitlines():
            self.lines.append((self.now_s, dict(pair.split("=") for pair in text.split())))
        return progress


def test_each_line_of_a_batchs_log_is_right_against_the_clock() -> None:
    """Twelve seconds of start-up, then 40 videos of 10 s that take 8 s each in one call, committed ten at a time."""
    run = LoggedRun(total=40)
    run.look()
    run.wait(12)
    run.load_all()
    committed_at: list[tuple[float, int]] = [(0.0, 0)]
    ended_s: list[float] = []
    for first in range(0, 40, 10):
        names = []
        for number in range(first, first + 10):
            names.append(f"e{number}")
            run.meter.measured({names[-1]: 10.0})
            run.analyse(names[-1], 8.0)
            ended_s.append(run.now_s)
            run.settle(names[-1])
        run.commit(*names)
        committed_at.append((run.now_s, first + 10))
        run.look()
    end_s = run.now_s
    assert end_s == 12 + 40 * 8
    assert run.lines[0][0] == 0.0, "a batch says something at once"
    assert max(after - before for (before, _), (after, _) in pairwise(run.lines)) <= 31
    assert len(run.lines) >= end_s / 31
    for at_s, told in run.lines:
        assert int(told["elapsed_s"]) == round(at_s)
        analysed = sum(end <= at_s for end in ended_s)
        assert float(told["video_s_analysed"]) in {10.0 * analysed, 10.0 * max(analysed - 1, 0)}, "the row of this second, or all before it"
        assert int(told["committed"]) in {count for when, count in committed_at if when <= at_s}
        assert int(told["committed"]) >= max(count for when, count in committed_at if when < at_s or when == 0)
        # At twelve seconds the models are there, and the first frames are not yet.
        assert told["now"] == ("loading_models" if at_s < 12 else "decoding" if at_s == 12 else "analysing"), (at_s, told)
        if told["eta_s"] != "?" and analysed >= 3:
            assert abs(float(told["eta_s"]) - (end_s - at_s)) <= 9, (at_s, told)
        if at_s >= 12 + 30:
            assert float(told[f"busy_{SLOW}"]) >= 0.95
            assert all(float(told[f"busy_{name}"]) == 0.0 for name in QUICK)
    assert sum(told["eta_s"] != "?" for _, told in run.lines) >= 8

"""The progress of a run: one set of figures, computed once, which the terminal, the log and Prometheus show alike."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rumiai_ray.engine.results.pace import Pace
from rumiai_ray.engine.results.video_seconds import VideoSeconds
from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rumiai_ray.engine.cell.messages import Activity, Index
    from rumiai_ray.engine.results.drive_state import DriveState
    from rumiai_ray.engine.work.counts import Tally

_BUSY_WINDOW_S = 30.0
"""What a busy share is measured over: the time between two lines in a log."""


class Phase(StrEnum):
    """What a run is doing now."""

    WAITING_FOR_CELLS = "waiting_for_cells"
    """No node has room for a cell yet, or the first cell is being started."""
    LOADING_MODELS = "loading_models"
    """No cell has all of its models loaded yet. Videos are fetched and decoded meanwhile."""
    DECODING = "decoding"
    """The models have nothing to do: videos are being fetched and decoded."""
    ANALYSING = "analysing"
    """Rows of work are in flight at the models. Further videos are fetched and decoded meanwhile."""
    WRITING = "writing"
    """Everything is analysed; what is left is to commit."""
    DONE = "done"


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    phase: Phase
    elapsed_s: float
    """Since Ray was there."""
    models_loaded: int
    """Models that can work, in the cell that has most of them."""
    models: int
    cells: int
    cells_wanted: int
    """Cells asked for, those included that are there."""
    rows: int
    """Rows of work in the cells."""
    writing: int
    """Entries that are analysed and not in the run yet."""
    total: int
    """Entries given to the run."""
    done: int
    """Entries that are in the run: committed or dead-lettered."""
    video_s_known: float
    """Seconds of video of the entries that have been read."""
    video_s_analysed: float
    """Of them, the seconds that all models have answered for."""
    video_s_total: float | None
    """`video_s_known`, and for each entry that has not been read the mean of those that have. None while entries are left to be read and
    none that has been read has a length: dead letters and copies of other entries have none."""
    eta_s: float | None
    """Until everything is analysed; None while `video_s_total` is, or too little has come back since the models were loaded."""
    frames_per_s: float | None
    """Frames that the model which has seen most frames has answered for; over the same time as `eta_s`."""
    busy: Mapping[str, float | None]
    """By model, the share of its actors' time inside calls over the last 30 s, calls under way included; None while it is not loaded."""
    quiet_s: float
    """Since there was any news."""
    tally: Tally
    """Counts of all that is committed."""
    activity: tuple[Activity, ...] = ()
    """What the cells have said last of their models."""

    @property
    def analysed(self) -> int:
        """Entries all of whose rows are back, in the run or not."""
        return self.done + self.writing

    @property
    def failed_models(self) -> int:
        """Analyses in the run that failed."""
        return sum(count for (_, status), count in self.tally.statuses.items() if status == Status.FAILED)


class ProgressMeter:
    """Computes a run's progress from what the driver's loop tells.

    Args:
        models: the models' names.
        clock: `time.monotonic`.
    """

    def __init__(self, models: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._seconds = VideoSeconds()
        self._pace = Pace()
        self._busy = _BusyShares(tuple(models), clock)
        self._frames: Counter[str] = Counter()

    def measured(self, lengths_s: Mapping[str, float]) -> None:
        """Entries have been read: by entry, the seconds of video that are analysed for it."""
        for entry_id, length_s in lengths_s.items():
            self._seconds.measured(entry_id, length_s)

    def answered(self, index: Index) -> None:
        """A row of work is back."""
        if index.header is not None:
            self._seconds.measured(index.entry_id, index.header.length_s)
        self._seconds.answered(index.entry_id, index.batch_index, index.batch_count)
        self._frames.update({model: len(outcome.frames) for model, outcome in index.outcomes.items()})

    def ended(self, entry_id: str) -> None:
        """An entry is in the run."""
        self._seconds.ended(entry_id)

    def again(self, entry_ids: Iterable[str]) -> None:
        """These entries have lost rows and are read again from the start."""
        self._seconds.again(entry_ids)
        if self._pace.begun:
            self._pace.begin(self._clock(), self._seconds.analysed_s, self._most_frames)

    def look(self, state: DriveState) -> Progress:
        """The progress now. To be called several times a second: the pace is measured with it."""
        now_s, seconds = self._clock(), self._seconds
        models = self._busy.models
        loaded = models_loaded(state.activity)
        phase = _phase(state, all_loaded=loaded >= len(models))
        self._busy.look(state.activity)
        if self._pace.begun:
            self._pace.advance(now_s, seconds.analysed_s, self._most_frames)
        elif phase in {Phase.DECODING, Phase.ANALYSING}:
            self._pace.begin(now_s)
        total_s = _extrapolated(seconds, state.total)
        left_s = None if total_s is None else max(total_s - seconds.analysed_s, 0.0)
        return Progress(
            phase=phase,
            elapsed_s=now_s - self._began_s,
            models_loaded=loaded,
            models=len(models),
            cells=state.cells,
            cells_wanted=state.cells_wanted,
            rows=state.rows,
            writing=state.writing,
            total=state.total,
            done=state.done,
            video_s_known=seconds.known_s,
            video_s_analysed=seconds.analysed_s,
            video_s_total=total_s,
            eta_s=0.0 if phase in {Phase.WRITING, Phase.DONE} else None if left_s is None else self._pace.left_s(now_s, left_s),
            frames_per_s=self._pace.frames_per_s(now_s),
            busy=self._busy.shares(),
            quiet_s=state.quiet_s,
            tally=state.tally,
            activity=tuple(state.activity),
        )

    @property
    def _most_frames(self) -> int:
        """Frames that the model which has seen most frames has answered for."""
        return max(self._frames.values(), default=0)


def models_loaded(activity: Iterable[Activity]) -> int:
    """Models that no row of work waits for any more, in the cell that has most of them."""
    return max((sum(one.settled for one in said.models.values()) for said in activity), default=0)


def _phase(state: DriveState, *, all_loaded: bool) -> Phase:
    if state.last:
        return Phase.DONE
    if not state.reading and not state.rows:
        return Phase.WRITING
    if not state.cells:
        return Phase.WAITING_FOR_CELLS if state.cells_wanted else Phase.DECODING
    if not all_loaded:
        return Phase.LOADING_MODELS
    return Phase.ANALYSING if state.rows else Phase.DECODING


def _extrapolated(seconds: VideoSeconds, entries: int) -> float | None:
    """Seconds of video in `entries` entries, if those that have not been read are like those that have; None while no length is known."""
    if not seconds.known_s:
        return 0.0 if seconds.entries >= entries else None
    return seconds.known_s * max(entries / seconds.entries, 1.0)


class _BusyShares:
    """By model, the time inside calls over the time its actors had since they loaded it.

    Args:
        models: their names.
        clock: `time.monotonic`.
    """

    def __init__(self, models: tuple[str, ...], clock: Callable[[], float]) -> None:
        self.models = models
        self._clock = clock
        self._said: dict[str, Activity] = {}
        """What each front has said last, those included that are gone: its times stay in the sums."""
        self._sums: deque[tuple[float, dict[str, tuple[float, float]]]] = deque([(clock(), {})])
        """(when, by model (ready_s, busy_s) of all cells), oldest first; the first is as old as the window, or the run."""

    def look(self, activity: Iterable[Activity]) -> None:
        """Note what the cells have said last."""
        news = {said.front: said for said in activity if self._said.get(said.front) != said}
        if not news:
            return
        self._said |= news
        sums: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for said in self._said.values():
            for name, model in said.models.items():
                ready_s, busy_s = sums[name]
                sums[name] = ready_s + model.ready_s, busy_s + model.busy_s
        now_s = self._clock()
        self._sums.append((now_s, dict(sums)))
        while self._sums[1][0] <= now_s - _BUSY_WINDOW_S:
            self._sums.popleft()

    def shares(self) -> dict[str, float | None]:
        """By model; None while it has not been loaded within the window, or no cell has said anything for as long."""
        fresh = self._sums[-1][0] > self._clock() - _BUSY_WINDOW_S
        return {name: self._share(name) if fresh else None for name in self.models}

    def _share(self, name: str) -> float | None:
        before, now = (sums.get(name, (0.0, 0.0)) for _, sums in (self._sums[0], self._sums[-1]))
        ready_s = now[0] - before[0]
        return (now[1] - before[1]) / ready_s if ready_s > 0 else None

"""Progress of a batch, on stderr: bars on a terminal; in a log one line of key=value every 30 s, and one for each new phase."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from rumiai_ray.cli.terminal import SafeConsole, counted
from rumiai_ray.engine.results.progress import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from rumiai_ray.engine.results import progress as figures
    from rumiai_ray.models.base import ModelPlan

_DRAW_S = 0.5
_STARTING = {Phase.WAITING_FOR_CELLS, Phase.LOADING_MODELS}
_UNKNOWN = "?"
_ABOVE_THE_MODELS = {"seconds": "starting", "entries": "videos"}
"""What the first bars are called at first: one of the seconds of video, one of the entries."""


class BatchProgress:
    """An `engine.batch.Watcher`. A context: bars are drawn while it is open, the last line is written when it closes.

    Args:
        models: what runs.
        console: where to.
        log_every_s: between two lines where there is no terminal.
        clock: `time.monotonic`.
    """

    def __init__(
        self,
        models: Sequence[ModelPlan],
        *,
        console: Console | None = None,
        log_every_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or SafeConsole(stderr=True)
        self._models = models
        self._log_every_s = log_every_s
        self._clock = clock
        self._began_s = self._told_s = clock()
        self._told_of: set[tuple[Phase, int]] = set()
        """(phase, models loaded) that a line of the log has told of."""
        self._last: figures.Progress | None = None
        self._bars = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(30), TextColumn("{task.fields[figures]}", markup=False),
            console=self._console, transient=True, refresh_per_second=1 / _DRAW_S, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    @property
    def elapsed_s(self) -> float:
        """Time since this was made."""
        return self._clock() - self._began_s

    def tick(self, progress: figures.Progress) -> None:
        """Say where the run is, not more often than a person or a log wants."""
        self._last = progress
        since_s = self._clock() - self._told_s
        if self._console.is_terminal:
            if since_s >= _DRAW_S:
                self._told_s = self._clock()
                self._draw(progress)
        elif progress.phase != Phase.DONE and (since_s >= self._log_every_s or _step(progress) not in self._told_of):
            self._told_s = self._clock()
            self._told_of.add(_step(progress))
            self._print(line(progress))

    def __enter__(self) -> Self:
        for model in self._models:
            note = model.remark
            self._print(f"{model.name:10} {model.backend} {model.version}, {model.device} {model.precision}{note}")
        self._tasks = {name: self._bars.add_task(text, total=None, figures="") for name, text in _ABOVE_THE_MODELS.items()}
        self._tasks |= {model.name: self._bars.add_task(f"  {model.name}", total=1.0, figures="") for model in self._models}
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        if self._last:
            self._print(line(self._last))

    def _draw(self, progress: figures.Progress) -> None:
        seconds, entries = self._tasks["seconds"], self._tasks["entries"]
        analysed_s, total_s = progress.video_s_analysed, progress.video_s_total
        self._bars.update(
            seconds, description=doing(progress), completed=analysed_s, total=total_s, figures="  ".join(of_seconds(progress))
        )
        self._bars.update(entries, completed=progress.done, total=progress.total, figures="  ".join(of_entries(progress)))
        for name, busy in progress.busy.items():
            self._bars.update(self._tasks[name], completed=busy or 0.0, figures="not loaded" if busy is None else f"{busy:.0%} busy")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def line(progress: figures.Progress) -> str:
    """The progress as one line of key=value, for a log; `?` for what is not known."""
    pairs: dict[str, object] = {"elapsed_s": f"{progress.elapsed_s:.0f}", "now": progress.phase.value}
    if progress.phase in _STARTING:
        pairs["models_loaded"] = f"{progress.models_loaded}/{progress.models}"
    pairs |= {
        "video_s_analysed": f"{progress.video_s_analysed:.1f}",
        "video_s_known": f"{progress.video_s_known:.1f}",
        "analysed": progress.analysed,
        "committed": progress.tally.entries["committed"],
        "dead_letter": progress.tally.entries["dead_letter"],
        "done": progress.done,
        "total": progress.total,
        "failed_models": progress.failed_models,
        "frames_per_s": _number(progress.frames_per_s, 1),
        "eta_s": _number(progress.eta_s, 0),
    }
    pairs |= {f"busy_{name}": _number(busy, 2) for name, busy in progress.busy.items()}
    pairs |= {f"failure_{name.replace(': ', '_')}": count for name, count in sorted(progress.tally.failures.items())}
    return " ".join(f"{name}={value}" for name, value in pairs.items())


def _step(progress: figures.Progress) -> tuple[Phase, int]:
    """What a log is told of at once when it is new."""
    return progress.phase, progress.models_loaded if progress.phase == Phase.LOADING_MODELS else 0


def _number(value: float | None, digits: int) -> str:
    return _UNKNOWN if value is None else f"{value:.{digits}f}"


def doing(progress: figures.Progress) -> str:
    """What the run does now, in words."""
    match progress.phase:
        case Phase.WAITING_FOR_CELLS:
            return "waiting for a first cell"
        case Phase.LOADING_MODELS:
            return f"loading models, {progress.models_loaded} of {progress.models}"
        case Phase.DECODING:
            return "fetching and decoding"
        case phase:
            return phase.value


def of_seconds(progress: figures.Progress) -> list[str]:
    """Seconds of video, rate and time left, in words."""
    if not progress.video_s_known:
        return ["no video read yet"]
    told = [f"{progress.video_s_analysed:.0f} of {progress.video_s_known:.0f} s of video"]
    if progress.frames_per_s is not None:
        told.append(f"{progress.frames_per_s:.1f} frames/s")
    if progress.eta_s is not None:
        told.append(f"{timedelta(seconds=round(progress.eta_s))} left")
    return told


def of_entries(progress: figures.Progress) -> list[str]:
    """Entries by how far they are, in words."""
    entries = progress.tally.entries
    told = [f"{progress.analysed} analysed, {entries['committed']} committed of {progress.total}"]
    return [*told, counted(entries["dead_letter"], "dead letter"), counted(progress.failed_models, "failed model")]

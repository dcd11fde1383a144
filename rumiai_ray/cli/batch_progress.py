"""Progress of a batch, on stderr: bars on a terminal, one line of key=value every 30 s in a log."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from rumiai_ray.cli.terminal import SafeConsole
from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from rumiai_ray.engine.work.counts import Tally
    from rumiai_ray.models.base import ModelPlan

_DRAW_S = 0.5


class BatchProgress:
    """An `engine.batch.Watcher`. A context: bars are drawn while it is open, the last line is written when it closes.

    A model's busy share is the time inside it over the time since this was made, start-up included; what is
    analysed and not yet committed does not count.

    Args:
        models: what runs.
        actors: by model, how many there are; a share is of all of them.
        console: where to.
        log_every_s: between two lines where there is no terminal.
    """

    def __init__(
        self, models: Sequence[ModelPlan], actors: Mapping[str, int], *, console: Console | None = None, log_every_s: float = 30.0
    ) -> None:
        self._console = console or SafeConsole(stderr=True)
        self._models = models
        self._actors = actors
        self._log_every_s = log_every_s
        self._began = time.monotonic()
        self._told = self._began
        self._last: tuple[int, int, Tally] | None = None
        self._bars = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(30), TextColumn("{task.fields[figures]}", markup=False),
            console=self._console, transient=True, refresh_per_second=1 / _DRAW_S, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    @property
    def elapsed_s(self) -> float:
        """Time since this was made."""
        return time.monotonic() - self._began

    def tick(self, done: int, total: int, tally: Tally) -> None:
        """Say where the run is, not more often than a person or a log wants."""
        self._last = done, total, tally
        if time.monotonic() - self._told < (_DRAW_S if self._console.is_terminal else self._log_every_s):
            return
        self._told = time.monotonic()
        if self._console.is_terminal:
            self._draw(done, total, tally)
        else:
            self._print(self._describe(done, total, tally))

    def __enter__(self) -> Self:
        for model in self._models:
            note = model.remark
            self._print(f"{model.name:10} {model.backend} {model.version}, {model.device} {model.precision}{note}")
        self._tasks = {name: self._bars.add_task(name, total=None, figures="starting") for name in ("videos",)}
        self._tasks |= {model.name: self._bars.add_task(f"  {model.name}", total=1.0, figures="") for model in self._models}
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        if self._last:
            self._print(self._describe(*self._last))

    def _draw(self, done: int, total: int, tally: Tally) -> None:
        left_s = self._left_s(done, total)
        figures = [f"{done}/{total}", f"{tally.entries['dead_letter']} dead letters", f"{_failed(tally)} failed models"]
        figures += [f"{self._frames_per_s(tally):.1f} frames/s", "" if left_s is None else f"{timedelta(seconds=round(left_s))} left"]
        self._bars.update(self._tasks["videos"], completed=done, total=total, figures="  ".join(figures))
        for model in self._models:
            busy = self._busy(model.name, tally)
            self._bars.update(self._tasks[model.name], completed=busy, figures=f"{busy:.0%} busy")

    def _describe(self, done: int, total: int, tally: Tally) -> str:
        left_s = self._left_s(done, total)
        pairs: dict[str, object] = {
            "elapsed_s": f"{self.elapsed_s:.0f}",
            "done": done,
            "total": total,
            "dead_letter": tally.entries["dead_letter"],
            "failed_models": _failed(tally),
            "frames_per_s": f"{self._frames_per_s(tally):.1f}",
            "eta_s": "?" if left_s is None else f"{left_s:.0f}",
        }
        pairs |= {f"busy_{model.name}": f"{self._busy(model.name, tally):.2f}" for model in self._models}
        pairs |= {f"failure_{name.replace(': ', '_')}": count for name, count in sorted(tally.failures.items())}
        return " ".join(f"{name}={value}" for name, value in pairs.items())

    def _busy(self, model: str, tally: Tally) -> float:
        return tally.seconds[model] / max(self.elapsed_s, 1e-3) / self._actors[model]

    def _frames_per_s(self, tally: Tally) -> float:
        """Of the model that has seen most frames: the others see some of them."""
        return max(tally.frames.values(), default=0) / max(self.elapsed_s, 1e-3)

    def _left_s(self, done: int, total: int) -> float | None:
        return (total - done) * self.elapsed_s / done if done else None

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _failed(tally: Tally) -> int:
    return sum(count for (_, status), count in tally.statuses.items() if status == Status.FAILED)

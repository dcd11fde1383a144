"""Progress of a batch: one line that is redrawn on a terminal, one line every 30 s in a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.status import Status

    from rumiai_ray.engine.writing import Tally
    from rumiai_ray.models.base import ModelPlan

_LOG_EVERY_S = 30.0
_DRAW_EVERY_S = 1.0


class BatchProgress:
    """An `engine.batch.Watcher` that writes to stderr. A context: the last line is written when it closes."""

    def __init__(self, models: Sequence[ModelPlan]) -> None:
        self._console = Console(stderr=True)
        self._models = models
        self._began = time.monotonic()
        self._last = self._began
        self._line = ""
        self._status: Status | None = None

    @property
    def elapsed_s(self) -> float:
        """Time since the context was made."""
        return time.monotonic() - self._began

    def tick(self, done: int, total: int, tally: Tally) -> None:
        """Say where the run is, not more often than a person or a log wants."""
        self._line = self._describe(done, total, tally)
        every_s = _DRAW_EVERY_S if self._status else _LOG_EVERY_S
        if time.monotonic() - self._last < every_s:
            return
        self._last = time.monotonic()
        if self._status:
            self._status.update(self._line)
        else:
            self._console.print(self._line, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        for model in self._models:
            note = "  (declared stand-in)" if model.stand_in else ""
            self._console.print(
                f"{model.name:10} {model.backend} {model.version}, {model.device} {model.precision}{note}", markup=False, highlight=False
            )
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()
        if self._line:
            self._console.print(self._line, markup=False, highlight=False, soft_wrap=True)

    def _describe(self, done: int, total: int, tally: Tally) -> str:
        elapsed_s = self.elapsed_s
        failed = sum(count for (_, status), count in tally.statuses.items() if status == "failed")
        busy = " ".join(f"{model.name}={tally.seconds[model.name] / elapsed_s:.2f}" for model in self._models)
        left_s = (total - done) * elapsed_s / done if done else None
        eta = "?" if left_s is None else f"{left_s:.0f}"
        frames = max(tally.frames.values(), default=0) / elapsed_s
        return (
            f"elapsed_s={elapsed_s:.0f} done={done} total={total} dead_letter={tally.entries['dead_letter']} failed_models={failed} "
            f"frames_per_s={frames:.1f} busy: {busy} eta_s={eta}"
        )

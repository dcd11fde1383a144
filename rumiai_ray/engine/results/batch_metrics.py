"""What the driver of a batch tells Prometheus about the run, about once a second."""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections import defaultdict
from typing import TYPE_CHECKING

from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.engine.work.metrics import metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.engine.cell.messages import Index

_EVERY_S = 1.0


class BatchMetrics:
    """What the driver of a batch says.

    Args:
        run_id: the run's.
        actors: by model, how many there are.
    """

    def __init__(self, run_id: str, actors: Mapping[str, int]) -> None:
        self._run = {"run_id": run_id}
        self._actors = actors
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._said = Tally()
        self._looked_s = time.monotonic()

    def answered(self, index: Index) -> None:
        """A row of work has come back."""
        for model, outcome in index.outcomes.items():
            if outcome.processing_time_s is None:
                continue
            labels = self._run | {"model": model}
            metric("rumiai_batch_seconds").observe(outcome.processing_time_s, labels)
            self._seconds[model] += outcome.processing_time_s
            if outcome.frames:
                metric("rumiai_frames").inc(len(outcome.frames), labels)

    def tick(self, tally: Tally, left: int, *, cells: tuple[int, int], rows: int, writing: int, quiet_s: float, last: bool = False) -> None:
        """The state of the run; said about once a second.

        Args:
            tally: of all that is committed.
            left: entries that have not ended.
            cells: (ready, wanted).
            rows: of work in the cells.
            writing: entries that wait to be written.
            quiet_s: since anything has come back.
            last: it is said in any case: the run is over.
        """
        elapsed_s = time.monotonic() - self._looked_s
        if elapsed_s < _EVERY_S and not last:
            return
        self._looked_s = time.monotonic()
        for model, count in self._actors.items():
            share = self._seconds.pop(model, 0.0) / max(elapsed_s, _EVERY_S) / count
            metric("rumiai_busy_share").set(share, self._run | {"model": model})
        for stage, length in (("cells", rows), ("writing", writing)):
            metric("rumiai_queue_rows").set(length, self._run | {"stage": stage})
        metric("rumiai_entries_left").set(left, self._run)
        metric("rumiai_cells_ready").set(cells[0], self._run)
        metric("rumiai_cells_wanted").set(cells[1], self._run)
        metric("rumiai_quiet_seconds").set(quiet_s, self._run)
        self._count(tally)

    def _count(self, tally: Tally) -> None:
        """What has been committed since the last look."""
        for ending, more in (Counts(tally.entries) - self._said.entries).items():
            metric("rumiai_entries").inc(more, self._run | {"ending": ending})
        for origin, more in (Counts(tally.origins) - self._said.origins).items():
            metric("rumiai_videos_read").inc(more, self._run | {"frame_store": origin})
        for failure, more in (Counts(tally.failures) - self._said.failures).items():
            where, _, error_class = failure.partition(": ")
            metric("rumiai_failures").inc(more, self._run | {"model": where, "error_class": error_class})
        if tally.written_bytes > self._said.written_bytes:
            metric("rumiai_written_bytes").inc(tally.written_bytes - self._said.written_bytes, self._run)
        said = Tally()
        said.add(tally)
        self._said = said

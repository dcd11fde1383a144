"""What the driver of a batch tells Prometheus about the run, about once a second."""

from __future__ import annotations

import time
from collections import Counter as Counts
from typing import TYPE_CHECKING

from rumiai_ray.engine.results.progress import Phase
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.engine.work.metrics import metric

if TYPE_CHECKING:
    from rumiai_ray.engine.cell.messages import Index
    from rumiai_ray.engine.results.progress import Progress

_EVERY_S = 1.0
_UNKNOWN = float("nan")
"""A gauge that is not set keeps the last value for as long as the process lives."""


class BatchMetrics:
    """What the driver of a batch says.

    Args:
        run_id: the run's.
    """

    def __init__(self, run_id: str) -> None:
        self._run = {"run_id": run_id}
        self._said = Tally()
        self._looked_s = float("-inf")

    def answered(self, index: Index) -> None:
        """A row of work has come back."""
        for model, outcome in index.outcomes.items():
            if outcome.processing_time_s is None:
                continue
            labels = self._run | {"model": model}
            metric("rumiai_batch_seconds").observe(outcome.processing_time_s, labels)
            if outcome.frames:
                metric("rumiai_frames").inc(len(outcome.frames), labels)

    def tick(self, progress: Progress) -> None:
        """The progress of the run; said about once a second, and when the run is done."""
        if time.monotonic() - self._looked_s < _EVERY_S and progress.phase != Phase.DONE:
            return
        self._looked_s = time.monotonic()
        for phase in Phase:
            metric("rumiai_phase").set(float(phase == progress.phase), self._run | {"phase": phase.value})
        for model, share in progress.busy.items():
            metric("rumiai_busy_share").set(_UNKNOWN if share is None else share, self._run | {"model": model})
        for stage, length in (("cells", progress.rows), ("writing", progress.writing)):
            metric("rumiai_queue_rows").set(length, self._run | {"stage": stage})
        seconds = {"known": progress.video_s_known, "analysed": progress.video_s_analysed, "committed": progress.tally.video_s}
        for state, video_s in seconds.items():
            metric("rumiai_video_seconds").set(video_s, self._run | {"state": state})
        metric("rumiai_eta_seconds").set(_UNKNOWN if progress.eta_s is None else progress.eta_s, self._run)
        metric("rumiai_models_loaded").set(progress.models_loaded, self._run)
        metric("rumiai_entries_analysed").set(progress.analysed, self._run)
        metric("rumiai_entries_left").set(progress.total - progress.done, self._run)
        metric("rumiai_cells_ready").set(progress.cells, self._run)
        metric("rumiai_cells_wanted").set(progress.cells_wanted, self._run)
        metric("rumiai_quiet_seconds").set(progress.quiet_s, self._run)
        self._count(progress.tally)

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

"""What a batch tells Prometheus: every metric by name, and who sets it. Ray exports them from each node, with `ray_` before the name.

The driver knows nearly everything, so it says nearly everything: once for each row of work that comes back and about once a second, never
once for each frame. Extraction tasks add what only their node knows. `cluster/dashboard.json` draws them, `cluster/alerts.yml` watches.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter as Counts
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

from ray.util.metrics import Counter, Gauge, Histogram

from rumiai_ray.engine.work.counts import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rumiai_ray.engine.cell.messages import Index

METRICS: dict[str, tuple[type[Any], str, tuple[str, ...]]] = {
    "rumiai_queue_rows": (Gauge, "Rows of work in the cells, entries that wait to be written.", ("run_id", "stage")),
    "rumiai_busy_share": (Gauge, "Time inside a model's calls over the time its actors had, since the last look.", ("run_id", "model")),
    "rumiai_batch_seconds": (Histogram, "Time inside a model for one row of work.", ("run_id", "model")),
    "rumiai_frames": (Counter, "Frames a model has answered for.", ("run_id", "model")),
    "rumiai_failures": (Counter, "Failed models and dead letters, by where and by class of error.", ("run_id", "model", "error_class")),
    "rumiai_entries": (Counter, "Entries that have ended, by how: committed or dead_letter.", ("run_id", "ending")),
    "rumiai_entries_left": (Gauge, "Entries that have not ended yet.", ("run_id",)),
    "rumiai_cells_wanted": (Gauge, "Cells asked for, those included that are there.", ("run_id",)),
    "rumiai_cells_ready": (Gauge, "Cells that work.", ("run_id",)),
    "rumiai_videos_read": (Counter, "Videos by where their frames were: hit, remote or miss.", ("run_id", "frame_store")),
    "rumiai_written_bytes": (Counter, "Bytes of data files in committed groups.", ("run_id",)),
    "rumiai_quiet_seconds": (Gauge, "Time since anything has come back; the run ends when it is too long.", ("run_id",)),
    "rumiai_store_disk_free_bytes": (Gauge, "Room on the disk of a node's frame store.", ("run_id",)),
    "rumiai_store_disk_bytes": (Gauge, "Size of that disk.", ("run_id",)),
}
"""(kind, what it says, labels) by name. Prometheus appends `_total` to counters and `_bucket`, `_sum`, `_count` to histograms."""

_SECONDS = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]
_EVERY_S = 1.0


@cache
def metric(name: str) -> Any:
    """The metric of that name, of this process."""
    kind, says, labels = METRICS[name]
    return kind(name, says, _SECONDS, labels) if kind is Histogram else kind(name, says, labels)


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


def store_seen(run_id: str, root: Path) -> None:
    """Say how much room there is where a node keeps frames; called on that node, once a video."""
    disk = shutil.disk_usage(root)
    metric("rumiai_store_disk_free_bytes").set(disk.free, {"run_id": run_id})
    metric("rumiai_store_disk_bytes").set(disk.total, {"run_id": run_id})

"""What a batch tells Prometheus: every metric by name, and who sets it. Ray exports them from each node, with `ray_` before the name.

The driver knows nearly everything, so it says nearly everything: once for each row of work that comes back and about once a second, never
once for each frame. Extraction tasks add what only their node knows. `cluster/dashboard.json` draws them, `cluster/alerts.yml` watches.
"""

from __future__ import annotations

import shutil
from functools import cache
from typing import TYPE_CHECKING, Any

from ray.util.metrics import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from pathlib import Path


METRICS: dict[str, tuple[type[Any], str, tuple[str, ...]]] = {
    "rumiai_queue_rows": (Gauge, "Rows of work in the cells, entries that wait to be written.", ("run_id", "stage")),
    "rumiai_busy_share": (
        Gauge,
        "Time inside a model's calls over the time its actors had, over the last 30 s; calls under way count. NaN while unknown.",
        ("run_id", "model"),
    ),
    "rumiai_phase": (Gauge, "1 for what the run is doing now, else 0.", ("run_id", "phase")),
    "rumiai_video_seconds": (Gauge, "Seconds of video that are known, analysed, committed.", ("run_id", "state")),
    "rumiai_eta_seconds": (Gauge, "Time until everything is analysed; NaN while unknown.", ("run_id",)),
    "rumiai_models_loaded": (Gauge, "Models that can work, in the cell that has most of them.", ("run_id",)),
    "rumiai_entries_analysed": (Gauge, "Entries all of whose rows of work are back, committed or not.", ("run_id",)),
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


@cache
def metric(name: str) -> Any:
    """The metric of that name, of this process."""
    kind, says, labels = METRICS[name]
    return kind(name, says, _SECONDS, labels) if kind is Histogram else kind(name, says, labels)


def store_seen(run_id: str, root: Path) -> None:
    """Say how much room there is where a node keeps frames; called on that node, once a video."""
    disk = shutil.disk_usage(root)
    metric("rumiai_store_disk_free_bytes").set(disk.free, {"run_id": run_id})
    metric("rumiai_store_disk_bytes").set(disk.total, {"run_id": run_id})

"""`make cluster-test`: nodes that leave without notice, as spot machines do, and CPU nodes that come and are filled with cells."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from autoscale_driver import ADDED, scaled
from nodes_driver import on_nodes

if TYPE_CHECKING:
    from pathlib import Path

SEED = int(os.environ.get("CHAOS_SEED", time.time_ns() % 10_000))


@pytest.mark.timeout(1500)
def test_a_batch_on_nodes_that_keep_leaving_without_notice_is_complete_and_exact() -> None:
    told = on_nodes(videos=100, count=3, kills=4, seed=SEED, timeout_s=1400)
    print(f"CHAOS_SEED={SEED}: {told['seconds']} s, nodes that left: {len(told['killed'])}, {told['frames']} frames of 100 videos")
    assert told["status"] == "complete"
    assert len(told["killed"]) == 4
    assert told["frames_seen_elsewhere_than_decoded"] == 0


@pytest.mark.timeout(900)
def test_cells_that_fill_every_node_to_the_last_cpu_do_not_starve_extraction(tmp_path: Path) -> None:
    resources = {"CPU": 2, ADDED: 1, "object_store_memory": 200 * 2**20}
    workers = {"cpu": {"resources": resources, "node_config": {}, "min_workers": 0, "max_workers": 1}}
    told = scaled(tmp_path, workers, videos=40, cells=3, device="cpu")
    assert told["status"] == "complete"
    assert max(count for _, count in told["nodes"]) == 1

"""Ray's real autoscaler over pretended nodes: cells that wait make nodes come, cells that are given back let them go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autoscale_driver import ADDED, scaled

if TYPE_CHECKING:
    from pathlib import Path

RESOURCES = {"CPU": 2, "GPU": 1, ADDED: 1, "object_store_memory": 200 * 2**20}
WORKERS = {"gpu": {"resources": RESOURCES, "node_config": {}, "min_workers": 0, "max_workers": 3}}


@pytest.mark.timeout(900)
def test_gpu_nodes_come_with_the_work_and_go_with_it(tmp_path: Path) -> None:
    told = scaled(tmp_path, WORKERS, videos=40, cells=3, device="cuda:0")
    counts = [count for _, count in told["nodes"]]
    assert told["status"] == "complete"
    assert counts[0] == 0
    assert max(counts) >= 2
    assert counts[-1] == 0
    assert told["gone_after_s"] <= 60

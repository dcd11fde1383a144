"""CPU nodes that Ray's real autoscaler adds, pretended ones: minutes each, so `make cluster-test` runs them and CI does not.

CI holds the arithmetic at 0 to n nodes without a Ray: `tests/engine/setup/test_node_capacity.py`, `tests/engine/cell/test_cell_supply.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from autoscale_driver import ADDED, scaled

if TYPE_CHECKING:
    from pathlib import Path


def nodes_of(most: int, **resources: float) -> dict[str, Any]:
    """A type of nodes, of which none is there at first."""
    resources = {**resources, ADDED: 1, "object_store_memory": 200 * 2**20}
    return {"resources": resources, "node_config": {}, "min_workers": 0, "max_workers": most}


@pytest.mark.timeout(900)
def test_cpu_nodes_come_with_the_work_keep_a_cpu_each_for_reading_and_go(tmp_path: Path) -> None:
    """Every node has room for two cells. With two on each nothing would be read: the head has no CPU."""
    told = scaled(tmp_path, {"cpu": nodes_of(4, CPU=2)}, videos=60, cells=4, device="cpu", head_cpus=0)
    counts = [count for _, count in told["nodes"]]
    assert told["status"] == "complete"
    assert counts[0] == 0
    assert max(counts) == 4
    assert counts[-1] == 0
    assert told["gone_after_s"] <= 60


@pytest.mark.timeout(900)
def test_a_run_goes_on_with_the_nodes_that_come_and_says_that_others_do_not(tmp_path: Path) -> None:
    """CPU and GPU nodes, one of each at most, and none is large enough for more than half of the cells."""
    workers = {"cpu": nodes_of(1, CPU=2), "tiny": nodes_of(1, CPU=1), "gpu": nodes_of(1, CPU=2, GPU=1)}
    told = scaled(tmp_path, workers, videos=60, cells=6, device="cpu", head_cpus=0)
    assert told["status"] == "complete"
    assert any("the run goes on with" in line and "the autoscaler adds no node" in line for line in told["said"]), told["said"]
    assert told["nodes"][-1][1] == 0

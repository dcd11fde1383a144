"""Ray's real autoscaler over pretended nodes: cells that wait make GPU nodes come, cells that are given back let them go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import autoscale_driver
from product import ROOT
from ray_head import ray_head

WORKERS = {
    "gpu": {"resources": {"CPU": 2, "GPU": 1, "object_store_memory": 200 * 2**20}, "node_config": {}, "min_workers": 0, "max_workers": 3}
}


@pytest.mark.timeout(900)
def test_gpu_nodes_come_with_the_work_and_go_with_it(tmp_path: Path) -> None:
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parents[1] / "support")])
    with ray_head({"PYTHONPATH": paths}, cpus=1, workers=WORKERS) as head:
        driver = subprocess.run(
            [sys.executable, autoscale_driver.__file__, head.gcs, str(tmp_path), "40", "3"],
            env=head.environment | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
        )
    assert driver.returncode == 0, driver.stdout + driver.stderr
    told = json.loads(driver.stdout.splitlines()[-1])
    print(told)  # noqa: T201 -- figures
    counts = [count for _, count in told["gpu_nodes"]]
    assert told["status"] == "complete"
    assert counts[0] == 0
    assert max(counts) >= 2
    assert counts[-1] == 0
    assert told["gone_after_s"] <= 60

"""`make cluster-test`: nodes that leave without notice, as spot machines do."""

from __future__ import annotations

import os
import time

import pytest

from nodes_driver import on_nodes

SEED = int(os.environ.get("CHAOS_SEED", time.time_ns() % 10_000))


@pytest.mark.timeout(1500)
def test_a_batch_on_nodes_that_keep_leaving_without_notice_is_complete_and_exact() -> None:
    told = on_nodes(videos=100, count=3, kills=4, seed=SEED, timeout_s=1400)
    print(f"CHAOS_SEED={SEED}: {told['seconds']} s, nodes that left: {len(told['killed'])}, {told['frames']} frames of 100 videos")
    assert told["status"] == "complete"
    assert len(told["killed"]) == 4
    assert told["frames_seen_elsewhere_than_decoded"] == 0

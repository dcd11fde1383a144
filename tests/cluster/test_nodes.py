"""Several nodes, each with a frame store of its own; one is killed hard in the middle of a batch, one joins."""

from __future__ import annotations

import pytest

from nodes_driver import on_nodes


@pytest.mark.timeout(400)
def test_a_node_killed_and_a_node_added_in_mid_run_lose_and_double_nothing_and_decoded_frames_stay_on_their_node() -> None:
    told = on_nodes(videos=24, count=3, kills=1, seed=1, timeout_s=380)
    assert told["status"] == "complete"
    assert len(told["killed"]) == 1
    assert len(told["stored"]) >= 2, "more than one node has read videos, into a store of its own"
    assert told["stores_hold_only_their_own"]
    assert len(told["nodes_that_saw"]) >= 2
    assert told["frames"] > 0
    assert told["frames_seen_elsewhere_than_decoded"] == 0

"""What is said of Ray's autoscaler: nodes on the way, node types that do not come, and that nothing comes."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ray.autoscaler.v2.schema import ClusterStatus, LaunchRequest, NodeInfo, Stats

from rumiai_ray.engine.setup import autoscaler
from rumiai_ray.engine.setup.autoscaler import autoscaler_news, news_of

if TYPE_CHECKING:
    import pytest

WORKS = Stats(autoscaler_version="7")


def launch(kind: str, count: int, at_s: int, details: str | None = None) -> LaunchRequest:
    state = LaunchRequest.Status.FAILED if details else LaunchRequest.Status.PENDING
    return LaunchRequest("m7i.2xlarge", kind, count, state, at_s, details=details)


def test_nodes_on_the_way_are_counted_by_type() -> None:
    starting = NodeInfo("m7i.2xlarge", "cpu", "i-1", "10.0.0.1")
    status = ClusterStatus(pending_launches=[launch("cpu", 2, 1), launch("gpu", 1, 1)], pending_nodes=[starting], stats=WORKS)
    assert news_of(status) == ["3 of node type cpu are on the way", "1 of node type gpu is on the way"]


def test_a_node_type_that_does_not_come_is_named_with_the_last_reason() -> None:
    status = ClusterStatus(failed_launches=[launch("cpu", 1, 9, "quota exceeded"), launch("cpu", 1, 2, "timeout")], stats=WORKS)
    assert news_of(status) == ["node type cpu could not be started: quota exceeded"]


def test_an_autoscaler_that_does_nothing_and_none_at_all_are_told_apart() -> None:
    assert news_of(ClusterStatus(stats=WORKS)) == ["the autoscaler adds no node: no node type is large enough, or max_workers is reached"]
    assert news_of(ClusterStatus(stats=Stats(autoscaler_version="0"))) == ["the cluster has no autoscaler that would add nodes"]


def test_a_status_that_ray_cannot_read_is_no_news_and_rays_head_is_waited_for_two_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[tuple[str, float]] = []

    def status(address: str, timeout: float) -> Any:
        asked.append((address, timeout))
        raise ValueError("an enum value of a newer Ray")

    monkeypatch.setattr(autoscaler, "get_cluster_status", status)
    monkeypatch.setattr(autoscaler, "ray", SimpleNamespace(get_runtime_context=lambda: SimpleNamespace(gcs_address="head:6379")))
    caplog.set_level(logging.DEBUG, logger="rumiai_ray")
    assert autoscaler_news() == []
    assert asked == [("head:6379", 2)]
    assert caplog.messages == ["asking for the autoscaler's state: ValueError: an enum value of a newer Ray"]

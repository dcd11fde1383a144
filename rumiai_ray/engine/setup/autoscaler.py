"""What Ray's autoscaler does about cells that wait for nodes, in sentences for a person."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import ray
from ray.autoscaler.v2.sdk import get_cluster_status

from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    from ray.autoscaler.v2.schema import ClusterStatus

_LOG = logging.getLogger(__name__)

_TIMEOUT_S = 2
"""For Ray's head to answer. The driver waits for it, and nothing else goes on meanwhile."""
_NO_AUTOSCALER = "0"
"""Version of the autoscaler's state where none has ever written one."""


def autoscaler_news() -> list[str]:
    """What the autoscaler of the Ray this process is connected to says.

    Empty where Ray's head does not answer within two seconds, or says something that this Ray's parser cannot read: it raises whatever its
    code happens to raise.
    """
    with swallowed(_LOG, "asking for the autoscaler's state", Exception):
        return news_of(get_cluster_status(ray.get_runtime_context().gcs_address, timeout=_TIMEOUT_S))
    return []


def news_of(status: ClusterStatus) -> list[str]:
    """The same of a cluster's status: nodes on their way, node types that could not be started and why, or that nothing comes."""
    if status.stats.autoscaler_version == _NO_AUTOSCALER:
        return ["the cluster has no autoscaler that would add nodes"]
    coming = Counter({launch.ray_node_type_name: 0 for launch in status.pending_launches})
    for launch in status.pending_launches:
        coming[launch.ray_node_type_name] += launch.count
    coming.update(node.ray_node_type_name for node in status.pending_nodes)
    said = [f"{count} of node type {kind} {'are' if count > 1 else 'is'} on the way" for kind, count in sorted(coming.items())]
    failed = {launch.ray_node_type_name: launch.details for launch in sorted(status.failed_launches, key=lambda one: one.request_ts_s)}
    said += [f"node type {kind} could not be started: {details or 'no reason given'}" for kind, details in sorted(failed.items())]
    return said or ["the autoscaler adds no node: no node type is large enough, or max_workers is reached"]

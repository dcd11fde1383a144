"""What machines there are: this one, or those of the Ray this process is connected to."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import ray

from rumiai_ray.engine.setup.cluster_plan import Plan, plan_cluster
from rumiai_ray.engine.setup.gpus import gpus_here
from rumiai_ray.engine.setup.resource_plan import Machine, Wishes
from rumiai_ray.logs import swallowed
from rumiai_ray.runs.manifest import ClusterRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.models.base import ModelPlan

_LOG = logging.getLogger(__name__)

GPU_MEMORY_GB = {
    "T4": 16, "V100": 16, "L4": 24, "A10G": 24, "L40S": 48, "A100": 40, "A100-40G": 40, "A100-80G": 80,
    "H100": 80, "H200": 141, "B200": 180,
}  # fmt: skip
"""Memory by Ray's names of accelerators, of the smaller model where one name means two. Source: NVIDIA's data sheets."""
_CGROUP = Path("/sys/fs/cgroup/memory.max")


def this_machine(gpu_memory_gb: float | None = None) -> Machine:
    """This machine, as far as this process may use it.

    Args:
        gpu_memory_gb: of every GPU; found out where not given.
    """
    memory_bytes = psutil.virtual_memory().total
    with swallowed(_LOG, "reading this control group's memory limit", OSError, ValueError):  # "max", or no control group
        memory_bytes = min(memory_bytes, int(_CGROUP.read_text(encoding="ascii")))
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_gb=memory_bytes / 1e9,
        gpus=len(gpus_here()),
        gpu_memory_gb=gpu_memory_gb or _smallest_gpu_gb(),
    )


def _smallest_gpu_gb() -> float | None:
    sizes = [gpu.memory_gb for gpu in gpus_here()]
    return min((size for size in sizes if size is not None), default=None)


def plan_of_ray(config: BaseConfig, models: Sequence[ModelPlan], *, cells: int | None = None) -> Plan:
    """What the Ray this process is connected to is going to run under `config`.

    Args:
        config: has the user's wishes.
        models: what is to run.
        cells: most cells, where it is not the user who says.

    Raises:
        ConfigError: it does not fit; the message has the sum.
    """
    wishes = wishes_of(config)
    return plan_cluster(models, machines_of_ray(config.engine.gpu_memory_gb), replace(wishes, cells=cells or wishes.cells))


def wishes_of(config: BaseConfig) -> Wishes:
    """What the user has settled."""
    engine = config.engine
    growing = bool(os.environ.get("RAY_ADDRESS"))  # a cluster, whose autoscaler may add nodes
    return Wishes(
        engine.cells, engine.cells_per_gpu, engine.cell_cpus, engine.extract_tasks, engine.gpu_memory_gb, growing, engine.max_share
    )


def machines_of_ray(gpu_memory_gb: float | None = None) -> list[Machine]:
    """The living nodes of the Ray this process is connected to.

    Args:
        gpu_memory_gb: of every GPU; found out where not given: of this node from the driver, of others by Ray's name of it.
    """
    return list(nodes_of_ray(gpu_memory_gb).values())


def nodes_of_ray(gpu_memory_gb: float | None = None) -> dict[str, Machine]:
    """The same by their ids in Ray."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    own = ray.get_runtime_context().get_node_id()
    return {node["NodeID"]: _machine(node, gpu_memory_gb, here=node["NodeID"] == own) for node in nodes if node["Alive"]}


def _machine(node: dict[str, Any], gpu_memory_gb: float | None, *, here: bool) -> Machine:
    resources: dict[str, float] = node["Resources"]
    kinds = [name.partition(":")[2] for name in resources if name.startswith("accelerator_type:")]
    known_gb: float | None = min((GPU_MEMORY_GB[kind] for kind in kinds if kind in GPU_MEMORY_GB), default=None)
    if here:
        known_gb = _smallest_gpu_gb() or known_gb
    return Machine(
        cpus=resources.get("CPU", 0.0),
        # Ray divides a node's memory into these two.
        memory_gb=(resources.get("memory", 0.0) + resources.get("object_store_memory", 0.0)) / 1e9,
        gpus=int(resources.get("GPU", 0)),
        gpu_memory_gb=gpu_memory_gb or known_gb,
        name=f"node {node['NodeManagerHostname']}",
    )


def cores_of_now() -> float:
    """CPUs of all nodes of the Ray this process is connected to; 0 where only heads without any are left."""
    return cluster_of_now().resources.get("CPU", 0.0)


def cluster_of_now() -> ClusterRecord:
    """The Ray this process is connected to."""
    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    nodes: list[object] = ray.nodes()  # type: ignore[no-untyped-call]
    wanted: tuple[str, ...] = ("CPU", "GPU", "memory", "object_store_memory")
    resources = {name: float(total[name]) for name in wanted if name in total}
    return ClusterRecord(ray_version=ray.__version__, nodes=len(nodes), resources=resources)

"""Reads the files of `cluster/` as those who use them do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.scripts.scripts import start

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "cluster"


GPU_CELL = {"CPU": 6.0, "GPU": 1.0}
"""What a cell asks for under `runtime_env.yaml`."""
CPU_CELL = {"CPU": 1.75}
"""The same under `runtime_env-cpu.yaml`."""


def document(name: str) -> Any:
    """A YAML file of `cluster/`."""
    return yaml.safe_load((CLUSTER / name).read_text(encoding="utf-8"))


def nodes_started(config: Mapping[str, Any], cells: int, bundle: Mapping[str, float] = GPU_CELL) -> dict[str, int]:
    """The nodes that Ray's autoscaler starts by type, under a cluster's configuration, while so many cells of `bundle` wait for a place."""
    known = AutoscalingConfig(dict(config), skip_content_hash=True)
    cell = ResourceRequestUtil.make(dict(bundle))
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=known.get_node_type_configs(),
        max_num_nodes=known.get_max_num_worker_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count([cell] * cells),
    )
    return {launch.instance_type: launch.count for launch in ResourceDemandScheduler().schedule(request).to_launch}


def ray_start(arguments: list[str]) -> dict[str, Any]:
    """The parameters of a `ray start`, which is not run; raises `click.UsageError` for an option that Ray does not know."""
    return start.make_context("ray start", arguments).params


def ray_start_of(commands: list[str]) -> dict[str, Any]:
    """The same of the one `ray start` among shell commands."""
    (command,) = [command for command in commands if "ray start" in command]
    return ray_start(shlex.split(command.partition("ray start")[2]))


def dockerfile() -> list[tuple[str, str]]:
    """The image's instructions in order, as (name, the rest in one line)."""
    text = re.sub(r"^\s*#.*\n", "", (CLUSTER / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    pairs = [word.partition("=") for name, rest in dockerfile() if name == "ENV" for word in rest.split()]
    return {name: value for name, _, value in pairs}

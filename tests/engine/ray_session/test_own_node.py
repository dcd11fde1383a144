"""A Ray of our own runs no process that only a cluster needs, and sets up its workers with our program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest
import ray
from ray._private import node, ray_constants

from rumiai_ray.engine.ray_session import own_node

if TYPE_CHECKING:
    from rumiai_ray.engine.ray_session.local import LocalRay


def test_no_process_serves_a_cluster_and_workers_are_set_up_by_our_program(ray_here: LocalRay) -> None:
    assert ray.get(ray.remote(lambda: 1).remote()) == 1
    started = {process.pid: " ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)}
    ours = {pid: command for pid, command in started.items() if str(ray_here.scratch) in command}
    assert sorted(command.split()[0].rpartition("/")[2] for command in ours.values()) == ["gcs_server", "raylet"]
    assert not [command for command in started.values() if "monitor" in command.split()[0] or "dashboard.py" in command.split()[0]]
    (raylet,) = [command for command in ours.values() if "/raylet/raylet " in command]
    assert f"{ray_here.scratch}/code/rumiai_ray/engine/ray_session/setup_worker.py" in raylet


def test_other_nodes_of_the_process_are_rays_own_again_also_after_an_error() -> None:
    before = node.Node, ray_constants.SETUP_WORKER_FILENAME
    seen = []

    def fail() -> None:
        with own_node.own_node("/of/ours/setup_worker.py"):
            seen.append((node.Node, ray_constants.SETUP_WORKER_FILENAME))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [(own_node.OwnNode, "/of/ours/setup_worker.py")]
    assert (node.Node, ray_constants.SETUP_WORKER_FILENAME) == before

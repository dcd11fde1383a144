"""CPUs that cells leave to reading, while a cluster grows from no node to many: the arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_plans import FIVE, ON_CPU
from rumiai_ray.engine.setup.cluster_plan import plan_cluster
from rumiai_ray.engine.setup.node_capacity import (
    NodeLoad,
    cells_beside_reading,
    reading_cpus,
    smallest_node_cpus,
    takes_another,
)
from rumiai_ray.engine.setup.resource_plan import Machine, Wishes, load_of
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from random import Random

SHAPES = (1, 2, 4, 8, 16, 64)
"""CPUs of the kinds of nodes that clouds let."""
LARGE = 10_000
"""Cells that memory holds where CPUs decide."""


def filled(nodes: list[NodeLoad], cell_cpus: float, order: list[int] | None = None) -> list[NodeLoad]:
    """The nodes with as many cells as are allowed, offered in an order that Ray might choose."""
    nodes = list(nodes)
    for number in order or range(len(nodes)):
        while takes_another(nodes, number, cell_cpus):
            nodes[number] = replace(nodes[number], cells=nodes[number].cells + 1)
    return nodes


@pytest.mark.parametrize(
    ("cell_cpus", "cells"),
    [
        (0.5, (0, 2, 6, 14, 28, 112)),
        (1.0, (0, 1, 3, 7, 14, 56)),
        (1.5, (0, 0, 2, 4, 9, 37)),
        (1.75, (0, 0, 1, 4, 8, 32)),
        (6.0, (0, 0, 0, 1, 2, 9)),
        (14.0, (0, 0, 0, 0, 1, 4)),
    ],
)
def test_cells_of_a_node_beside_its_reading_tasks(cell_cpus: float, cells: tuple[int, ...]) -> None:
    assert tuple(cells_beside_reading(cpus, cell_cpus) for cpus in SHAPES) == cells


@pytest.mark.parametrize(
    ("cpus", "cell_cpus", "cells"),
    [
        (1, 1.0, [0, 0, 1, 2, 3]),  # the first node reads for the others
        (1, 0.5, [0, 0, 2, 4, 6]),
        (2, 1.0, [0, 1, 2, 3, 4]),
        (2, 1.5, [0, 0, 1, 2, 3]),
        (4, 1.5, [0, 2, 4, 6, 8]),
        (8, 8.0, [0, 0, 1, 2, 3]),
        (64, 1.5, [0, 37, 74, 111, 148]),
    ],
)
def test_cells_of_none_to_four_nodes(cpus: int, cell_cpus: float, cells: list[int]) -> None:
    counts = [sum(node.cells for node in filled([NodeLoad(cpus, LARGE)] * nodes, cell_cpus)) for nodes in range(5)]
    assert counts == cells


def test_of_sixteen_small_nodes_two_read_since_an_eighth_is_left_to_reading() -> None:
    assert [sum(node.cells for node in filled([NodeLoad(1, LARGE)] * count, 1.0)) for count in (8, 16, 24)] == [7, 14, 21]


NODES = st.lists(st.tuples(st.sampled_from(SHAPES), st.sampled_from((0, 1, 4))), min_size=1, max_size=12)
CELL_CPUS = st.sampled_from((0.5, 1.0, 1.25, 1.5555, 2.0, 6.0, 14.0)) | st.floats(0.1, 64).map(lambda cpus: math.floor(cpus * 1e4) / 1e4)


@settings(deadline=None)  # other work on the machine is no reason to fail
@given(NODES, CELL_CPUS, st.sampled_from((None, 1, 2)), st.randoms(use_true_random=False))
def test_a_cluster_that_grows_always_has_a_cpu_that_reads(
    shapes: list[tuple[int, int]], cell_cpus: float, cells_per_gpu: int | None, dice: Random
) -> None:
    """Whatever comes in whatever order, with cells on GPUs (`cells_per_gpu`) and without, and wherever Ray begins to fill it."""
    nodes: list[NodeLoad] = []
    for cpus, gpus in shapes:
        nodes.append(NodeLoad(cpus, LARGE if cells_per_gpu is None else gpus * cells_per_gpu))
        order = list(range(len(nodes)))
        dice.shuffle(order)
        nodes = filled(nodes, cell_cpus, order)
        assert sum(node.seats(cell_cpus) for node in nodes) >= 1
        for node in nodes:
            assert node.cells <= node.most
            assert node.left(cell_cpus) >= -1e-6
            if node.cpus >= smallest_node_cpus(cell_cpus):
                assert node.seats(cell_cpus) >= 1, "it would read nothing if it were the only one that stays"
                room = min(node.most, math.floor((node.cpus - reading_cpus(node.cpus)) / cell_cpus + 1e-6))
                assert node.cells >= room, "it holds what the plan counts on"


@settings(deadline=None)  # other work on the machine is no reason to fail
@given(st.sampled_from(SHAPES), st.integers(1, 9), CELL_CPUS, st.sampled_from((0, 1)))
def test_the_plan_of_nodes_that_are_there_is_what_the_run_will_allow(cpus: int, count: int, cell_cpus: float, gpus: int) -> None:
    models = FIVE if gpus else ON_CPU
    machines = [Machine(cpus, 4096, gpus, 141 if gpus else None, f"node {number}") for number in range(count)]
    wishes = Wishes(cells=10_000, cell_cpus=cell_cpus, growing=True, gpu_memory_gb=141)
    if gpus and cpus < smallest_node_cpus(cell_cpus):
        with pytest.raises(ConfigError, match=r"node \d: "):
            plan_cluster(models, machines, wishes)
        return
    plan = plan_cluster(models, machines, wishes)
    allowed = filled([load_of(machine, plan.cell) for machine in machines], plan.cell.cpus)
    held = {one.machine.name: one.cells for one in plan.machines}
    assert {machine.name: node.cells for machine, node in zip(machines, allowed, strict=True) if node.cells} == held
    for one in plan.machines:
        assert one.cells * cell_cpus + one.free_cpus == pytest.approx(cpus)
    assert len(held) + len(plan.without) == count
    assert plan.extract_tasks >= 1
    assert plan.cells == 10_000
    assert (plan.to_come is None) == bool(gpus)

"""Dividing machines among cells: the arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_plans import FIVE, ON_CPU, model
from rumiai_ray.engine.setup.cluster_plan import Plan, plan_cluster
from rumiai_ray.engine.setup.resource_plan import FRONT_CPUS, USABLE_MEMORY, Machine, Wishes, plan_machine
from rumiai_ray.errors import ConfigError

H200 = Machine(cpus=16, memory_gb=128, gpus=1, gpu_memory_gb=141)


def test_two_cores_hold_one_cell_and_leave_one_cpu_to_extraction() -> None:
    plan = plan_machine(ON_CPU, Machine(cpus=2, memory_gb=24))
    assert (plan.cells, plan.cell.cpus, plan.free_cpus) == (1, 1.0, 1.0)
    assert [share.count for share in plan.cell.shares] == [1] * 5
    assert plan.cell.bundle == {"CPU": 1.0}


def test_a_large_machine_without_a_gpu_holds_several_cells() -> None:
    plan = plan_machine(ON_CPU, Machine(cpus=16, memory_gb=64))
    assert plan.cells == 9
    assert plan.free_cpus == pytest.approx(2, abs=1e-3)
    assert plan.cell.cpus == pytest.approx(14 / 9, abs=1e-4)


def test_memory_limits_cells_too() -> None:
    plan = plan_machine(ON_CPU, Machine(cpus=64, memory_gb=10))
    assert plan.cells == int(10 * USABLE_MEMORY / 2.5)


def test_a_gpu_is_divided_in_proportion_to_memory_and_left_over_cpus_go_to_the_model_that_has_none() -> None:
    plan = plan_machine(FIVE, H200)
    gpus = {share.model: share.gpus for share in plan.cell.shares}
    assert gpus == pytest.approx({"mediapipe": 0, "yolo": 1.2 / 8.7, "ocr": 4 / 8.7, "whisper": 1 / 8.7, "emotion": 2.5 / 8.7}, abs=1e-4)
    counts = {share.model: share.count for share in plan.cell.shares}
    assert plan.free_cpus == 2
    assert counts == {"mediapipe": 14 - FRONT_CPUS - 4, "yolo": 1, "ocr": 1, "whisper": 1, "emotion": 1}
    assert plan.cell.bundle == {"CPU": 14.0, "GPU": 1.0}


def test_signals_take_next_to_nothing_and_no_actors_from_the_models() -> None:
    signals = tuple(replace(model(name, memory_gb=0.25), cpu_share=0.0) for name in ("shots", "sound"))
    plan = plan_machine((*FIVE, *signals), H200)
    shares = {share.model: share for share in plan.cell.shares}
    assert [shares[name].count for name in ("mediapipe", "shots", "sound")] == [14 - FRONT_CPUS - 4, 1, 1]
    assert shares["shots"].cpus == 0
    small = plan_machine((*ON_CPU, *signals), Machine(cpus=2, memory_gb=24))
    assert [share.cpus for share in small.cell.shares] == pytest.approx([1 / 6] * 5 + [0.0] * 2, abs=1e-4)
    assert sum(share.cpus for share in small.cell.shares) + small.cell.front_cpus <= small.cell.cpus


def test_what_does_not_fit_on_a_gpu_is_refused_with_the_sum() -> None:
    with pytest.raises(ConfigError, match=r"yolo 1\.2 \+ ocr 4\.0 \+ whisper 1\.0 \+ emotion 2\.5 = 8\.7 GB .* 0\.9 x 8 GB = 7\.2 GB"):
        plan_machine(FIVE, replace(H200, gpu_memory_gb=8))
    with pytest.raises(ConfigError, match=r"0\.9 x 24 GB / 4 cells = 5\.4 GB"):
        plan_machine(FIVE, replace(H200, gpu_memory_gb=24), Wishes(cells_per_gpu=4))


def test_what_does_not_fit_into_memory_is_refused_with_the_sum() -> None:
    with pytest.raises(ConfigError, match=r"2 cells of .* = 2\.5 GB need 5\.0 GB of memory, and may take 0\.9 x 4\.0 GB = 3\.6 GB"):
        plan_machine(ON_CPU, Machine(cpus=8, memory_gb=4), Wishes(cells=2))


def test_models_for_a_gpu_are_refused_on_a_machine_without_one() -> None:
    with pytest.raises(ConfigError, match="the node has none"):
        plan_machine(FIVE, Machine(cpus=8, memory_gb=32))


def test_more_cpus_than_there_are_cannot_be_wished_for() -> None:
    with pytest.raises(ConfigError, match=r"3 cells of 4 CPUs need 12; of 8 CPUs 7 may be taken"):
        plan_machine(ON_CPU, Machine(cpus=8, memory_gb=64), Wishes(cells=3, cell_cpus=4))


def test_the_actors_the_user_wants_are_what_he_gets() -> None:
    (share,) = [share for share in plan_machine((*FIVE[1:], model("mediapipe", actors=3)), H200).cell.shares if share.model == "mediapipe"]
    assert share.count == 3


def test_machines_that_differ_get_cells_of_one_shape() -> None:
    small = Machine(cpus=8, memory_gb=64, gpus=1, gpu_memory_gb=24, name="small")
    head = Machine(cpus=4, memory_gb=16, name="head")
    plan = plan_cluster(FIVE, [head, replace(H200, gpus=2, cpus=32), small, small])
    assert plan.cells == 4
    assert plan.cell == plan_machine(FIVE, small).cell
    assert [(one.machine.name, one.cells) for one in plan.machines] == [("this machine", 2), ("small", 1), ("small", 1)]
    assert plan.without == ("head: the models need a GPU and the node has none",)


def test_a_node_that_gives_no_cpu_gets_no_cell() -> None:
    head = Machine(cpus=0, memory_gb=16, name="head")
    plan = plan_cluster(ON_CPU, [head, Machine(cpus=8, memory_gb=64, name="worker")])
    assert [(one.machine.name, one.cells) for one in plan.machines] == [("worker", 4)]
    assert plan.without == ("head: has no CPU available",)
    with pytest.raises(ConfigError, match="has no CPU available"):
        plan_cluster(ON_CPU, [head])


def test_gpus_whose_memory_nobody_knows_are_not_taken_for_empty_ones() -> None:
    with pytest.raises(ConfigError, match=r"the memory of the node's GPUs is not known .*--engine-gpu-memory-gb"):
        plan_machine(FIVE, Machine(cpus=16, memory_gb=64, gpus=1))


def test_a_cluster_may_be_asked_for_more_cells_than_it_has_room_for() -> None:
    assert plan_cluster(FIVE, [H200, H200], Wishes(cells=9)).cells == 9


def test_more_cells_than_one_machine_holds_are_asked_for_on_a_cluster_and_refused_elsewhere() -> None:
    with pytest.raises(ConfigError, match="10 cells of 1 CPU need 10"):
        plan_cluster(ON_CPU, [Machine(cpus=4, memory_gb=24)], Wishes(cells=10, cell_cpus=1))
    assert plan_cluster(ON_CPU, [Machine(cpus=4, memory_gb=24)], Wishes(cells=10, cell_cpus=1, growing=True)).cells == 10
    assert plan_cluster(FIVE, [H200], Wishes(cells=3, cell_cpus=8)).cells == 1
    assert plan_cluster(FIVE, [H200], Wishes(cells=3, cell_cpus=8, growing=True)).cells == 3


def test_a_cluster_without_gpus_yet_is_planned_for_by_what_the_user_says_of_them() -> None:
    head = Machine(cpus=0, memory_gb=16, name="head")
    with pytest.raises(ConfigError, match=r"no node has one yet .*--engine-cell-cpus and --engine-gpu-memory-gb"):
        plan_cluster(FIVE, [head])
    plan = plan_cluster(FIVE, [head], Wishes(cells=4, cell_cpus=6, gpu_memory_gb=16))
    assert (plan.cells, plan.cell.bundle, plan.extract_tasks, plan.machines) == (4, {"CPU": 6, "GPU": 1}, 1, ())
    with pytest.raises(ConfigError, match=r"a node to come: a cell needs .* 8\.7 GB"):
        plan_cluster(FIVE, [head], Wishes(cells=4, cell_cpus=6, gpu_memory_gb=8))


SIZES = st.floats(0.1, 40)
MODELS = st.lists(st.tuples(st.booleans(), SIZES, SIZES, st.integers(1, 4)), min_size=1, max_size=6)
MACHINES = st.builds(Machine, st.integers(1, 256), SIZES.map(lambda size: size * 20), st.integers(0, 16), SIZES.map(lambda size: size * 4))
WISHES = st.builds(Wishes, st.none() | st.integers(1, 20), st.integers(1, 8), st.none() | st.floats(0.1, 64), st.none() | st.integers(1, 8))


@given(MODELS, st.lists(MACHINES, min_size=1, max_size=4), WISHES)
def test_nothing_is_ever_given_out_twice(models: list[tuple[bool, float, float, int]], machines: list[Machine], wishes: Wishes) -> None:
    plans = [
        model(f"m{number}", gpu_gb if on_gpu else 0.0, memory_gb, threads=threads)
        for number, (on_gpu, gpu_gb, memory_gb, threads) in enumerate(models)
    ]
    try:
        plan: Plan = plan_cluster(plans, machines, wishes)
    except ConfigError:
        return
    cell = plan.cell
    assert cell.front_cpus + sum(share.count * share.cpus for share in cell.shares) <= cell.cpus + 1e-9
    assert sum(share.count * share.gpus for share in cell.shares) <= cell.gpus + 1e-9
    assert all(share.count >= 1 and share.cpus > 0 for share in cell.shares)
    for one in plan.machines:
        machine = one.machine
        assert one.cells * cell.gpus <= machine.gpus + 1e-9
        assert one.cells * cell.gpu_memory_gb <= USABLE_MEMORY * machine.gpus * (machine.gpu_memory_gb or 0) + 1e-6
        assert one.cells * cell.memory_gb <= USABLE_MEMORY * machine.memory_gb + 1e-6
        assert one.free_cpus >= 1 - 1e-9
        readers = wishes.extract_tasks or 1 if len(machines) == 1 else 1
        assert one.cells * cell.cpus + one.free_cpus == pytest.approx(max(machine.cpus, readers + 1), abs=1e-6)


@given(st.integers(1, 12), st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6))
def test_shares_that_add_up_to_one_have_room_beside_each_other(nodes: int, parts: list[float]) -> None:
    whole = plan_cluster(FIVE, [H200] * nodes)
    shares = [part / math.fsum(parts) for part in parts]
    plans = [plan_cluster(FIVE, [H200] * nodes, Wishes(max_share=share)) for share in shares]
    assert all(plan.cells >= 1 and plan.extract_tasks >= 1 and plan.cell == whole.cell for plan in plans)
    assert sum(plan.cells for plan in plans if plan.cells > 1) <= whole.cells
    assert sum(plan.extract_tasks for plan in plans if plan.extract_tasks > 1) <= whole.extract_tasks
    assert plan_cluster(FIVE, [H200] * nodes, Wishes(max_share=1.0)) == whole


def test_what_is_settled_in_numbers_is_not_divided_by_a_share() -> None:
    plan = plan_cluster(FIVE, [H200] * 4, Wishes(cells=3, extract_tasks=7, max_share=0.25))
    assert (plan.cells, plan.extract_tasks) == (3, 7)

"""Cells on the GPUs that Ray counts, two of them, on a machine that has none: who sees which device, and who waits."""

from __future__ import annotations

import contextlib
import os
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray
from ray.util.placement_group import remove_placement_group

from fakes import plan
from rumiai_ray.engine.cell import cell as cells
from rumiai_ray.engine.cell.dispatcher import Dispatcher, Done, WorkRow
from rumiai_ray.engine.cell.pool import CellPool
from rumiai_ray.engine.cell.supply import OwnCells
from rumiai_ray.engine.setup.resource_plan import Machine, plan_machine
from rumiai_ray.engine.work.item import encode
from works import frames_work

if TYPE_CHECKING:
    from rumiai_ray.engine.cell.lane_policy import LanePolicy
    from rumiai_ray.engine.ray_session.local import LocalRay

ON_GPU = {"eyes": 1.0, "words": 4.0, "ears": 2.5}
MODELS = (plan("people", actors=2), *(replace(plan(name), device="cuda:0", gpu_memory_gb=size) for name, size in ON_GPU.items()))
MACHINE = Machine(cpus=4, memory_gb=24, gpus=2, gpu_memory_gb=10)


def _devices(cell: cells.Cell) -> dict[str, list[str]]:
    def seen(_: Any) -> str:
        return os.environ["CUDA_VISIBLE_DEVICES"]

    return {name: ray.get([actor.__ray_call__.remote(seen) for actor in actors]) for name, actors in cell.actors.items()}


def test_the_models_of_a_cell_share_one_gpu_and_the_cell_too_many_waits(ray_here: LocalRay, policy: LanePolicy) -> None:
    planned = plan_machine(MODELS, MACHINE)
    assert planned.cells == 2
    spec = cells.CellSpec(MODELS, ray_here.code_sha256, ray_here.scratch, policy, 1, planned.cell)
    with ExitStack() as held:
        running = [cells.start(spec) for _ in range(planned.cells)]
        for cell in running:
            held.callback(cell.close)
        devices = [_devices(cell) for cell in running]
        for seen in devices:
            assert seen["people"] == ["", ""], "a model of the CPU sees no GPU"
            assert len({*seen["eyes"], *seen["words"], *seen["ears"]}) == 1, "the others see the same one"
        assert {seen["words"][0] for seen in devices} == {"0", "1"}
        assert _gpus_free() == 0
        assert planned.free_cpus == 4 - 2 * planned.cell.cpus
        one_too_many = cells.ask(spec)
        held.callback(remove_placement_group, one_too_many)
        assert not one_too_many.wait(2)
        before = ray.get(running[0].actors["words"][0].ready.remote()).pid
        os.kill(before, 9)
        again = _until_back(running[0].actors["words"][0])
        assert again.pid != before
        assert _devices(running[0])["words"] == devices[0]["words"], "a replaced actor gets its own device back"


def test_a_pool_works_with_the_cells_that_found_room_and_gives_back_those_that_have_nothing_to_do(
    ray_here: LocalRay, policy: LanePolicy
) -> None:
    planned = plan_machine(MODELS, MACHINE)
    spec = cells.CellSpec(MODELS, ray_here.code_sha256, ray_here.scratch, policy, 1, planned.cell)
    with contextlib.closing(CellPool(OwnCells(spec, 60), _dispatcher, attempts=2)) as pool:
        pool.want(3)
        while len(pool.cells) < 2:
            assert list(pool.collect(0.25)) == []
        assert _gpus_free() == 0
        work = frames_work([10, 20], dict.fromkeys(ON_GPU, (0, 1)))
        pool.submit(WorkRow(ray.put(encode([work]))))
        pool.release()
        assert len(pool.cells) == 1, "the idle cell goes, and so does the request of the third"
        done: list[Done] = []
        while not done:
            done = list(pool.collect(0.25))
        assert done[0].index is not None
        assert set(done[0].index.outcomes) == set(ON_GPU)
        pool.release()
        assert pool.cells == []
        while _gpus_free() < 2:  # Ray takes a moment
            time.sleep(0.1)


def _dispatcher(cell: cells.Cell) -> Dispatcher:
    return Dispatcher(cell.front, in_flight=1, attempts=2, patience_s=60)


def _gpus_free() -> float:
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return free.get("GPU", 0.0)


def _until_back(actor: Any) -> Any:
    while True:
        try:
            return ray.get(actor.ready.remote())
        except ray.exceptions.ActorUnavailableError:
            continue

"""Speed of light: the arithmetic, and the measurements it rests on, with fakes whose cost is known."""

from __future__ import annotations

import os
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import ray

import fakes
from fakes import plan
from rumiai_ray.engine.benchmark import models_alone as alone
from rumiai_ray.engine.benchmark.cpu_meter import Meter
from rumiai_ray.engine.benchmark.models_alone import measure_alone
from rumiai_ray.engine.cell.dispatcher import Dispatcher, WorkRow
from rumiai_ray.engine.cell.model_actor import worker_environment
from rumiai_ray.engine.results.ceiling import CORES, ceiling
from rumiai_ray.engine.work.item import encode
from rumiai_ray.provenance import source_sha256
from works import audio_work, frames_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rumiai_ray.engine.cell.cell import Cell
    from rumiai_ray.engine.ray_session.local import LocalRay

# Names of their own: the notes of the session's other actors lie in the same folder.
BURNER = plan("burner", behave="burn")
WORKS = [
    *(frames_work([number, number], {"burner": (0,), "spectacles": (0, 1)}, video_key=f"v{number}") for number in (10, 50, 90, 130)),
    audio_work(7, ("trumpet",), video_key="v10", index=1, count=2),
]


@pytest.mark.parametrize(
    ("seconds", "cpu_s", "actors", "bound_by", "videos_per_s"),
    [
        ({"a": 30.0, "b": 10.0}, {"a": 3.0, "b": 3.0}, 1, "a", 10 / 30),  # a GPU's model: slow, but not by its CPU time
        ({"a": 30.0, "b": 10.0}, {"a": 3.0, "b": 3.0}, 3, "a", 10 / 10),
        ({"a": 30.0, "b": 28.0}, {"a": 60.0, "b": 28.0}, 1, CORES, 10 / 44),  # `a` on both cores leaves none to `b`
        ({"a": 30.0, "b": 28.0}, {"a": 60.0, "b": 28.0}, 9, CORES, 10 / 44),
    ],
)
def test_the_ceiling_is_what_the_slowest_model_or_all_cores_allow(
    seconds: Mapping[str, float], cpu_s: Mapping[str, float], actors: int, bound_by: str, videos_per_s: float
) -> None:
    limit = ceiling(seconds, cpu_s, 10, actors=dict.fromkeys(seconds, actors), cores=2)
    assert limit is not None
    assert limit.bound_by == bound_by
    assert limit.videos_per_s == pytest.approx(videos_per_s)


def test_models_that_were_asked_nothing_have_no_ceiling() -> None:
    assert ceiling({"a": 0.0}, {"a": 0.0}, 3, actors={"a": 1}, cores=2) is None
    assert ceiling({}, {}, 0, actors={"a": 1}, cores=2) is None


def test_a_model_alone_is_asked_once_about_every_row_that_wants_it_and_its_cpu_time_is_seen() -> None:
    cost = measure_alone(BURNER, WORKS, source_sha256())
    assert (cost.calls, cost.rows) == (4, 4)
    assert cost.cpu_s >= 4 * fakes.BURNT_S
    assert cost.seconds >= 4 * fakes.BURNT_S
    assert cost.load_s > 0


def test_a_model_nobody_asks_costs_nothing() -> None:
    cost = measure_alone(plan("idle"), WORKS, source_sha256())
    assert (cost.calls, cost.seconds, cost.cpu_s) == (0, 0.0, 0.0)


def environment_of(*_: object) -> dict[str, str]:
    return dict(os.environ)


def test_a_model_alone_has_the_environment_of_a_worker_and_this_process_keeps_its_own_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile: list[dict[str, str]] = []

    class Watched(ProcessPoolExecutor):
        def submit(self, *task: Any, **options: Any) -> Future[Any]:
            cost = super().submit(*task, **options)
            cost.add_done_callback(lambda _: meanwhile.append(environment_of()))
            return cost

    monkeypatch.setattr(alone, "ProcessPoolExecutor", Watched)
    monkeypatch.setattr(alone, "_measure", environment_of)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    before = environment_of()
    idle = plan("idle")
    there: Any = measure_alone(idle, [], "")
    assert there.items() >= worker_environment(idle.settings.threads, gpu=False).items()
    assert (there["OMP_NUM_THREADS"], there["CUDA_VISIBLE_DEVICES"]) == (str(idle.settings.threads), "")
    assert [*meanwhile, environment_of()] == [before, before]


def test_calls_and_cpu_time_are_seen_from_outside_by_model(start_cell: Callable[..., Cell], ray_here: LocalRay) -> None:
    with Meter(ray_here.scratch) as meter:
        cell = start_cell(BURNER, plan("spectacles"), plan("trumpet", "Listener"))
        dispatcher = Dispatcher(cell.front, in_flight=3, attempts=3, patience_s=120)
        for work in WORKS:
            dispatcher.submit(WorkRow(ray.put(encode([work]))))
        answered: dict[str, float] = {}
        while dispatcher.open:
            for done in dispatcher.collect():
                assert done.index is not None
                answered |= {name: answered.get(name, 0.0) + outcome.cpu_s for name, outcome in done.index.outcomes.items()}
    ended = meter.look()
    assert (ended.begun["burner"], ended.begun["spectacles"], ended.begun["trumpet"]) == (4, 4, 1)
    assert ended.answered["burner"] == 4
    assert answered["burner"] >= 4 * fakes.BURNT_S
    assert ended.cpu_s["burner"] >= 4 * fakes.BURNT_S
    assert ended.cpu_s["front"] > 0
    assert ended.machine_cpu_s >= sum(ended.cpu_s.values())

"""What cells are made of, beyond the plan: batches in flight, and the room for them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fakes
from rumiai_ray.config import Config, Engine
from rumiai_ray.engine.cell.policy import batches_in_flight, cell_spec
from rumiai_ray.engine.ray_session import settings as ray_settings
from rumiai_ray.engine.ray_session.local import LocalRay
from rumiai_ray.engine.setup.resource_plan import CellShape, Share

if TYPE_CHECKING:
    from collections.abc import Mapping

MB = 2**20


def shape(actors: Mapping[str, int]) -> CellShape:
    return CellShape(14, 1, 1, tuple(Share(model, count, 1, 0, 0.5, 0) for model, count in actors.items()))


@pytest.mark.parametrize(("most", "in_flight"), [(1, 3), (2, 3), (3, 5), (8, 12), (16, 24)])
def test_batches_in_flight_keep_every_actor_of_the_model_with_most_busy(most: int, in_flight: int) -> None:
    assert batches_in_flight(shape({"mediapipe": most, "ocr": 1})) == in_flight


@pytest.mark.parametrize(("said", "in_flight"), [(None, 12), (2, 2)])
def test_what_the_user_says_of_batches_in_flight_goes_before_the_rule(said: int | None, in_flight: int, tmp_path: Path) -> None:
    config = Config(engine=Engine(batches_in_flight=said))
    spec = cell_spec(config, [fakes.plan("eye", "Fake")], shape({"mediapipe": 8}), LocalRay("", tmp_path))
    assert spec.batches_in_flight == in_flight


@pytest.mark.parametrize(
    ("cpus", "shared_mb", "memory_mb", "wanted_mb"),
    [
        (2, 16_000, 16_000, 512),
        (16, 16_000, 16_000, 1024),
        (128, 4_000, 256_000, 3_200),
        (128, 64, 256_000, 512),
        (64, 16_000, 2_000, 600),
        (400, 90_000, 256_000, 8_192),
    ],
)
def test_the_object_store_grows_with_the_cpus_as_far_as_shared_memory_and_the_container_go(
    monkeypatch: pytest.MonkeyPatch, cpus: int, shared_mb: int, memory_mb: int, wanted_mb: int
) -> None:
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(ray_settings, "_SHARED_MEMORY", Path("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2 * shared_mb * MB, shared_mb * MB, shared_mb * MB))
    monkeypatch.setattr("ray._common.utils.get_system_memory", lambda: memory_mb * MB)
    assert ray_settings.object_store_bytes(cpus) == wanted_mb * MB

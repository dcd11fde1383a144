"""A dozen faults of the kill matrix (`make chaos` has them all), several in one run, compared with an undisturbed one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from chaos import ChaosKit, Ground, check_equal, deal, endure
from faults import ALWAYS, Fault

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.local import LocalRay

DOZEN = [
    Fault("segfault", "extract", "middle"),
    Fault("kill", "worker", "middle"),
    Fault("abort", "worker", "start", times=ALWAYS),
    Fault("kill", "front", "end"),
    Fault("segfault", "front", "start", times=ALWAYS),
    Fault("raise", "reader", "start"),
    Fault("kill", "reader", "middle", times=ALWAYS),
    Fault("gil", "ears", "start"),
    Fault("memory", "ears", "middle", times=ALWAYS),
    Fault("raise", "assemble", "start", times=ALWAYS),
    Fault("kill", "assemble", "end"),
    Fault("kill", "writer", "after data"),
]
DRIVER = [
    Fault("kill", "driver", "before record"),
    Fault("segfault", "driver", "mid record"),
    Fault("kill", "driver", "after data"),
]


@pytest.fixture(scope="module")
def ground(ray_here: LocalRay, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground.laid(ray_here, tmp_path_factory.mktemp("ground"), 16, seed=11)


def test_a_dozen_faults_in_one_run_cost_what_they_must_and_nothing_else(ground: Ground, tmp_path: Path) -> None:
    fates, entries = deal(DOZEN, ground.entries, 4, random.Random(11))
    kit = ChaosKit(ground.here, tmp_path)
    check_equal(endure(kit, "struck", entries, fates), ground.undisturbed, entries, fates)


def test_a_driver_killed_around_its_commits_is_resumed_to_what_an_undisturbed_run_gives(ground: Ground, tmp_path: Path) -> None:
    kit = ChaosKit(ground.here, tmp_path, settings={"group_age_s": 0.1})
    fates, entries = deal(DRIVER, ground.entries, 4, random.Random(12))
    check_equal(endure(kit, "resumed", entries, fates), ground.undisturbed, entries, fates)

"""Random batches under random kills, in small; `make attribution` runs 2,000 videos and more."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings

from attribution import Trial, run_trial, trial_entries, trials
from batches import Kit

if TYPE_CHECKING:
    import pytest

    from rumiai_ray.engine.ray_session.local import LocalRay


def test_whatever_the_sizes_and_whoever_is_killed_every_row_belongs_to_its_own_video(
    ray_here: LocalRay, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kit = Kit(ray_here, tmp_path_factory.mktemp("attribution"), cells=None)
    numbers = count()

    # No shrinking: a batch that fails is not cheaper to understand when it is smaller, and takes half a minute.
    @settings(max_examples=2, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(trials(most_kills=2))
    def attribute(trial: Trial) -> None:
        run_trial(kit, f"trial-{next(numbers)}", trial, trial_entries(kit.place, range(1, 31), trial.seed))

    attribute()

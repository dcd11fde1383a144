"""2,000 numbered videos and more, in batches of random shape, under random kills: no row may be swapped, lost or doubled.

`make attribution`; ATTRIBUTION_TRIALS and ATTRIBUTION_VIDEOS (of one trial) change it. Every trial has videos of its own.
"""

from __future__ import annotations

import os
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from attribution import Trial, run_trial, trial_entries, trials
from batches import Kit

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.ray_session.local import LocalRay

TRIALS = int(os.environ.get("ATTRIBUTION_TRIALS", "10"))
VIDEOS = int(os.environ.get("ATTRIBUTION_VIDEOS", "210"))


@pytest.mark.timeout(4 * 3600)
def test_two_thousand_videos_keep_their_rows(ray_here: LocalRay, tmp_path: Path) -> None:
    assert TRIALS * VIDEOS < 4096, "a clip holds no larger number"
    kit = Kit(ray_here, tmp_path, cells=None)
    trial_numbers = count()
    killed = 0

    @settings(max_examples=TRIALS, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
    @given(trials(most_kills=6))
    def attribute(trial: Trial) -> None:
        nonlocal killed
        number = next(trial_numbers)
        began = time.monotonic()
        entries = trial_entries(kit.place, range(1 + number * VIDEOS, 1 + (number + 1) * VIDEOS), trial.seed)
        kills = run_trial(kit, f"trial-{number}", trial, entries)
        killed += kills
        print(f"trial {number}: {len(entries)} videos, {kills} kills, {time.monotonic() - began:.0f} s: {trial}", flush=True)

    attribute()
    trials_run = next(trial_numbers)
    print(f"{trials_run * VIDEOS} videos in {trials_run} batches, {killed} processes killed: no row swapped, lost or doubled")
    assert trials_run == TRIALS

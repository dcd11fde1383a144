"""Prometheus is told the same figures as the terminal and the log."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rumiai_ray.engine.results import batch_metrics
from rumiai_ray.engine.results.batch_metrics import BatchMetrics
from rumiai_ray.engine.results.progress import Phase, Progress
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.engine.work.metrics import METRICS

if TYPE_CHECKING:
    import pytest

PROGRESS = Progress(
    phase=Phase.ANALYSING,
    elapsed_s=100.0,
    models_loaded=2,
    models=2,
    cells=1,
    cells_wanted=2,
    rows=3,
    writing=4,
    total=40,
    done=8,
    video_s_known=180.0,
    video_s_analysed=95.0,
    video_s_total=400.0,
    eta_s=320.0,
    frames_per_s=30.0,
    busy={"eye": 0.5, "ear": None},
    quiet_s=1.0,
    tally=Tally(Counter(committed=6, dead_letter=2), video_s=60.0),
)


class Gauges:
    """What was set last, by metric and by the label that is not the run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: dict[tuple[str, str], float] = {}
        monkeypatch.setattr(batch_metrics, "metric", self._metric)

    def _metric(self, name: str) -> Any:
        assert name in METRICS
        told = self.told

        class Metric:
            def set(self, value: float, labels: dict[str, str]) -> None:
                assert set(labels) == set(METRICS[name][2])
                told[name, "".join(text for label, text in labels.items() if label != "run_id")] = value

            def inc(self, value: float, labels: dict[str, str]) -> None:
                self.set(told.get((name, "".join(labels.values())), 0.0) + value, labels)

        return Metric()


def test_the_gauges_have_the_figures_of_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    gauges = Gauges(monkeypatch)
    BatchMetrics("r").tick(PROGRESS)
    told = gauges.told
    assert [told["rumiai_phase", phase] for phase in Phase] == [float(phase == Phase.ANALYSING) for phase in Phase]
    assert [told["rumiai_video_seconds", state] for state in ("known", "analysed", "committed")] == [180.0, 95.0, 60.0]
    assert (told["rumiai_eta_seconds", ""], told["rumiai_busy_share", "eye"]) == (320.0, 0.5)
    assert (told["rumiai_entries_analysed", ""], told["rumiai_entries_left", ""], told["rumiai_entries", "committed"]) == (12, 32, 6)


def test_what_is_not_known_any_more_is_not_a_number_and_not_the_last_value(monkeypatch: pytest.MonkeyPatch) -> None:
    gauges = Gauges(monkeypatch)
    monkeypatch.setattr(batch_metrics, "_EVERY_S", 0.0)
    metrics = BatchMetrics("r")
    metrics.tick(PROGRESS)
    assert math.isnan(gauges.told["rumiai_busy_share", "ear"])
    metrics.tick(replace(PROGRESS, eta_s=None, busy={"eye": None, "ear": 0.25}))
    assert math.isnan(gauges.told["rumiai_eta_seconds", ""])
    assert math.isnan(gauges.told["rumiai_busy_share", "eye"])
    assert gauges.told["rumiai_busy_share", "ear"] == 0.25


def test_the_end_is_told_however_short_the_last_look_is_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    gauges = Gauges(monkeypatch)
    metrics = BatchMetrics("r")
    metrics.tick(PROGRESS)
    metrics.tick(replace(PROGRESS, done=9))
    assert gauges.told["rumiai_entries_left", ""] == 32
    metrics.tick(replace(PROGRESS, phase=Phase.DONE, done=40, writing=0))
    assert gauges.told["rumiai_entries_left", ""] == 0
    assert gauges.told["rumiai_phase", "done"] == 1.0

"""The figures of a batch, from its tallies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fakes import plan
from rumiai_ray.engine.results.summary import figures_of, speed_of_light, summary_of
from rumiai_ray.engine.setup import machines
from rumiai_ray.engine.work.counts import Tally

if TYPE_CHECKING:
    import pytest


def tally(videos: int, ocr_s: float) -> Tally:
    counted = Tally(video_s=10.0 * videos)
    counted.entries["committed"] = videos
    counted.statuses["ocr", "ok"] = videos
    counted.seconds["ocr"] = counted.cpu_s["ocr"] = ocr_s
    return counted


def test_a_resumed_run_counts_the_whole_and_gives_the_throughput_of_its_last_session() -> None:
    figures = summary_of(tally(4, 20.0), tally(6, 30.0), elapsed_s=100.0)
    assert figures["entries"] == {"committed": 10}
    assert figures["analyses"] == {"ocr.ok": 10}
    assert figures["model_seconds"] == {"ocr": 50.0}
    assert figures["model_cpu_seconds"] == {"ocr": 20.0}
    assert figures["videos_per_hour"] == 144.0
    assert figures["video_hours_per_day"] == 9.6


def test_the_share_of_the_speed_of_light_is_of_what_the_slowest_model_would_allow() -> None:
    # 5 s of OCR a video, one actor: 720 videos an hour; 4 in 40 s are 360.
    light = speed_of_light(tally(4, 20.0), [plan("ocr")], {"ocr": 1}, cores=2, elapsed_s=40.0)
    assert light == {"videos_per_hour": 720.0, "bound_by": "ocr", "share_reached": 0.5}


def test_where_no_model_was_asked_there_is_no_ceiling() -> None:
    assert speed_of_light(Tally(), [plan("ocr")], {"ocr": 1}, cores=2, elapsed_s=40.0) is None


def test_where_the_workers_have_left_there_are_no_cores_and_no_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    there: Any = SimpleNamespace(
        cluster_resources=lambda: {"memory": 1e9, "node:__internal_head__": 1.0}, nodes=lambda: [{}], __version__="2"
    )
    monkeypatch.setattr(machines, "ray", there)
    assert machines.cores_of_now() == 0.0
    assert speed_of_light(tally(4, 20.0), [plan("ocr")], {"ocr": 1}, machines.cores_of_now(), elapsed_s=40.0) is None


def test_a_figure_that_cannot_be_computed_costs_that_figure_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    def gone() -> dict[str, Any]:
        raise ConnectionError("Ray has gone")

    figures = figures_of({"cluster": gone, "counts": lambda: {"videos": 3}, "speed": lambda: {"share": float("nan")}})
    assert figures["videos"] == 3
    assert figures["not_computed"]["cluster"] == "ConnectionError: Ray has gone"
    assert figures.keys() == {"videos", "not_computed"}
    assert figures["not_computed"].keys() == {"cluster", "speed"}
    assert len(caplog.messages) == 2
    assert figures_of({"counts": lambda: {"videos": 3}}) == {"videos": 3}

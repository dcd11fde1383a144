"""The figures of a batch, from its tallies."""

from __future__ import annotations

from fakes import plan
from rumiai_ray.engine.figures import speed_of_light, summary_of
from rumiai_ray.engine.tally import Tally


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

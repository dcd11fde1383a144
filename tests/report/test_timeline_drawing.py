"""Where things stand on the timeline, and what the insight tables look like on a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from report_run import analysis_row, emotion_row, insight_rows, video_row, write_run
from rumiai_ray.report.charts import bars_of, histogram
from rumiai_ray.report.lanes import Timeline, TimelineLane
from rumiai_ray.report.rows import RunRows
from rumiai_ray.report.write import write_report, write_video
from synthetic_run import object_row

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.reader import Run


def lanes_of(run: Run) -> dict[str, TimelineLane]:
    rows = RunRows(run)
    (video,) = rows.videos
    return {lane.name: lane for lane in Timeline(rows, video, rows.times_s(video["video_key"])).lanes()}


def spans(lane: TimelineLane) -> list[tuple[float, float]]:
    """Begin and end of the bars, in seconds of a video of 10."""
    return [(float(bar.left[:-1]) / 10, (float(bar.left[:-1]) + float(bar.width[:-1])) / 10) for bar in lane.bars]


def test_an_object_lasts_from_half_a_step_before_to_half_a_step_after_and_is_not_joined_over_a_frame_without_it(tmp_path: Path) -> None:
    rows = {"objects": [object_row(frame) for frame in (10, 11, 12, 14)]}
    assert spans(lanes_of(write_run(tmp_path, {"clip": rows}))["objects"]) == [(1.9, 2.5), (2.7, 2.9)]


def test_frames_that_the_model_did_not_see_do_not_interrupt(tmp_path: Path) -> None:
    seen = analysis_row("yolo", frames_planned=25, frames_analyzed=25, frames_seen=list(range(0, 50, 2)))
    rows = {"objects": [object_row(frame) for frame in (10, 12, 14)], "analyses": [seen]}
    assert spans(lanes_of(write_run(tmp_path, {"clip": rows}))["objects"]) == [(1.8, 3.0)]


def test_an_expression_is_no_line_where_nobody_looked(tmp_path: Path) -> None:
    seen = analysis_row("emotion", frames_planned=10, frames_analyzed=10, frames_seen=list(range(0, 50, 5)))
    rows = {"emotions": [emotion_row(frame, "fear") for frame in (0, 5, 10, 40)], "analyses": [seen]}
    lane = lanes_of(write_run(tmp_path, {"clip": rows}))["expression"]
    (fear,) = [curve for curve in lane.curves if curve.name == "fear"]
    assert re.sub(r" [\d.]+", "", fear.path.replace(" h.1", "h")) == "M0.0L100.0L200.0M800.0h"


def test_insights_are_bars_of_the_timeline(tmp_path: Path) -> None:
    lanes = lanes_of(
        write_run(tmp_path, {"clip": insight_rows() | {"analyses": [analysis_row(name) for name in ("shots", "ocr", "mediapipe")]}})
    )
    assert spans(lanes["shots"]) == [(0.0, 5.0), (5.0, 10.0)]
    assert [(bar.kind, span) for bar, span in zip(lanes["framing"].bars, spans(lanes["framing"]), strict=True)] == [
        ("framing-close", (0.0, 5.0)),
        ("framing-none", (5.0, 10.0)),
    ]
    (text,) = lanes["text on the screen"].bars
    assert (text.text, text.kind) == ("FOLLOW ME", "text-overlay")
    assert lanes["loudness"].missing == "sound was not part of this run"


def test_rates_are_percent_absent_ones_a_dash_with_the_reason_and_zeros_zeros(tmp_path: Path) -> None:
    failed = analysis_row("sound", "failed", error_class="ModelError", error_message="it crashed", processing_time_s=None)
    analyses = [failed, *(analysis_row(name) for name in ("mediapipe", "shots", "whisper", "emotion", "ocr", "yolo"))]
    run = write_run(tmp_path / "runs", {"clip": insight_rows() | {"analyses": analyses}})
    page = write_video(run, "clip", tmp_path / "page.html", None).read_text(encoding="utf-8")
    framing = page.partition("<h2>People and framing</h2>")[2].partition("</section>")[0]
    tiles = re.findall(r'"value">(.*?)</p><p class="name">(.*?)</p>', framing)
    shown = {name: re.sub(r"<.*?>", "", value) for value, name in tiles}
    assert shown["face visibility rate"] == "50 %"
    assert shown["subject count"] == "1"
    assert shown["eye contact rate"] == "— (nothing to measure it on)"
    windows = page.partition("<h2>Hook, middle, closing</h2>")[2]
    (cuts,) = re.findall(r"cuts per minute</th>(.*?)</tr>", windows, re.DOTALL)
    assert re.findall(r'<td class="number">(.*?)</td>', cuts) == ["0 a minute", "6 a minute"]
    (energy,) = re.findall(r"energy level</th>(.*?)</tr>", windows, re.DOTALL)
    assert energy.count("(sound failed: ModelError: it crashed)") == 2
    index = write_report(run, tmp_path / "report", None)[0].read_text(encoding="utf-8")
    assert "not measured on 1" in index.partition("words per minute")[2].partition("</figure>")[0]


def test_a_histogram_counts_every_value_once_and_says_what_was_not_measured() -> None:
    chart = histogram("share", [0.0, 0.05, 0.95, 1.0], "", 0.0, 1.0, of=6)
    assert [bar.value for bar in chart.bars] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert chart.note == "median 0.5; not measured on 2"
    assert sum(bar.value for bar in histogram("length", [3.0, 3.0, 7.5, 61.2], "s").bars) == 4
    assert histogram("nothing", [], "s").bars == ()
    assert sum(bar.value for bar in histogram("one", [0.0], "s").bars) == 1


def test_rare_bars_are_counted_and_not_shown() -> None:
    chart = bars_of("labels", [(f"label{number}", 20 - number) for number in range(15)])
    assert (len(chart.bars), chart.note, chart.bars[0].length) == (12, "and 3 more", "100.00")


def test_two_texts_at_a_time_stand_below_each_other(tmp_path: Path) -> None:
    span = insight_rows()["text_spans"][0]
    rows = {"text_spans": [span, span | {"span_index": 1, "text": "LINK", "start_s": 3.0, "end_s": 5.0}], "analyses": [analysis_row("ocr")]}
    lane = lanes_of(write_run(tmp_path, {"clip": rows}))["text on the screen"]
    assert [(bar.text, bar.line) for bar in lane.bars] == [("FOLLOW ME", 0), ("LINK", 1)]
    assert lane.lines == 2


def test_a_video_without_length_has_a_timeline(tmp_path: Path) -> None:
    still = video_row("clip", duration_s=0.0, frames_sampled=1, fps=None)
    lanes = lanes_of(write_run(tmp_path, {"clip": {"videos": [still], "objects": [object_row(0)], "analyses": [analysis_row("yolo")]}}))
    assert lanes["objects"].bars[0].left == "0.000%"

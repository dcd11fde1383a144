"""Sampled frames on a page: the right ones, or the reason why there are none."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from report_run import analysis_row, write_run
from rumiai_ray.report.pictures import chosen_frames, strip_of
from rumiai_ray.report.rows import RunRows
from rumiai_ray.report.video_page import video_page
from rumiai_ray.report.write import write_video
from synthetic_run import object_row

if TYPE_CHECKING:
    from pathlib import Path

    from report_run import Analysed


def pixels(uri: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def test_every_sampled_frame_is_there_at_its_time_with_what_was_found_in_it(analysed: Analysed) -> None:
    rows = RunRows(analysed.run)
    (video,) = rows.videos
    strip = strip_of(analysed.store, video, rows.drawn(video["video_key"]), 120)
    assert [picture.time_s for picture in strip.pictures] == [number / 5 for number in range(10)]
    assert strip.size_px == (96, 64)
    blue = [int((pixels(picture.uri)[48:52, 30:60].astype(int) @ [1, 0, -1]).max()) for picture in strip.pictures]
    assert max(blue[:5]) < 25, "black and white alone: no dog in the first second"
    assert min(blue[5:]) > 40, "the lower edge of the dog's box"


def test_fewer_pictures_are_spread_evenly(analysed: Analysed) -> None:
    (video,) = RunRows(analysed.run).videos
    assert [picture.frame_index for picture in strip_of(analysed.store, video, {}, 4).pictures] == [0, 3, 6, 9]


def test_a_page_whose_frames_are_gone_says_so_and_shows_what_was_found(analysed: Analysed, tmp_path: Path) -> None:
    analysed.store.prune(0)
    page = write_video(analysed.run, "clip", tmp_path / "page.html", analysed.store).read_text(encoding="utf-8")
    assert f"The sampled frames are not in the frame store {analysed.store.root} any more" in page
    assert "<img" not in page
    assert 'aria-label="1.00 seconds: objects: dog"' in page


@given(st.integers(1, 60), st.integers(1, 60), st.sets(st.integers(0, 59)))
def test_chosen_frames_are_as_many_as_asked_for_and_prefer_those_that_a_model_looked_at(total: int, most: int, seen: set[int]) -> None:
    plain, chosen = chosen_frames(total, most), chosen_frames(total, most, [seen])
    assert len(chosen) == len(plain) == min(total, most)
    assert chosen == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < total
    assert len(seen & set(chosen)) >= len(seen & set(plain))


def test_pictures_are_of_frames_that_the_models_looked_at_and_one_that_a_model_skipped_says_so(tmp_path: Path, analysed: Analysed) -> None:
    seen: dict[str, Any] = {"frames_planned": 3, "frames_analyzed": 3, "frames_seen": [1, 4, 7]}
    (video,) = RunRows(analysed.run).videos
    kept = {name: value for name, value in video.items() if name not in {"run_id", "video_key"}}
    rows = {
        "videos": [kept],
        "objects": [object_row(frame, time_s=frame / 5) for frame in (1, 4)],
        "analyses": [analysis_row("yolo", **seen), analysis_row("emotion", frames_seen=list(range(10)))],
    }
    run = write_run(tmp_path / "other", {"clip": rows}, keys={"clip": video["video_key"]})
    (one,) = RunRows(run).videos
    strip = video_page(RunRows(run), one, analysed.store, 3)
    assert [moment.frame_index for moment in strip.moments] == [1, 4, 7]
    page = write_video(run, "clip", tmp_path / "page.html", analysed.store).read_text(encoding="utf-8")
    assert 'aria-label="0.40 seconds: nothing found; objects: not looked at by YOLO"' in page
    assert 'aria-label="0.20 seconds: objects: person"' in page
    assert 'aria-label="1.40 seconds: nothing found"' in page, "YOLO looked and found nothing"
    assert "YOLO looked at 3 of 10 sampled frames. A frame without a model&#39;s findings may be one" in page


def test_a_failed_model_looked_at_nothing_and_one_that_looked_at_all_is_not_mentioned(tmp_path: Path) -> None:
    failed = analysis_row("yolo", "failed", error_class="ModelError", error_message="it crashed", processing_time_s=None)
    run = write_run(tmp_path / "runs", {"clip": {"analyses": [failed, analysis_row("emotion")]}})
    (video,) = RunRows(run).videos
    assert RunRows(run).looked_at(video["video_key"]) == {"emotion": frozenset(range(50))}
    assert video_page(RunRows(run), video, None, 9).looks == ""

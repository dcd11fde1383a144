"""Sampled frames on a page: the right ones, or the reason why there are none."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import cv2
import numpy as np

from rumiai_ray.report.pictures import strip_of
from rumiai_ray.report.rows import RunRows
from rumiai_ray.report.write import write_video

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

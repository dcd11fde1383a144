"""The results drawn on the video itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from report_run import video_row, write_run
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import decode_limits
from rumiai_ray.errors import ConfigError, RumiaiError
from rumiai_ray.report.annotate import annotate
from synthetic_clips import make_clip

if TYPE_CHECKING:
    from pathlib import Path

    from report_run import Analysed

LIMITS = decode_limits(load_config())


def frames_of(path: Path) -> tuple[list[float], list[np.ndarray[Any, Any]]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [float(frame.time or 0) for frame in frames], [frame.to_ndarray(format="bgr24") for frame in frames]


def test_every_frame_is_there_at_its_own_time_with_the_nearest_results(analysed: Analysed, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    assert annotate(analysed.run, "clip", target, LIMITS) == 20
    times_s, pictures = frames_of(target)
    assert times_s == pytest.approx([number / 10 for number in range(20)], abs=1e-4)
    assert pictures[0].shape == (64, 96, 3)
    blue = np.array([int((picture[48:52, 30:60].astype(int) @ [1, 0, -1]).max()) for picture in pictures])
    assert blue[:9].max() < 25, "no dog before 0.9 s"
    assert blue[11:].min() > 40, "the dog that was sampled from 1.0 s on"


def test_the_sound_stays_in_its_place(analysed: Analysed, tmp_path: Path) -> None:
    annotate(analysed.run, "clip", tmp_path / "out.mp4", LIMITS)
    with av.open(str(tmp_path / "out.mp4")) as container:
        heard = [(float(frame.time or 0), frame.samples) for frame in container.decode(audio=0)]
    assert heard[0][0] == pytest.approx(0.0, abs=0.07)
    assert sum(samples for _, samples in heard) / 16_000 == pytest.approx(2.0, abs=0.15)


def test_a_moved_video_is_taken_from_where_it_is_now(analysed: Analysed, tmp_path: Path) -> None:
    moved = analysed.clip.rename(tmp_path / "moved.mp4")
    with pytest.raises(ConfigError, match="is no longer there"):
        annotate(analysed.run, "clip", tmp_path / "out.mp4", LIMITS)
    assert annotate(analysed.run, "clip", tmp_path / "out.mp4", LIMITS, source=moved) == 20


def test_another_video_is_refused_and_nothing_is_left(analysed: Analysed, tmp_path: Path) -> None:
    other = make_clip(tmp_path / "other.mp4", [0.0, 0.1, 0.2])
    with pytest.raises(RumiaiError, match=r"other\.mp4"):
        annotate(analysed.run, "clip", tmp_path / "out.mp4", LIMITS, source=other)
    assert not (tmp_path / "out.mp4").exists()


def test_a_video_that_was_fetched_is_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": {"videos": [video_row("clip", input="https://example.org/v.mp4")]}})
    with pytest.raises(ConfigError, match="give the file itself with --input"):
        annotate(run, "clip", tmp_path / "out.mp4", LIMITS)


def test_no_file_is_written_over(analysed: Analysed, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("mine")
    with pytest.raises(ConfigError, match="already exists"):
        annotate(analysed.run, "clip", tmp_path / "out.mp4", LIMITS)
    assert (tmp_path / "out.mp4").read_text() == "mine"

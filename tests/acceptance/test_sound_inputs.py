"""Sound without a video stream through the real command: one signal of pictures and one of sound, which need no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from product import analyse, rumiai_ray
from sound_files import make_sound

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("song.mp3", "memo.m4a", "voice.opus", "take.wav", "post.mp4")


def test_sound_is_measured_and_pictures_are_skipped_by_reason(tmp_path: Path) -> None:
    ran = analyse(tmp_path, [make_sound(tmp_path / name, 3.0) for name in NAMES], "--models", "shots,sound")
    assert ran.code == 0, ran.stderr
    for name in NAMES:
        video = ran.video("/" + name)
        assert video["status"] == "complete"
        assert video["duration_s"] == pytest.approx(3.0, abs=0.1)
        told = {model: (one["status"], one["detail"]) for model, one in video["models"].items()}
        assert told == {"shots": ("skipped", "no video stream"), "sound": ("ok", None)}
        assert len(ran.rows("audio_energy", "/" + name)) == pytest.approx(60, abs=2)
    report = rumiai_ray("report", ran.document["run_dir"], "--to", tmp_path / "report", "--store", tmp_path / "store", cwd=tmp_path)
    assert report.code == 0, report.stderr
    assert len(list((tmp_path / "report" / "videos").glob("*.html"))) == len(NAMES)

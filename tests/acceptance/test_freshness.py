"""Frames are cached, model outputs never: proved on the product itself, with a copy of its code that the tests may edit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from product import ROOT, SUPPORT, Ran, analyse, rumiai_ray

if TYPE_CHECKING:
    from pathlib import Path

CLIP = "b_objects/ultralytics_bus.jpg"
PORTRAIT = "d_emotion/pyfeat_single_face_happy.jpg"
MODELS = ("--models", "mediapipe,yolo,emotion")
COMPUTED = (
    *("objects", "faces", "face_landmarks", "poses", "pose_landmarks", "hands", "hand_landmarks", "gestures", "gaze", "emotions"),
    *("tracks", "person_framing", "windows", "timeline"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and runs of its own."""
    return tmp_path_factory.mktemp("fresh")


@pytest.fixture(scope="module")
def first(place: Path, media: Path, weights: str) -> Ran:
    """The run that later ones must not lean on."""
    del weights
    return analyse(place, [media / CLIP], *MODELS)


def _same_rows(a: Ran, b: Ran) -> None:
    for name in COMPUTED:
        one, other = (ran.run.table(name).drop_columns(["run_id"]) for ran in (a, b))
        assert one.equals(other), name


def test_a_second_run_reads_frames_from_the_store_and_computes_everything_again(place: Path, media: Path, first: Ran) -> None:
    second = analyse(place, [media / CLIP], *MODELS)
    assert (first.video("bus.jpg")["frame_store"], second.video("bus.jpg")["frame_store"]) == ("miss", "hit")
    assert first.document["run_id"] != second.document["run_id"]
    for model in second.video("bus.jpg")["models"].values():
        assert model["processing_time_s"] > 0
    _same_rows(first, second)


def test_poisoned_earlier_outputs_are_neither_used_nor_opened(place: Path, media: Path, first: Ran) -> None:
    poisoned = place / "poisoned"
    shutil.copytree(place / "runs", poisoned / "runs")
    shutil.copytree(place / "store", poisoned / "store")
    for file in (poisoned / "runs").rglob("*"):
        if file.is_file():
            file.write_bytes(b"poison")
    audited = _audited(poisoned, media)
    assert audited.ran.code == 0, audited.ran.stderr
    _same_rows(first, audited.ran)
    old = [path for path in audited.opened if f"{poisoned}/runs/" in path and audited.ran.document["run_id"] not in path]
    assert audited.opened, "the audit saw nothing"
    assert old == []


@pytest.mark.model("mediapipe")
def test_faces_without_boxes_in_an_earlier_run_leave_the_next_run_s_framing_right(tmp_path: Path, media: Path, weights: str) -> None:
    """What started this project: an old file's faces had no box, and face size, visibility and eye contact came out as zeros."""
    del weights
    first = analyse(tmp_path, [media / PORTRAIT], "--models", "mediapipe")
    (right,) = first.run.table("person_framing").to_pylist()
    assert (right["face_visibility_rate"], right["eye_contact_rate"], right["subject_count"]) == (1.0, 1.0, 1)
    assert right["average_face_size"] > 0.1
    for file in (tmp_path / "runs").glob("*/faces/*.parquet"):
        faces = pq.read_table(file)
        for side in ("x1", "y1", "x2", "y2"):
            faces = faces.set_column(
                faces.schema.get_field_index(side), faces.schema.field(side), pa.array([0.0] * len(faces), pa.float32())
            )
        pq.write_table(faces, file)
    second = analyse(tmp_path, [media / PORTRAIT], "--models", "mediapipe")
    assert second.video("happy.jpg")["frame_store"] == "hit"
    (row,) = second.run.table("person_framing").to_pylist()
    assert row | {"run_id": None} == right | {"run_id": None}
    assert row["not_measured"][0] == "yolo: not asked"


class _Audited:
    def __init__(self, ran: Ran, opened: list[str]) -> None:
        self.ran = ran
        self.opened = opened


def _audited(place: Path, media: Path) -> _Audited:
    """A run under strace: every file any of its processes opened."""
    strace = shutil.which("strace")
    assert strace or os.environ.get("CI") != "true", "CI must not skip the audit: .ci/run installs strace"
    if strace is None:
        pytest.skip("no strace: Debian package strace")
    log = place / "opened.txt"
    places = ("--profile", "offline", "--store", f"{place}/store", "--out", f"{place}/runs")
    command = [
        strace,
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-e",
        "trace=open,openat,openat2",
        "-e",
        "signal=none",
        "-s",
        "4096",
        "-o",
        str(log),
        sys.executable,
        "-m",
        "rumiai_ray",
    ]
    process = subprocess.run(
        [*command, "analyze", *places, "--json", *MODELS, str(media / CLIP)],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    return _Audited(
        Ran(process.returncode, process.stdout, process.stderr), re.findall(r'open[at2]*\([^"]*"([^"]+)"', log.read_text(errors="replace"))
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the package that a test may edit."""
    shutil.copytree(ROOT / "rumiai_ray", tmp_path / "checkout" / "rumiai_ray", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "checkout"


def _edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1, f"{before!r} in {file}"
    file.write_text(text.replace(before, after))


def test_a_new_column_in_a_model_is_there_in_the_very_next_run(place: Path, media: Path, first: Ran, checkout: Path, yolo11n: None) -> None:
    del yolo11n
    assert "area_px" not in first.run.table("objects").column_names
    _edit(
        checkout / "rumiai_ray/schema/yolo.py",
        '        *box("object"),\n',
        '        *box("object"),\n        column("area_px", pa.float32(), "Area.", unit="px²"),\n',
    )
    _edit(
        checkout / "rumiai_ray/models/yolo/model.py",
        '            "confidence": float(found[row, 4]),\n',
        '            "confidence": float(found[row, 4]),\n            "area_px": float(np.prod(boxes[row][2:] - boxes[row][:2])),\n',
    )
    arguments = ("--profile", "offline", "--store", place / "store", "--out", place / "runs", "--json", "--models", "yolo")
    ran = rumiai_ray("analyze", *arguments, media / CLIP, cwd=checkout, package=checkout)
    assert ran.code == 0, ran.stderr
    assert ran.video("bus.jpg")["frame_store"] == "hit"
    assert len(ran.run.table("objects")["area_px"]) == len(first.run.table("objects"))
    assert ran.run.manifest.source_sha256 != first.run.manifest.source_sha256


@pytest.mark.model("yolo")
def test_an_actor_restarted_during_a_run_answers_with_the_code_the_run_started_with(yolo11n: None, media: Path, checkout: Path) -> None:
    del yolo11n
    process = subprocess.run(
        [sys.executable, SUPPORT / "edit_during_run.py", checkout, media / "b_objects" / "ultralytics_bus.jpg"],
        env={**os.environ, "PYTHONPATH": f"{checkout}:{SUPPORT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert process.returncode == 0, process.stderr
    before, after = json.loads(process.stdout.splitlines()[-1])
    assert before["pid"] != after["pid"], "the actor was not restarted"
    assert before["labels"] == after["labels"]
    assert "person" in before["labels"]

"""Runs in an S3 bucket: written, listed, shown and verified by the command line, which knows the server from its environment alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from numbered_clips import numbered_clip
from product import analyse, rumiai_ray
from rumiai_ray.runs.reader import open_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("weights"), pytest.mark.model("yolo")]


def test_a_video_is_analysed_into_a_bucket(media: Path, workplace: Path, bucket: str) -> None:
    ran = analyse(workplace, [media / "b_objects/ultralytics_bus.jpg"], "--models", "yolo", "--out", f"{bucket}/runs")
    assert ran.code == 0, ran.stderr
    assert ran.document["run_dir"].startswith(f"{bucket}/runs/")
    assert ran.document["status"] == "complete"
    assert ran.run.verify() == []
    (row,) = ran.rows("analyses", "bus.jpg")
    assert (row["model_name"], row["frames_seen"]) == ("yolo", [0])
    assert not (workplace / "runs" / ran.document["run_id"]).exists()


def test_a_batch_is_written_into_a_bucket_and_its_run_listed_shown_and_verified_there(workplace: Path, tmp_path: Path, bucket: str) -> None:
    clips = [numbered_clip(tmp_path / f"clip{number}.mkv", number, frames=3) for number in range(1, 4)]
    manifest = tmp_path / "clips.csv"
    manifest.write_text("\n".join(["id,input", *(f"{clip.stem},{clip}" for clip in clips), "gone,/nowhere/gone.mp4"]))
    out = ("--out", f"{bucket}/runs")
    order = ("batch", "--manifest", manifest, "--run-id", "night", "--profile", "offline", "--models", "yolo", *out)
    ran = rumiai_ray(*order, "--store", workplace / "store", cwd=workplace)
    assert ran.code == 1, ran.stderr
    run = open_run(f"{bucket}/runs/night")
    assert run.status == "partial"
    assert run.entries() == {"clip1": "committed", "clip2": "committed", "clip3": "committed", "gone": "dead_lettered"}
    assert run.table("analyses", ["status"]).num_rows == 3
    listed = rumiai_ray("runs", "ls", *out, cwd=workplace)
    assert "night" in listed.stdout
    assert "partial" in listed.stdout
    shown = rumiai_ray("runs", "show", "night", "--json", *out, cwd=workplace)
    assert {video["status"] for video in shown.document["videos"]} == {"complete", "dead_letter"}
    verified = rumiai_ray("runs", "verify", "night", *out, cwd=workplace)
    assert verified.code == 0
    assert "present; checksums, row counts and columns are correct." in verified.stdout
    again = rumiai_ray(*order, "--store", workplace / "store", cwd=workplace)
    assert again.code == 2
    assert "rumiai-ray runs resume night" in again.stderr

"""`rumiai-ray plan`: what machines would run, before anything is started."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from product import rumiai_ray

if TYPE_CHECKING:
    from pathlib import Path

EIGHT = ("plan", "--profile", "offline", "--cpus", "128", "--gpus", "8", "--gpu-memory", "80")


def test_a_machine_one_thinks_of_is_planned_for(tmp_path: Path) -> None:
    planned = json.loads(rumiai_ray(*EIGHT, "--json", cwd=tmp_path).stdout)
    assert (planned["cells"], planned["extract_tasks"]) == (8, 16)
    assert (planned["cell"]["cpus"], planned["cell"]["gpus"]) == (14.0, 1.0)
    shares = {share["model"]: share for share in planned["cell"]["shares"]}
    assert shares["mediapipe"]["gpus"] == 0
    assert shares["mediapipe"]["count"] > 1
    assert sum(share["count"] * share["gpus"] for share in shares.values()) == pytest.approx(1, abs=1e-3)
    assert planned["models"]["ocr"].startswith("ppocr/")


def test_the_plan_is_a_table_for_people(tmp_path: Path) -> None:
    shown = rumiai_ray(*EIGHT, cwd=tmp_path).stdout
    assert "mediapipe" in shown
    assert "14 CPU, 1 GPU" in shown
    assert "in all 8 cells, 16 videos read at a time" in " ".join(shown.split())


def test_what_does_not_fit_is_refused_with_the_sum(tmp_path: Path) -> None:
    refused = rumiai_ray(
        "plan", "--profile", "offline", "--cpus", "8", "--gpus", "1", "--gpu-memory", "4", "--ocr-engine", "easyocr", cwd=tmp_path
    )
    assert refused.code == 2
    assert "ocr 3.2 + whisper 1.3 = 4.5 GB of GPU memory, and may take 0.9 x 4 GB = 3.6 GB" in " ".join(refused.stderr.split())


def test_this_machine_is_planned_for_where_none_is_described(tmp_path: Path) -> None:
    planned = json.loads(rumiai_ray("plan", "--profile", "offline", "--device", "cpu", "--json", cwd=tmp_path).stdout)
    assert [machine["machine"]["name"] for machine in planned["machines"]] == ["this machine"]
    assert planned["machines"][0]["free_cpus"] >= 1

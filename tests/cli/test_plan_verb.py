"""`rumiai-ray plan`: what machines would run, before anything is started."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from product import rumiai_ray
from rumiai_ray.cli import plan as plan_verb
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.resource_plan import Machine
from rumiai_ray.errors import ConfigError

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
    """Of models whose first choice and stand-in need as much: the weights need not be there."""
    models = ("--models", "ocr,whisper", "--ocr-engine", "easyocr")
    refused = rumiai_ray("plan", "--profile", "offline", "--cpus", "8", "--gpus", "1", "--gpu-memory", "4", *models, cwd=tmp_path)
    assert refused.code == 2
    assert "ocr 3.2 + whisper 1.3 = 4.5 GB of GPU memory, and may take 0.9 x 4 GB = 3.6 GB" in " ".join(refused.stderr.split())


def test_this_machine_is_planned_for_where_none_is_described(tmp_path: Path) -> None:
    planned = json.loads(rumiai_ray("plan", "--profile", "offline", "--device", "cpu", "--json", cwd=tmp_path).stdout)
    assert [machine["machine"]["name"] for machine in planned["machines"]] == ["this machine"]
    assert planned["machines"][0]["free_cpus"] >= 1


HEAD = Machine(0, 16, name="node head")


def planned_for_cluster(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nodes: list[Machine], **engine: float) -> str:
    """What the verb says of a cluster of these nodes."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    monkeypatch.setattr(plan_verb, "_found", lambda config: nodes if config else [])
    plan_verb.plan(load_config(flags={"profile": "offline", "device": "cpu", "engine": engine}))
    return " ".join(capsys.readouterr().out.split())


def test_cells_on_cpu_nodes_that_are_still_to_come_are_planned_with_the_cpus_left_to_reading(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = planned_for_cluster(monkeypatch, capsys, [HEAD], cells=8, cell_cpus=3)
    assert "no cell on node head: has no CPU available" in said
    assert "8 cells to wait for nodes of at least 4 CPUs" in said
    assert "(1 x 3 + 1 = 4 CPUs)" in said
    assert "1 on 4 CPUs, 2 on 8 CPUs, 4 on 16 CPUs, 9 on 32 CPUs, 18 on 64 CPUs" in said
    assert "in all 8 cells, 3 videos read at a time" in said


def test_a_node_too_small_for_a_cell_beside_reading_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [HEAD, Machine(2, 16, name="node tiny"), Machine(8, 32, name="node large")]
    said = planned_for_cluster(monkeypatch, capsys, nodes, cells=2, cell_cpus=3)
    assert "no cell on node tiny: 1 cell of 3 CPUs needs 3; of 2 CPUs 1 may be taken" in said
    assert "node large (8 CPUs, 32 GB): 2 cells, 2 CPUs left to reading and writing (2 x 3 + 2 = 8 CPUs)" in said
    assert "to wait" not in said


def test_a_cluster_without_a_node_asks_what_the_nodes_to_come_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=r"no node holds a cell \(node head: has no CPU available\).*--engine-cell-cpus"):
        planned_for_cluster(monkeypatch, capsys, [HEAD], cells=4)


def test_a_plan_of_one_is_in_the_singular(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = planned_for_cluster(monkeypatch, capsys, [Machine(4, 16, name="node one")], cells=1, cell_cpus=3)
    assert "node one (4 CPUs, 16 GB): 1 cell, 1 CPU left to reading and writing" in said
    assert "in all 1 cell, " in said
    assert not re.search(r"\b1 (cells|CPUs|GPUs|videos)\b", said)
    said = planned_for_cluster(monkeypatch, capsys, [HEAD], cells=1, cell_cpus=1)
    assert "1 cell to wait for nodes of at least 2 CPUs" in said
    assert "cells of 1 CPU on a node to come" in said


def test_the_plan_says_which_model_runs_and_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    why = "the flagship lib/flagship is not available (no answer from hub.example); its stand-in is on this machine"
    models = plan_verb._models(load_config(flags={"profile": "offline", "device": "cpu"}), "cpu")
    first, *others = models
    monkeypatch.setattr(
        plan_verb, "_models", lambda *_: (replace(first, stand_in=True, reason=why), *(replace(one, reason="") for one in others))
    )
    said = planned_for_cluster(monkeypatch, capsys, [Machine(8, 32, name="node")], cells=1, cell_cpus=3)
    assert f"{first.name} runs {first.backend} (stand-in): {why}" in said
    assert f"{others[0].name} runs {others[0].backend} " in said

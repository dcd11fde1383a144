"""Metrics of a real run, scraped as Prometheus would; the dashboard and the alerts name no other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

import metrics_driver
from deployment import CLUSTER
from product import ROOT, SUPPORT
from ray_head import ray_head
from rumiai_ray.engine.work.metrics import METRICS

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("dashboard.json", "alerts.yml")


def _named(file: str) -> set[str]:
    return set(re.findall(r"ray_rumiai_\w+", (CLUSTER / file).read_text()))


@pytest.mark.timeout(400)
def test_every_metric_that_the_dashboard_and_the_alerts_name_comes_out_of_a_run(tmp_path: Path) -> None:
    paths = os.pathsep.join([str(ROOT), str(SUPPORT)])
    with ray_head({"PYTHONPATH": paths, "RAY_metrics_report_interval_ms": "1000"}) as head:
        driver = subprocess.run(
            [sys.executable, metrics_driver.__file__, head.gcs, str(tmp_path), head.metrics, "ray_rumiai_"],
            env=head.environment | {"PYTHONPATH": paths, "RAY_metrics_report_interval_ms": "1000"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert driver.returncode == 0, driver.stdout + driver.stderr
    samples = json.loads(driver.stdout.splitlines()[-1])
    names = {name for name, _, _ in samples}
    for file in FILES:
        assert _named(file) <= names
    assert {name for name in METRICS if not any(one.startswith(f"ray_{name}") for one in names)} == set(), "all are told"
    told: dict[str, dict[str, float]] = {}
    for name, labels, value in samples:
        assert labels["run_id"] == "measured"
        key = labels.get("model") or labels.get("ending") or labels.get("frame_store") or labels.get("stage") or ""
        told.setdefault(name, {})[key] = value
    assert told["ray_rumiai_entries_total"] == {"committed": 6, "dead_letter": 1}
    assert told["ray_rumiai_videos_read_total"] == {"miss": 6}
    assert told["ray_rumiai_failures_total"] == {"broken": 6, "ingest": 1} or told["ray_rumiai_failures_total"] == {
        "broken": 6,
        "frames": 1,
    }
    assert told["ray_rumiai_entries_left"] == {"": 0}
    assert told["ray_rumiai_frames_total"]["reader"] > 6
    assert told["ray_rumiai_written_bytes_total"][""] > 1000


def test_the_alerts_are_rules_of_prometheus_with_a_name_an_expression_and_a_word_for_people() -> None:
    (group,) = yaml.safe_load((CLUSTER / "alerts.yml").read_text())["groups"]
    alerts = {rule["alert"]: rule for rule in group["rules"]}
    assert {"RumiaiRunStalled", "RumiaiManyFailures", "RumiaiStoreNearlyFull"} <= set(alerts)
    for rule in alerts.values():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert rule["annotations"]["summary"]


def test_the_dashboard_has_a_title_and_queries_in_every_panel() -> None:
    board = json.loads((CLUSTER / "dashboard.json").read_text())
    assert board["title"]
    assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "run"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) >= 10
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["targets"]
        assert all('run_id=~"$run"' in target["expr"] for target in panel["targets"])

"""What libraries would send by themselves is switched off before they are imported (`docs/privacy.md`)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rumiai_ray
from rumiai_ray.engine.cell.model_actor import worker_environment
from rumiai_ray.engine.ray_session.settings import ENVIRONMENT

PACKAGE = Path(rumiai_ray.__file__).parent


def test_ray_reports_no_usage() -> None:
    program = "from ray._common.usage import usage_lib; print(usage_lib.usage_stats_enabled())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, **ENVIRONMENT})
    assert done.stdout.split() == ["False"]


@pytest.mark.parametrize("gpu", [False, True])
def test_onnxruntime_starts_without_its_telemetry_in_every_models_process(*, gpu: bool) -> None:
    assert worker_environment(1, gpu=gpu)["ORT_DISABLE_TELEMETRY"] == "1"


def test_openvino_gets_the_stub_in_place_of_its_telemetry() -> None:
    program = """
import sys
from rumiai_ray.models._openvino import import_openvino
import_openvino()
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__, sys.modules["openvino_telemetry"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "None"]


def test_openvino_is_imported_in_one_place() -> None:
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(name.name.split(".")[0] == "openvino" for name in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "openvino")
    }
    assert importers == {"models/_openvino.py"}

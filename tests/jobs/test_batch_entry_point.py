"""`jobs/batch.py` is `rumiai-ray batch`, wherever it is started from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BATCH = Path(__file__).resolve().parents[2] / "jobs" / "batch.py"


def batch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(BATCH), *arguments], capture_output=True, text=True, check=False, cwd=folder)


def test_it_takes_the_options_of_the_verb(tmp_path: Path) -> None:
    ended = batch(tmp_path, "--help")
    assert ended.returncode == 0, ended.stderr
    assert "--manifest" in ended.stdout
    assert "--engine-cells" in ended.stdout


def test_a_manifest_that_is_not_there_is_wrong_usage_and_starts_nothing(tmp_path: Path) -> None:
    ended = batch(tmp_path, "--manifest", "none.csv", "--out", "runs")
    assert ended.returncode == 2
    assert "none.csv" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "runs").exists()

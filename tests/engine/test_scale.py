"""Two thousand videos that cost nothing, in a driver of their own; `make scale` runs 100,000.

The driver grew by 849 bytes a video here and by 0.9 KB at 10,000: the slope needs commits, not videos.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN_SCALE = Path(__file__).parents[1] / "soak" / "run_scale.py"


@pytest.mark.timeout(1800)
def test_the_driver_does_not_grow_with_the_manifest_and_nothing_spills() -> None:
    done = subprocess.run([sys.executable, RUN_SCALE, "--videos", "2000"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "driver_bytes_per_video" in done.stdout

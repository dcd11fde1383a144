"""Ten thousand videos that cost nothing; `make scale` runs 100,000."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scale import MAX_BYTES_A_VIDEO, measure

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.local import LocalRay


@pytest.mark.timeout(1800)
def test_the_driver_does_not_grow_with_the_manifest_and_nothing_spills(ray_here: LocalRay, tmp_path: Path) -> None:
    figures = measure(ray_here, tmp_path, 10_000)
    assert figures.driver_bytes_per_video <= MAX_BYTES_A_VIDEO
    assert figures.spilled_mb == 0

"""One Ray for the kill matrix, one set of clips and one undisturbed run of them."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from chaos import Ground, ray_with_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = int(os.environ.get("CHAOS_SEED", time.time_ns() % 10_000))
CLIPS = 60


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """`CLIPS` clips of random lengths, and what an undisturbed run makes of them."""
    with ray_with_faults() as here:
        yield Ground.laid(here, tmp_path_factory.mktemp("ground"), CLIPS, SEED)


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Random, but the same for the same seed and test."""
    return random.Random(f"{SEED} {request.node.name}")


def pytest_report_header() -> str:
    return f"CHAOS_SEED={SEED} repeats this run's dice"

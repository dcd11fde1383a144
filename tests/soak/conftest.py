"""A Ray for the long tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fakes
from rumiai_ray.engine.ray_session.local import LocalRay, local_ray

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def ray_here() -> Iterator[LocalRay]:
    """A Ray on loopback whose workers can import the fakes."""
    with local_ray(num_cpus=4, beside=[Path(fakes.__file__)]) as ours:
        yield ours

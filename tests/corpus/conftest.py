"""Corpora are tested where runs are kept: on a disk and on an S3-compatible server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["directory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An output directory or URI that holds no run yet."""
    return str(tmp_path / "runs") if request.param == "directory" else f"{request.getfixturevalue('bucket')}/runs"

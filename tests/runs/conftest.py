"""Runs are tested where they are kept: on a disk and on an S3-compatible server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["directory", "s3"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An output directory or URI that holds no run yet."""
    return str(tmp_path / "runs") if request.param == "directory" else f"{request.getfixturevalue('bucket')}/runs"


@pytest.fixture
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost request is sent again by s3fs alone, after 0.1 s; botocore waits up to a second first."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()

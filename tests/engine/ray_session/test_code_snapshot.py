"""The copy of the code that workers import: a place that cannot take it is said in our own words."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.engine.ray_session.code_snapshot import freeze
from rumiai_ray.errors import StorageError
from rumiai_ray.provenance import source_sha256

if TYPE_CHECKING:
    from pathlib import Path


def test_the_copy_is_the_code_and_its_hash_the_copy_s(tmp_path: Path) -> None:
    folder, sha256 = freeze(tmp_path / "code")
    assert sha256 == source_sha256()
    assert (folder / "rumiai_ray" / "__init__.py").is_file()
    assert not list(folder.rglob("*.pyc"))


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "code").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot be copied: .*set TMPDIR"):
        freeze(tmp_path / "code")


def test_a_disk_that_fills_up_on_the_way_is_a_storage_error(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the full disk: most files of the package are smaller, some are not."""
    place = str(tmp_path / "code")
    code = f"from pathlib import Path; from rumiai_ray.engine.ray_session.code_snapshot import freeze; freeze(Path({place!r}))"
    ran = subprocess.run(
        ["/bin/bash", "-c", 'ulimit -f 12; exec "$0" -Bc "$1"', sys.executable, code], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "StorageError" in ran.stderr.splitlines()[-1]
    assert "File too large" in ran.stderr.splitlines()[-1]

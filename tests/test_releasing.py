"""What a release hands out: the wheel, and the page that says how it is made."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import rumiai_ray

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "releasing.md"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in the wheel of this tree, built by setuptools as `pip wheel` has it build."""
    # Not by an import: in this process another test may have imported the standard library's distutils, which setuptools refuses.
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("no setuptools of version 77")
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "rumiai_ray", folder / "rumiai_ray", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import setuptools.build_meta as backend; backend.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    (built,) = (folder / "dist").glob("*.whl")
    assert built.name == f"rumiai_ray-{rumiai_ray.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_the_wheel_says_that_its_types_can_be_relied_on(wheel: set[str]) -> None:
    assert "rumiai_ray/py.typed" in wheel


def test_every_file_of_the_package_is_in_the_wheel_but_documents(wheel: set[str]) -> None:
    files = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "rumiai_ray").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in files - wheel if not name.endswith(".md")} == set()


def test_every_file_that_the_page_names_exists() -> None:
    named = {
        name for name in re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", PAGE.read_text(encoding="utf-8")) if "/" in name or name.endswith(".md")
    }
    assert "tests/runs/test_older_runs.py" in named
    made_at_a_release = {"tests/runs/older/X.Y.Z.tar.gz", "private/"}
    assert [name for name in sorted(named - made_at_a_release) if not (ROOT / name).exists()] == []

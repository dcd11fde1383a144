from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rumiai_ray
from rumiai_ray.errors import ConfigError
from rumiai_ray.models.catalogue import MODELS, model_class, packages
from rumiai_ray.provenance import PACKAGES, GitState, git_state, package_versions, source_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def package(directory: Path, **files: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in {"__init__": "", **files}.items():
        (directory / f"{name}.py").write_text(content)
    return directory


def git(directory: Path, *arguments: str) -> str:
    binary = shutil.which("git")
    assert binary
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run([binary, "-C", directory, *who, *arguments], env=own, check=True, capture_output=True, text=True).stdout.strip()


def checkout(tmp_path: Path) -> Path:
    made = package(tmp_path / "repo" / "pkg", a="x = 1\n")
    git(tmp_path / "repo", "init", "-q")
    git(tmp_path / "repo", "add", ".")
    git(tmp_path / "repo", "commit", "-qm", "first")
    return made


def test_a_copy_of_the_package_has_the_hash_of_the_original(tmp_path: Path) -> None:
    original = Path(rumiai_ray.__file__).parent
    shutil.copytree(original, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    assert source_sha256(tmp_path / "copy") == source_sha256()


def test_any_change_to_the_source_changes_the_hash(tmp_path: Path) -> None:
    hashes = {
        source_sha256(package(tmp_path / "1", a="x = 1\n", b="")),
        source_sha256(package(tmp_path / "2", a="x = 2\n", b="")),
        source_sha256(package(tmp_path / "3", a="x = 1\n")),
        source_sha256(package(tmp_path / "4", a="", b="x = 1\n")),
        source_sha256(package(tmp_path / "5", c="x = 1\n", b="")),
    }
    assert len(hashes) == 5


def test_files_that_are_not_source_leave_the_hash_alone(tmp_path: Path) -> None:
    made = package(tmp_path / "pkg", a="x = 1\n")
    before = source_sha256(made)
    (made / "__pycache__").mkdir()
    (made / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"\0")
    (made / "notes.txt").write_text("n")
    assert source_sha256(made) == before


def test_no_source_is_an_error_and_not_the_hash_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no Python source"):
        source_sha256(tmp_path)


def test_versions_are_those_installed_and_what_is_missing_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rumiai_ray.provenance.PACKAGES", ("numpy", "no-such-distribution"))
    versions = package_versions(["pyarrow", "none-such-either", "numpy"])
    assert versions.keys() == {"python", "numpy", "pyarrow"}
    assert versions["numpy"][0].isdigit()


@needs_git
def test_a_clean_checkout_has_its_commit_and_is_not_dirty(tmp_path: Path) -> None:
    made = checkout(tmp_path)
    assert git_state(made) == GitState(git(made, "rev-parse", "HEAD"), dirty=False)


@needs_git
@pytest.mark.parametrize("name", ["a.py", "new.py"])
def test_a_changed_or_a_new_file_makes_the_package_dirty(tmp_path: Path, name: str) -> None:
    made = checkout(tmp_path)
    (made / name).write_text("x = 3\n")
    assert git_state(made).dirty is True


@needs_git
def test_a_package_that_merely_lies_in_somebodys_checkout_has_no_commit(tmp_path: Path) -> None:
    made = checkout(tmp_path)
    installed = package(made.parent / ".venv" / "site-packages" / "pkg")
    assert git_state(installed) == GitState(None, None)


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert git_state(package(tmp_path / "pkg")) == GitState(None, None)


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state() == GitState(None, None)


@needs_git
def test_variables_of_a_git_hook_do_not_answer_for_another_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = checkout(tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    assert git_state(made).commit == git(made, "rev-parse", "HEAD")


WITHOUT_INFLUENCE = {
    "certifi": "certificates decide whether bytes come, and bytes are hashed",
    "fsspec": "moves bytes, which are hashed",
    "h5py": "reads weights, which are hashed",
    "huggingface_hub": "fetches weights, which are hashed",
    "psutil": "tells a fetch which addresses are the machine's own",
    "pydantic": "checks settings, which are recorded as they are used",
    "pydantic-settings": "as pydantic",
    "safetensors": "reads weights, which are hashed",
}
"""Distributions that a model or an insight imports and whose version cannot change a row, with the reason."""
_TREE = Path(rumiai_ray.__file__).parent


def imported_by(*rooms: str) -> dict[str, str]:
    """Distributions that modules of these rooms import, with one that does; only what is installed."""
    found: dict[str, str] = {}
    distributions = packages_distributions()
    for path in (path for room in rooms for path in (_TREE / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                names = [str(node.args[0].value)] if called == "import_module" else []
            tops = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"rumiai_ray", "_typeshed"}
            found |= {distribution: path.name for top in tops for distribution in distributions.get(top, [])}
    return found


def missing_from(recorded: Iterable[str], imported: dict[str, str]) -> dict[str, str]:
    known = {canonical(name) for name in recorded}
    return {name: module for name, module in imported.items() if canonical(name) not in known and name not in WITHOUT_INFLUENCE}


def test_every_library_that_can_change_a_row_of_any_run_is_recorded() -> None:
    imported = imported_by("insights", "frames", "ingest")
    assert {"numpy", "supervision"} <= imported.keys()
    assert missing_from(PACKAGES, imported) == {}


@pytest.mark.parametrize("room", sorted({path.split(".")[2] for path in MODELS.values()}))
def test_the_families_of_a_room_name_every_library_that_their_room_imports(room: str) -> None:
    families = [name for name, path in MODELS.items() if path.split(".")[2] == room]
    named = [package for name in families for package in model_class(name).packages]
    imported = imported_by(f"models/{room}")
    assert imported
    assert missing_from([*PACKAGES, *named], imported) == {}


def test_every_family_s_packages_are_recorded_in_every_run() -> None:
    assert {"mediapipe", "ultralytics", "ctranslate2", "py-feat", "scenedetect", "onnxruntime"} <= set(packages())


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

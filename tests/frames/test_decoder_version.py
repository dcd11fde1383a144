"""Frames of one decoder are never taken for frames of another: code and libraries are part of the key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rumiai_ray
from rumiai_ray.errors import ConfigError
from rumiai_ray.frames import decoder_version as _decoder_version
from rumiai_ray.frames.decoder_version import decoder_digest, digest_of

PACKAGE = Path(rumiai_ray.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE / "frames").as_posix() for path in (PACKAGE / "frames").rglob("*.py"))
ONLY_KEEPING = {
    "decode/cage.py",
    "export.py", "shared/entry.py", "shared/store.py",
    "store/locks.py", "store/shelf.py", "store/store.py", "store/stored.py", "store/trouble.py",
}  # fmt: skip
VERSIONS = {"av": "1", "numpy": "2"}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the frames package that may be edited."""
    return Path(shutil.copytree(PACKAGE / "frames", tmp_path / "frames"))


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "\n# edited\n")


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ONLY_KEEPING])
def test_an_edit_of_a_decoding_module_gives_another_digest(sources: Path, module: str) -> None:
    before = digest_of(sources, VERSIONS)
    edit(sources / module)
    assert digest_of(sources, VERSIONS) != before


def test_the_modules_that_decode_lie_where_the_digest_looks() -> None:
    assert {"decode/child.py", "decode/parent.py", "decode/tonemap.py", "sampling.py", "store/entry.py"} <= set(MODULES)


@pytest.mark.parametrize("folder", ["", "decode", "store"])
def test_a_new_module_counts_too(sources: Path, folder: str) -> None:
    before = digest_of(sources, VERSIONS)
    (sources / folder / "denoise.py").touch()
    assert digest_of(sources, VERSIONS) != before


@pytest.mark.parametrize("module", sorted(ONLY_KEEPING))
def test_an_edit_of_a_module_that_only_keeps_frames_costs_no_decode(sources: Path, module: str) -> None:
    before = digest_of(sources, VERSIONS)
    edit(sources / module)
    assert digest_of(sources, VERSIONS) == before


@pytest.mark.parametrize("versions", [{"av": "1.1", "numpy": "2"}, {"av": "1"}, {**VERSIONS, "opencv-python": "5"}])
def test_another_version_of_a_library_gives_another_digest(sources: Path, versions: dict[str, str]) -> None:
    assert digest_of(sources, versions) != digest_of(sources, VERSIONS)


def test_the_same_code_in_another_place_gives_the_same_digest(sources: Path) -> None:
    assert digest_of(sources, _decoder_version._installed()) == decoder_digest()


def test_the_libraries_that_decode_are_among_the_versions() -> None:
    installed = _decoder_version._installed()
    assert {"av", "numpy"} < installed.keys()
    assert any(name.startswith("opencv") for name in installed)


def test_a_package_without_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unpacked"):
        digest_of(tmp_path, VERSIONS)


def test_an_edited_tone_curve_changes_the_spec_s_digest_in_the_next_process(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "rumiai_ray", ignore=shutil.ignore_patterns("__pycache__"))

    def digest() -> str:
        program = "from rumiai_ray.frames.sampling import SamplingSpec; print(SamplingSpec().digest())"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([sys.executable, "-P", "-c", program], env=environment, check=True, capture_output=True, text=True).stdout

    before = digest()
    assert digest() == before
    edit(tmp_path / "rumiai_ray" / "frames" / "decode" / "tonemap.py")
    assert digest() != before

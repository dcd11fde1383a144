"""Frames of one decoder are never taken for frames of another: code and libraries are part of the key."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from module_imports import MODULES, PACKAGE, import_closure
from rumiai_ray.errors import ConfigError
from rumiai_ray.frames import decoder_version as _decoder_version
from rumiai_ray.frames.decoder_version import decoder_digest, digest_of

if TYPE_CHECKING:
    from pathlib import Path

DECODER = ("frames.decode.child", "frames.decode.parent")
FRAMES = sorted(path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "frames").rglob("*.py"))
ONLY_KEEPING = {
    "frames/decode/cage.py",
    "frames/export.py", "frames/shared/entry.py", "frames/shared/store.py",
    "frames/store/locks.py", "frames/store/shelf.py", "frames/store/store.py", "frames/store/stored.py", "frames/store/trouble.py",
}  # fmt: skip
WITHOUT_INFLUENCE = {
    "": "gives names of the Python API on demand; the decoder asks for none",
    "confinement": "refuses system calls; what is not refused works as without it",
    "confinement.child_python": "says how the decoder is started; the modules found that way are the same ones",
    "confinement.process_limits": "limits memory, CPU time and files; a process beyond a limit stores nothing",
    "errors": "a video with an error stores nothing",
    "frames.decode.cage": "says which system calls are refused",
    "ingest": "has no code of its own; the next test holds that",
    "shown": "puts a number before a noun in the sentence of a warning",
}
"""Modules that the decoder imports and the digest leaves out, each with the reason why no frame and no fact depends on it. What such a
module imports can have influence through the module alone, so the walk ends there."""
VERSIONS = {"av": "1", "numpy": "2"}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the packages that hold the decoder, which may be edited."""
    for folder in ("frames", "ingest"):
        shutil.copytree(PACKAGE / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "\n# edited\n")


@pytest.mark.parametrize("module", [name for name in FRAMES if name not in ONLY_KEEPING])
def test_an_edit_of_a_decoding_module_gives_another_digest(sources: Path, module: str) -> None:
    before = digest_of(sources, VERSIONS)
    edit(sources / module)
    assert digest_of(sources, VERSIONS) != before


def test_the_modules_that_decode_lie_where_the_digest_looks() -> None:
    decoding = {"decode/child.py", "decode/parent.py", "decode/tonemap.py", "sampling.py", "store/entry.py"}
    assert {f"frames/{name}" for name in decoding} <= set(FRAMES)


@pytest.mark.parametrize("module", sorted(import_closure(DECODER, not_through=WITHOUT_INFLUENCE) - WITHOUT_INFLUENCE.keys()))
def test_an_edit_of_any_module_that_the_decoder_imports_gives_another_digest(sources: Path, module: str) -> None:
    before = digest_of(sources, VERSIONS)
    edit(sources / MODULES[module].relative_to(PACKAGE))
    assert digest_of(sources, VERSIONS) != before, "digest the module, or add the reason why it has no influence"


def test_the_decoder_imports_all_that_is_said_to_be_without_influence() -> None:
    assert import_closure(DECODER, not_through=WITHOUT_INFLUENCE) >= WITHOUT_INFLUENCE.keys()


def test_the_imports_of_the_decoder_are_really_walked() -> None:
    assert {"ingest.slide_show", "ingest.stated_length", "frames.decode.tonemap"} <= import_closure(DECODER, not_through=WITHOUT_INFLUENCE)


def test_the_package_around_the_modules_of_ingest_has_no_code() -> None:
    (statement,) = ast.parse(MODULES["ingest"].read_text(encoding="utf-8")).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Constant)


@pytest.mark.parametrize("folder", ["frames", "frames/decode", "frames/store"])
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


def test_a_package_without_one_of_the_sources_outside_frames_is_refused(sources: Path) -> None:
    (sources / "ingest" / "slide_show.py").unlink()
    with pytest.raises(ConfigError, match="slide_show"):
        digest_of(sources, VERSIONS)


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

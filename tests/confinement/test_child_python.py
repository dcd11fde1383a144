"""A child of this Python finds what it needs, whatever stands on the caller's search path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

from numbered_clips import numbered_clip
from rumiai_ray.confinement.child_python import child_command, child_search_path
from rumiai_ray.frames.decode.parent import _DECODER, decode
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.types import SourceFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

CHILD = "import typing, types, json, rumiai_ray.errors; print(typing.__file__, types.__file__)"


def shadowing(folder: Path, modules: Iterable[str]) -> Path:
    """A directory whose modules have the names of the standard library's and cannot be imported."""
    folder.mkdir()
    for name in modules:
        (folder / f"{name}.py").write_text("raise ImportError('the wrong one')\n")
    return folder


@pytest.mark.parametrize("place", [0, 1])
def test_no_directory_comes_before_the_standard_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    wrong = shadowing(tmp_path / "wrong", ("typing", "types", "json"))
    monkeypatch.setattr(sys, "path", [*sys.path[:place], str(wrong), *sys.path[place:]])
    command = [*child_command("none")[:-2], "-c", CHILD]
    ended = subprocess.run(command, env={"PYTHONPATH": child_search_path()}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert str(wrong) not in ended.stdout


def test_the_decoder_is_started_like_every_child() -> None:
    assert [sys.executable, *_DECODER] == child_command("rumiai_ray.frames.decode.child")


def test_a_directory_that_is_a_package_of_another_one_is_not_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = shadowing(tmp_path / "package", ("numpy", "__init__"))
    plain = tmp_path / "plain"
    plain.mkdir()
    monkeypatch.setattr(sys, "path", [str(package), str(plain), str(tmp_path), *sys.path])
    handed_over = child_search_path().split(":")
    assert str(package) not in handed_over
    assert {str(plain), str(tmp_path)} <= {*handed_over}


def test_a_directory_of_packages_is_handed_over_although_a_stray_file_makes_it_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some wheels leave an `__init__.py` in `site-packages`."""
    packages = shadowing(tmp_path / "site-packages", ("__init__",))
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    assert str(packages) in child_search_path().split(":")


def test_a_video_is_decoded_while_another_thread_imports_opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While `cv2` is imported its own directory, with `typing` and `utils`, is on `sys.path`."""
    numbered_clip(tmp_path / "clip.mkv", 3)
    monkeypatch.setattr(sys, "path", [sys.path[0], str(Path(cv2.__file__).parent), *sys.path[1:]])
    *_, facts = decode(tmp_path / "clip.mkv", SamplingSpec(), DecodeLimits())
    assert isinstance(facts, SourceFacts)
    assert facts.frames_decoded > 0

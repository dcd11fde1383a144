"""What an input's spelling means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.ingest.location import Location, locate

if TYPE_CHECKING:
    import pytest


def test_a_relative_path_is_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("a/b.mp4") == Location("file", str(tmp_path / "a" / "b.mp4"))


def test_an_absolute_path_needs_no_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's may be gone: Ray removes the copies of the code that it hands out."""

    def gone() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("os.getcwd", gone)
    monkeypatch.setattr(Path, "cwd", gone)
    assert locate("/clips/b.mp4") == Location("file", "/clips/b.mp4")

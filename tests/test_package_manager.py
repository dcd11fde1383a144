from __future__ import annotations

import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from rumiai_ray import package_manager
from rumiai_ray.package_manager import YTDLP, update_command

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("pip", "words"),
    [
        (True, ["/a b/python", "-P", "-m", "pip", "install", "-U", "yt-dlp[curl-cffi]"]),
        (False, ["/not on the path/uv", "pip", "install", "--python", "/a b/python", "-U", "yt-dlp[curl-cffi]"]),
    ],
)
def test_an_update_is_of_this_interpreters_package_with_its_extra(pip: bool, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 -- a parameter of the test
    monkeypatch.setattr(package_manager, "has_pip", lambda: pip)
    monkeypatch.setattr(package_manager, "find_uv", lambda: "/not on the path/uv")
    monkeypatch.setattr(sys, "executable", "/a b/python")
    assert shlex.split(update_command(YTDLP)) == words


def test_yt_dlp_is_updated_as_this_project_requires_it() -> None:
    assert YTDLP in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def test_no_message_names_a_pip_that_may_be_another_environments() -> None:
    assert [path for path in (ROOT / "rumiai_ray").rglob("*.py") if "pip install -U" in path.read_text(encoding="utf-8")] == []

"""The package manager of the environment that this Python belongs to: pip, or uv where the environment was made without pip."""

from __future__ import annotations

import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

YTDLP = "yt-dlp[curl-cffi]"
"""As `pyproject.toml` requires it: the extra keeps curl_cffi to the versions that yt-dlp accepts, and TikTok asks for it."""
HOW_TO_UPDATE_YTDLP = "update yt-dlp (`rumiai-ray doctor` prints the command)"
"""For errors of videos, which go into tables: no path of a machine, and the same words on every node."""


def has_pip() -> bool:
    """Whether this environment has pip; one made by uv has not."""
    return find_spec("pip") is not None


def find_uv() -> str | None:
    """Path of the uv program: this environment's, else the one on the search path."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


def update_command(requirement: str) -> str:
    """The shell command that updates one package in the environment of this very interpreter, whatever `pip` is on the search path.

    Example:
        >>> update_command("yt-dlp[curl-cffi]").endswith("-U 'yt-dlp[curl-cffi]'")
        True
    """
    if has_pip():
        # -P: a `random.py` in the user's working directory would end pip.
        return shlex.join([sys.executable, "-P", "-m", "pip", "install", "-U", requirement])
    return shlex.join([find_uv() or "uv", "pip", "install", "--python", sys.executable, "-U", requirement])

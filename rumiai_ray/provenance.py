"""Which code is running: a hash of the package's own source, package versions, the state of the checkout."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PACKAGES = (
    "ray", "opencv-python", "opencv-python-headless", "opencv-contrib-python", "pyarrow", "av", "numpy", "yt-dlp",
    "pillow", "pillow-heif", "supervision", "trackers", "rapidfuzz",
)  # fmt: skip
"""Distributions whose version every run records; each model family names its own (`Model.packages`)."""
BYTES_ONLY = frozenset({"yt-dlp"})
"""Those of them that only bring bytes. Bytes are known by their hash, so these versions are recorded but tell no two runs apart."""

_LOG = logging.getLogger(__name__)

_GIT_TIMEOUT_S = 10.0
_PACKAGE_DIR = Path(__file__).resolve().parent


@dataclass(frozen=True)
class GitState:
    """State of the checkout that holds the package; both None where the package does not come from one."""

    commit: str | None
    """Full hash of HEAD."""
    dirty: bool | None
    """Whether the package's files differ from that commit."""


def source_sha256(package_dir: Path | None = None) -> str:
    """SHA-256 over every Python file of a package: relative path and bytes, in the order of the paths.

    Equal for equal source wherever it lies, so an actor can tell whether a frozen copy is the code it was started from.

    Args:
        package_dir: directory of the package; this package's own by default.

    Raises:
        ConfigError: there is no Python source to read.
    """
    root = package_dir or _PACKAGE_DIR
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    if not files:
        raise ConfigError("no Python source found, so nothing can say which code runs", str(root), "install the package unpacked")
    digest = hashlib.sha256()
    for name in sorted(files):
        content = files[name].read_bytes()
        # Lengths in front keep the hash unambiguous: text moved from one file's end to the next one's name changes it.
        digest.update(f"{len(name.encode())} {name} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


def package_versions(further: Iterable[str] = ()) -> dict[str, str]:
    """Installed version of every distribution in `PACKAGES` and in `further`, and of Python. What is not installed has no key."""
    versions = {"python": platform.python_version()}
    for package in dict.fromkeys((*PACKAGES, *further)):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def result_packages(versions: Mapping[str, str]) -> dict[str, str]:
    """Those of `versions` that can change what a model says about the same bytes."""
    return {name: number for name, number in versions.items() if name not in BYTES_ONLY}


def git_state(package_dir: Path | None = None) -> GitState:
    """Commit and dirty flag of the checkout the package is tracked in.

    A package that merely lies inside somebody's checkout (a virtual environment in a repository) is not tracked there, and that
    repository's commit says nothing about it: both fields are then None, as they are where git is missing or refuses.
    """
    root = package_dir or _PACKAGE_DIR
    if _git(root, "ls-files", "--error-unmatch", "__init__.py") is None:
        return GitState(None, None)
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", ".")
    return GitState(commit, None if changes is None else bool(changes))


def _git(directory: Path, *arguments: str) -> str | None:
    """Standard output of a git command that only reads; None where git is missing, fails or hangs."""
    binary = shutil.which("git")
    if binary is None:
        return None
    # GIT_DIR and its like, set inside git hooks, would answer for another repository; optional locks would disturb its owner.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {"GIT_OPTIONAL_LOCKS": "0"}
    command = [binary, "-C", str(directory), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 -- the arguments are this module's own
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _LOG.debug("git %s: %s", arguments[0], error)
        return None
    return done.stdout.strip() if done.returncode == 0 else None

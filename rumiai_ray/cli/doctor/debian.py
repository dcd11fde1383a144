"""Installs the Debian packages whose libraries are missing, as root or through sudo, or says how. Standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from rumiai_ray.cli.doctor.libraries import FFMPEG, LIBRARIES, apt_command, loadable_libraries

if TYPE_CHECKING:
    from collections.abc import Sequence


def install_missing() -> int:
    """Install what is missing; returns an exit code: 1 where nothing can run without what is missing still."""
    missing = [library for library in LIBRARIES if loadable_libraries(library.names).isdisjoint(library.names)]
    if not missing:
        return 0
    packages = [library.debian for library in missing]
    line = apt_command(packages)
    if shutil.which("apt-get") is None:
        _say(f"missing: {', '.join(library.names[0] for library in missing)}; on Debian: {line}")
        return 0
    as_root = _as_root()
    if as_root is not None:
        _say(f"installing what is missing: {line}")
        if _done([*as_root, "apt-get", "update"]) and _done([*as_root, *_install(packages)]):
            return 0
    _say(f"install what is missing, then run make again: {line}")
    # py-feat alone needs FFmpeg's libraries; its stand-in does without.
    return int(any(library is not FFMPEG for library in missing))


def _as_root() -> list[str] | None:
    """What a command is preceded by to run as root; None where that cannot be had."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        return None
    return [sudo] if sys.stdin is not None and sys.stdin.isatty() else [sudo, "-n"]  # nobody is there to type a password


def _install(packages: Sequence[str]) -> list[str]:
    return ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends", *packages]


def _done(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, check=False).returncode == 0  # noqa: S603 -- our own commands
    except OSError as error:
        _say(f"{command[0]} cannot be run: {error}")
        return False


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()

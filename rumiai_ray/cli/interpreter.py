"""Is this the Python that has the packages? Asked before anything else is imported; standard library only."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from rumiai_ray.cli.output import mark_streams

_NEEDED = ("typer", "pydantic", "pydantic_settings", "pyarrow", "ray", "numpy")
"""Packages without which no command gets as far as the doctor, who knows of all others."""


def check_interpreter() -> None:
    """End with one line and exit code 2 where this Python is too old or lacks the packages."""
    if sys.version_info < (3, 11):  # noqa: UP036 -- this is what tells so
        _end("is Python {}.{}, and 3.11 or newer is needed".format(*sys.version_info[:2]))
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        _end(f"has no {', '.join(missing)}")


def _end(why: str) -> None:
    checkout = Path(__file__).resolve().parents[2]
    python = checkout / ".venv" / "bin" / "python"
    # `access`, not `Path.exists`, which raises where the environment leads into a directory that this user may not enter.
    if os.access(python, os.X_OK) and Path(sys.executable) != python:
        remedy = f"start this command with {python}"
    else:
        remedy = "start this command with the Python that rumiai_ray was installed for, or install it: `make venv` in the checkout"
    mark_streams()
    sys.stderr.write(f"{sys.executable} {why}: {remedy}\n")
    sys.exit(2)

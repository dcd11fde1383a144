"""Importing a package whole before a process is confined: inside, a module cannot be read, nor a library be mapped."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def import_whole(name: str, left_out: Collection[str] = ()) -> None:
    """Import a package with every module below it.

    Args:
        name: of the package.
        left_out: modules below it that are not imported.
    """
    for found in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
        if found.name not in left_out:
            importlib.import_module(found.name)


def import_av() -> None:
    """Import PyAV whole: it imports some of its modules late itself, those for subtitles for one."""
    import_whole("av", ("av.__main__", "av.datasets"))  # a program, and downloads of sample files, which would import an HTTP client

"""This Python as the program of a child: its command line and its search path, whatever the caller's working directory and threads do."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_IMPORT_ROOT = Path(__file__).resolve().parents[2]
_OF_PACKAGES = {"site-packages", "dist-packages"}


def child_command(module: str, *arguments: str) -> list[str]:
    """The command line of a module of this package as a process of its own; its environment needs `child_search_path`.

    Args:
        module: full name, as `rumiai_ray.frames.decode.child`.
        *arguments: what the module finds in `sys.argv[1:]`.

    Returns:
        Interpreter, options and arguments.

    Example:
        >>> child_command("rumiai_ray.frames.decode.child", "{}")[1:]
        ['-P', '-S', '-m', 'rumiai_ray.frames.decode.child', '{}']
    """
    # -P: a working directory, with its `types.py`, must not come before the standard library. -S: the search path is handed over whole.
    return [sys.executable, "-P", "-S", "-m", module, *arguments]


def child_search_path() -> str:
    """What `PYTHONPATH` must be for a child that finds what this process finds, the standard library first.

    The directory of a package that is found on the path is left out: for as long as one thread imports `cv2`, that package's own
    directory is on `sys.path`, and a child started by another thread at that moment would find `cv2/typing` and `cv2/utils`.

    Returns:
        Directories and archives, divided by `os.pathsep`.

    Example:
        >>> os.path.basename(child_search_path().split(os.pathsep)[0]).startswith("python3")
        True
    """
    standard = (sysconfig.get_path("stdlib"), sysconfig.get_config_var("DESTSHARED"))
    found = dict.fromkeys(filter(None, [*standard, str(_IMPORT_ROOT), *sys.path]))
    return os.pathsep.join(entry for entry in found if not _is_package_of(entry, found))


def _is_package_of(entry: str, found: Collection[str]) -> bool:
    """Whether a directory is a package of another one; a stray `__init__.py` in `site-packages`, as some wheels leave it, makes it none."""
    parent, name = os.path.split(entry)
    return parent in found and name not in _OF_PACKAGES and os.path.exists(os.path.join(entry, "__init__.py"))  # noqa: PTH110, PTH118 -- never raises

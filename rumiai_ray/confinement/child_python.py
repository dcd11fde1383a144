"""This Python as the program of a child: its command line and its search path, whatever the caller's working directory and threads do."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

_IMPORT_ROOT = Path(__file__).resolve().parents[2]


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

    A directory that is itself a package is left out: for as long as one thread imports `cv2`, that package's own directory is on
    `sys.path`, and a child started by another thread at that moment would take `cv2/typing` for the standard library's `typing`.

    Returns:
        Directories and archives, divided by `os.pathsep`.

    Example:
        >>> os.path.basename(child_search_path().split(os.pathsep)[0]).startswith("python3")
        True
    """
    standard = (sysconfig.get_path("stdlib"), sysconfig.get_config_var("DESTSHARED"))
    found = dict.fromkeys(filter(None, [*standard, str(_IMPORT_ROOT), *sys.path]))
    return os.pathsep.join(entry for entry in found if not Path(entry, "__init__.py").exists())

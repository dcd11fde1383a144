"""A program outside the package as a module, so that tests can call its functions."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def program_module(path: Path) -> Any:
    """Load a program anew, under the name of its file. Folders that it puts on `sys.path` are taken off again."""
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module

"""rumiai_ray: batch analysis of short videos on Ray. Frames are cached, model outputs never."""

from __future__ import annotations

from importlib import import_module

# Not from `typing`: `python -m rumiai_ray` runs this file before `__main__`, with the working directory, and a `typing.py` there, first.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rumiai_ray.corpus.reader import open_corpus
    from rumiai_ray.python_api import analyze, batch
    from rumiai_ray.runs.reader import open_run

__version__ = "0.1.0"
__all__ = ["__version__", "analyze", "batch", "open_corpus", "open_run"]
_MODULES = {
    "analyze": "rumiai_ray.python_api",
    "batch": "rumiai_ray.python_api",
    "open_corpus": "rumiai_ray.corpus.reader",
    "open_run": "rumiai_ray.runs.reader",
}


def __getattr__(name: str) -> Any:
    """Import the Python API when it is asked for: the decoder's processes import this package too and can do without pyarrow."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)

"""rumiai_ray: batch analysis of short videos on Ray. Frames are cached, model outputs never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rumiai_ray.runs.reader import open_run

__version__ = "0.1.0"
__all__ = ["__version__", "open_run"]


def __getattr__(name: str) -> Any:
    """Import `open_run` when it is asked for: the decoder's processes import this package too and can do without pyarrow."""
    if name != "open_run":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rumiai_ray.runs.reader import open_run  # noqa: PLC0415

    return open_run

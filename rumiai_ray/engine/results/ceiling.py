"""Speed of light: the throughput that the models' own cost allows, and what binds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CORES = "cores"


@dataclass(frozen=True)
class Ceiling:
    """1 / max(slowest model's seconds a video over its actors, all models' CPU-seconds a video over the cores)."""

    videos_per_s: float
    bound_by: str
    """Name of the slowest model, or `cores`."""


def ceiling(
    seconds: Mapping[str, float], cpu_s: Mapping[str, float], videos: int, *, actors: Mapping[str, int], cores: float
) -> Ceiling | None:
    """The ceiling for `videos` videos; None where the models cost nothing.

    Args:
        seconds: by model, how long it would take alone for all these videos with one actor.
        cpu_s: by model, its CPU time for all these videos.
        videos: how many.
        actors: by model, actors in all cells.
        cores: CPU cores.
    """
    times_s = {name: taken_s / actors[name] for name, taken_s in seconds.items()}
    times_s[CORES] = sum(cpu_s.values()) / cores
    slowest = max(times_s, key=lambda name: times_s[name])
    return Ceiling(videos / times_s[slowest], slowest) if times_s[slowest] > 0 and videos else None

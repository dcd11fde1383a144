"""Whether files with the same pictures, repeated more or less often, have the same insights, and what counts as the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rumiai_ray.frames.sampling import grid_fps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]

RATES_FPS = (1, 5, 25, 60)
"""Frames in a second of files that repeat each picture. A file that does not is compared with each of them."""
BOX_PX = 1.0
FIGURE = 0.01
"""Of what is no time and is not measured over time: confidences, shares of the picture."""
WIDTHS = {"gaze_variance": 30.0**2, "emotional_valence": 2.0}
"""Of the range of figures, where it is not 1: here nobody looks farther away than 30°."""
_COUNTS_OF_FRAMES = frozenset({"frames", "sightings", "last_seen_s"})
"""With all that ends with `_frames`: a file that repeats a picture has more of them, and the last one later."""
_SIDES = frozenset({"x1", "y1", "x2", "y2"})


def differences(one: Mapping[str, Sequence[Row]], other: Mapping[str, Sequence[Row]], duration_s: float) -> list[str]:
    """Where the insights of two files differ by more than the tolerance, in words; nothing where they are the same.

    A time may differ by a step of the sampling grid; what is measured over a stretch of time by the share that a step has of the stretch,
    times the width of the figure's range; the side of a box by `BOX_PX`; any other figure by `FIGURE`; all else is equal.

    Args:
        one: rows by table.
        other: of the other file.
        duration_s: of the videos.
    """
    step_s = 1 / grid_fps(duration_s)
    found = [f"tables {sorted(one)} and {sorted(other)}"] if one.keys() != other.keys() else []
    for table in one:
        if len(one[table]) != len(other[table]):
            found.append(f"{table}: {len(one[table])} and {len(other[table])} rows: {one[table]} {other[table]}")
            continue
        for at, (row, match) in enumerate(zip(one[table], other[table], strict=True)):
            stretch_s = _stretch_s(table, row, duration_s)
            over_time = FIGURE if stretch_s is None else step_s / stretch_s
            for name in row:
                slack = BOX_PX if name in _SIDES else over_time * WIDTHS.get(name, 1.0)
                found += _apart(name, row[name], match[name], slack, step_s, f"{table}[{at}].{name}")
    return found


def _stretch_s(table: str, row: Row, duration_s: float) -> float | None:
    """Over how much time a row's figures are measured; None for rows of one thing."""
    if "second" in row:
        return float(row["end_s"] - row["second"])
    if table == "windows":
        return float(row["end_s"] - row["start_s"])
    return duration_s if table == "person_framing" else None


def _apart(name: str, one: Any, other: Any, slack: float, step_s: float, path: str) -> list[str]:
    if name in _COUNTS_OF_FRAMES or name.endswith("_frames"):
        return []
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for at, pair in pairs for line in _apart(name, *pair, slack, step_s, f"{path}[{at}]")]
    if isinstance(one, dict) and isinstance(other, dict):
        return [line for part in one for line in _apart(part, one[part], other[part], slack, step_s, f"{path}.{part}")]
    if isinstance(one, float) and isinstance(other, float):
        most = step_s if name.endswith("_s") else slack
        return [f"{path}: {one} and {other}, at most {most:.3g} apart"] if abs(one - other) > most + 1e-6 else []
    return [f"{path}: {one} and {other}"] if one != other else []

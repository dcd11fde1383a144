"""Distributions as bars."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.report.values import middle

if TYPE_CHECKING:
    from collections.abc import Sequence

_BINS = 10
_BARS = 12
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True)
class CountBar:
    """One bar."""

    name: str
    value: int
    length: str
    """Of the longest one, in percent."""


@dataclass(frozen=True)
class Bars:
    """One chart."""

    title: str
    bars: tuple[CountBar, ...] = ()
    note: str = ""
    upright: bool = False
    """A histogram, whose bars stand side by side."""
    low: str = ""
    """Where a histogram begins."""
    high: str = ""
    """Where it ends."""
    missing: str | None = None
    """Why there is none."""


def bars_of(title: str, counts: Sequence[tuple[str, int]]) -> Bars:
    """Names with how often, the most frequent ones."""
    longest = max((number for _, number in counts), default=0)
    shown = tuple(CountBar(name, number, f"{100 * number / longest:.2f}") for name, number in counts[:_BARS])
    more = len(counts) - len(shown)
    return Bars(title, shown, f"and {more} more" if more else "" if shown else "none")


def histogram(
    title: str, values: Sequence[float], unit: str, low: float | None = None, high: float | None = None, of: int | None = None
) -> Bars:
    """How values are distributed, in bins of a round width.

    Args:
        title: of the chart.
        values: what was measured.
        unit: of the values.
        low: where the first bin begins; where not given, at a round number below all values.
        high: where the last one ends.
        of: how many could have been measured; the chart says where some were not.
    """
    unmeasured = (of or len(values)) - len(values)
    note = [f"not measured on {unmeasured}"] if unmeasured > 0 else []
    if not values:
        return Bars(title, note="; ".join(note) or "none", upright=True)
    start = 0.0 if low is None and min(values) >= 0 else min(values) if low is None else low
    width = (high - start) / _BINS if high is not None else _round_width((max(values) - start) / _BINS)
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, int((value - start) / width))] += 1
    longest = max(counts)
    bars = tuple(
        CountBar(
            f"{start + number * width:.4g} to {start + (number + 1) * width:.4g} {unit}".strip(), found, f"{100 * found / longest:.2f}"
        )
        for number, found in enumerate(counts)
    )
    note.insert(0, f"median {middle(values):.3g} {unit}".strip())
    return Bars(title, bars, "; ".join(note), True, f"{start:.4g} {unit}".strip(), f"{start + _BINS * width:.4g} {unit}".strip())  # noqa: FBT003 -- a field


def _round_width(width: float) -> float:
    """The next wider width of 1, 2 or 5 times a power of ten."""
    if width <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in _STEPS if step * power >= width * (1 + 1e-9))

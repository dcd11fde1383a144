"""Effect sizes of many features at once, with their intervals and p values. SciPy tests; NumPy resamples all columns together.

Arrays of values have the shape (videos, columns), are float64, and hold NaN where nothing was measured. Columns that were measured in the
same videos are worked on together, and a column is always judged by the videos in which it was measured alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Statistic = Callable[[Sequence[npt.NDArray[np.float64]]], npt.NDArray[np.float64]]
    """From how often each video of each group was drawn, (videos, resamples) for each group, to figures, (resamples, columns)."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]
CohortCells = list[tuple[Places, Places]]
"""Of each stratum the places of its videos in the first cohort and in the rest; only strata that have both."""

CONFIDENCE = 0.95
RESAMPLES = 1000
"""Efron and Tibshirani, An Introduction to the Bootstrap (1993), 13.3: percentile intervals want about 1,000 resamples."""
_NUMBERS_AT_ONCE = 2_000_000
"""Of one array while resampling, 16 MB: all resamples of 100,000 videos at once would take 0.8 GB for each array."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are found."""

    times: int = RESAMPLES
    """Resamples; 0 for no intervals."""
    seed: int = 0


INTERVALS = Resampling()
NO_INTERVALS = Resampling(times=0)


@dataclass(frozen=True)
class Effects:
    """One value per column, shape (columns,), NaN where there is none."""

    effect: Floats
    """Cliff's delta or Spearman's rank correlation, in [-1, 1]."""
    low: Floats
    """Lower end of the interval."""
    high: Floats
    """Upper end of the interval."""
    p: Floats
    """Two-sided, not corrected for the number of columns."""

    @classmethod
    def none(cls, columns: int) -> Effects:
        """Nothing is known yet."""
        return cls(*(np.full(columns, np.nan) for _ in range(4)))


def cells_of(first: Flags, strata: Places, measured: Flags) -> CohortCells:
    """The cells to compare.

    Args:
        first: whether a video is of the first cohort, shape (videos,).
        strata: the number of its stratum, shape (videos,); below 0 where it has none.
        measured: whether it counts, shape (videos,).
    """
    numbers = np.unique(strata[measured & (strata >= 0)])
    found = [tuple(np.flatnonzero(measured & (strata == number) & cohort) for cohort in (first, ~first)) for number in numbers]
    return [(one, other) for one, other in found if len(one) and len(other)]


def cohort_effects(values: Floats, first: Flags, strata: Places, is_boolean: Flags, *, resampling: Resampling = INTERVALS) -> Effects:
    """Cliff's delta of each column: how much likelier a video of the first cohort has the larger value than the other way round.

    Within one stratum the p value is that of SciPy's Mann-Whitney U test (normal approximation, corrected for ties), and of Fisher's exact
    test for booleans. Over several strata it is van Elteren's test (1960): the strata's rank sums weighted by 1 / (n + 1), which gives
    their deltas the weights n₁n₂ / (n + 1). The interval is the bootstrap's percentile interval; videos are drawn within their cohort and
    stratum.

    Args:
        values: shape (videos, columns); no column may be constant.
        first: whether a video is of the first cohort, shape (videos,).
        strata: the number of its stratum, shape (videos,); below 0 where it has none and does not count.
        is_boolean: whether a column holds 0 and 1 alone, shape (columns,).
        resampling: for intervals.
    """
    result, rng = Effects.none(values.shape[1]), np.random.default_rng(resampling.seed)
    for measured, columns in measured_together(values):
        cells = cells_of(first, strata, measured)
        if not cells:
            continue
        part = values[:, columns]
        result.effect[columns], result.p[columns] = _van_elteren(part, cells) if len(cells) > 1 else _mann_whitney(part, cells[0])
        if len(cells) == 1:
            for column in columns[is_boolean[columns]]:
                result.p[column] = _fisher(values[:, column], cells[0])
        if resampling.times:
            drawn = _resampled([len(one) for cell in cells for one in cell], resampling.times, rng, _deltas(part, cells))
            result.low[columns], result.high[columns] = _interval(drawn)
    return result


def rank_correlations(values: Floats, metric: Floats, *, resampling: Resampling = INTERVALS) -> Effects:
    """Spearman's rank correlation of each column with a metric, SciPy's p value, and the bootstrap's percentile interval.

    Args:
        values: shape (videos, columns); no column may be constant.
        metric: shape (videos,), without NaN, not constant where a column was measured.
        resampling: for intervals.
    """
    result, rng = Effects.none(values.shape[1]), np.random.default_rng(resampling.seed)
    for measured, columns in measured_together(values):
        part, beside = values[np.ix_(measured, columns)], metric[measured]
        # Of every pair, a number where there is one pair: the metric's are in the last row.
        found = stats.spearmanr(part, beside)
        result.effect[columns], result.p[columns] = (np.atleast_2d(one)[-1, : len(columns)] for one in (found.statistic, found.pvalue))
        if resampling.times:
            drawn = _resampled([len(beside)], resampling.times, rng, _correlations(part, beside))
            result.low[columns], result.high[columns] = _interval(drawn)
    return result


def corrected(p: Floats) -> Floats:
    """P values corrected for their number after Benjamini and Hochberg (1995); NaN is no test and stays."""
    result, tested = p.copy(), ~np.isnan(p)
    if tested.any():
        result[tested] = stats.false_discovery_control(p[tested], method="bh")
    return result


def measured_together(values: Floats) -> Iterator[tuple[Flags, Places]]:
    """The columns, those together that were measured in the same videos: (which videos, which columns)."""
    measured = ~np.isnan(values)
    groups: dict[bytes, list[int]] = defaultdict(list)
    for column in range(values.shape[1]):
        groups[measured[:, column].tobytes()].append(column)
    for columns in groups.values():
        yield measured[:, columns[0]], np.array(columns, np.intp)


def _mann_whitney(values: Floats, cell: tuple[Places, Places]) -> tuple[Floats, Floats]:
    first, rest = cell
    test = stats.mannwhitneyu(values[first], values[rest], axis=0, method="asymptotic")
    return 2 * test.statistic / (len(first) * len(rest)) - 1, test.pvalue


def _fisher(values: Floats, cell: tuple[Places, Places]) -> float:
    yes = [int(values[one].sum()) for one in cell]
    return float(stats.fisher_exact([yes, [len(one) - number for one, number in zip(cell, yes, strict=True)]]).pvalue)


def _van_elteren(values: Floats, cells: CohortCells) -> tuple[Floats, Floats]:
    weighted, variance, weights = np.zeros(values.shape[1]), np.zeros(values.shape[1]), 0.0
    for first, rest in cells:
        pairs, n = len(first) * len(rest), len(first) + len(rest)
        ranks = stats.rankdata(values[np.concatenate((first, rest))], axis=0)
        above = ranks[: len(first)].sum(axis=0) - len(first) * (len(first) + 1) / 2
        weight = pairs / (n + 1)
        weighted += weight * (2 * above / pairs - 1)
        # The variance of the delta over all ways to deal these ranks out to the two cohorts; ties are in the ranks.
        variance += weight**2 * 4 * ((ranks - (n + 1) / 2) ** 2).sum(axis=0) / (pairs * n * (n - 1))
        weights += weight
    z = np.divide(weighted, np.sqrt(variance), out=np.zeros_like(weighted), where=variance > 0)
    return weighted / weights, 2 * stats.norm.sf(np.abs(z))


def _resampled(sizes: Sequence[int], resamples: int, rng: np.random.Generator, statistic: Statistic) -> Floats:
    """A statistic of each resample.

    Args:
        sizes: of the groups within which videos are drawn with replacement.
        resamples: how many.
        rng: what draws.
        statistic: what is wanted.

    Returns:
        Shape (resamples, columns).
    """
    at_once = max(1, _NUMBERS_AT_ONCE // sum(sizes))
    parts = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    return np.concatenate([statistic([_drawn(size, part, rng) for size in sizes]) for part in parts])


def _drawn(size: int, resamples: int, rng: np.random.Generator) -> Floats:
    """How often each of `size` videos is in each resample of as many: shape (size, resamples)."""
    draws = rng.integers(0, size, (size, resamples)) * resamples + np.arange(resamples)
    return np.bincount(draws.ravel(), minlength=size * resamples).reshape(size, resamples).astype(np.float64)


def _deltas(values: Floats, cells: CohortCells) -> Statistic:
    sizes = [(len(first), len(rest)) for first, rest in cells]
    weights = [one * other / (one + other + 1) for one, other in sizes]

    def function(drawn: Sequence[Floats]) -> Floats:
        result = np.zeros((drawn[0].shape[1], values.shape[1]))
        for number, ((first, rest), weight) in enumerate(zip(cells, weights, strict=True)):
            ours, theirs = drawn[2 * number], drawn[2 * number + 1]
            for column in range(values.shape[1]):
                below = _twice_below(values[rest, column], theirs, values[first, column])
                result[:, column] += weight * (np.einsum("ij,ij->j", ours, below) / (len(first) * len(rest)) - 1)
        return result / sum(weights)

    return function


def _correlations(values: Floats, metric: Floats) -> Statistic:
    n = len(metric)

    def function(drawn: Sequence[Floats]) -> Floats:
        (times,) = drawn
        # Twice the rank in the resample, less twice the mean rank.
        y = _twice_below(metric, times, metric) - n
        result = np.empty((times.shape[1], values.shape[1]))
        for column in range(values.shape[1]):
            x = _twice_below(values[:, column], times, values[:, column]) - n
            together, xs, ys = (np.einsum("ij,ij,ij->j", times, *two) for two in ((x, y), (x, x), (y, y)))
            spread = np.sqrt(xs * ys)
            # A resample may hold one value alone, and has no correlation then.
            result[:, column] = np.divide(together, spread, out=np.full_like(spread, np.nan), where=spread > 0)
        return result

    return function


def _twice_below(values: Floats, times: Floats, at: Floats) -> Floats:
    """In each resample, how many of the drawn values lie below each of `at`, equal ones counted half, times two.

    Args:
        values: shape (values,).
        times: how often each was drawn, shape (values, resamples).
        at: shape (places,).

    Returns:
        Shape (places, resamples).
    """
    order = np.argsort(values, kind="stable")
    counted = np.zeros((len(values) + 1, times.shape[1]))
    np.cumsum(times[order], axis=0, out=counted[1:])
    ordered = values[order]
    result: Floats = counted[np.searchsorted(ordered, at, "left")] + counted[np.searchsorted(ordered, at, "right")]
    return result


def _interval(drawn: Floats) -> tuple[Floats, Floats]:
    """The percentile interval of each column.

    Where every resample says the same there is none: no value of one cohort is below any of the other's, and resampling cannot tell how
    far from certain that is.
    """
    outside = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, (outside, 1 - outside), axis=0)
    told = low < high
    return np.where(told, low, np.nan), np.where(told, high, np.nan)

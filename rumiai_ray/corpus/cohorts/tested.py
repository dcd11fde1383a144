"""What is said of one feature: found, not found, too few videos to tell, or the same in every video."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from rumiai_ray.corpus.cohorts.effects import CONFIDENCE, Effects, corrected
from rumiai_ray.schema.table import column
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rumiai_ray.corpus.cohorts.effects import CohortCells, Flags, Floats

FEWEST = 8
"""Videos that each cohort must have for a feature to be tested. Mann and Whitney (1947): from 8 and 8 on the distribution of U is almost
normal. As many must have another value than the commonest one, or the ties leave too little of that distribution."""
FEWEST_EXPECTED = 5.0
"""Videos with another value than the commonest one that chance must be expected to put into the smaller cohort. Cochran, Some methods for
strengthening the common chi-square tests (Biometrics, 1954), asks for as many in each cell: with fewer, the normal approximation takes what
is no more than unlikely for next to impossible."""
LARGE = 0.474
_SIZES = ((0.147, "negligible"), (0.33, "small"), (LARGE, "medium"), (np.inf, "large"))
"""Of Cliff's delta, after Romano, Kromrey, Coraggio and Skowronek (2006)."""
LARGE_CORRELATION = 0.5
_SIZES_OF_CORRELATIONS = ((0.1, "negligible"), (0.3, "small"), (LARGE_CORRELATION, "medium"), (np.inf, "large"))
"""Of a correlation, after Cohen, Statistical Power Analysis (1988)."""
NOTEWORTHY = 0.147
"""From this delta on, a confounder is named: below it a difference is negligible (Romano and others)."""
ALPHA = 0.05
"""Of the features that are said to differ, at most this share does not (Benjamini and Hochberg, 1995), on average."""


NEVER_MEASURED = "measured in no video"


class Verdict(StrEnum):
    """What is said of a feature."""

    FOUND = "found"
    """The corrected p value is at most `ALPHA`."""
    NOT_FOUND = "not found"
    """The feature was tested, and a large effect is ruled out."""
    TOO_FEW = "too few to tell"
    """The feature was not tested for want of videos, or a large effect is neither shown nor ruled out; `reason` says which."""
    CONSTANT = "constant"
    """All values are equal."""


@dataclass(frozen=True, kw_only=True)
class TestedFeature:
    """What was tested of one feature; None where it was not."""

    feature: str
    """Column of `summary`."""
    effect: float | None
    """Cliff's delta or Spearman's rank correlation, in [-1, 1]."""
    low: float | None
    """Lower end of the effect's interval; None too where all resamples agree, as they do where no values of the cohorts overlap."""
    high: float | None
    """Upper end."""
    p: float | None
    """Two-sided."""
    p_corrected: float | None
    """For the number of features that were tested."""
    size: str | None
    """Of the effect in a word: negligible, small, medium or large."""
    verdict: Verdict
    reason: str | None
    """Why there are too few to tell; None elsewhere."""


TESTED_COLUMNS = (
    column("effect", pa.float64(), "The effect size; null where the feature was not tested.", range_="-1..1", nullable=True),
    column(
        "low",
        pa.float64(),
        f"Lower end of its {CONFIDENCE:.0%} bootstrap interval; null too where all resamples agree.",
        range_="-1..1",
        nullable=True,
    ),
    column("high", pa.float64(), "Upper end.", range_="-1..1", nullable=True),
    column("p", pa.float64(), "Two-sided p value.", range_="0..1", nullable=True),
    column("p_corrected", pa.float64(), "Corrected for the number of tested features (Benjamini-Hochberg).", range_="0..1", nullable=True),
    column("size", pa.string(), "The effect in a word.", range_="negligible|small|medium|large", nullable=True),
    column("verdict", pa.string(), "What is said of the feature.", range_="|".join(Verdict)),
    column("reason", pa.string(), "Why there are too few videos to tell.", nullable=True),
)


@dataclass(frozen=True)
class Untested:
    """Why a feature is not tested."""

    verdict: Verdict
    reason: str | None


def untested(values: Floats, cells: CohortCells, *, is_boolean: bool) -> Untested | None:
    """Whether a feature can be tested, and why not.

    Args:
        values: shape (videos,).
        cells: which of the videos are compared; a correlation's videos are all in one cohort, and the other one is as large.
        is_boolean: the feature holds 0 and 1, so that an exact test takes it.
    """
    if np.isnan(values).all():
        return Untested(Verdict.TOO_FEW, NEVER_MEASURED)
    counts = [sum(len(cell[side]) for cell in cells) for side in (0, 1)]
    if min(counts) < FEWEST:
        return Untested(Verdict.TOO_FEW, f"measured in {counts[0]} and {counts[1]} videos that can be compared, {FEWEST} each are needed")
    compared = values[np.concatenate([places for cell in cells for places in cell])]
    is_exact = is_boolean and len(cells) == 1
    if (problem := _varies_too_little(compared, is_exact=is_exact)) is not None or is_exact:
        return problem
    expected = np.zeros(2)
    for cell in cells:
        sizes = np.array([len(places) for places in cell])
        expected += _others(values[np.concatenate(cell)]) * sizes / sizes.sum()
    if expected.min() < FEWEST_EXPECTED:
        within = " of their fifth" if len(cells) > 1 else ""
        return Untested(
            Verdict.TOO_FEW,
            f"by chance {expected.min():.1f} videos of the smaller cohort would have another value than the commonest one{within}, "
            f"{FEWEST_EXPECTED:.0f} are needed",
        )
    return None


def untested_alone(values: Floats) -> Untested | None:
    """The same for a correlation, of the values that were measured."""
    if not len(values):
        return Untested(Verdict.TOO_FEW, NEVER_MEASURED)
    if len(values) < 2 * FEWEST:
        return Untested(Verdict.TOO_FEW, f"measured in {counted(len(values), 'video')}, {2 * FEWEST} are needed")
    return _varies_too_little(values, is_exact=False)


def too_rarely_together(values: Floats, metric: Floats) -> Untested | None:
    """Whether too few videos can be expected that have an uncommon value of a feature and of the metric, too, for a correlation."""
    expected = _others(values) * _others(metric) / len(values)
    if expected >= FEWEST_EXPECTED:
        return None
    said = f"by chance {expected:.1f} videos would have another value than the commonest one of both this and the metric"
    return Untested(Verdict.TOO_FEW, f"{said}, {FEWEST_EXPECTED:.0f} are needed")


def _others(values: Floats) -> int:
    """How many have another value than the commonest one."""
    return len(values) - int(np.unique(values, return_counts=True)[1].max())


def _varies_too_little(values: Floats, *, is_exact: bool) -> Untested | None:
    others = _others(values)
    if not others:
        return Untested(Verdict.CONSTANT, None)
    if others < FEWEST and not is_exact:
        return Untested(Verdict.TOO_FEW, f"all but {others} of the videos have one and the same value, {FEWEST} others are needed")
    return None


def size_of(effect: float, *, correlation: bool = False) -> str:
    """An effect in a word."""
    sizes = _SIZES_OF_CORRELATIONS if correlation else _SIZES
    return next(word for below, word in sizes if abs(effect) < below)


def judged_features(
    features: Sequence[str],
    values: Floats,
    is_boolean: Flags,
    problems: Sequence[Untested | None],
    effects_of: Callable[[Floats, Flags], Effects],
    *,
    correlation: bool = False,
) -> list[TestedFeature]:
    """Test those of several features that can be tested, and say what follows for each.

    Args:
        features: their names.
        values: theirs, shape (videos, features).
        is_boolean: shape (features,).
        problems: why one is not tested.
        effects_of: gives effects of columns that can be tested.
        correlation: the effects are correlations.
    """
    tested = np.array([problem is None for problem in problems], np.bool_)
    effects = effects_of(values[:, tested], is_boolean[tested]) if tested.any() else Effects.none(0)
    p_corrected = corrected(effects.p)
    large = LARGE_CORRELATION if correlation else LARGE
    places = iter(range(len(p_corrected)))
    found = []
    for feature, problem in zip(features, problems, strict=True):
        if problem is not None:
            nothing = dict.fromkeys(("effect", "low", "high", "p", "p_corrected", "size"))
            found.append(TestedFeature(feature=feature, verdict=problem.verdict, reason=problem.reason, **nothing))
            continue
        place = next(places)
        effect, low, high, p, q = (_or_none(one[place]) for one in (effects.effect, effects.low, effects.high, effects.p, p_corrected))
        verdict, reason = Verdict.FOUND, None
        if q is None or q > ALPHA:
            ends = [("the interval reaches", low), ("the interval reaches", high), ("the effect itself is", effect)]
            reach = [f"{said} {end:+.2f}" for said, end in ends if end is not None and abs(end) >= large]
            verdict = Verdict.TOO_FEW if reach else Verdict.NOT_FOUND
            reason = f"a large effect is neither shown nor ruled out, {reach[0]}" if reach else None
        size = None if effect is None else size_of(effect, correlation=correlation)
        found.append(
            TestedFeature(feature=feature, effect=effect, low=low, high=high, p=p, p_corrected=q, size=size, verdict=verdict, reason=reason)
        )
    return found


def _or_none(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)

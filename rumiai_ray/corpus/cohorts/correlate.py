"""How closely the features of videos go with a metric, by rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from rumiai_ray.corpus.cohorts.compare import CLUSTER, NOT_WHY, importance, left_out, summed_up
from rumiai_ray.corpus.cohorts.effects import INTERVALS, Resampling, rank_correlations
from rumiai_ray.corpus.cohorts.features import CONFOUNDERS, read_features
from rumiai_ray.corpus.cohorts.tested import (
    TESTED_COLUMNS,
    TestedFeature,
    Untested,
    Verdict,
    judged_features,
    too_rarely_together,
    untested_alone,
)
from rumiai_ray.schema.table import column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.corpus.cohorts.effects import Effects, Flags, Floats
    from rumiai_ray.corpus.cohorts.features import Ask, FeatureRows


@dataclass(frozen=True, kw_only=True)
class FeatureCorrelation(TestedFeature):
    """One feature and the metric. The effect is Spearman's rank correlation."""

    n: int
    """Videos in which it was measured."""
    unmeasured: int
    """Videos in which it was not."""


CORRELATIONS = pa.schema(
    (
        column("feature", pa.string(), "Column of `summary`, or a confounder."),
        column("n", pa.int64(), "Videos in which it was measured."),
        column("unmeasured", pa.int64(), "Videos in which it was not measured."),
        *TESTED_COLUMNS,
    )
)


@dataclass(frozen=True)
class MetricCorrelations:
    """The features of videos beside a metric."""

    by: str
    """The metric."""
    n: int
    """Videos of which it is known; near-duplicates count once."""
    features: tuple[FeatureCorrelation, ...]
    """Every feature: found ones first, by the size of the effect."""
    confounders: tuple[FeatureCorrelation, ...]
    """What else may go with the metric; corrected for their own number."""
    notes: tuple[str, ...]
    """What was left out, and what else is to be known before anybody acts upon it."""

    def table(self) -> pa.Table:
        """The features as an Arrow table, one row each."""
        return pa.Table.from_pylist([vars(feature) for feature in self.features], schema=CORRELATIONS)

    def summary(self) -> str:
        """One sentence: how many features go with the metric, and of how many nothing is said."""
        return summed_up(self.features, f"go with {self.by}", "no connection")


def correlate(ask: Ask, *, by: str, cluster: str = CLUSTER, seed: int = 0) -> MetricCorrelations:
    """Correlate the features with a metric; see `Corpus.correlate`."""
    rows = read_features(ask, by, "DOUBLE", cluster)
    return correlated(rows, by, notes=left_out(rows, by), resampling=Resampling(seed=seed))


def correlated(rows: FeatureRows, by: str, *, notes: Sequence[str] = (), resampling: Resampling = INTERVALS) -> MetricCorrelations:
    """Correlate the features of given videos with their metric.

    Args:
        rows: the videos.
        by: the metric's name.
        notes: what else is to be said.
        resampling: for intervals.
    """
    features = _correlations(rows.features, rows.values, rows.asked, resampling)
    beside = np.column_stack([rows.confounders[name] for name in CONFOUNDERS])
    confounders = _correlations(CONFOUNDERS, beside, rows.asked, resampling)
    return MetricCorrelations(by, rows.videos, tuple(sorted(features, key=importance)), tuple(confounders), (*notes, NOT_WHY))


def _correlations(names: tuple[str, ...], values: Floats, metric: Floats, resampling: Resampling) -> list[FeatureCorrelation]:
    measured = ~np.isnan(values)

    def effects_of(some: Floats, _: Flags) -> Effects:
        return rank_correlations(some, metric, resampling=resampling)

    problems = [_untested(values[known, number], metric[known]) for number, known in enumerate(measured.T)]
    flags = np.zeros(len(names), np.bool_)
    tested = judged_features(names, values, flags, problems, effects_of, correlation=True)
    counts = measured.sum(axis=0).tolist()
    return [FeatureCorrelation(**vars(one), n=n, unmeasured=len(metric) - n) for one, n in zip(tested, counts, strict=True)]


def _untested(values: Floats, metric: Floats) -> Untested | None:
    if (problem := untested_alone(values)) is not None:
        return problem
    if (problem := untested_alone(metric)) is not None:
        reason = problem.reason or "the metric is the same in all videos in which this was measured"
        return Untested(Verdict.TOO_FEW, reason if problem.reason is None else f"of the metric, {reason}")
    return too_rarely_together(values, metric)

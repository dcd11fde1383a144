"""A metric over time: its median in each day, week or month in which videos were posted, and the newest of them against the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from rumiai_ray.corpus.cohorts.compare import CLUSTER, NOT_WHY, feature_differences, left_out
from rumiai_ray.corpus.cohorts.effects import INTERVALS, Resampling
from rumiai_ray.corpus.cohorts.features import read_features
from rumiai_ray.corpus.cohorts.tested import Verdict
from rumiai_ray.errors import ConfigError
from rumiai_ray.schema.table import column
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.corpus.cohorts.compare import FeatureDifference
    from rumiai_ray.corpus.cohorts.effects import Flags
    from rumiai_ray.corpus.cohorts.features import Ask, FeatureRows

_QUARTILES = (0.25, 0.5, 0.75)


class Period(StrEnum):
    """Of which length the stretches of time are; all in UTC."""

    DAY = "day"
    WEEK = "week"
    """From Monday on."""
    MONTH = "month"

    def start(self, posted: datetime) -> date:
        """The first day of the period that a moment is in."""
        day = posted.date()
        if self is Period.WEEK:
            return day - timedelta(days=min(day.weekday(), day.toordinal() - 1))  # the year 1 begins on a Monday
        return day.replace(day=1) if self is Period.MONTH else day

    def before(self, start: date) -> date | None:
        """The first day of the period before the one that starts on this day; None where no calendar has it."""
        if start.toordinal() == 1:
            return None
        return self.start(datetime.combine(start - timedelta(days=1), datetime.min.time(), UTC))


@dataclass(frozen=True)
class PeriodFigures:
    """The metric in one period."""

    start: date
    """Its first day."""
    n: int
    """Videos that were posted in it and of which the metric is known."""
    quarter: float | None
    """The first quartile; None where there are no videos."""
    median: float | None
    three_quarters: float | None
    """The third quartile."""


PERIODS = pa.schema(
    (
        column("start", pa.date32(), "First day of the period, UTC."),
        column("n", pa.int64(), "Videos that were posted in it and of which the metric is known."),
        column("quarter", pa.float64(), "First quartile of the metric; null where there are no videos.", nullable=True),
        column("median", pa.float64(), "Its median.", nullable=True),
        column("three_quarters", pa.float64(), "Its third quartile.", nullable=True),
    )
)


@dataclass(frozen=True)
class MetricOverTime:
    """A metric by the time at which videos were posted."""

    by: str
    """The metric."""
    period: Period
    periods: tuple[PeriodFigures, ...]
    """Those that have videos, oldest first."""
    change: FeatureDifference | None
    """The newest period against the one right before it, which may be empty; None where no video has a date."""
    notes: tuple[str, ...]
    """What was left out, and what else is to be known before anybody acts upon it."""

    def sentence(self) -> str:
        """What is said of the newest period, in words."""
        if self.change is None:
            return f"No video of which {self.by} is known has a date."
        one = self.change
        said = f"The {self.period} of {self.periods[-1].start} has {counted(one.n, 'video')}, the {self.period} before it {one.n_rest}: "
        if one.verdict is Verdict.TOO_FEW:
            return f"{said}too few to tell ({one.reason})."
        if one.effect is None:
            return f"{said}{self.by} is the same in all of them."
        medians = f"median {one.value:,.6g} against {one.value_rest:,.6g}, δ {one.effect:+.2f}, p {one.p:.2g}"
        what = f"{self.by} is {'higher' if one.effect > 0 else 'lower'}" if one.verdict is Verdict.FOUND else "no difference beyond chance"
        return f"{said}{what} ({medians})."

    def table(self) -> pa.Table:
        """The periods as an Arrow table, one row each."""
        return pa.Table.from_pylist([vars(period) for period in self.periods], schema=PERIODS)


def over_time(ask: Ask, *, by: str, period: str = Period.WEEK, cluster: str = CLUSTER, seed: int = 0) -> MetricOverTime:
    """Follow a metric over time; see `Corpus.over_time`."""
    if period not in set(Period):
        raise ConfigError("no such period", repr(period), f"choose from {', '.join(Period)}")
    rows = read_features(ask, by, "DOUBLE", cluster)
    return followed(rows, by, Period(period), notes=left_out(rows, by), resampling=Resampling(seed=seed))


def followed(
    rows: FeatureRows, by: str, period: Period, *, notes: Sequence[str] = (), resampling: Resampling = INTERVALS
) -> MetricOverTime:
    """Follow the metric of given videos.

    Args:
        rows: the videos.
        by: the metric's name.
        period: of which length the periods are.
        notes: what else is to be said.
        resampling: for intervals.
    """
    posted = rows.confounders["posted_at"]
    starts: list[date | None] = [None if np.isnan(one) else period.start(datetime.fromtimestamp(one, UTC)) for one in posted]
    known = sorted({one for one in starts if one is not None})
    undated = starts.count(None)
    said = [*notes, *([f"Videos left out, as it is not known when they were posted: {undated}."] if undated else [])]
    if not known:
        return MetricOverTime(by, period, (), None, (*said, NOT_WHY))
    places: dict[date | None, Flags] = {start: np.array([one == start for one in starts], np.bool_) for start in known}
    figures = [
        PeriodFigures(start, int(places[start].sum()), *map(float, np.quantile(rows.asked[places[start]], _QUARTILES))) for start in known
    ]
    newest = known[-1]
    earlier = places.get(period.before(newest))
    compared = places[newest] if earlier is None else places[newest] | earlier
    metric, is_newest = rows.asked[compared, None], places[newest][compared]
    strata = np.zeros(len(metric), np.intp)
    (change,) = feature_differences((by,), metric, np.zeros(1, np.bool_), is_newest, strata, resampling)
    last = datetime.fromtimestamp(float(np.nanmax(posted)), UTC)
    said += [
        f"The newest {period} has videos up to {last:%Y-%m-%d}; it may not be over.",
        "Figures of a platform grow: videos of the newest period had the least time for that.",
    ]
    return MetricOverTime(by, period, tuple(figures), change, (*said, NOT_WHY))

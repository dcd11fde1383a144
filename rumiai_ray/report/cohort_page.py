"""What stands on the page of a comparison: what differs, by how much, how sure that is, and what was not told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rumiai_ray.corpus.cohorts.compare import CohortComparison
from rumiai_ray.corpus.cohorts.correlate import MetricCorrelations
from rumiai_ray.corpus.cohorts.effects import CONFIDENCE, RESAMPLES
from rumiai_ray.corpus.cohorts.tested import ALPHA, FEWEST, NEVER_MEASURED, Verdict
from rumiai_ray.report.run_page import Tile
from rumiai_ray.report.values import ShownFigure, absent, count, facts_of, in_words, percent, share, unit_of
from rumiai_ray.schema.run import VIDEOS
from rumiai_ray.schema.windows import CLOSING, HOOK, WHOLE, WINDOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from rumiai_ray.corpus.cohorts.compare import FeatureDifference
    from rumiai_ray.corpus.cohorts.correlate import FeatureCorrelation
    from rumiai_ray.corpus.cohorts.over_time import MetricOverTime
    from rumiai_ray.corpus.cohorts.tested import TestedFeature

_PARTS = {HOOK: "hook", CLOSING: "closing", WHOLE: "whole video"}
_NEVER_SMALLER = 0.001
"""P values below are shown as "< 0.001"."""
_COHORTS_METHOD = (
    "Each feature is compared by ranks (Mann-Whitney U test; Fisher's exact test for yes and no). Cliff's delta δ is how much likelier "
    "a video of the first cohort has the higher value than a video of the rest, from -1 (never) over 0 (as often) to +1 (always); below "
    "0.147 it is called negligible, below 0.33 small, below 0.474 medium, else large (Romano and others, 2006). The same as pairs: of 100 "
    "pairs of a video of each cohort, those in which the first cohort's has the higher value; where both are equal, half a pair."
)
_STRATIFIED_METHOD = (
    "Videos are compared within fifths by {} alone (van Elteren's test), and the five answers are combined. A δ is how much likelier a "
    "video of the first cohort has the higher value than a video of the rest of the same fifth."
)
_CORRELATIONS_METHOD = (
    "Each feature is compared with the metric by ranks: Spearman's ρ is +1 where the video with more of the one always has more of the "
    "other, -1 where it always has less, 0 where there is no connection; below 0.1 it is called negligible, below 0.3 small, below 0.5 "
    "medium, else large (Cohen, 1988)."
)
_ALL_METHODS = (
    f"The interval holds {CONFIDENCE:.0%} of {RESAMPLES:,} resamples of the videos (bootstrap). P values are corrected for the number of "
    f"features (Benjamini-Hochberg): of the features that are said to differ, at most {ALPHA:.0%} are expected to be chance. A feature is "
    "tested where {} were measured. Where nothing is shown and the interval reaches a large effect, there are too few videos to tell, too. "
    "Videos that are near-duplicates of one another count once."
)
_IN_COHORTS = _ALL_METHODS.format(f"{FEWEST} videos of each cohort")
_IN_ALL = _ALL_METHODS.format(f"{2 * FEWEST} videos")


@dataclass(frozen=True)
class Whisker:
    """An effect and its interval on a scale from -1 to 1, as positions in percent."""

    at: str
    low: str
    width: str
    kind: str
    """`up`, `down` or `none`: what was found."""


@dataclass(frozen=True)
class FeatureLine:
    """One feature in a table of the page."""

    name: str
    part: str
    """Of the video."""
    definition: str
    figures: tuple[ShownFigure, ...]
    """Of the cohorts; none for a correlation."""
    pairs: str
    """Of 100 pairs of a video of each cohort, those in which the first cohort's has the higher value."""
    effect: str
    interval: str
    p: str
    told: str
    counts: str
    whisker: Whisker | None


@dataclass(frozen=True)
class FeatureTable:
    """A table of features."""

    title: str
    lines: tuple[FeatureLine, ...]
    nothing: str
    """What is said where there are no lines."""
    folded: bool = False
    """Whether it is shown on demand only."""


@dataclass(frozen=True)
class PeriodLine:
    """One period in the table of a metric over time."""

    start: str
    figures: tuple[ShownFigure, ...]
    """Videos, and the quartiles of the metric."""
    width: str
    """Its median over the largest one, in percent."""


@dataclass(frozen=True)
class CohortPage:
    """Everything the template shows."""

    title: str
    kicker: str
    headline: str
    tiles: tuple[Tile, ...]
    warnings: tuple[str, ...]
    """What is to be known before anything is read."""
    cohorts: tuple[str, ...]
    """Headings of a line's figures."""
    symbol: str
    """Of the effect."""
    tables: tuple[FeatureTable, ...]
    periods: tuple[PeriodLine, ...]
    """Newest first."""
    notes: tuple[str, ...]
    method: tuple[str, ...]
    runs: tuple[str, ...]


def cohort_page(found: CohortComparison | MetricCorrelations | MetricOverTime, runs: Sequence[str]) -> CohortPage:
    """Gather the page.

    Args:
        found: what was found.
        runs: ids of the runs of the corpus.
    """
    if isinstance(found, CohortComparison):
        return _of_cohorts(found, tuple(runs))
    return _of_correlations(found, tuple(runs)) if isinstance(found, MetricCorrelations) else _of_periods(found, tuple(runs))


def _of_cohorts(found: CohortComparison, runs: tuple[str, ...]) -> CohortPage:
    noteworthy = [one.sentence() for one in found.confounders if one.noteworthy]
    unknown = [one.sentence() for one in found.confounders if one.effect is None]
    alike = [one.sentence() for one in found.confounders if one.effect is not None and not one.noteworthy]
    method = (_COHORTS_METHOD if found.stratified_by is None else _STRATIFIED_METHOD.format(found.stratified_by), _IN_COHORTS)
    known = tuple(_difference(one) for one in found.outcomes if one.reason != NEVER_MEASURED)
    outcomes = (FeatureTable("How they did", known, "Views, likes, comments and shares are not known."),) if found.outcomes else ()
    return CohortPage(
        title=found.question,
        kicker="Two cohorts of videos compared" + (f", within fifths by {found.stratified_by}" if found.stratified_by else ""),
        headline=found.summary(),
        tiles=(
            Tile("videos in the first cohort", count(found.n)),
            Tile("videos in the rest", count(found.n_rest)),
            *_tiles(found.features),
        ),
        warnings=tuple(noteworthy),
        cohorts=("first cohort", "the rest"),
        symbol="δ",
        tables=(*outcomes, *_tables(found.features, [_difference(one) for one in found.features], "What differs")),
        periods=(),
        notes=(*found.notes, *unknown, *alike),
        method=method,
        runs=runs,
    )


def _of_correlations(found: MetricCorrelations, runs: tuple[str, ...]) -> CohortPage:
    beside = FeatureTable("What else may go with the metric", tuple(map(_correlation, found.confounders)), "")
    return CohortPage(
        title=f"What goes with {found.by}",
        kicker="Features of videos beside a metric",
        headline=found.summary(),
        tiles=(Tile("videos", count(found.n)), *_tiles(found.features)),
        warnings=(),
        cohorts=(),
        symbol="ρ",
        tables=(*_tables(found.features, [_correlation(one) for one in found.features], "What goes with it"), beside),
        periods=(),
        notes=found.notes,
        method=(_CORRELATIONS_METHOD, _IN_ALL),
        runs=runs,
    )


def _of_periods(found: MetricOverTime, runs: tuple[str, ...]) -> CohortPage:
    longest = max((one.median or 0.0 for one in found.periods), default=0.0)
    change = () if found.change is None else (_difference(found.change),)
    return CohortPage(
        title=f"{found.by} by {found.period}",
        kicker="A metric over time",
        headline=found.sentence(),
        tiles=(),
        warnings=(),
        cohorts=(f"newest {found.period}", f"{found.period} before"),
        symbol="δ",
        tables=(FeatureTable(f"The newest {found.period} against the one before", change, "No video has a date."),),
        periods=tuple(
            PeriodLine(
                f"{one.start}",
                (count(one.n), *map(_plain, (one.quarter, one.median, one.three_quarters))),
                f"{100 * max(one.median or 0.0, 0.0) / longest:.2f}" if longest > 0 else "0",
            )
            for one in reversed(found.periods)
        ),
        notes=found.notes,
        method=(_COHORTS_METHOD, _IN_COHORTS),
        runs=runs,
    )


def _tiles(features: Sequence[TestedFeature]) -> list[Tile]:
    tested = sum(one.effect is not None for one in features)
    found = sum(one.verdict is Verdict.FOUND for one in features)
    few = sum(one.verdict is Verdict.TOO_FEW and one.reason != NEVER_MEASURED for one in features)
    return [Tile("features tested", count(tested)), Tile("found", count(found)), Tile("too few to tell", count(few))]


def _tables(features: Sequence[TestedFeature], lines: Sequence[FeatureLine], title: str) -> list[FeatureTable]:
    def lines_of(verdict: Verdict, *, measured: bool = True) -> tuple[FeatureLine, ...]:
        pairs = zip(features, lines, strict=True)
        return tuple(line for one, line in pairs if one.verdict is verdict and (one.reason != NEVER_MEASURED) is measured)

    nothing = "Nothing was found beyond chance. That is no proof that there is nothing: see what there are too few videos to tell."
    folded = (
        FeatureTable("Nothing beyond chance", lines_of(Verdict.NOT_FOUND), "", folded=True),
        FeatureTable("Too few to tell", lines_of(Verdict.TOO_FEW), "", folded=True),
        FeatureTable("The same in every video", lines_of(Verdict.CONSTANT), "", folded=True),
        FeatureTable("Measured in no video", lines_of(Verdict.TOO_FEW, measured=False), "", folded=True),
    )
    return [FeatureTable(title, lines_of(Verdict.FOUND), nothing), *(table for table in folded if table.lines)]


def _difference(one: FeatureDifference) -> FeatureLine:
    figures = tuple(shown_value(value, one.feature, is_share=one.is_share) for value in (one.value, one.value_rest))
    missing = one.unmeasured + one.unmeasured_rest
    return _line(one, figures, f"{one.n} and {one.n_rest}" + (f", not measured in {missing}" if missing else ""))


def _correlation(one: FeatureCorrelation) -> FeatureLine:
    return _line(one, (), f"{one.n}" + (f", not measured in {one.unmeasured}" if one.unmeasured else ""))


def _line(one: TestedFeature, figures: tuple[ShownFigure, ...], counts: str) -> FeatureLine:
    field, part = field_of(one.feature)
    told = {Verdict.FOUND: one.size or "", Verdict.TOO_FEW: one.reason or ""}.get(one.verdict, "")
    return FeatureLine(
        name=in_words(one.feature if field is None else field.name),
        part=part,
        definition="" if field is None else facts_of(field).get("definition", ""),
        figures=figures,
        pairs="—" if one.effect is None else f"{50 * (one.effect + 1):.0f}",
        effect="—" if one.effect is None else f"{one.effect:+.2f}",
        interval="—" if one.low is None or one.high is None else f"{one.low:+.2f} to {one.high:+.2f}",
        p="—" if one.p_corrected is None else f"< {_NEVER_SMALLER}" if one.p_corrected < _NEVER_SMALLER else f"{one.p_corrected:.3f}",
        told=told,
        counts=counts,
        whisker=_whisker(one),
    )


def _whisker(one: TestedFeature) -> Whisker | None:
    if one.effect is None:
        return None
    low, high = (one.effect if end is None else end for end in (one.low, one.high))
    kind = "none" if one.verdict is not Verdict.FOUND else "up" if one.effect > 0 else "down"
    return Whisker(percent((one.effect + 1) / 2), percent((low + 1) / 2), percent((high - low) / 2), kind)


def field_of(feature: str) -> tuple[pa.Field[Any] | None, str]:
    """The column of a run's tables that a column of `summary` comes from, None where it is of none, and the part of the video."""
    for window, part in _PARTS.items():
        name = feature.removeprefix(f"{window}_")
        if name != feature and name in WINDOWS.schema.names:
            return WINDOWS.schema.field(name), part
    return (VIDEOS.schema.field(feature) if feature in VIDEOS.schema.names else None), ""


def shown_value(value: float | None, feature: str, *, is_share: bool) -> ShownFigure:
    """A value of a column of `summary` as people read it, with its unit."""
    if value is None:
        return absent("not measured in any of these videos")
    if is_share:
        return share(value)
    field, _ = field_of(feature)
    facts = {} if field is None else facts_of(field)
    if facts.get("range") == "0..1" and "unit" not in facts:
        return ShownFigure(f"{100 * value:.3g} %", value)
    return ShownFigure(f"{_number(value)} {'' if field is None else unit_of(field)}".strip(), value)


def _plain(value: float | None) -> ShownFigure:
    return absent("no videos") if value is None else ShownFigure(_number(value), value)


def _number(value: float | None) -> str:
    """Three digits, or every digit before the point."""
    if value is None:
        return "—"
    whole = abs(value) >= 100  # noqa: PLR2004 -- three digits
    text = f"{value:,.0f}" if whole and abs(value) < 1e15 else f"{value:.3g}"  # noqa: PLR2004
    return text.replace(",", "\N{NARROW NO-BREAK SPACE}")

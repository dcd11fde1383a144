"""Two cohorts of a corpus's videos compared: which features differ, by how much, how sure that is, and what else differs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from rumiai_ray.corpus.cohorts.effects import INTERVALS, NO_INTERVALS, Resampling, cells_of, cohort_effects, measured_together
from rumiai_ray.corpus.cohorts.features import CONFOUNDERS, read_features
from rumiai_ray.corpus.cohorts.tested import (
    FEWEST,
    NEVER_MEASURED,
    NOTEWORTHY,
    TESTED_COLUMNS,
    TestedFeature,
    Untested,
    Verdict,
    judged_features,
    size_of,
    untested,
)
from rumiai_ray.corpus.cohorts.top import TOP, cohort_size, parsed_top
from rumiai_ray.errors import ConfigError
from rumiai_ray.schema.table import column
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.corpus.cohorts.effects import CohortCells, Flags, Floats, Places
    from rumiai_ray.corpus.cohorts.features import Ask, FeatureRows

CLUSTER = "video_key"
"""Near-duplicates are known by their bytes alone."""
NOT_WHY = "This compares videos as they were found; it is not an experiment. It shows which features occur together, not why."
_OF_ONE_AUTHOR = 0.25
"""Share of a cohort from which on one author is mentioned. A choice: at a quarter, that author's habits show in every median."""


@dataclass(frozen=True, kw_only=True)
class FeatureDifference(TestedFeature):
    """One feature in two cohorts. The effect is Cliff's delta: above 0 where the first cohort has the larger values."""

    n: int
    """Videos of the first cohort in which it was measured, and which are compared."""
    n_rest: int
    """The same of the rest."""
    unmeasured: int
    """Videos of the first cohort in which it was not measured."""
    unmeasured_rest: int
    """The same of the rest."""
    value: float | None
    """Median of the first cohort, of a boolean the share of videos with it; None where n is 0."""
    value_rest: float | None
    """The same of the rest."""
    is_share: bool
    """Whether these are shares of videos."""


DIFFERENCES = pa.schema(
    (
        column("feature", pa.string(), "Column of `summary`."),
        column(
            "kind",
            pa.string(),
            "Whether it is a feature of the videos, or how they did: the platform's figures, which are compared where a condition defines "
            "the cohorts and corrected for their own number.",
            range_="feature|outcome",
        ),
        column("n", pa.int64(), "Videos of the first cohort in which it was measured, and which are compared."),
        column("n_rest", pa.int64(), "The same of the rest."),
        column("unmeasured", pa.int64(), "Videos of the first cohort in which it was not measured."),
        column("unmeasured_rest", pa.int64(), "The same of the rest."),
        column("value", pa.float64(), "Median of the first cohort; of a boolean the share of videos with it.", nullable=True),
        column("value_rest", pa.float64(), "The same of the rest.", nullable=True),
        column("is_share", pa.bool_(), "Whether these are shares of videos."),
        *TESTED_COLUMNS,
    )
)


@dataclass(frozen=True)
class ConfounderDifference:
    """Something beside the features in which the cohorts may differ."""

    name: str
    """One of `CONFOUNDERS`."""
    n: int
    n_rest: int
    value: float | None
    """Median of the first cohort: followers, seconds, or for `posted_at` seconds since 1970."""
    value_rest: float | None
    effect: float | None
    """Cliff's delta; None where fewer than `FEWEST` videos of a cohort have it."""
    is_stratified: bool = False
    """Whether features are compared within fifths of a confounder; these figures are of the whole cohorts all the same."""

    @property
    def noteworthy(self) -> bool:
        """Whether the cohorts differ in it by more than a negligible amount."""
        return self.effect is not None and abs(self.effect) >= NOTEWORTHY

    def sentence(self) -> str:
        """What is to be said of it, in words."""
        said = {"followers": "their authors' followers", "posted_at": "when they were posted", "duration": "how long they are"}[self.name]
        if self.effect is None or self.value is None or self.value_rest is None:
            known = f"known of {self.n} and {self.n_rest} videos" if self.n or self.n_rest else "not known of any video"
            return f"It is unknown whether the cohorts differ in {said}: {self.name} is {known}."
        before = ", before stratification" if self.is_stratified else ""
        medians = f"median {self.shown(self.value)} against {self.shown(self.value_rest)}, δ {self.effect:+.2f}{before}"
        if not self.noteworthy:
            return f"The cohorts hardly differ in {said} ({medians})."
        return f"The cohorts also differ in {said} ({medians}, {size_of(self.effect)}). A difference below may come with that."

    def shown(self, value: float) -> str:
        """A value of it, as people read it."""
        if self.name == "posted_at":
            return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d}"
        return f"{value:.1f} s" if self.name == "duration" else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


@dataclass(frozen=True)
class CohortComparison:
    """Two cohorts of videos and the features in which they differ."""

    question: str
    """What defines the first cohort: `top 25% by like_count`, `where hook_has_captions`."""
    n: int
    """Videos of the first cohort; near-duplicates count once."""
    n_rest: int
    """All other videos of which it is known whether they are in the first."""
    features: tuple[FeatureDifference, ...]
    """Every feature: found ones first, by the size of the effect."""
    outcomes: tuple[FeatureDifference, ...]
    """How the cohorts did, where a condition defines them; corrected for their own number. Empty where a metric defines them."""
    confounders: tuple[ConfounderDifference, ...]
    stratified_by: str | None
    """The confounder within fifths of which videos are compared."""
    notes: tuple[str, ...]
    """What was left out, and what else is to be known before anybody acts upon it."""

    def told(self, verdict: Verdict | str) -> tuple[FeatureDifference, ...]:
        """The features of which this is said."""
        return tuple(feature for feature in self.features if feature.verdict == verdict)

    def table(self) -> pa.Table:
        """The outcomes and then the features as an Arrow table, one row each."""
        kinds = (("outcome", self.outcomes), ("feature", self.features))
        rows = [{**vars(one), "kind": kind} for kind, ones in kinds for one in ones]
        return pa.Table.from_pylist(rows, schema=DIFFERENCES)

    def summary(self) -> str:
        """One sentence: how many features differ, and of how many nothing is said."""
        return summed_up(self.features, "differ", "no difference")


def compare(
    ask: Ask,
    *,
    by: str | None = None,
    top: str = TOP,
    where: str | None = None,
    stratify: str | None = None,
    cluster: str = CLUSTER,
    seed: int = 0,
) -> CohortComparison:
    """Compare two cohorts; see `Corpus.compare`."""
    if (by is None) == (where is None):
        raise ConfigError("cohorts are defined by one of the two: a metric or a condition", "", "give either `by` or `where`")
    if where is not None:
        rows = read_features(ask, where, "BOOLEAN", cluster)
        first, ties = rows.asked > 0, ""
        question = f"where {where}"
        outcomes = True
    else:
        share, number = parsed_top(top)
        rows = read_features(ask, str(by), "DOUBLE", cluster)
        first, ties = highest(rows.asked, share, number, str(by))
        question = f"top {top} by {by}"
        outcomes = False
    notes = [*left_out(rows, str(where if by is None else by)), *([ties] if ties else []), *_without_counterpart(first)]
    return compared(rows, first, question, notes=notes, stratify=stratify, with_outcomes=outcomes, resampling=Resampling(seed=seed))


def compared(
    rows: FeatureRows,
    first: Flags,
    question: str,
    *,
    notes: Sequence[str] = (),
    stratify: str | None = None,
    with_outcomes: bool = False,
    resampling: Resampling = INTERVALS,
) -> CohortComparison:
    """Compare two cohorts of given videos.

    Args:
        rows: the videos.
        first: which of them are the first cohort, shape (videos,).
        question: what defines it, in words.
        notes: what else is to be said.
        stratify: compare within fifths of this confounder.
        with_outcomes: compare the platform's figures, too.
        resampling: for intervals.
    """
    strata = rows.strata(stratify)
    features = feature_differences(rows.features, rows.values, rows.is_boolean, first, strata, resampling)
    outcomes: list[FeatureDifference] = []
    if with_outcomes and rows.outcomes:
        values = np.column_stack(list(rows.outcomes.values()))
        outcomes = feature_differences(tuple(rows.outcomes), values, np.zeros(values.shape[1], np.bool_), first, strata, resampling)
    if stratify is not None:
        alone = rows.videos - sum(len(one) for cell in cells_of(first, strata, np.ones_like(first)) for one in cell)
        notes = [
            *notes,
            *([f"{_videos(alone)} not compared: without {stratify}, or alone in a fifth without the other cohort."] if alone else []),
        ]
    return CohortComparison(
        question=question,
        n=int(first.sum()),
        n_rest=int((~first).sum()),
        features=tuple(sorted(features, key=importance)),
        outcomes=tuple(outcomes),
        confounders=tuple(_confounder(name, rows.confounders[name], first, is_stratified=stratify is not None) for name in CONFOUNDERS),
        stratified_by=stratify,
        notes=(*notes, *_authors(rows, first), NOT_WHY),
    )


def highest(metric: Floats, share: float | None, number: int | None, name: str) -> tuple[Flags, str]:
    """The videos with the highest values.

    Videos of one value stay together. Of the two cuts that this leaves, the one nearer to what was asked is made, unless it leaves a
    cohort empty.

    Args:
        metric: shape (videos,), finite.
        share: how many of them, in (0, 1].
        number: or how many videos.
        name: of the metric.

    Returns:
        Which videos, shape (videos,), and a sentence where equal values made the cohort larger or smaller than asked.
    """
    if not len(metric):
        return np.zeros(0, np.bool_), ""
    asked = cohort_size(share, number, len(metric))
    if asked > len(metric):
        return np.ones(len(metric), np.bool_), f"{name} is known of {counted(len(metric), 'video')} only, {asked} were asked for."
    wanted = asked
    threshold = np.sort(metric)[::-1][wanted - 1]
    with_equals, above = metric >= threshold, metric > threshold
    nearer = wanted - above.sum() < with_equals.sum() - wanted
    first = above if above.any() and (nearer or (with_equals.all() and wanted < len(metric))) else with_equals
    if first.sum() == wanted:
        return first, ""
    asked_for = "1 was" if wanted == 1 else f"{wanted} were"
    return first, f"Equal values of {name} stay in one cohort: {_videos(int(first.sum()))} in it, {asked_for} asked for."


def left_out(rows: FeatureRows, expression: str) -> list[str]:
    """What was left out when the videos were read, in words."""
    said = []
    if rows.unknown:
        of = "it" if rows.unknown == 1 else "them"
        said.append(f"{_videos(rows.unknown)} left out, as `{expression}` is not known of {of}: null, infinite, or a division by zero.")
    if rows.duplicates:
        said.append(f"{_videos(rows.duplicates)} left out: of near-duplicates, the one that was posted first counts.")
    if rows.named:
        said.append(f"Left out as the question names them: {', '.join(rows.named)}.")
    return said


def summed_up(features: Sequence[TestedFeature], verb: str, nothing: str) -> str:
    """One sentence on how many features are found; those that no video was measured in are not counted.

    Args:
        features: all of them.
        verb: what found ones do: "differ".
        nothing: what the others show: "no difference".
    """
    features = [feature for feature in features if feature.reason != NEVER_MEASURED]
    counts = Counter(feature.verdict for feature in features)
    parts = [f"{counts[Verdict.FOUND]} of {len(features)} features {verb}"]
    for verdict, said in (
        (Verdict.NOT_FOUND, f"{{}} show {nothing} beyond chance"),
        (Verdict.TOO_FEW, "{} have too few videos to tell"),
        (Verdict.CONSTANT, "{} are the same in every video"),
    ):
        if counts[verdict]:
            parts.append(said.format(counts[verdict]))
    return "; ".join(parts) + "."


def feature_differences(
    names: tuple[str, ...], values: Floats, is_boolean: Flags, first: Flags, strata: Places, resampling: Resampling
) -> list[FeatureDifference]:
    """Compare columns between two cohorts; the p values are corrected for the number of these columns.

    Args:
        names: of the columns.
        values: shape (videos, columns).
        is_boolean: shape (columns,).
        first: which videos are the first cohort, shape (videos,).
        strata: see `cohort_effects`.
        resampling: for intervals.
    """
    counted: dict[int, _Counted] = {}
    problems: list[Untested | None] = [None] * len(names)
    for measured, columns in measured_together(values):
        cells = cells_of(first, strata, measured)
        for place in columns.tolist():
            problems[place] = untested(values[:, place], cells, is_boolean=bool(is_boolean[place]))
            counted[place] = _Counted.of(values[:, place], first, cells, is_share=bool(is_boolean[place]))
    tested = judged_features(
        names, values, is_boolean, problems, lambda some, flags: cohort_effects(some, first, strata, flags, resampling=resampling)
    )
    return [FeatureDifference(**vars(one), **vars(counted[number])) for number, one in enumerate(tested)]


@dataclass(frozen=True)
class _Counted:
    """What `FeatureDifference` says of the cohorts themselves."""

    n: int
    n_rest: int
    unmeasured: int
    unmeasured_rest: int
    value: float | None
    value_rest: float | None
    is_share: bool

    @classmethod
    def of(cls, values: Floats, first: Flags, cells: CohortCells, *, is_share: bool) -> _Counted:
        sides = [values[np.concatenate([cell[side] for cell in cells])] if cells else values[:0] for side in (0, 1)]
        middle = np.mean if is_share else np.median
        value, value_rest = (float(middle(side)) if len(side) else None for side in sides)
        unmeasured, unmeasured_rest = (int((np.isnan(values) & side).sum()) for side in (first, ~first))
        return cls(len(sides[0]), len(sides[1]), unmeasured, unmeasured_rest, value, value_rest, is_share)


def _confounder(name: str, values: Floats, first: Flags, *, is_stratified: bool) -> ConfounderDifference:
    known = [values[side & ~np.isnan(values)] for side in (first, ~first)]
    medians = [float(np.median(one)) if len(one) else None for one in known]
    effect = None
    if min(map(len, known)) >= FEWEST:
        strata = np.zeros(len(values), np.intp)
        found = cohort_effects(values[:, None], first, strata, np.zeros(1, np.bool_), resampling=NO_INTERVALS)
        effect = float(found.effect[0])
    return ConfounderDifference(name, len(known[0]), len(known[1]), medians[0], medians[1], effect, is_stratified)


def _authors(rows: FeatureRows, first: Flags) -> list[str]:
    said = []
    for name, side in (("first cohort", first), ("rest", ~first)):
        counts = Counter(rows.authors[place] for place in np.flatnonzero(side) if rows.authors[place] is not None)
        most = max(counts.values(), default=0)
        if most > 1 and most >= _OF_ONE_AUTHOR * side.sum():
            said.append(
                f"{most} of the {side.sum()} videos of the {name} are of one author. Videos of one author resemble one another, so the p "
                "values are smaller than they should be."
            )
    return said


def _without_counterpart(first: Flags) -> list[str]:
    if not len(first) or (first.any() and not first.all()):
        return []
    return [f"{'Every' if first.all() else 'No'} video is in the first cohort; there is nothing to compare with."]


def _videos(number: int) -> str:
    return "1 video is" if number == 1 else f"{number} videos are"


def importance(one: TestedFeature) -> tuple[Any, ...]:
    """Where a feature stands: found ones first, larger effects before smaller ones."""
    return list(Verdict).index(one.verdict), -abs(one.effect or 0.0), one.feature

"""The statistics of cohorts: planted effects are found, chance is not, and SciPy's own answers are ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from made_features import made_features
from rumiai_ray.corpus.cohorts.compare import CohortComparison, compared, highest
from rumiai_ray.corpus.cohorts.correlate import correlated
from rumiai_ray.corpus.cohorts.effects import NO_INTERVALS, Resampling, cohort_effects, corrected, rank_correlations
from rumiai_ray.corpus.cohorts.features import CONFOUNDERS, OUTCOMES, FeatureRows
from rumiai_ray.corpus.cohorts.over_time import Period, followed
from rumiai_ray.corpus.cohorts.tested import FEWEST, Verdict

SHUFFLINGS = 200
ALLOWED = 0.08
ONE_STRATUM = np.zeros(200, np.intp)


def top_quarter(rows: FeatureRows, **options: Any) -> CohortComparison:
    return compared(rows, highest(rows.asked, 0.25, None, "likes")[0], "the top", **options)


def found(comparison: Any) -> set[str]:
    return {one.feature for one in comparison.features if one.verdict is Verdict.FOUND}


def planted(rows: FeatureRows) -> FeatureRows:
    """The same with three features that are higher in the top quarter: a continuous one, a count, and a boolean."""
    first = highest(rows.asked, 0.25, None, "likes")[0]
    values, rng = rows.values.copy(), np.random.default_rng(7)
    places = {name: rows.features.index(name) for name in ("continuous_3", "count_2", "flag_1")}
    values[first, places["continuous_3"]] += 4.0
    values[first, places["count_2"]] += rng.poisson(3, first.sum())
    values[:, places["flag_1"]] = rng.random(rows.videos) < np.where(first, 0.8, 0.2)
    return replace(rows, values=values)


def test_planted_effects_are_found_with_their_sign_size_and_interval() -> None:
    comparison = top_quarter(planted(made_features()))
    assert {"continuous_3", "count_2", "flag_1"} == found(comparison)
    assert [one.feature for one in comparison.features[:3]] == sorted(found(comparison), key=lambda name: -by_name(comparison, name).effect)
    for name in found(comparison):
        one = by_name(comparison, name)
        assert 0.3 < one.effect <= 1
        assert one.low < one.effect < one.high
        assert one.p <= one.p_corrected <= 0.05
        assert one.size in {"medium", "large"}
        assert one.value > one.value_rest
    flag = by_name(comparison, "flag_1")
    assert flag.is_share
    assert flag.effect == pytest.approx(flag.value - flag.value_rest), "of a boolean the delta is the difference of the shares"
    assert comparison.summary().startswith("3 of 130 features differ; ")


def by_name(comparison: Any, name: str) -> Any:
    return next(one for one in comparison.features if one.feature == name)


@pytest.mark.parametrize(("videos", "stratify"), [(60, None), (200, None), (200, "duration")])
def test_with_shuffled_metrics_hardly_ever_anything_is_found(videos: int, stratify: str | None) -> None:
    rows, rng = made_features(videos), np.random.default_rng(11)
    discoveries = 0
    for _ in range(SHUFFLINGS):
        shuffled = replace(rows, asked=rng.permutation(rows.asked))
        discoveries += bool(found(top_quarter(shuffled, resampling=NO_INTERVALS, stratify=stratify)))
    assert discoveries <= ALLOWED * SHUFFLINGS


def rare_counts(videos: int, *, metric_is_rare: bool = False) -> FeatureRows:
    """Videos with forty plain features and twenty counts that are 0 in all but a few videos."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(videos, 60))
    for column in range(40, 60):
        shown = rng.choice(videos, rng.integers(8, 20), replace=False)
        values[:, column] = 0
        values[shown, column] = rng.integers(1, 5, len(shown))
    asked = values[:, -1] if metric_is_rare else rng.normal(size=videos)
    names = tuple(f"count_{number}" for number in range(60))
    return made_features(videos, features=names, values=values, is_boolean=np.zeros(60, np.bool_), asked=asked)


@pytest.mark.parametrize(("videos", "stratify"), [(300, None), (300, "duration")])
def test_with_a_small_cohort_chance_makes_no_find_of_rare_counts(videos: int, stratify: str | None) -> None:
    rows, rng = rare_counts(videos), np.random.default_rng(11)
    discoveries = 0
    for _ in range(SHUFFLINGS):
        first = rng.permutation(videos) < 10
        discoveries += bool(found(compared(rows, first, "ten", resampling=NO_INTERVALS, stratify=stratify)))
    assert discoveries <= ALLOWED * SHUFFLINGS


def test_with_a_rare_metric_chance_makes_no_find_of_rare_counts() -> None:
    rows, rng = rare_counts(200, metric_is_rare=True), np.random.default_rng(11)
    discoveries = 0
    for _ in range(SHUFFLINGS):
        discoveries += bool(found(correlated(replace(rows, asked=rng.permutation(rows.asked)), "likes", resampling=NO_INTERVALS)))
    assert discoveries <= ALLOWED * SHUFFLINGS


def test_one_rare_count_in_a_small_cohort_is_too_few_to_tell() -> None:
    """One of eight videos with such a value is in a cohort of 8 of 1,000: chance does that in one of sixteen such cases."""
    values = np.zeros((1000, 1))
    values[[0, *range(500, 507)], 0] = np.arange(1, 9)
    rows = made_features(1000, features=("hands",), values=values, is_boolean=np.zeros(1, np.bool_))
    (hands,) = compared(rows, np.arange(1000) < 8, "the first").features
    assert (hands.verdict, hands.p) == (Verdict.TOO_FEW, None)
    assert hands.reason == ("by chance 0.1 videos of the smaller cohort would have another value than the commonest one, 5 are needed")


def test_cohorts_that_do_not_overlap_at_all_are_never_said_to_be_alike() -> None:
    values = np.random.default_rng(1).normal(size=(16, 120))
    values[:, 0] = np.arange(16)
    rows = made_features(16, features=tuple(f"f{number}" for number in range(120)), values=values, is_boolean=np.zeros(120, np.bool_))
    apart = by_name(compared(rows, np.arange(16) >= 8, "the last"), "f0")
    assert apart.effect == 1
    assert apart.p_corrected > 0.05
    assert apart.verdict is Verdict.TOO_FEW
    assert apart.reason == "a large effect is neither shown nor ruled out, the effect itself is +1.00"


def test_with_shuffled_metrics_hardly_any_correlation_is_found() -> None:
    rows, rng = made_features(100), np.random.default_rng(11)
    discoveries = 0
    for _ in range(SHUFFLINGS):
        discoveries += bool(found(correlated(replace(rows, asked=rng.permutation(rows.asked)), "likes", resampling=NO_INTERVALS)))
    assert discoveries <= ALLOWED * SHUFFLINGS


def test_planted_correlations_are_found_with_their_sign_and_interval() -> None:
    rows = made_features()
    values = rows.values.copy()
    values[:, 4] = -np.log(rows.asked) + np.random.default_rng(3).normal(size=rows.videos)
    answer = correlated(replace(rows, values=values), "likes")
    assert found(answer) == {"continuous_4"}
    one = by_name(answer, "continuous_4")
    assert one.low < one.effect < one.high < -0.5
    assert one.effect == pytest.approx(stats.spearmanr(values[:, 4], rows.asked).statistic)
    assert answer.summary().startswith("1 of 130 features go with likes; ")


def test_a_difference_that_comes_with_the_length_alone_is_gone_within_equal_lengths_and_the_length_is_named() -> None:
    rows = made_features(400)
    rng = np.random.default_rng(5)
    duration = rng.uniform(5, 60, rows.videos)
    values = rows.values.copy()
    values[:, 0] = duration + rng.normal(0, 0.5, rows.videos)
    values[:, 1] = rng.normal(0, 1, rows.videos)
    metric = duration + rng.normal(0, 10, rows.videos)
    values[metric >= np.quantile(metric, 0.75), 1] += 1.5
    rows = replace(rows, values=values, asked=metric, confounders={**rows.confounders, "duration": duration})
    plain, within = top_quarter(rows), top_quarter(rows, stratify="duration")
    assert {"continuous_0", "continuous_1"} <= found(plain)
    assert "continuous_1" in found(within)
    assert abs(by_name(within, "continuous_0").effect) < 0.4 * by_name(plain, "continuous_0").effect
    (length,) = [one for one in plain.confounders if one.name == "duration"]
    assert length.noteworthy
    assert length.sentence().startswith("The cohorts also differ in how long they are (median ")
    assert within.stratified_by == "duration"
    assert "before stratification" in within.confounders[2].sentence()


@pytest.fixture
def sample() -> Any:
    return made_features(200).values[:, [0, 100, 125]]


FIRST = np.arange(200) % 3 == 0


def test_one_stratum_is_what_scipy_says(sample: Any) -> None:
    ours = cohort_effects(sample, FIRST, ONE_STRATUM, np.array([False, False, True]), resampling=Resampling(2000))
    for column, test in enumerate(stats.mannwhitneyu(sample[FIRST, one], sample[~FIRST, one], method="asymptotic") for one in range(2)):
        assert ours.p[column] == pytest.approx(test.pvalue)
        assert ours.effect[column] == pytest.approx(2 * test.statistic / (FIRST.sum() * (~FIRST).sum()) - 1)
    yes = [int(sample[side, 2].sum()) for side in (FIRST, ~FIRST)]
    assert ours.p[2] == pytest.approx(stats.fisher_exact([yes, [FIRST.sum() - yes[0], (~FIRST).sum() - yes[1]]]).pvalue)

    def delta(one: Any, other: Any, axis: int) -> Any:
        return 2 * stats.mannwhitneyu(one, other, axis=axis).statistic / (one.shape[axis] * other.shape[axis]) - 1

    theirs = stats.bootstrap(
        (sample[FIRST, 0], sample[~FIRST, 0]), delta, n_resamples=2000, method="percentile", rng=1, vectorized=True
    ).confidence_interval
    assert (ours.low[0], ours.high[0]) == pytest.approx(tuple(theirs), abs=0.02)


def test_the_interval_of_a_correlation_is_what_scipy_says(sample: Any) -> None:
    metric = sample[:, 0] + sample[:, 1]
    ours = rank_correlations(sample[:, [1]], metric, resampling=Resampling(2000))
    theirs = stats.bootstrap(
        (sample[:, 1], metric), lambda x, y: stats.spearmanr(x, y).statistic, paired=True, n_resamples=2000, method="percentile",
        rng=1, vectorized=False,
    ).confidence_interval  # fmt: skip
    assert (ours.low[0], ours.high[0]) == pytest.approx(tuple(theirs), abs=0.02)


def test_the_stratified_test_of_strata_that_hold_all_the_same_is_the_mann_whitney_test_and_its_p_is_that_of_permutations(
    sample: Any,
) -> None:
    rng = np.random.default_rng(2)
    strata = rng.integers(0, 4, 200)
    shifted = sample[:, [0]] + 3.0 * strata[:, None]
    shifted[FIRST] += 0.9
    ours = cohort_effects(shifted, FIRST, strata, np.array([False]), resampling=NO_INTERVALS)
    larger = []
    for _ in range(2000):
        labels = FIRST.copy()
        for number in range(4):
            labels[strata == number] = rng.permutation(labels[strata == number])
        larger.append(
            abs(cohort_effects(shifted, labels, strata, np.array([False]), resampling=NO_INTERVALS).effect[0]) >= abs(ours.effect[0])
        )
    assert ours.p[0] == pytest.approx(np.mean(larger), abs=0.02)


def test_features_without_enough_videos_variety_or_certainty_are_too_few_to_tell_and_say_why() -> None:
    rows = made_features(200)
    values = rows.values.copy()
    values[np.argsort(rows.asked)[-(FEWEST - 1) :], 0] = np.nan
    values[:, 0] = np.where(np.arange(200) % 60 == 0, 1.0, np.nan)
    values[:, 1] = 5.0
    values[:, 2] = np.nan
    values[:, 3] = np.arange(200) < FEWEST - 1
    comparison = top_quarter(replace(rows, values=values))
    few, constant, missing, alike = (by_name(comparison, f"continuous_{number}") for number in range(4))
    assert few.verdict is missing.verdict is alike.verdict is Verdict.TOO_FEW
    assert few.reason.endswith("8 each are needed")
    assert missing.reason == "measured in no video"
    assert (missing.n, missing.n_rest, missing.unmeasured, missing.unmeasured_rest) == (0, 0, 50, 150)
    assert missing.value is missing.effect is missing.p is None
    assert alike.reason == "all but 7 of the videos have one and the same value, 8 others are needed"
    assert constant.verdict is Verdict.CONSTANT
    assert (constant.value, constant.value_rest, constant.effect) == (5.0, 5.0, None)
    small = top_quarter(made_features(40))
    wide = [one for one in small.features if one.effect is not None and one.verdict is Verdict.TOO_FEW]
    assert wide
    assert all("neither shown nor ruled out" in str(one.reason) for one in wide)


def test_cohorts_that_do_not_overlap_have_an_effect_and_no_interval() -> None:
    values = np.arange(200.0)[:, None]
    answer = cohort_effects(values, np.arange(200) >= 150, ONE_STRATUM, np.array([False]))
    assert answer.effect[0] == 1.0
    assert np.isnan(answer.low[0])
    assert np.isnan(answer.high[0])


def test_an_author_with_many_videos_is_mentioned_and_not_named() -> None:
    rows = replace(made_features(40), authors=("somebody",) * 40)
    notes = top_quarter(rows).notes
    assert any("10 of the 10 videos of the first cohort are of one author" in note for note in notes)
    assert "somebody" not in repr(top_quarter(rows))


@pytest.mark.parametrize(
    ("metric", "share", "number", "expected"),
    [
        (range(100), 0.25, None, 25),
        (range(10), 0.25, None, 3),
        (range(10), None, 4, 4),
        ([0] * 9 + [1], 0.25, None, 1),
        ([1] * 3 + [0] * 7, 0.25, None, 3),
        ([2, 1, 1, 1, 1, 1, 1, 1, 1, 0], 0.25, None, 1),
        ([1] * 4, 0.25, None, 4),
        ([5], 0.25, None, 1),
        ([], 0.25, None, 0),
        (range(3), None, 50, 3),
    ],
)
def test_the_top_has_the_size_that_was_asked_for_as_nearly_as_equal_values_allow(
    metric: Any, share: float | None, number: int | None, expected: int
) -> None:
    values = np.array(metric, np.float64)
    first, said = highest(values, share, number, "likes")
    assert first.sum() == expected
    assert not len(values) or not first.any() or values[first].min() > max(values[~first], default=-1)
    assert bool(said) == (len(values) > 0 and expected != (number or np.ceil((share or 0) * len(values))))


def test_p_values_are_corrected_for_those_that_were_tested_alone() -> None:
    assert corrected(np.array([0.01, np.nan, 0.04])).tolist() == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert len(corrected(np.array([]))) == 0


_values = st.one_of(st.sampled_from([np.nan, 0.0, 1.0, -1.0]), st.floats(-1e300, 1e300))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_table_gives_an_answer_and_every_figure_lies_where_it_can(data: st.DataObject) -> None:
    videos, columns = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 4))
    values = data.draw(arrays.arrays(np.float64, (videos, columns), elements=_values))
    is_boolean = np.zeros(columns, np.bool_)
    if columns:
        values[:, 0] = np.where(np.isnan(values[:, 0]), np.nan, values[:, 0] > 0)
        is_boolean[0] = True
    metric = data.draw(arrays.arrays(np.float64, videos, elements=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(-1e300, 1e300))))
    seconds = st.one_of(st.just(np.nan), st.floats(-6e10, 2e11))
    confounders = {name: data.draw(arrays.arrays(np.float64, videos, elements=seconds)) for name in CONFOUNDERS}
    rows = made_features(
        videos, features=tuple(f"<b>{number}" for number in range(columns)), values=values, is_boolean=is_boolean, asked=metric,
        confounders=confounders, outcomes=dict.fromkeys(OUTCOMES, metric),
    )  # fmt: skip
    stratify = data.draw(st.sampled_from([None, *CONFOUNDERS]))
    comparison = top_quarter(rows, stratify=stratify, with_outcomes=True, resampling=Resampling(20))
    correlations = correlated(rows, "likes", resampling=Resampling(20))
    over = followed(rows, "likes", data.draw(st.sampled_from(Period)), resampling=Resampling(20))
    assert comparison.n + comparison.n_rest == videos
    assert sum(one.n for one in over.periods) == np.sum(~np.isnan(confounders["posted_at"]))
    for answer in (comparison, correlations, over):
        told = answer.periods if answer is over else (*answer.features, *getattr(answer, "outcomes", ()))  # type: ignore[union-attr]
        assert answer.table().num_rows == len(told)
        assert not any("cause" in note for note in answer.notes)
    for one in (*comparison.features, *comparison.outcomes, *correlations.features):
        tested = one.effect is not None
        assert tested == (one.p is not None) == (one.p_corrected is not None) == (one.size is not None)
        assert one.verdict is not Verdict.FOUND or tested
        assert one.reason is None or one.verdict is Verdict.TOO_FEW
        if tested:
            assert -1 <= one.effect <= 1  # type: ignore[operator]
            assert 0 <= one.p <= one.p_corrected <= 1  # type: ignore[operator]
        if one.low is not None:
            assert -1 <= one.low < one.high <= 1  # type: ignore[operator]
    for confounder in comparison.confounders:
        assert confounder.sentence()

"""Cohorts of the videos of real runs: what is read of them, what is left out, and what is said."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from cohort_runs import VIDEOS, write_liked_videos
from made_corpus import Commit, Made, made_run
from rumiai_ray import open_corpus
from rumiai_ray.corpus.cohorts.features import CONFOUNDERS, _followers, is_feature
from rumiai_ray.corpus.cohorts.over_time import Period
from rumiai_ray.corpus.cohorts.tested import Verdict
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.corpus.reader import Corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)  # power cuts are not what these tests are about
        return open_corpus([write_liked_videos(tmp_path_factory.mktemp("runs")).store.uri()])


def test_what_liked_videos_have_more_of_is_found_and_what_else_they_differ_in_is_named(corpus: Corpus) -> None:
    found = corpus.compare(by="like_count", top="10")
    assert (found.n, found.n_rest) == (10, VIDEOS - 2 + 1 - 10)
    assert [one.feature for one in found.told(Verdict.FOUND)] == ["hook_cuts_per_minute", "hook_has_captions"]
    cuts, captions = found.told(Verdict.FOUND)
    assert cuts.value is not None
    assert cuts.value_rest is not None
    assert cuts.value > 30 > cuts.value_rest
    assert captions.is_share
    assert found.outcomes == ()
    followers, posted, duration = found.confounders
    assert not followers.noteworthy
    assert followers.sentence() == (
        "It is unknown whether the cohorts differ in their authors' followers: followers is known of 0 and 4 videos."
    )
    assert posted.noteworthy
    assert duration.noteworthy
    assert duration.effect is not None
    assert duration.effect < -0.8
    assert found.notes[0] == "1 video is left out, as `like_count` is not known of it: null, infinite, or a division by zero."
    assert found.notes[-1].endswith("not why.")
    rows = found.table()
    assert rows.num_rows == len(found.features)
    assert b"definition" in (rows.schema.field("p_corrected").metadata or {})
    assert set(rows.to_pandas().query("verdict == 'found'").feature) == {"hook_cuts_per_minute", "hook_has_captions"}


def test_a_condition_makes_two_cohorts_and_their_platform_s_figures_are_outcomes(corpus: Corpus) -> None:
    found = corpus.compare(where="Hook_Has_Captions -- in the hook")
    assert found.n + found.n_rest == VIDEOS
    assert "hook_has_captions" not in {one.feature for one in found.features}
    assert "Left out as the question names them: hook_has_captions." in found.notes
    assert [one.feature for one in found.outcomes] == ["view_count", "like_count", "comment_count", "share_count", "save_count"]
    assert {one.feature for one in found.features} & {"view_count", "like_count", "duration_s", "hook_start_s", "hook_face_frames"} == set()
    assert found.outcomes[1].verdict is Verdict.FOUND
    assert found.outcomes[2].verdict is Verdict.TOO_FEW


def test_a_condition_may_ask_other_tables(corpus: Corpus) -> None:
    where = "video_key IN (SELECT video_key FROM windows WHERE \"window\" = 'hook' AND cuts_per_minute > 30)"
    if "name" in corpus.table("windows").column_names:
        where = where.replace('"window"', "name")
    found = corpus.compare(where=where)
    assert 10 <= found.n < 30
    assert "hook_cuts_per_minute" not in {one.feature for one in found.features}, "the condition is made of it"


def test_a_condition_on_an_outcome_does_not_find_that_outcome(corpus: Corpus) -> None:
    found = corpus.compare(where="like_count > 1300")
    assert [one.feature for one in found.outcomes] == ["view_count", "comment_count", "share_count", "save_count"]
    assert "Left out as the question names them: like_count." in found.notes
    assert corpus.compare(where="coalesce(view_count, like_count, comment_count, share_count, save_count) > 10").outcomes == ()


def test_a_cohort_with_nothing_to_compare_it_with_says_so(corpus: Corpus) -> None:
    nothing = "video is in the first cohort; there is nothing to compare with."
    assert f"Every {nothing}" in corpus.compare(where="true").notes
    assert f"No {nothing}" in corpus.compare(where="false").notes
    many = corpus.compare(by="like_count", top="500").notes
    assert {"like_count is known of 59 videos only, 500 were asked for.", f"Every {nothing}"} <= set(many)
    (ties,) = (note for note in corpus.compare(by="hook_face_frames", top="1").notes if note.startswith("Equal"))
    assert ties == "Equal values of hook_face_frames stay in one cohort: 60 videos are in it, 1 was asked for."


def test_videos_are_compared_within_fifths_and_those_that_have_no_counterpart_are_counted(corpus: Corpus) -> None:
    found = corpus.compare(by="like_count", top="10", stratify="duration")
    assert found.stratified_by == "duration"
    compared = next(one for one in found.features if one.feature == "hook_cuts_per_minute")
    assert compared.n == 10
    assert compared.n_rest < 20, "the others are longer than all liked ones"
    assert any("not compared: without duration, or alone in a fifth" in note for note in found.notes)


def test_near_duplicates_count_once_by_what_they_are_said_to_be(corpus: Corpus) -> None:
    found = corpus.compare(by="like_count", cluster="CASE WHEN author = 'author-3' THEN 'one' END")
    assert found.n + found.n_rest == VIDEOS - 1 - 2
    assert "2 videos are left out: of near-duplicates, the one that was posted first counts." in found.notes


def test_equal_bytes_under_two_names_count_once(tmp_path: Path) -> None:
    made_run(tmp_path, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("copy.mp4", "a", ends={}, mark=2), Made("b.mp4", "b", mark=3)])])
    found = open_corpus([tmp_path / "one"]).compare(by="view_count", top="1")
    assert (found.n, found.n_rest) == (1, 1)


def test_every_numeric_column_of_summary_is_a_feature_an_outcome_or_a_confounder(corpus: Corpus) -> None:
    """The author of a new column of `summary` decides here what it is."""
    schema = corpus.query("SELECT * FROM summary LIMIT 0").schema
    features = {field.name for field in schema if is_feature(field)}
    of_windows = {name for name in features if name.startswith(("hook_", "closing_", "video_"))}
    assert features - of_windows == {"width_px", "height_px", "loudness_lufs"}
    assert {"hook_cuts_per_minute", "closing_has_captions", "video_energy_level"} < of_windows
    assert not any(name.endswith(("_frames", "start_s", "end_s")) for name in of_windows)
    assert all(pa.types.is_floating(schema.field(name).type) for name in ("hook_energy_level", "video_pitch_scatter_ratio"))


def test_correlations_with_a_metric_have_confounders_beside_them(corpus: Corpus) -> None:
    found = corpus.correlate(by="like_count")
    assert found.n == VIDEOS - 1
    assert [one.feature for one in found.confounders] == list(CONFOUNDERS)
    assert found.confounders[1].verdict is Verdict.FOUND
    assert found.table().num_rows == len(found.features)
    assert "hook_cuts_per_minute" in {one.feature for one in found.features if one.verdict is Verdict.FOUND}


def test_a_metric_is_followed_by_week_and_the_newest_is_set_against_the_one_before(corpus: Corpus) -> None:
    found = corpus.over_time(by="like_count", period="week")
    assert [(one.start, one.n) for one in found.periods] == [(date(2026, 9, 7), 19), (date(2026, 9, 14), 21), (date(2026, 9, 21), 19)]
    assert found.change is not None
    assert (found.change.n, found.change.n_rest, found.change.effect) == (19, 21, 1.0)
    assert found.sentence().startswith("The week of 2026-09-21 has 19 videos, the week before it 21: like_count is higher (median ")
    assert found.table().column_names == ["start", "n", "quarter", "median", "three_quarters"]
    assert corpus.over_time(by="hook_cuts_per_minute", period=Period.MONTH).sentence().endswith("8 each are needed).")


def test_without_any_figure_there_are_too_few_to_tell_and_no_error(tmp_path: Path) -> None:
    made_run(tmp_path, "one", [Commit(1, [Made("a.mp4", "a")])])
    corpus = open_corpus([tmp_path / "one"])
    for found in (corpus.compare(by="like_count"), corpus.compare(by="view_count"), corpus.compare(where="view_count > 5")):
        assert {one.verdict for one in found.features} == {Verdict.TOO_FEW}
        assert all(confounder.effect is None for confounder in found.confounders)
    assert corpus.correlate(by="like_count").n == 0
    assert corpus.over_time(by="view_count").sentence() == "No video of which view_count is known has a date."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "give either `by` or `where`"),
        ({"by": "like_count", "where": "true"}, "give either `by` or `where`"),
        ({"by": "no_such_column"}, "no_such_column"),
        ({"by": "author"}, "author-"),
        ({"by": 'like_count) AS DOUBLE) AS "_other", CAST((1'}, "brackets must match"),
        ({"by": 'like_count) AS DOUBLE) AS "_asked", CAST((1'}, "brackets must match"),
        ({"where": 'true) AS BOOLEAN) AS "_asked", CAST((true'}, "brackets must match"),
        ({"by": ""}, "DuckDB"),
        ({"by": "unnest([1, 2])"}, "several values for one video"),
        ({"by": "like_count) FROM summary; DROP VIEW summary --"}, "Parser Error"),
        ({"where": "like_count IN (SELECT 1 FROM '/etc/passwd')"}, "DuckDB"),
        ({"by": "like_count", "top": "0%"}, "such as 25%"),
        ({"by": "like_count", "top": "100%"}, "such as 25%"),
        ({"by": "like_count", "top": "0"}, "such as 25%"),
        ({"by": "like_count", "top": "a quarter"}, "such as 25%"),
        ({"by": "like_count", "stratify": "colour"}, "duration"),
        ({"by": "like_count", "cluster": "no_such_column"}, "no_such_column"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_with_what_can(corpus: Corpus, arguments: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        corpus.compare(**arguments)  # type: ignore[arg-type] # as somebody may pass them
    with pytest.raises(ConfigError, match="day, week, month"):
        corpus.over_time(by="like_count", period="decade")


@pytest.mark.parametrize("name", ["Follower Count", "author-followers", "followers", "AuthorMeta/Fans"])
def test_a_column_of_followers_is_found_however_its_name_is_written(name: str) -> None:
    assert _followers({name: "1,200", "Followers": ""}) == 1200

"""Many runs as one set of tables: what counts is what was committed last, and nothing that was found is hidden."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from made_corpus import COMMITS, FAMILIES, TABLES, Commit, Made, expected, in_order, made_run, model, possible
from rumiai_ray import open_corpus, open_run
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import rewrite, video_key

if TYPE_CHECKING:
    from rumiai_ray.corpus.reader import Corpus

YOLO_ONLY = {"yolo": "ok"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def corpus_of(out: Path, *, allow_mixed: bool = False) -> Corpus:
    return open_corpus([f"{out}/*"], allow_mixed=allow_mixed)


def marks(corpus: Corpus, table: str, column: str) -> dict[str, set[int]]:
    """By the content that the tests name, the marks of its rows."""
    named = {video_key(content): content for content in "abcd"}
    found: dict[str, set[int]] = {}
    for row in corpus.table(table, ["video_key", column]).to_pylist():
        found.setdefault(named[row["video_key"]], set()).add(row[column])
    return found


def test_of_a_video_in_two_runs_the_newest_analysis_counts_whatever_its_entry_and_run_are_called(out: Path) -> None:
    made_run(out, "z-older", [Commit(1, [Made("a.mp4", "a", mark=1), Made("b.mp4", "b", mark=2)])])
    # The id `a.mp4` is another video's here; only input and content say what is the same.
    made_run(out, "a-newer", [Commit(2, [Made("b.mp4", "b", entry_id="a.mp4", mark=3), Made("c.mp4", "c", mark=4)])])
    corpus = corpus_of(out)
    assert marks(corpus, "objects", "class_id") == {"a": {1}, "b": {3}, "c": {4}}
    assert marks(corpus, "videos", "view_count") == {"a": {1}, "b": {3}, "c": {4}}
    assert corpus.query("SELECT count(*) AS n FROM objects").to_pylist() == [{"n": 6}]
    assert corpus.query("SELECT run_id, committed, counted FROM runs").to_pylist() == [
        {"run_id": "z-older", "committed": 2, "counted": 1},
        {"run_id": "a-newer", "committed": 2, "counted": 2},
    ]


def test_a_changed_file_under_the_same_name_is_another_entry(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1)])])
    made_run(out, "two", [Commit(2, [Made("a.mp4", "b", mark=2)])])
    assert marks(corpus_of(out), "entries", "view_count") == {"a": {1}, "b": {2}}


def test_one_content_under_two_names_is_one_video_with_two_entries_and_joins_do_not_fan_out(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("copy.mp4", "a", ends={}, mark=2)])])
    corpus = corpus_of(out)
    assert corpus.query("SELECT input FROM entries ORDER BY input").to_pylist() == [{"input": "a.mp4"}, {"input": "copy.mp4"}]
    assert corpus.table("videos").num_rows == 1
    assert corpus.query("SELECT count(*) AS n FROM objects JOIN videos USING (video_key)").to_pylist() == [{"n": 2}]


def test_a_later_dead_letter_hides_nothing_and_is_shown_and_one_that_was_read_later_is_not(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("b.mp4", "b", dead=True, mark=1)])])
    made_run(out, "two", [Commit(2, [Made("a.mp4", "a", dead=True, mark=2), Made("b.mp4", "b", mark=2)])])
    corpus = corpus_of(out)
    assert marks(corpus, "objects", "class_id") == {"a": {1}, "b": {2}}
    assert corpus.query("SELECT input, run_id FROM dead_letter").to_pylist() == [{"input": "a.mp4", "run_id": "two"}]


def test_a_later_run_with_fewer_models_hides_nothing(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1)])])
    made_run(out, "two", [Commit(2, [Made("a.mp4", "a", ends=YOLO_ONLY, mark=2)])], ["yolo"])
    corpus = corpus_of(out, allow_mixed=True)
    assert marks(corpus, "objects", "class_id") == {"a": {2}}
    assert marks(corpus, "texts", "block_index") == {"a": {1}}
    assert marks(corpus, "person_framing", "face_frames") == {"a": {1}}, "of the analysis in which the most families answered"
    tracks = corpus.query('SELECT "of", sightings FROM tracks ORDER BY 1').to_pylist()
    assert tracks == [{"of": "faces", "sightings": 2}, {"of": "objects", "sightings": 3}], "each with the boxes that it links"


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_model_that_gave_nothing_later_hides_nothing_and_where_none_answered_the_newest_says_why(out: Path, status: str) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("b.mp4", "b", ends={"yolo": "failed"}, mark=1)])])
    made_run(
        out, "two", [Commit(2, [Made("a.mp4", "a", ends={"yolo": status}, mark=2), Made("b.mp4", "b", ends={"yolo": status}, mark=2)])]
    )
    corpus = corpus_of(out)
    assert marks(corpus, "objects", "class_id") == {"a": {1}}
    found = {
        (row["video_key"], row["status"], row["rows"]) for row in corpus.query("SELECT * FROM analyses WHERE model_name='yolo'").to_pylist()
    }
    assert found == {(video_key("a"), "ok", 1), (video_key("b"), status, 2)}


def test_an_empty_answer_is_an_answer(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1)])])
    made_run(out, "two", [Commit(2, [Made("a.mp4", "a", ends={**dict.fromkeys(FAMILIES, "ok"), "ocr": "empty"}, mark=2)])])
    assert marks(corpus_of(out), "texts", "block_index") == {"a": {2}}


def test_a_run_that_was_resumed_later_is_judged_by_each_commit(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1)]), Commit(9, [Made("b.mp4", "b", mark=2)])])
    made_run(out, "two", [Commit(5, [Made("a.mp4", "a", mark=3), Made("b.mp4", "b", mark=4)])], finish=False)
    corpus = corpus_of(out)
    assert marks(corpus, "objects", "class_id") == {"a": {3}, "b": {2}}
    assert [run.run_id for run in corpus.runs] == ["two", "one"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"models": (model("yolo"), model("ocr"))}, "models.mediapipe: mediapipe/backend | —"),
        ({"models": tuple(model(name, backend="other") for name in FAMILIES)}, "models.mediapipe.backend: mediapipe/backend | other"),
        ({"models": tuple(model(name, precision="int8") for name in FAMILIES)}, "models.mediapipe.precision: fp32 | int8"),
        ({"models": tuple(model(name, files=()) for name in FAMILIES)}, "models.mediapipe.weights.network"),
        ({"models": tuple(model(name, result_settings={"confidence": 0.5}) for name in FAMILIES)}, "settings.confidence: 0.25 | 0.5"),
        ({"result_settings": {"insights": {"hook_s": 4}}}, "settings.insights.hook_s: — | 4"),
        ({"sampling": {"fps": 10}}, "sampling.fps: 5 | 10"),
        ({"tables": {"videos": 1}}, "tables.analyses"),
    ],
    ids=["models", "backend", "precision", "weights", "model setting", "setting", "sampling", "schema"],
)
def test_runs_that_differ_in_what_they_say_are_refused_with_the_difference_unless_mixed_ones_are_allowed(
    out: Path, changes: dict[str, Any], named: str
) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])])
    made_run(out, "two", [Commit(2, [Made("b.mp4", "b")])], **changes)
    with pytest.raises(ConfigError, match="1 of 2 runs cannot be compared with the newest, two") as refused:
        corpus_of(out)
    assert named in str(refused.value)
    assert "--allow-mixed" in str(refused.value)
    (older, newer) = corpus_of(out, allow_mixed=True).query("SELECT differences FROM runs").to_pylist()
    assert any(named in difference for difference in older["differences"])
    assert newer["differences"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"source_sha256": "b" * 64},
        {"packages": {"python": "3.11.9", "numpy": "3"}},
        {"config": {"cells": 3}},
        {"models": tuple(model(name, device="cuda:0") for name in FAMILIES)},
        {"models": tuple(model(name, settings={"threads": 2}) for name in FAMILIES)},
    ],
    ids=["source", "packages", "execution setting", "device", "model's execution setting"],
)
def test_runs_that_differ_in_how_they_went_are_read_together(out: Path, changes: dict[str, Any]) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])])
    made_run(out, "two", [Commit(2, [Made("b.mp4", "b")])], **changes)
    assert corpus_of(out).table("videos").num_rows == 2


def test_other_source_is_shown_beside_the_run(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])])
    made_run(out, "two", [Commit(2, [Made("b.mp4", "b")])], source_sha256="b" * 64)
    notes = corpus_of(out).query("SELECT notes FROM runs").to_pylist()
    assert notes == [{"notes": [f"source_sha256: {'a' * 64} | {'b' * 64}"]}, {"notes": []}]


def test_runs_from_before_authors_were_handles_say_so(out: Path) -> None:
    versions = {name: table.version for name, table in TABLES_BY_NAME.items()}
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])], tables=versions | {"videos": 4})
    made_run(out, "two", [Commit(2, [Made("b.mp4", "b")])], tables=versions)
    notes = corpus_of(out).query("SELECT notes FROM runs").to_pylist()
    assert notes == [{"notes": ["authors: handles, but full names on Instagram, X and YouTube | handles"]}, {"notes": []}]


def test_a_pattern_leaves_out_what_is_no_run_and_a_name_that_is_none_is_refused(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])])
    (out / "notes").mkdir()
    (out / "notes.txt").write_text("")
    assert [run.run_id for run in corpus_of(out).runs] == ["one"]
    for named, said in ((f"{out}/notes", "no such run"), (f"{out}/x*", "no run matches"), (str(out), "pattern .*/runs/\\*")):
        with pytest.raises(ConfigError, match=said):
            open_corpus([named])
    with pytest.raises(ConfigError, match="no runs were named"):
        open_corpus([])


def test_a_run_that_is_named_twice_is_read_once_and_a_name_that_looks_like_a_pattern_is_a_name(out: Path) -> None:
    run = made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])])
    odd = out / "it's [1] *?"
    (out / "one").rename(odd)
    assert open_corpus([odd, f"{out}/*"]).table("objects").num_rows == 2
    assert open_corpus([odd]).runs[0].run_id == run.run_id


def test_a_run_is_read_once_however_its_directory_is_spelled(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])])
    monkeypatch.chdir(out.parent)
    (out / "link").symlink_to("one")
    corpus = open_corpus(["runs/one", "./runs/../runs/one", "runs/link", out / "one/", "runs/*"])
    assert [run.store.uri() for run in corpus.runs] == [str(out / "one")]
    assert corpus.query("SELECT committed, counted FROM runs").to_pylist() == [{"committed": 1, "counted": 1}]


def test_a_directory_named_like_a_column_adds_no_column_and_changes_no_value(tmp_path: Path) -> None:
    below = tmp_path / "label=cat/date=2026-01-01/status=ok"
    made_run(below, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("copy.mp4", "a", ends={}, mark=2)])])
    corpus = corpus_of(below)
    (said,) = {row["label"] for row in open_run(below / "one").table("objects").to_pylist()}
    assert corpus.query("SELECT DISTINCT label FROM objects").to_pylist() == [{"label": said}] != [{"label": "cat"}]
    for table in ("objects", "videos", "analyses"):
        assert corpus.table(table).column_names == TABLES_BY_NAME[table].schema.names


def test_a_damaged_run_is_named_and_not_left_out(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])])
    run = made_run(out, "two", [Commit(2, [Made("b.mp4", "b")])])
    (name,) = run.store.names("objects")
    (out / "two/objects" / name).unlink()
    corpus = corpus_of(out)
    with pytest.raises(StorageError, match=name):
        corpus.table("objects")
    assert corpus.table("texts").num_rows == 2, "another table's rows are still read"
    (out / "two/objects" / name).write_bytes(b"nothing")
    with pytest.raises(StorageError, match=name):
        corpus_of(out).table("objects")
    (out / "two/commits/00000000.json").unlink()
    with pytest.raises(StorageError, match=r"00000000\.json is missing"):
        corpus_of(out)


@pytest.mark.parametrize("table", ["videos", "objects"])
@pytest.mark.parametrize("kind", ["pipe", "link", "cut"])
def test_a_pipe_a_link_or_a_cut_file_in_place_of_a_data_file_is_damage_and_not_waited_for(out: Path, table: str, kind: str) -> None:
    run = made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])])
    (name,) = run.files(table)
    file = Path(name)
    content = file.read_bytes()
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "link":
        (out / "elsewhere.parquet").write_bytes(content)
        file.symlink_to(out / "elsewhere.parquet")
    else:
        file.write_bytes(content + b" ")
    with pytest.raises(StorageError, match=f"{file.name}: cannot be read: .*the run is damaged"):
        corpus_of(out).query(f"SELECT count(*) FROM {table}")  # noqa: S608 -- a test's own words


@pytest.mark.parametrize("table", ["videos", "dead_letter"])
def test_a_file_with_other_rows_than_were_committed_is_damage(out: Path, table: str) -> None:
    run = made_run(out, "one", [Commit(1, [Made("a.mp4", "a"), Made("b.mp4", "b", dead=True)])])
    record = run.records[0]
    facts = next(file for file in record.files if file.table == table)
    pq.write_table(run.table(table).slice(0, 0), out / "one" / facts.path)
    size = (out / "one" / facts.path).stat().st_size
    files = tuple(file.model_copy(update={"size_bytes": size}) if file is facts else file for file in record.files)
    rewrite(run.store, record.model_copy(update={"files": files}))
    with pytest.raises(StorageError, match=r"0 rows, 1 were committed.*the run is damaged"):
        corpus_of(out).table("runs")


def test_a_table_that_this_release_does_not_know_is_none_without_rows(out: Path) -> None:
    tables = {name: table.version for name, table in TABLES_BY_NAME.items()} | {"of_tomorrow": 1}
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])], tables=tables)
    corpus = corpus_of(out)
    assert "of_tomorrow" not in corpus.tables()
    assert {row["name"] for row in corpus.query("SHOW TABLES").to_pylist()} == set(corpus.tables())
    with pytest.raises(ConfigError, match="no table 'of_tomorrow'"):
        corpus.table("of_tomorrow")


def test_a_table_without_rows_and_a_column_of_it_are_there_and_others_are_not(out: Path) -> None:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a")])])
    corpus = corpus_of(out)
    assert corpus.table("words", ["word"]).num_rows == 0
    with pytest.raises(ConfigError, match="no table 'nosuch'"):
        corpus.table("nosuch")
    with pytest.raises(ConfigError, match="nosuch"):
        corpus.table("words", ["nosuch"])


@pytest.fixture
def no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Power cuts are not what these tests are about, and waiting for the disk took most of their time."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.mark.usefixtures("no_syncs")
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COMMITS, min_size=1, max_size=3))
def test_every_table_has_the_rows_that_its_definition_gives(tmp_path_factory: pytest.TempPathFactory, runs: list[list[Commit]]) -> None:
    out = tmp_path_factory.mktemp("runs")
    made = [made_run(out, f"run-{number}", possible(commits), finish=False) for number, commits in enumerate(runs)]
    corpus = corpus_of(out)
    for table in TABLES:
        assert in_order(corpus.table(table).to_pylist()) == in_order(expected(made, table)), table

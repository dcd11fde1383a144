"""A compacted corpus answers as its runs do, whatever was committed, forgotten or moved since."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from made_corpus import COMMITS, TABLES, Commit, Made, expected, in_order, made_run, possible
from rumiai_ray import disk, open_corpus, open_run
from rumiai_ray.corpus.compacted import INDEX, compact, problems
from rumiai_ray.corpus.files import FILE, PLACE
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.forget import Doomed, Selected, forget
from rumiai_ray.storage import Store
from synthetic_run import video_key

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rumiai_ray.corpus.reader import Corpus


@pytest.fixture(autouse=True)
def no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Power cuts are not what these tests are about."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def made(out: Path) -> Corpus:
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("b.mp4", "b", mark=2)]), Commit(2, [Made("c.mp4", "c", mark=3)])])
    made_run(out, "two", [Commit(3, [Made("b.mp4", "b", mark=4), Made("x.mp4", "x", dead=True)])])
    return open_corpus([f"{out}/*"])


def rows(corpus: Corpus) -> dict[str, list[str]]:
    return {table: in_order(corpus.table(table).to_pylist()) for table in (*TABLES, "runs", "summary")}


def test_it_is_read_in_place_of_the_runs_files_with_the_same_answers_alone_and_beside_them(tmp_path: Path) -> None:
    plain = made(tmp_path / "runs")
    done = compact(plain.runs, tmp_path / "compacted")
    assert done.sources > done.files
    assert done.rows == sum(file.rows for run in plain.runs for record in run.records for file in record.files)
    compacted = f"{tmp_path}/compacted"
    for named in ([compacted], [f"{tmp_path}/runs/*", compacted]):
        corpus = open_corpus(named)
        assert rows(corpus) == rows(plain)
        assert FILE not in corpus.table("objects").column_names
        assert PLACE not in corpus.table("objects").column_names
    for file in (tmp_path / "runs").rglob("*/objects/*.parquet"):
        file.unlink()
    assert open_corpus([tmp_path / "compacted"]).table("objects").num_rows == 6
    with pytest.raises(StorageError):
        plain.table("objects")


def test_each_file_of_a_run_is_read_once_however_many_files_its_rows_come_to_lie_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = made(tmp_path / "runs")
    committed = [run.store.uri(file.path) for run in plain.runs for record in run.records for file in record.files if file.rows]
    opened, read = disk.opened, Counter[str]()

    def counting(path: Path, **options: bool) -> AbstractContextManager[Any]:
        read[str(path)] += 1
        return opened(path, **options)

    monkeypatch.setattr("rumiai_ray.disk.opened", counting)
    monkeypatch.setattr("rumiai_ray.corpus.compacted._FILE_BYTES", 0)
    done = compact(plain.runs, tmp_path / "compacted")
    assert done.files == len(committed) > 2
    assert {path: read[path] for path in committed} == dict.fromkeys(committed, 1)
    assert rows(open_corpus([tmp_path / "compacted"])) == rows(plain)


def test_a_file_of_it_is_checked_without_being_held_in_memory(tmp_path: Path, bucket: str) -> None:
    plain = made(tmp_path / "runs")
    compact(plain.runs, tmp_path / "compacted")
    file = next((tmp_path / "compacted/objects").iterdir())
    with file.open("ab") as end:
        end.truncate(64 * 2**20)
    tracemalloc.start()
    try:
        (said,) = problems(tmp_path / "compacted")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "the SHA-256 is not the one" in said
    assert most < 8 * 2**20
    store = Store.at(f"{bucket}/compacted")
    for path in (path for path in (tmp_path / "compacted").rglob("*") if path.is_file()):
        if path != file:
            store.create(str(path.relative_to(tmp_path / "compacted")), path.read_bytes())
    assert list(problems(store.uri())) == [f"{store.uri()}/objects/{file.name}: missing"]


def test_what_came_later_is_read_from_the_runs_and_what_was_forgotten_from_nowhere(tmp_path: Path) -> None:
    plain = made(tmp_path / "runs")
    compact(plain.runs, tmp_path / "compacted")
    made_run(tmp_path / "runs", "three", [Commit(9, [Made("a.mp4", "a", mark=7)])])
    key = video_key("c")
    forget(open_run(tmp_path / "runs/one"), Doomed(frozenset({"c.mp4"}), frozenset({key}), frozenset({"c.mp4"})), Selected("video", key))
    corpus = open_corpus([f"{tmp_path}/runs/*", tmp_path / "compacted"])
    assert rows(corpus) == rows(open_corpus([f"{tmp_path}/runs/*"]))
    assert corpus.query("SELECT DISTINCT class_id FROM objects ORDER BY 1").to_pylist() == [{"class_id": 4}, {"class_id": 7}]


def overlapping(place: Path) -> list[str]:
    """Runs A, B and C, of which A lies in two compacted corpora, and the names of all five."""
    out = place / "runs"
    run_a = made_run(out, "a", [Commit(1, [Made("a.mp4", "a", mark=1)])])
    run_b = made_run(out, "b", [Commit(2, [Made("b.mp4", "b", mark=2), Made("q.mp4", "q", ends={"ocr": "ok"}, mark=3)])])
    run_c = made_run(out, "c", [Commit(3, [Made("c.mp4", "c", mark=4)])])
    compact([run_a, run_b], place / "c1")
    compact([run_a, run_c], place / "c2")
    return [*(run.store.uri() for run in (run_a, run_b, run_c)), f"{place}/c1", f"{place}/c2"]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("forgotten", [False, True])
def test_a_run_that_lies_in_two_of_them_counts_once(tmp_path: Path, forgotten: bool, swapped: bool) -> None:  # noqa: FBT001
    named = overlapping(tmp_path)
    if forgotten:
        key = video_key("q")
        forget(open_run(named[1]), Doomed(frozenset({"q.mp4"}), frozenset({key}), frozenset({"q.mp4"})), Selected("video", key))
    plain = rows(open_corpus(named[:3]))
    assert rows(open_corpus([*named[:3], *(reversed(named[3:]) if swapped else named[3:])])) == plain
    assert open_corpus(named).query("SELECT count(*) AS n FROM objects").to_pylist() == [{"n": 6}]


def test_a_run_that_lies_in_two_of_them_counts_once_where_some_of_its_rows_are_outdated(tmp_path: Path) -> None:
    named = overlapping(tmp_path)
    made_run(tmp_path / "runs", "later", [Commit(7, [Made("b.mp4", "b", mark=9), Made("c.mp4", "c", ends={"ocr": "ok"}, mark=8)])])
    runs = [*named[:3], f"{tmp_path}/runs/later"]
    assert rows(open_corpus([*runs, *named[3:]])) == rows(open_corpus(runs))


def test_damage_of_it_is_named_and_the_runs_answer_without_it(tmp_path: Path) -> None:
    plain = made(tmp_path / "runs")
    answers = rows(plain)
    place = tmp_path / "compacted"
    compact(plain.runs, place)
    assert list(problems(place)) == []
    file = next((place / "objects").iterdir())
    data = file.read_bytes()
    file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert "SHA-256" in next(problems(place))
    file.write_bytes(data + b"x")
    with pytest.raises(StorageError, match="leave it out"):
        open_corpus([place]).table("objects")
    index = json.loads((place / INDEX).read_text())
    index["parts"][0]["path"] = "../x.parquet"
    (place / INDEX).write_text(json.dumps(index))
    with pytest.raises(StorageError, match=r"compacted\.json"):
        open_corpus([place])
    with pytest.raises(StorageError, match=r"compacted\.json"):
        open_corpus([f"{tmp_path}/runs/*", place])
    assert rows(open_corpus([f"{tmp_path}/runs/*"])) == answers
    with pytest.raises(ConfigError, match="not empty"):
        compact(plain.runs, place)


def test_damage_inside_a_file_of_it_is_blamed_on_it_and_that_of_a_run_on_the_run(tmp_path: Path) -> None:
    plain = made(tmp_path / "runs")
    compact(plain.runs, tmp_path / "compacted")
    for place, said in (("compacted/objects", "the compacted corpus is damaged"), ("runs/two/objects", "the run is damaged")):
        file = next((tmp_path / place).iterdir())
        file.write_bytes(bytes(len(file.read_bytes())))
        named = [f"{tmp_path}/runs/*", *([f"{tmp_path}/compacted"] if "compacted" in place else [])]
        with pytest.raises(StorageError, match=f"(?s){file.name}.*{said}"):
            open_corpus(named).table("objects")


@pytest.mark.parametrize("name", ["set[1]", "set*", "set?"])
def test_its_name_may_look_like_a_pattern(tmp_path: Path, name: str) -> None:
    plain = made(tmp_path / "runs")
    compact(plain.runs, tmp_path / name)
    for file in (tmp_path / "runs").rglob("*/objects/*.parquet"):
        file.unlink()
    for named in ([tmp_path / name], [f"{tmp_path}/runs/*", f"{tmp_path}/{name}"]):
        assert open_corpus(named).table("objects").num_rows == 6


def test_it_may_lie_on_another_file_system_than_the_runs(tmp_path: Path, bucket: str) -> None:
    plain = made(tmp_path / "runs")
    compact(plain.runs, tmp_path / "compacted")
    store = Store.at(f"{bucket}/compacted")
    for file in (path for path in (tmp_path / "compacted").rglob("*") if path.is_file()):
        store.create(str(file.relative_to(tmp_path / "compacted")), file.read_bytes())
    for named in ([store.uri()], [f"{tmp_path}/runs/*", store.uri()]):
        assert rows(open_corpus(named)) == rows(plain)


def test_a_run_that_is_damaged_is_not_compacted_and_nothing_is_left(tmp_path: Path) -> None:
    plain = made(tmp_path / "runs")
    file = next((tmp_path / "runs/two/objects").iterdir())
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(StorageError, match="committed"):
        compact(plain.runs, tmp_path / "compacted")
    assert not (tmp_path / "compacted").exists()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COMMITS, min_size=1, max_size=3), st.integers(0, 3))
def test_every_table_has_the_rows_that_its_definition_gives_whatever_part_is_compacted(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[Commit]], compacted: int
) -> None:
    place = tmp_path_factory.mktemp("corpus")
    all_runs = [made_run(place / "runs", f"run-{number}", possible(commits), finish=False) for number, commits in enumerate(runs)]
    compact(all_runs[:compacted], place / "compacted")
    corpus = open_corpus([f"{place}/runs/*", place / "compacted"])
    for table in TABLES:
        assert in_order(corpus.table(table).to_pylist()) == in_order(expected(all_runs, table)), table

"""SQL over many runs, on a disk and on S3: the statement reads what counts, and nothing else, and changes nothing."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest

from made_corpus import Commit, Made, expected, in_order, made_run
from report_run import plain_rows, video_row, write_run
from rumiai_ray import open_corpus, open_run
from rumiai_ray.corpus.reader import Corpus
from rumiai_ray.errors import ConfigError
from rumiai_ray.schema.registry import TABLES_BY_NAME

OLDER = sorted((Path(__file__).parents[1] / "runs/older").glob("*.tar.gz"))


@pytest.fixture
def two_runs(place: str) -> str:
    """The pattern of two runs; of the older one, one commit counts whole, one in part and one not at all."""
    older = [
        Commit(1, [Made("a.mp4", "a", mark=1)]),
        Commit(2, [Made("b.mp4", "b", mark=2), Made("c.mp4", "c", mark=3)]),
        Commit(3, [Made("d.mp4", "d", mark=4)]),
    ]
    made_run(place, "one", older)
    made_run(place, "two", [Commit(4, [Made("b.mp4", "b", mark=5), Made("d.mp4", "d", mark=6), Made("x.mp4", "x", dead=True)])])
    return f"{place}/*"


def test_rows_of_runs_on_a_disk_and_in_a_bucket_are_those_that_count(two_runs: str) -> None:
    corpus = open_corpus([two_runs])
    assert [run.run_id for run in corpus.runs] == ["one", "two"]
    answer = corpus.query("SELECT input, class_id FROM Objects JOIN VIDEOS USING (video_key) GROUP BY ALL ORDER BY input")
    assert answer.to_pylist() == [
        {"input": "a.mp4", "class_id": 1},
        {"input": "b.mp4", "class_id": 5},
        {"input": "c.mp4", "class_id": 3},
        {"input": "d.mp4", "class_id": 6},
    ]
    for table in ("entries", "dead_letter", "analyses", "tracks", "person_framing"):
        assert in_order(corpus.table(table).to_pylist()) == in_order(expected(corpus.runs, table)), table


def test_only_files_that_hold_rows_that_count_are_opened(two_runs: str) -> None:
    corpus = open_corpus([two_runs])
    one = open_run(two_runs.replace("*", "one"))
    replaced = [file for file in one.records[2].files if file.rows]
    assert {file.table for file in replaced} >= {"objects", "videos", "analyses"}
    corpus.table("objects")  # which rows count is known from here on
    for file in replaced:
        one.store.replace(file.path, b"nothing")
    assert corpus.table("objects").num_rows == 8


def test_show_tables_names_all_of_them_and_nothing_of_the_machinery(two_runs: str) -> None:
    corpus = open_corpus([two_runs])
    assert {row["name"] for row in corpus.query("SHOW TABLES").to_pylist()} == set(corpus.tables())
    assert {"entries", "runs", "words", "objects"} <= set(corpus.tables())


def test_summary_has_one_row_per_video_with_its_names_its_source_and_the_figures_of_its_windows(tmp_path: Path) -> None:
    windows = [
        {**_blank("windows"), "name": window, "window_index": index, "cuts_per_minute": cuts, "call_to_action_count": index}
        for index, (window, cuts) in enumerate((("hook", 60.0), ("middle_1", 1.0), ("closing", 20.0), ("video", 30.0)))
    ]
    of_source = {"like_count": 7, "author": "somebody"}
    rows = {**plain_rows(), "videos": [video_row("clip", **of_source)], "windows": windows}
    write_run(tmp_path, {"clip": rows, "silent": plain_rows()})
    made_run(tmp_path, "copy", [Commit(10**7, [Made("copy.mp4", "clip", ends={})])])
    corpus = open_corpus([f"{tmp_path}/*"], allow_mixed=True)
    asked = (
        "entry_ids, inputs, like_count, hook_cuts_per_minute, closing_cuts_per_minute, video_cuts_per_minute, closing_call_to_action_count"
    )
    answer = corpus.query(f"SELECT {asked} FROM summary ORDER BY inputs")  # noqa: S608 -- a test's own words
    assert [tuple(row.values()) for row in answer.to_pylist()] == [
        (["clip", "copy.mp4"], ["clip.mp4", "copy.mp4"], None, 60.0, 20.0, 30.0, 2),
        (["silent"], ["silent.mp4"], None, None, None, None, None),
    ]
    assert corpus.table("summary", ["video_key"]).num_rows == corpus.table("videos").num_rows == 2


def _blank(table: str) -> dict[str, object]:
    """A row with nothing measured."""
    plain = {"name": "", "not_measured": [], "start_s": 0.0, "end_s": 1.0, "window_index": 0}
    return {field.name: plain.get(field.name) for field in TABLES_BY_NAME[table].columns}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_text('{here}/precious.csv')",
        "SELECT * FROM read_text('{run}/manifest.json')",
        "COPY (SELECT 1 AS a) TO '{here}/written.csv'",
        "COPY (SELECT 1 AS a) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "SELECT * FROM query('COPY objects TO ''{file}''')",
        "ATTACH '{here}/other.db'",
        "ATTACH '{file}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "EXPORT DATABASE '{here}/all'",
        "SET allowed_paths = ['/etc/passwd']",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SELECT 1; SELECT * FROM objects",
        "SELECT * FROM outside",
        "SELECT * FROM getenv('HOME')",
        "SELECT nonsense FROM objects",
        "SELEC 1",
        "",
    ],
)
def test_a_query_reads_its_tables_and_nothing_else_and_writes_nothing(tmp_path: Path, sql: str) -> None:
    outside = pa.table({"a": [1]})
    assert outside.num_rows
    (tmp_path / "precious.csv").write_text("mine")
    run = made_run(tmp_path / "runs", "one", [Commit(1, [Made("a.mp4", "a")])])
    corpus = open_corpus([run.store.uri()])
    (file,) = run.files("objects")
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    statement = sql.replace("{here}", str(tmp_path)).replace("{run}", run.store.uri()).replace("{file}", file)
    with pytest.raises(ConfigError):
        corpus.query(f"{statement} /* objects */" if sql else sql)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


def test_a_query_with_external_access_reads_files(tmp_path: Path) -> None:
    run = made_run(tmp_path / "runs", "one", [Commit(1, [Made("a.mp4", "a")])])
    (tmp_path / "own.csv").write_text("input,label\na.mp4,good\n")
    sql = f"SELECT label, fps FROM videos JOIN '{tmp_path}/own.csv' USING (input)"  # noqa: S608 -- a test's own path
    assert open_corpus([run.store.uri()]).query(sql, external_access=True).to_pylist() == [{"label": "good", "fps": 30.0}]


def test_a_table_has_the_types_and_definitions_of_the_data_dictionary(two_runs: str) -> None:
    corpus = open_corpus([two_runs])
    for name in ("videos", "objects", "faces", "words"):
        rows = corpus.table(name)
        declared = TABLES_BY_NAME[name].schema
        assert rows.schema.names == declared.names
        assert [field.type for field in rows.schema] == [field.type for field in declared]
        assert rows.schema.field(2).metadata == declared.field(2).metadata


@pytest.mark.parametrize("archive", OLDER, ids=lambda path: path.name.partition(".")[0])
def test_a_run_of_an_older_schema_version_is_read_beside_one_of_today(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "older", filter="data")
    write_run(tmp_path / "today", {"new": plain_rows()})
    patterns = [f"{tmp_path}/older/*", f"{tmp_path}/today/*"]
    paths = [path for place in ("older", "today") for path in (tmp_path / place).iterdir()]
    with pytest.raises(ConfigError, match=r"tables\.[a-z_]+: [0-9] \| [0-9]"):
        open_corpus(patterns)
    corpus = open_corpus(patterns, allow_mixed=True)
    counted = "SELECT input, count(*) AS n FROM objects JOIN videos USING (video_key) GROUP BY input ORDER BY input"
    assert corpus.query(counted).to_pylist() == [{"input": f"{name}.mp4", "n": 50} for name in ("new", "one", "two")]
    for name in corpus.tables():
        rows = corpus.table(name)
        if name in TABLES_BY_NAME:
            assert set(TABLES_BY_NAME[name].schema.names) <= set(rows.schema.names)
    named = corpus.query("SELECT count(*) AS n FROM windows WHERE name = 'hook'").to_pylist()
    assert named == [{"n": sum(open_run(path).table("windows", ["name"])["name"].to_pylist().count("hook") for path in paths)}]
    assert "window" not in corpus.table("windows").column_names
    assert corpus.query("SELECT normalized, count(*) AS n FROM words WHERE word = 'hello' GROUP BY ALL ORDER BY ALL").to_pylist() == [
        {"normalized": "hello", "n": 1},
        {"normalized": None, "n": 2},
    ]
    assert corpus.absent("words") == {1: ["normalized"]}
    assert corpus.absent("entries") == corpus.absent("videos")
    assert corpus.absent("runs") == {}
    alone = open_corpus(patterns[:1])
    assert alone.query("SELECT count(*) AS n, count(track_id) AS tracked FROM objects").to_pylist()[0]["n"] == 100


def test_runs_whose_tables_differ_by_names_and_parts_alone_are_read_together(tmp_path: Path) -> None:
    today = {name: table.version for name, table in TABLES_BY_NAME.items() if table.part_of is None}
    before = today | {"faces": 4, "poses": 2, "hands": 1, "videos": 4}
    made_run(tmp_path, "before", [Commit(1, [Made("a.mp4", "a")])], tables=before)
    made_run(tmp_path, "today", [Commit(2, [Made("b.mp4", "b")])])
    corpus = open_corpus([f"{tmp_path}/*"])
    assert corpus.query("SELECT count(*) AS n FROM videos").to_pylist() == [{"n": 2}]
    assert corpus.table("runs", ["differences"])["differences"].to_pylist() == [[], []]
    made_run(tmp_path, "without_normalized", [Commit(1, [Made("c.mp4", "c")])], tables=before | {"words": 1})
    with pytest.raises(ConfigError, match=r"without_normalized: tables\.words: 1 \| 2\n"):
        open_corpus([f"{tmp_path}/*"])


@pytest.mark.parametrize(("name", "matched"), [("run[12]", "run1"), ("run*", "runs"), ("run?", "run1"), ("[[]x]", "[x]")])
def test_a_run_whose_directorys_name_is_a_pattern_is_read_itself_and_no_other(tmp_path: Path, name: str, matched: str) -> None:
    own = Path(made_run(tmp_path / "made", "own", [Commit(1, [Made("a.mp4", "a", mark=1)])]).store.root)
    other = Path(made_run(tmp_path / "made", "other", [Commit(1, [Made("a.mp4", "a", mark=7)])]).store.root)
    for directory in (name, matched):
        shutil.copytree(own, tmp_path / directory)
    (part,), (decoy,) = ((run / "objects").iterdir() for run in (own, other))
    shutil.copy(decoy, tmp_path / matched / "objects" / part.name)
    corpus = Corpus((open_run(tmp_path / name),))
    assert {row["class_id"] for row in corpus.query("SELECT class_id FROM objects").to_pylist()} == {1}
    assert corpus.query("SELECT count(*) AS n FROM objects").to_pylist() == [{"n": 2}]
    assert {row["class_id"] for row in corpus.table("objects").to_pylist()} == {1}

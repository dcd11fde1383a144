"""A run that several drivers write: divided, begun once, read as one, resumed shard by shard, with nothing lost and nothing twice."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.engine.setup.resume import given_entries, of_resumed, to_retry
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs import commits
from rumiai_ray.runs import manifest as manifests
from rumiai_ray.runs.commits import read_log, record_path
from rumiai_ray.runs.forget import Doomed, Selected, forget
from rumiai_ray.runs.hold import alone_with
from rumiai_ray.runs.reader import Run, open_run
from rumiai_ray.runs.remove import remove_run
from rumiai_ray.runs.shards import Shard
from rumiai_ray.runs.verify import problems
from rumiai_ray.runs.writer import RunWriter, check_same
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.storage import Store
from synthetic_run import RUN_ID, analysis_row, dead_letter_row, manifest, object_row, stamped, video_key, video_row

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.manifest import RunManifest

NAMES = [f"clip{number}" for number in range(14)]
ENTRIES = EntryFile.of([Entry(name, f"{name}.mp4") for name in NAMES])
ONE, TWO = Shard(1, 2), Shard(2, 2)
TABLES = {name: TABLES_BY_NAME[name] for name in ("videos", "objects", "analyses", "dead_letter")}
"""Few: a run that ends looks into the directory of each."""


def asked(of: int = 2) -> RunManifest:
    return manifest(entries=len(ENTRIES), entries_sha256=ENTRIES.sha256).divided(of)


def created(out: str | Path, shard: Shard = ONE) -> RunWriter:
    # On an object store a manifest with just this content would count as one's own.
    its = asked(shard.of).model_copy(update={"command": ("rumiai-ray", "batch", "--shard", str(shard))})
    return RunWriter.create(out, its, TABLES, entries=ENTRIES.data, shard=shard)


def part(out: str | Path, shard: Shard) -> Run:
    return replace(open_run(f"{out}/{RUN_ID}"), shard=shard)


def resumed(out: str | Path, shard: Shard) -> RunWriter:
    return RunWriter.resume(part(out, shard), asked(shard.of), TABLES)


def commit(writer: RunWriter, name: str, content: str = "") -> None:
    """Commit an entry; two entries with the same content are the same video."""
    tables = {"videos": [video_row(name)], "objects": [object_row(0), object_row(1)], "analyses": [analysis_row("yolo")]}
    writer.add({table: stamped(table, rows, content or name) for table, rows in tables.items()})
    writer.commit([name])


def left(out: str | Path, shard: Shard) -> list[str]:
    return [entry.entry_id for entry in of_resumed(part(out, shard)).entries]


def written(out: str | Path, of: int = 2) -> Run:
    """A run whose shards have all ended."""
    for number in range(1, of + 1):
        shard = Shard(number, of)
        writer = created(out, shard) if number == 1 else resumed(out, shard)
        for name in left(out, shard):
            commit(writer, name)
        writer.finish("complete", {"entries": {"committed": 1, "dead_letter": 0}, "elapsed_s": float(number), "videos_per_hour": 7.0})
    return open_run(f"{out}/{RUN_ID}")


@given(st.lists(st.text(), unique=True, max_size=50), st.integers(2, 9))
def test_every_input_is_in_one_shard_and_in_the_same_one_every_time(inputs: list[str], of: int) -> None:
    for source in inputs:
        assert sum(Shard(number, of).has(source) for number in range(1, of + 1)) == 1


def test_the_division_of_a_run_never_changes() -> None:
    assert [Shard.holding(f"{name}.mp4", 4).number for name in NAMES[:12]] == [2, 4, 2, 2, 2, 3, 2, 4, 3, 4, 2, 2]


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/1", "a/b", "1/4/2", "-1/4", "1/1001", "1/99999", "１/４"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="names no shard"):
        Shard.given(text)


def test_shards_are_parts_of_nearly_equal_size() -> None:
    sizes = Counter(Shard.holding(f"https://h.example/{source}", 4).number for source in range(10_000))
    assert max(sizes.values()) < 1.1 * min(sizes.values())


def test_the_shards_are_read_as_one_run_that_ends_with_the_last_of_them(out: str) -> None:
    first = created(out)
    for name in left(out, ONE):
        commit(first, name)
    first.finish("partial", {})
    assert open_run(f"{out}/{RUN_ID}").status == "incomplete", "the other has not begun"
    second = resumed(out, TWO)
    names = left(out, TWO)
    commit(second, names[0])
    assert open_run(f"{out}/{RUN_ID}").status == "incomplete"
    for name in names[1:]:
        commit(second, name)
    second.finish("complete", {})
    run = open_run(f"{out}/{RUN_ID}")
    assert run.status == "partial", "the worst of the shards'"
    assert run.entries() == dict.fromkeys(NAMES, "committed")
    assert Counter(run.table("videos", ["entry_id"])["entry_id"].to_pylist()) == Counter(NAMES)
    assert run.table("objects").num_rows == 2 * len(NAMES)
    assert run.verify() == []
    assert {part.status for part in run.parts} == {"partial", "complete"}


def test_the_figures_of_the_shards_are_added_up_and_their_speeds_are_not(tmp_path: Path) -> None:
    run = written(tmp_path, 3)
    assert run.summary["entries"] == {"committed": 3, "dead_letter": 0}
    assert run.summary["elapsed_s"] == 3.0
    assert "videos_per_hour" not in run.summary
    assert run.summary["shards"]["2/3"]["videos_per_hour"] == 7.0
    view = json.loads(run.store.read("summary.json"))
    assert [one["status"] for one in view["shards"].values()] == ["complete"] * 3


def test_of_drivers_that_start_at_once_one_makes_the_run_and_the_others_find_it(out: str) -> None:
    shards = [Shard(number, 4) for number in range(1, 5)]
    barrier, made = threading.Barrier(len(shards)), []

    def start(shard: Shard) -> None:
        barrier.wait()
        try:
            writer = created(out, shard)
        except ConfigError:
            run = part(out, shard)
            check_same(run, asked(4))
            writer = RunWriter.resume(run, asked(4), TABLES)
        else:
            made.append(shard)
        for name in left(out, shard):
            commit(writer, name)
        writer.finish("complete", {})

    threads = [threading.Thread(target=start, args=(shard,)) for shard in shards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run = open_run(f"{out}/{RUN_ID}")
    assert len(made) == 1
    assert (run.status, run.entries(), run.verify()) == ("complete", dict.fromkeys(run.entries(), "committed"), [])
    assert sorted(run.entries()) == sorted(NAMES)
    assert len([name for name in run.store.names() if name.startswith("entries-")]) == 1


def test_a_driver_with_another_number_of_shards_other_entries_or_other_code_is_refused(tmp_path: Path) -> None:
    created(tmp_path)
    run = open_run(tmp_path / RUN_ID)
    with pytest.raises(ConfigError, match="is divided into 2 shards, this command says 3"):
        check_same(run, asked(3))
    with pytest.raises(ConfigError, match="other entries"):
        check_same(run, asked().model_copy(update={"entries_sha256": "0" * 64}))
    with pytest.raises(ConfigError, match="cannot be resumed, something changed"):
        check_same(run, manifest(source_sha256="b" * 64, entries_sha256=ENTRIES.sha256).divided(2))
    check_same(run, asked())


def test_a_run_without_shards_is_not_taken_for_one_with_shards(tmp_path: Path) -> None:
    RunWriter.create(tmp_path, manifest(entries_sha256=ENTRIES.sha256), entries=ENTRIES.data)
    with pytest.raises(ConfigError, match="is not divided into shards"):
        check_same(open_run(tmp_path / RUN_ID), asked())


def test_a_killed_shard_is_resumed_alone_and_nothing_is_lost_or_twice(out: str) -> None:
    first, second = created(out), resumed(out, TWO)
    for writer, shard in ((first, ONE), (second, TWO)):
        for name in left(out, shard)[:2]:
            commit(writer, name)
    del first  # killed: a group was written and no record names it
    orphan = f"objects/part-0001-00000003-{uuid4().hex}.parquet"
    theirs = f"objects/part-0002-00000003-{uuid4().hex}.parquet"
    store = Store.at(f"{out}/{RUN_ID}")
    for path in (orphan, theirs):
        store.create(path, b"rows")
    again = resumed(out, ONE)
    for name in left(out, ONE):
        commit(again, name)
    again.finish("complete", {})
    assert not store.exists(orphan), "garbage of its own"
    assert store.exists(theirs), "the other shard may be about to commit it"
    for name in left(out, TWO):
        commit(second, name)
    second.finish("complete", {})
    run = open_run(f"{out}/{RUN_ID}")
    assert (run.status, run.verify(), sorted(run.entries())) == ("complete", [], sorted(NAMES))
    assert not store.exists(theirs)


def test_of_two_drivers_of_one_shard_one_stops_and_the_other_shard_hears_nothing_of_it(tmp_path: Path) -> None:
    first, other = created(tmp_path), resumed(tmp_path, TWO)
    twin = resumed(tmp_path, ONE)
    commit(first, "clip5")
    with pytest.raises(ConfigError, match="another writer has written record 0"):
        commit(twin, "clip5")
    commit(other, left(tmp_path, TWO)[0])
    assert open_run(tmp_path / RUN_ID).verify() == []


def test_bytes_that_two_shards_have_analysed_count_once_and_always_for_the_same_shard(out: str) -> None:
    second_first = [TWO, ONE]
    writers = {ONE: created(out), TWO: resumed(out, TWO)}
    for shard in second_first:
        commit(writers[shard], f"of {shard.number}", content="the same bytes")
        commit(writers[shard], f"own {shard.number}")
        writers[shard].finish("complete", {})
    run = open_run(f"{out}/{RUN_ID}")
    assert run.table("videos").num_rows == 4, "each entry has its row"
    keys = Counter(run.table("analyses", ["video_key"])["video_key"].to_pylist())
    assert keys == {video_key("the same bytes"): 1, video_key("own 1"): 1, video_key("own 2"): 1}
    for columns in (None, ["frame_index"], ["video_key", "frame_index"]):
        objects = run.table("objects", columns)
        assert objects.num_rows == 6
        assert columns is None or objects.column_names == columns
    assert run.query("SELECT count(*) AS n FROM objects").to_pylist() == [{"n": 6}]
    assert run.verify() == []
    assert part(out, TWO).table("objects").num_rows == 4, "a shard by itself is read as it is"


def test_a_shard_analyses_what_another_one_dead_lettered_or_has_not_committed(tmp_path: Path) -> None:
    first = created(tmp_path)
    first.add({"dead_letter": stamped("dead_letter", [dead_letter_row("of 1")], "of 1")})
    first.commit([], ["of 1"])
    second = resumed(tmp_path, TWO)
    commit(second, "of 2", content="of 1")
    assert open_run(tmp_path / RUN_ID).table("objects").num_rows == 2
    assert of_resumed(part(tmp_path, ONE)).analysed == []


def test_a_reader_of_the_format_before_shards_refuses_manifest_and_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = written(tmp_path)
    monkeypatch.setattr(commits, "FORMAT_VERSION", 1)
    monkeypatch.setattr(manifests, "FORMAT_VERSION", 1)
    older = open_run(tmp_path / RUN_ID)
    with pytest.raises(StorageError, match="written in format 2, this version reads 1"):
        _ = older.manifest
    # What that version does with the directory `commits`: it reads the numbered records, of which there is one.
    with pytest.raises(ValueError, match="written in format 2, this version reads 1"):
        commits._unseal(run.store.read(record_path(0)), RUN_ID, 0)
    assert "written in format 2, this version reads 1" in read_log(run.store, RUN_ID).problems[0]


def test_a_run_without_shards_stays_readable_for_that_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    writer.finish("complete", {})
    monkeypatch.setattr(commits, "FORMAT_VERSION", 1)
    monkeypatch.setattr(manifests, "FORMAT_VERSION", 1)
    assert open_run(tmp_path / RUN_ID).status == "complete"
    assert b"shard" not in writer.run.read(record_path(0))


@pytest.mark.parametrize("gone", ["head", "first of a shard", "all of a shard"])
def test_records_that_are_missing_are_damage_and_not_a_smaller_run(tmp_path: Path, gone: str) -> None:
    run = written(tmp_path)
    paths = {
        "head": [record_path(0)],
        "first of a shard": [record_path(0, TWO)],
        "all of a shard": [record_path(number, TWO) for number in range(len(run.parts[1].records))],
    }
    for path in paths[gone]:
        run.store.remove(path)
    again = open_run(tmp_path / RUN_ID)
    if gone == "all of a shard":
        assert again.status == "incomplete", "nothing can tell it from a shard that was not begun"
        return
    assert problems(again)
    with pytest.raises(StorageError, match=r"00000000\.json is missing"):
        again.entries()


def test_a_record_of_another_shard_is_not_followed(tmp_path: Path) -> None:
    run = written(tmp_path)
    run.store.replace(record_path(0, TWO), run.store.read(record_path(0, ONE)))
    assert "it is record 0 of shard 1" in " ".join(open_run(tmp_path / RUN_ID).verify())


@pytest.mark.parametrize("path", ["commits/00000001.json", "commits/0003/00000000.json"])
def test_records_that_belong_to_no_shard_are_damage(tmp_path: Path, path: str) -> None:
    run = written(tmp_path)
    run.store.create(path, run.store.read(record_path(0)))
    assert open_run(tmp_path / RUN_ID).verify()


def test_a_manifest_and_records_that_disagree_are_told_by_verify(tmp_path: Path) -> None:
    run = written(tmp_path)
    run.store.replace("manifest.json", asked(3).to_json())
    assert any("the manifest says 3 shards, the records are of 2" in problem for problem in open_run(tmp_path / RUN_ID).verify())


def test_a_run_whose_maker_died_before_its_first_record_is_begun_by_the_next_driver(out: str) -> None:
    created(out)
    store = Store.at(f"{out}/{RUN_ID}")
    store.remove(record_path(0))
    assert open_run(f"{out}/{RUN_ID}").status == "incomplete"
    writer = resumed(out, TWO)
    commit(writer, left(out, TWO)[0])
    assert open_run(f"{out}/{RUN_ID}").log.shards


def test_a_retry_takes_the_dead_letters_of_all_shards(tmp_path: Path) -> None:
    for shard in (ONE, TWO):
        writer = created(tmp_path) if shard == ONE else resumed(tmp_path, TWO)
        name = left(tmp_path, shard)[0]
        writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row(name)], name)})
        writer.commit([], [name])
        writer.finish("partial", {})
    assert len(to_retry(open_run(tmp_path / RUN_ID))) == 2


def test_a_video_is_forgotten_in_every_shard(out: str) -> None:
    writers = {ONE: created(out), TWO: resumed(out, TWO)}
    for shard, writer in writers.items():
        commit(writer, left(out, shard)[0], content="the same bytes")
        commit(writer, left(out, shard)[0])
    names = {
        row["entry_id"]
        for row in open_run(f"{out}/{RUN_ID}").table("videos").to_pylist()
        if row["video_key"] == video_key("the same bytes")
    }
    for writer in writers.values():
        writer.finish("complete", {})
    run = open_run(f"{out}/{RUN_ID}")
    doomed = Doomed(frozenset(names), frozenset({video_key("the same bytes")}), frozenset(f"{name}.mp4" for name in names))
    with alone_with(run):
        told = forget(run, doomed, Selected("video", video_key("the same bytes")))
    assert told.rows == {"analyses": 2, "objects": 4, "videos": 2}
    again = open_run(f"{out}/{RUN_ID}")
    assert sorted(again.entries()) == sorted(set(NAMES) & set(again.entries()) - names)
    assert again.verify() == []
    assert not names & {entry.entry_id for entry in given_entries(again)}
    for shard in (ONE, TWO):
        assert not set(left(out, shard)) & names


def test_a_run_with_shards_is_removed_whole(out: str) -> None:
    run = written(out)
    run.store.replace_private("logs/now-0001.json", b"{}")
    assert remove_run(run) == []
    assert not Store.at(out).below(RUN_ID).names()


def test_entries_with_secrets_are_divided_with_their_full_addresses() -> None:
    entries = EntryFile.of(Entry(f"e{number}", f"https://h.example/{number}.mp4?sig=x{number}") for number in range(3000))
    found = [entry for number in (1, 2, 3) for entry in entries.only(Shard(number, 3).has)]
    assert sorted(found, key=lambda entry: int(entry.entry_id[1:])) == list(entries)
    assert len({entry.location for entry in found}) == len(found) == 3000

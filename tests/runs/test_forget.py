"""A video or a creator is taken out of a run for good: out of every byte of it, at whatever point the work is broken off."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crashing_disk import CrashingDisk, End
from made_corpus import Commit, Made, made_run
from report_run import plain_rows, write_run
from rumiai_ray.corpus.forget import choose
from rumiai_ray.engine.setup.resume import given_entries, of_resumed, to_retry
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.command_names import names_of
from rumiai_ray.runs.commits import record_path
from rumiai_ray.runs.datafile import PART
from rumiai_ray.runs.failure_log import About
from rumiai_ray.runs.forget import clean, earlier, forget
from rumiai_ray.runs.hold import alone_with
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import PRIVATE, RunWriter, entries_path
from rumiai_ray.storage import Store
from synthetic_run import RUN_ID, analysis_row, dead_letter_row, manifest, object_row, stamped, video_key, video_row

if TYPE_CHECKING:
    from rumiai_ray.runs.reader import Run
    from s3_server import Fate, S3Server

OLDER = sorted((Path(__file__).parent / "older").glob("*.tar.gz"))

SIGNED = "https://h.example/@Zoe/{}.mp4?sig=hunter2"
OF_ZOE = ("zoe-1", "zoe-dead", "zoe-waits")
"""Entries of the creator who is forgotten: read, dead-lettered, not analysed yet."""
OTHERS = ("ann-1", "ann-waits")


def written(out: str | Path) -> Run:
    """A run that was stopped: two videos read, one dead letter, two entries to come, a log that speaks of all of them."""
    entries = EntryFile.of([Entry(name, SIGNED.format(name).replace("Zoe", name.partition("-")[0])) for name in (*OF_ZOE, *OTHERS)])
    shown = "https://h.example/@zoe/zoe-1.mp4?…"
    given: dict[str, Any] = {"entries": 5, "entries_sha256": entries.sha256, "locations": "a" * 32}
    writer = RunWriter.create(
        out, manifest(command=("rumiai-ray", shown, "--models", "yolo"), **given), entries=entries.data, locations=entries.secret
    )
    for name in ("zoe-1", "ann-1"):
        row = video_row(name, input=SIGNED.format(name).replace("Zoe", name.partition("-")[0]).partition("?")[0] + "?…", author=None)
        rows = {"videos": [row], "objects": [object_row(frame) for frame in range(3)], "analyses": [analysis_row("yolo", "failed")]}
        writer.add({table: stamped(table, listed, name) for table, listed in rows.items()})
    writer.commit(["zoe-1", "ann-1"])
    dead = dead_letter_row("zoe-dead") | {"input": "https://h.example/@zoe/zoe-dead.mp4?…"}
    writer.add({"dead_letter": stamped("dead_letter", [dead], "zoe-dead")})
    writer.commit([], ["zoe-dead"])
    for name in ("zoe-1", "ann-1"):
        text = "Traceback: the model fell over"
        writer.logs.failures.add("model", f"ModelError: {name}", text, About(name, f"{name}.mp4", video_key(name), "yolo", 1))
    writer.logs.failures.flush()
    writer.run.create("objects/part-00000009-" + "0" * 32 + ".parquet", b"zoe-1, of a group that was never committed")
    return open_run(writer.run.uri())


def forget_zoe(run: Run) -> None:
    """As the verb does."""
    with alone_with(run):
        run = run.again()
        choice = choose([run], author="@ZOE")
        if choice.doomed:
            forget(run, choice.doomed[0], choice.selected)
        else:
            clean(run)


def bytes_of(run: Run) -> dict[str, bytes]:
    """Everything that lies in the run's directory, Parquet as text."""
    fs, root = run.store.fs, run.store.root
    fs.invalidate_cache()
    found = {str(path).removeprefix(root).removeprefix("/"): fs.cat_file(path) for path in fs.find(root)}
    return {name: _text(run, name) if name.endswith(".parquet") else data for name, data in found.items()}


def _text(run: Run, name: str) -> bytes:
    with run.store.fs.open(f"{run.store.root}/{name}") as file, suppress(OSError, ValueError):
        return repr(pq.read_table(file).to_pylist()).encode()
    return b"no Parquet"


def check_forgotten(run: Run) -> None:
    """Nothing of the creator is in any byte, everything else is as it was, and the run is sound."""
    run = run.again()
    assert run.verify() == []
    for name, data in bytes_of(run).items():
        for secret in ("zoe", "Zoe", video_key("zoe-1")):
            assert secret.encode() not in data, f"{secret} is still in {name}"
    assert run.entries() == {"ann-1": "committed"}
    assert run.table("videos", ["entry_id"]).to_pylist() == [{"entry_id": "ann-1"}]
    assert run.table("dead_letter").num_rows == 0
    assert {row["video_key"] for row in run.table("objects").to_pylist()} == {video_key("ann-1")}
    assert run.table("objects").num_rows == 3
    assert [entry.entry_id for entry in given_entries(run)] == list(OTHERS)
    assert [entry.location for entry in given_entries(run)] == [f"https://h.example/@ann/{name}.mp4?sig=hunter2" for name in OTHERS]
    assert [entry.entry_id for entry in of_resumed(run).entries] == ["ann-waits"]
    assert of_resumed(run).count == 1
    assert [entry.entry_id for entry in to_retry(run)] == ["ann-1"]
    assert [(failure.entry_id, failure.traceback) for failure in run.failures()] == [("ann-1", "Traceback: the model fell over")]
    assert run.manifest.command == ("rumiai-ray", "…", "--models", "yolo")
    assert run.manifest.entries == 2
    (record,) = run.log.forgettings
    assert record.forgotten is not None
    assert record.forgotten.rows == {"analyses": 1, "dead_letter": 1, "objects": 3, "videos": 1}
    named = {file.path for one in run.records for file in one.files}
    assert {f"{table}/{name}" for table in run.tables() for name in run.store.names(table) if re.fullmatch(PART, name)} == named


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in a bucket that was stopped a moment ago counts as one that nobody writes."""
    monkeypatch.setattr("rumiai_ray.runs.hold.SILENT_FOR", timedelta(0))


@pytest.mark.usefixtures("given_up")
def test_a_creator_is_taken_out_of_every_byte_of_a_run_and_the_fact_is_kept(out: str) -> None:
    run = written(out)
    before = run.manifest.fingerprint
    forget_zoe(run)
    check_forgotten(run)
    assert run.again().manifest.fingerprint == before
    forget_zoe(run)
    check_forgotten(run)


@pytest.mark.parametrize(
    "argument",
    [
        "clips/zoe-1.mp4", "'clips/zoe-1.mp4'", "./zoes/", "zoes", "--manifest=zoes", "all/of/zoe/..", "*/zoe-*.mp4", "**/zoe*",
        "zoes/[a-z]*.mp4", "~/zoes", "file:///srv/zo%65s/", "file://localhost/srv/zoes", "FILE:///srv/zoes", "<file:///srv/zoes>",
        " file://LOCALHOST/srv/zoes ", "'zoes/*.mp4'",
    ],
)  # fmt: skip
def test_no_file_folder_or_pattern_of_the_command_line_tells_who_was_forgotten(tmp_path: Path, argument: str) -> None:
    places = {"~/zoes": "/home/u/zoes/zoe-1.mp4", "all/of/zoe/..": "all/of/zoe/../zoe-1.mp4"}
    below = "/srv/zoes/zoe-1.mp4" if "/srv/" in argument else "zoes/zoe-1.mp4" if "zoes" in argument else "clips/zoe-1.mp4"
    given = places.get(argument, below)
    entries = EntryFile.of(
        [Entry("zoe-1", given), Entry("ann-1", "clips/ann-1.mp4"), Entry("ann-2", "mixed/ann-2.mp4"), Entry("zoe-2", "mixed/zoe.mp4")]
    )
    command = ("rumiai-ray", argument, "clips", "mixed", "*/*.mp4", "--out", ".", "--models=yolo")
    made = manifest(command=command, entries=4, entries_sha256=entries.sha256)
    writer = RunWriter.create(tmp_path, made, entries=entries.data)
    for name, place in (("zoe-1", given), ("zoe-2", "mixed/zoe.mp4"), ("ann-1", "clips/ann-1.mp4")):
        writer.add({"videos": stamped("videos", [video_row(name, input=place, author=name.partition("-")[0])], name)})
    writer.commit(["zoe-1", "zoe-2", "ann-1"])
    writer.finish("partial", {})
    forget_zoe(open_run(writer.run.uri()))
    now = open_run(writer.run.uri())
    hidden = "--manifest=…" if argument.startswith("--") else "…"
    assert now.manifest.command == ("rumiai-ray", hidden, *command[2:])
    clean(now)
    assert now.again().manifest.command == now.manifest.command
    assert now.verify() == []


@pytest.mark.parametrize("around", ["{}", '"{}"', "<{}>", "  {} ", "'{}'", "“{}”", '--input="{}"'])
@pytest.mark.parametrize("query", ["", "?sig=hunter2", "?…"])
def test_an_address_of_the_command_line_is_found_however_it_was_quoted(around: str, query: str) -> None:
    gone, left = "https://t.example/@alice/video/1", "https://t.example/@ann/video/2"
    command = [around.format(gone + query), around.format(left + query), "https://[t.example/@alice", "file://[alice"]
    for kept in (query, "?…" if query else ""):
        found = names_of(command, {gone + kept}, {left + kept})
        assert found
        assert all("@alice/video/1" in one and "ann" not in one for one in found)
        assert any(around.format(gone + query).endswith(one) for one in found)


@pytest.mark.usefixtures("given_up")
def test_a_run_goes_on_after_a_forgetting(out: str) -> None:
    run = written(out)
    forget_zoe(run)
    writer = RunWriter.resume(run.again(), run.manifest)
    writer.add({"videos": stamped("videos", [video_row("ann-waits")], "ann-waits")})
    writer.commit(["ann-waits"])
    writer.finish("partial", {"videos": 2})
    now = run.again()
    assert now.verify() == []
    assert (now.status, now.summary, list(now.entries())) == ("partial", {"videos": 2}, ["ann-1", "ann-waits"])


def test_a_run_that_has_ended_keeps_its_end(tmp_path: Path) -> None:
    run = made_run(tmp_path, "one", [Commit(1, [Made("a.mp4", "a"), Made("b.mp4", "b"), Made("copy.mp4", "a", ends={})])])
    choice = choose([run], video=video_key("a")[:10])
    assert choice.doomed[0].entries == {"a.mp4", "copy.mp4"}
    forget(run, choice.doomed[0], choice.selected)
    now = run.again()
    assert (now.verify(), now.status, now.entries()) == ([], "complete", {"b.mp4": "committed"})
    assert [record.written_at for record in now.records] == [record.written_at for record in run.records]
    for table in now.tables():
        assert set(now.table(table)["video_key"].to_pylist()) <= {video_key("b")}
        assert now.files(table), "every table of a finished run has a file"


def test_every_table_keeps_its_columns_and_its_other_rows(tmp_path: Path) -> None:
    run = write_run(tmp_path, {"clip": plain_rows(), "other": plain_rows()})
    tables = {name: run.table(name) for name in run.tables()}
    expected = {name: rows.filter(_differs(rows, video_key("clip"))) for name, rows in tables.items()}
    choice = choose([run], video=video_key("clip"))
    forget(run, choice.doomed[0], choice.selected)
    now = run.again()
    assert now.verify() == []
    for name, rows in expected.items():
        assert now.table(name).equals(rows), name
        assert now.table(name).schema.equals(rows.schema, check_metadata=True), name


@pytest.mark.parametrize("archive", OLDER, ids=lambda path: path.name.partition(".")[0])
def test_a_run_of_an_older_schema_version_keeps_the_columns_of_its_day(tmp_path: Path, archive: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "runs", filter="data")
    (place,) = (tmp_path / "runs").iterdir()
    run = open_run(place)
    keys: list[Any] = run.table("videos", ["video_key"])["video_key"].to_pylist()
    (key, other) = keys
    before = {name: run.table(name) for name in run.tables()}
    choice = choose([run], video=key)
    forget(run, choice.doomed[0], choice.selected)
    now = run.again()
    assert now.verify() == []
    assert now.table("videos")["video_key"].to_pylist() == [other]
    for name, rows in before.items():
        assert now.table(name).equals(rows.filter(_differs(rows, key))), name


def _differs(rows: Any, key: str) -> Any:
    return pa.array([one != key for one in rows["video_key"].to_pylist()], pa.bool_())


def on_disk(run: Run, root: Path, at: int | None = None, end: End = "killed") -> list[str]:
    """A process that forgets and ends at operation `at`; returns what it did."""
    disk = CrashingDisk(root, at, end)
    with disk.at_work():
        if end == "error":
            with suppress(StorageError):
                forget_zoe(run)
        else:
            forget_zoe(run)
    return disk.operations


def state(place: Path) -> tuple[tuple[str, int], ...]:
    """What lies there, but for random names: what two interruptions leave alike is looked at once."""
    files = [
        (re.sub("[0-9a-f]{32}|[0-9a-f]{16}", "*", str(path.relative_to(place))), path.stat().st_size)
        for path in place.rglob("*")
        if path.is_file()
    ]
    return tuple(sorted(files))


@pytest.mark.parametrize("end", get_args(End))
def test_a_forgetting_that_is_broken_off_anywhere_leaves_a_run_that_is_before_or_after_and_is_finished_by_the_next(
    tmp_path: Path, end: End
) -> None:
    def new() -> tuple[Path, Run]:
        place = tmp_path / uuid4().hex
        place.mkdir()
        return place, written(place / "runs")

    place, run = new()
    count = len(on_disk(run, place))
    check_forgotten(run)
    assert count > 20
    seen: dict[bool, set[tuple[tuple[str, int], ...]]] = {False: set(), True: set()}
    for at in range(count):
        place, run = new()
        on_disk(run, place, at, end)
        now = run.again()
        after = bool(now.log.forgettings)
        if (left := state(place)) in seen[after]:
            continue
        seen[after].add(left)
        assert all("was cut short" in problem or "still holds what was forgotten" in problem for problem in now.verify())
        assert set(now.entries()) == ({"ann-1"} if after else {"zoe-1", "ann-1", "zoe-dead"})
        assert set(now.table("objects")["video_key"].to_pylist()) == {video_key(name) for name in now.entries() if name != "zoe-dead"}
        waiting = [entry.entry_id for entry in of_resumed(now).entries]
        assert waiting == (["ann-waits"] if after else ["zoe-waits", "ann-waits"])
        on_disk(run, place)
        check_forgotten(run)
    assert min(map(len, seen.values())) > 5


@pytest.mark.usefixtures("given_up", "one_try")
def test_a_forgetting_in_a_bucket_that_is_cut_off_after_any_request_is_finished_by_the_next(s3: S3Server, bucket: str) -> None:
    def forget_until(run: Run, at: int) -> int:
        """A process that is turned away from its request `at` on, of those that change something; how many it tried."""
        count = 0

        def fate(method: str, path: str) -> Fate:
            nonlocal count
            del path
            count += method in {"PUT", "POST", "DELETE"}
            return "denied" if count > at else "answered"

        with s3.with_fates(fate), suppress(StorageError):
            forget_zoe(run)
        return count

    run = written(f"{bucket}/{uuid4().hex}")
    count = forget_until(run, 10_000)
    check_forgotten(run)
    for at in range(0, count, 2):
        run = written(f"{bucket}/{uuid4().hex}")
        forget_until(run, at)
        now = run.again()
        assert all("still holds what was forgotten" in problem for problem in now.verify())
        assert set(now.entries()) == ({"ann-1"} if now.log.forgettings else {"zoe-1", "ann-1", "zoe-dead"})
        forget_zoe(run)
        check_forgotten(run)


@pytest.mark.usefixtures("given_up")
def test_two_creators_are_forgotten_one_after_the_other(out: str) -> None:
    run = written(out)
    forget_zoe(run)
    choice = choose([run.again()], author="ann")
    forget(run.again(), choice.doomed[0], choice.selected)
    now = run.again()
    assert (now.verify(), now.entries(), list(given_entries(now))) == ([], {}, [])
    assert not any(b"ann" in data for data in bytes_of(now).values())
    assert [record.sequence for record in now.log.forgettings] == [2, 3]


def test_the_bytes_of_a_video_that_another_creator_posted_too_stay_with_that_entry(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    for name, author in (("a", "zoe"), ("b", "ann"), ("c", None)):
        writer.add({"videos": stamped("videos", [video_row(name, author=author)], "same")})
    writer.add({"objects": stamped("objects", [object_row(0)], "same")})
    writer.commit(["a", "b", "c"])
    run = open_run(tmp_path / RUN_ID)
    choice = choose([run], author="zoe")
    assert choice.doomed[0].entries == {"a", "c"}
    assert (choice.doomed[0].videos, choice.kept) == (frozenset(), {0: 1})
    assert choice.videos == frozenset()
    assert choose([run], video=video_key("same")).doomed[0].entries == {"a", "b", "c"}


def test_a_file_of_the_same_name_in_another_run_that_could_not_be_read_goes_too(tmp_path: Path) -> None:
    read = made_run(tmp_path, "one", [Commit(1, [Made("a.mp4", "a")])])
    dead = made_run(tmp_path, "two", [Commit(2, [Made("a.mp4", "a", dead=True), Made("x.mp4", "x", dead=True)])])
    choice = choose([read, dead], video=video_key("a"))
    assert {place: found.entries for place, found in choice.doomed.items()} == {0: {"a.mp4"}, 1: {"a.mp4"}}


def test_a_dead_letter_of_a_creator_s_bytes_goes_though_nobody_named_the_creator_there(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    writer.add({"videos": stamped("videos", [video_row("a", author="Zoe")], "same")})
    for name, content in (("b", "same"), ("c", "other")):
        writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row(name)], content)})
    writer.commit(["a"], ["b", "c"])
    assert choose([open_run(tmp_path / RUN_ID)], author="zoe").doomed[0].entries == {"a", "b"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"video": "0" * 64}, "no run has a video of this key"),
        ({"video": "0" * 12}, "no video of these runs has a key that begins like this"),
        ({"video": "clip"}, "not a video's key"),
        ({"author": "zoé"}, "no run has a video of this creator.*zoe"),
        ({"author": "\ud800\x1b[31m"}, "no run has a video of this creator"),
    ],
)
def test_what_no_run_has_is_named(tmp_path: Path, asked: dict[str, str], said: str) -> None:
    run = written(tmp_path)
    with pytest.raises(ConfigError, match=said):
        choose([run], **asked)
    assert earlier(run, choose([run], author="zoe").selected) is None


def test_a_run_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    run = open_run(tmp_path / RUN_ID)
    with pytest.raises(ConfigError, match="another process is writing this run"), alone_with(run):
        pass
    writer.finish("complete", {})
    with alone_with(run), pytest.raises(ConfigError, match="another process is changing this run"):
        RunWriter.resume(run.again(), run.manifest)


def test_in_a_bucket_a_run_without_an_end_is_taken_for_one_that_goes_on_while_its_last_record_is_young(bucket: str) -> None:
    writer = RunWriter.create(f"{bucket}/runs", manifest())
    writer.add({"videos": stamped("videos", [video_row("a")], "a")})
    writer.commit(["a"])
    run = open_run(writer.run.uri())
    with pytest.raises(ConfigError, match="has not ended"), alone_with(run):
        pass
    writer.finish("complete", {})
    with alone_with(run.again()):
        pass


@pytest.mark.parametrize("damage", ["manifest.json", "commits/00000000.json"])
def test_a_damaged_run_is_named_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    run = written(tmp_path)
    run.store.replace(damage, b"{}\n")
    before = bytes_of(run)
    with pytest.raises(StorageError):
        forget_zoe(run)
    assert bytes_of(run) == before


def test_a_record_that_replaces_a_file_by_one_elsewhere_is_damage(tmp_path: Path) -> None:
    run = written(tmp_path)
    forget_zoe(run)
    store = Store.at(run.store.root)
    name = f"commits/{run.again().log.forgettings[0].sequence:08d}.json"
    body = json.loads(store.read(name))
    del body["sha256"]
    for path, damaged in (("objects/part-00000002-" + "0" * 32 + ".parquet", False), ("../precious.csv", True), ("videos/../x", True)):
        body["forgotten"]["replaced"][0]["old"] = path.replace("objects", body["forgotten"]["replaced"][0]["new"]["table"])
        digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        store.replace(name, (json.dumps({**body, "sha256": digest}) + "\n").encode())
        problems = run.again().verify()
        assert any("is damaged: " in problem for problem in problems) is damaged
        assert any("digest" in problem for problem in problems) is False


def test_addresses_with_secrets_go_where_the_copy_of_the_entries_is_missing(tmp_path: Path) -> None:
    run = written(tmp_path)
    RunWriter.resume(run, run.manifest).finish("partial", {})
    run.store.remove(entries_path(run.manifest.entries_sha256))
    forget_zoe(run)
    assert run.store.names(PRIVATE) == []


def test_a_record_keeps_what_else_is_in_it(tmp_path: Path) -> None:
    run = written(tmp_path)
    RunWriter.resume(run, run.manifest).finish("partial", {})
    deep: Any = "of a later version"
    for _ in range(400):
        deep = [deep]
    path = record_path(run.log.records[0].sequence)
    body = json.loads(run.store.read(path)) | {"summary": {"deep": deep}, "of_tomorrow": 7}
    del body["sha256"]
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    run.store.replace(path, (json.dumps({**body, "sha256": digest}) + "\n").encode())
    forget_zoe(run)
    now = json.loads(run.store.read(path))
    assert (now["of_tomorrow"], now["summary"], now["committed"]) == (7, {"deep": deep}, ["ann-1"])
    assert run.again().verify() == []

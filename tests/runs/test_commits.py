from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.commits import CommitLog, Log, read_log, record_path
from rumiai_ray.runs.datafile import DataFile
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import Fate, S3Server

RUN = "run-1"


def committed(log: Log) -> list[str]:
    return [entry for record in log.records for entry in record.committed]


def run_with(store: Store, *entries: str) -> CommitLog:
    log = CommitLog(store, RUN)
    for entry in entries:
        log.append([], [entry])
    return log


def test_records_come_back_in_order(out: str) -> None:
    store = Store.at(out)
    file = DataFile(table="objects", path=f"objects/part-00000000-{uuid4().hex}.parquet", rows=3, size_bytes=9, sha256="0" * 64)
    log = CommitLog(store, RUN)
    log.append([file], ["a"], ["b"])
    log.end("partial", {"videos": 1})
    first, last = read_log(store, RUN).records
    assert (first.files, first.committed, first.dead_lettered) == ((file,), ("a",), ("b",))
    assert (last.kind, last.status, last.summary, last.sequence) == ("end", "partial", {"videos": 1}, 1)


def test_of_two_writers_that_race_for_a_number_one_wins(out: str) -> None:
    store = Store.at(out)
    logs = [CommitLog(store, RUN) for _ in range(8)]
    barrier, outcomes = threading.Barrier(len(logs)), []

    def race(log: CommitLog, name: str) -> None:
        barrier.wait()
        try:
            log.append([], [name])
            outcomes.append("won")
        except ConfigError:
            outcomes.append("stopped")

    threads = [threading.Thread(target=race, args=(log, str(number))) for number, log in enumerate(logs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["stopped"] * 7 + ["won"]
    assert len(committed(read_log(store, RUN))) == 1


def test_a_writer_that_was_overtaken_stops_and_stays_stopped(out: str) -> None:
    store = Store.at(out)
    old = run_with(store, "a")
    new = CommitLog.resumed(store, RUN, read_log(store, RUN))
    new.append([], ["b"])
    for _ in range(2):
        with pytest.raises(ConfigError, match="another writer has written record 1"):
            old.append([], ["c"])
    new.append([], ["d"])
    assert committed(read_log(store, RUN)) == ["a", "b", "d"]


@pytest.mark.usefixtures("one_try")
def test_a_put_whose_answer_was_lost_is_recognised_as_ones_own(s3: S3Server, bucket: str) -> None:
    store = Store.at(f"{bucket}/runs")
    puts = []

    def lose_first_answer(method: str, path: str) -> Fate:
        if method != "PUT":
            return "answered"
        puts.append(path)
        return "unanswered" if puts.count(path) == 1 else "answered"

    with s3.with_fates(lose_first_answer):
        assert run_with(store, "a", "b").next_sequence == 2
    assert len(puts) == 4
    assert committed(read_log(store, RUN)) == ["a", "b"]


@given(cut=st.integers(min_value=0, max_value=10_000), after=st.integers(min_value=0, max_value=3))
@settings(max_examples=40, deadline=None)
def test_a_record_torn_by_a_crash_commits_nothing_and_the_run_goes_on(cut: int, after: int) -> None:
    store = Store.at(f"memory://{uuid4().hex}")
    run_with(store, "a", "b", "lost")
    content = store.read(record_path(2))
    store.replace(record_path(2), content[: cut % len(content)])
    log = read_log(store, RUN)
    assert (committed(log), log.torn, log.problems) == (["a", "b"], (2,), ())
    resumed = CommitLog.resumed(store, RUN, read_log(store, RUN))
    for number in range(after):
        resumed.append([], [f"new {number}"])
    log = read_log(store, RUN)
    assert committed(log) == ["a", "b"] + [f"new {number}" for number in range(after)]
    assert log.problems == ()


def test_a_slow_writers_record_stays_void_once_the_run_was_taken_over(out: str) -> None:
    store = Store.at(out)
    run_with(store, "a", "slow")
    whole = store.read(record_path(1))
    store.replace(record_path(1), whole[:20])
    CommitLog.resumed(store, RUN, read_log(store, RUN)).append([], ["slow"])
    store.replace(record_path(1), whole)
    assert committed(read_log(store, RUN)) == ["a", "slow"]


def test_a_torn_record_that_was_cleaned_away_after_the_takeover_leaves_no_hole(out: str) -> None:
    store = Store.at(out)
    run_with(store, "a", "torn")
    store.replace(record_path(1), b"{")
    CommitLog.resumed(store, RUN, read_log(store, RUN)).append([], ["b"])
    store.remove(record_path(1))
    log = read_log(store, RUN)
    assert (committed(log), log.problems) == (["a", "b"], ())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_damage_to_the_records_goes_unnoticed(data: st.DataObject) -> None:
    store = Store.at(f"memory://{uuid4().hex}")
    entries = [f"entry {number}" for number in range(data.draw(st.integers(2, 4)))]
    run_with(store, *entries)
    victim = data.draw(st.integers(0, len(entries) - 1))
    content = bytearray(store.read(record_path(victim)))
    place = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "remove"]))
    if kind == "remove":
        store.remove(record_path(victim))
    else:
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        store.replace(record_path(victim), bytes(content) if kind == "flip" else bytes(content[:place]))
    log = read_log(store, RUN)
    last = victim == len(entries) - 1
    if kind == "remove" and last:
        # Nothing can tell a last record that was removed from one that was never written, but the end record.
        assert committed(log) == entries[:-1]
    else:
        assert log.problems or (last and log.torn == (victim,))
        assert committed(log) == [entry for entry in entries if entry != entries[victim]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[]\n", "not a JSON object"),
        (b"{}\n", "digest"),
        (b"\xff\n", "damaged"),
        (json.dumps({"x": 1, "sha256": hashlib.sha256(b'{"x":1}').hexdigest()}).encode() + b"\n", "damaged"),
    ],
)
def test_a_file_that_is_no_record_is_damage_and_cannot_be_resumed_over(tmp_path: Path, content: bytes, words: str) -> None:
    store = Store.at(tmp_path)
    run_with(store, "a")
    store.replace(record_path(0), content)
    assert words in read_log(store, RUN).problems[0]
    with pytest.raises(StorageError, match=r"00000000\.json"):
        CommitLog.resumed(store, RUN, read_log(store, RUN))


def test_a_record_of_another_run_or_another_place_is_not_followed(tmp_path: Path) -> None:
    store, other = Store.at(tmp_path / "one"), Store.at(tmp_path / "two")
    run_with(store, "a", "b")
    CommitLog(other, "run-2").append([], ["x"])
    store.replace(record_path(1), other.read(record_path(0)))
    assert "it is record 0 of run run-2" in read_log(store, RUN).problems[0]


@pytest.mark.parametrize(
    "path", ["../other/objects/part-00000000-{id}.parquet", "/objects/part-00000000-{id}.parquet", "objects/x.parquet"]
)
def test_a_record_cannot_point_outside_its_run(path: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        DataFile(table="objects", path=path.format(id=uuid4().hex), rows=1, size_bytes=1, sha256="0" * 64)


def test_a_record_that_cannot_be_written_can_be_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.at(tmp_path)
    log = run_with(store, "a")
    with monkeypatch.context() as broken:
        broken.setattr("rumiai_ray.storage.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StorageError, match="no space left"):
            log.append([], ["b"])
    log.append([], ["b"])
    assert committed(read_log(store, RUN)) == ["a", "b"]

"""The short form of `make hostile`: a dozen cases of each kind, and every input that once broke something."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

import hostile_arrow
import hostile_files
import hostile_origins
import hostile_seeds
import hostile_targets
from hostile_cases import Place, attempt, damaged
from rumiai_ray.errors import StorageError
from rumiai_ray.frames.store.entry import CompletionRecord, DamagedEntryError
from rumiai_ray.runs.commits import read_log, record_path
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORIGINS = (
    "length-too-long", "gzip-bomb", "headers-endless", "chunk-size-negative", "redirect-loop", "redirect-to-trap", "redirect-to-octal",
    "redirect-with-brackets", "playlist-hls-inside", "range-that-lies", "reset-in-the-body", "disposition-traversal",
)  # fmt: skip

POSTS = (
    "join:truncated", "join:box_length", "join:streams_swapped", "show:bits_flipped", "show:sizes_lie", "show:frames_lie",
    "page:images-of-other-types", "page:address-inside", "page:page-cut_out",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Place.laid(tmp_path_factory.mktemp("hostile"), seed=1) as laid:
        yield laid


@pytest.mark.parametrize("name", hostile_targets.FUNCTIONS)
def test_bytes_that_reach_far_or_once_broke_something_end_well_or_are_refused(name: str) -> None:
    outcomes = {hostile_targets.tried(name, data) for data in hostile_seeds.seeds(name)}
    assert "analysed" in outcomes, "the fuzzing begins with an input that reaches the function's end"
    for found, data in hostile_seeds.FOUND:
        if found == name:
            assert hostile_targets.tried(name, data) == "refused"


@pytest.mark.parametrize("name", hostile_targets.FUNCTIONS)
def test_mutated_bytes_end_well_or_are_refused(name: str) -> None:
    dice = random.Random(name)
    for kind in hostile_files.PLAIN_CHANGES:
        for data in hostile_seeds.seeds(name)[:4]:
            hostile_targets.tried(name, hostile_files.changed(kind.__name__, data.ljust(8), data, dice))


def test_every_function_is_fuzzed_and_can_be_chosen() -> None:
    assert sorted(name for among in hostile_targets.TARGETS.values() for name in among) == sorted(hostile_targets.FUNCTIONS)
    for target, among in hostile_targets.TARGETS.items():
        reached = {hostile_targets.chosen(target, data)[0] for data in hostile_seeds.seeds_of_target(target)}
        assert reached == set(among)


@pytest.mark.parametrize("change", hostile_files.CHANGES[::2], ids=lambda change: change.__name__)
def test_a_malformed_video_is_refused_or_analysed(place: Place, change: object) -> None:
    done = attempt(place, f"media:{getattr(change, '__name__', '')}:0")
    assert (done.fault, done.written_outside_bytes) == ("", 0)


@pytest.mark.parametrize("kind", hostile_arrow.KINDS)
def test_a_damaged_run_store_or_manifest_is_refused_with_a_named_error(place: Place, kind: str) -> None:
    for number in range(3):
        assert attempt(place, f"arrow:{kind}:{number}").fault == ""


@pytest.mark.parametrize("kind", ORIGINS)
def test_a_bad_origin_costs_only_its_own_entry(place: Place, kind: str) -> None:
    done = attempt(place, f"origin:{kind}:0")
    assert (done.fault, done.inside_requests, done.written_outside_bytes) == ("", 0, 0)


@pytest.mark.parametrize("case", POSTS)
def test_a_post_that_is_damaged_or_lies_costs_only_itself(place: Place, case: str) -> None:
    done = attempt(place, f"{case}:0")
    assert (done.fault, done.inside_requests, done.written_outside_bytes) == ("", 0, 0)


def test_a_good_origin_is_fetched_past_the_same_checks(place: Place) -> None:
    assert attempt(place, "origin:good:0").outcome == "analysed"


def test_the_harness_sees_a_write_outside_and_a_request_inside(place: Place) -> None:
    assert attempt(place, "canary:write:0").written_outside_bytes > 0
    assert attempt(place, "canary:connect:0").inside_requests > 0
    assert attempt(place, "canary:fault:0").fault.startswith("ZeroDivisionError")


def test_one_file_with_a_large_number_does_not_have_millions_of_records_read(tmp_path: Path) -> None:
    run = Store.at(tmp_path)
    run.create(record_path(99_999_999), b"{}\n")
    log = read_log(run, "run")
    assert (log.records, log.torn, log.next_sequence) == ((), (), 100_000_000)
    assert len(log.problems) == 1


@pytest.mark.parametrize("files", [5, {"frames.parquet": 5}, {"frames.parquet": {}}], ids=str)
def test_a_completion_record_that_names_no_files_is_damaged_though_its_digest_fits(files: object) -> None:
    text = CompletionRecord("k", "v", {}, files).to_json()  # type: ignore[arg-type]  # somebody else's
    with pytest.raises(DamagedEntryError, match="COMPLETE"):
        CompletionRecord.from_json(text)


def test_a_data_file_of_broken_parquet_under_a_digest_that_fits_is_a_storage_error(place: Place, tmp_path: Path) -> None:
    import hashlib  # noqa: PLC0415 -- only here

    from rumiai_ray.runs.datafile import DataFile, read_data_file  # noqa: PLC0415 -- likewise

    del place
    data = b"PAR1" + b"\x0f" * 50 + (50).to_bytes(4, "little") + b"PAR1"
    path = f"videos/part-00000000-{'a' * 32}.parquet"
    Store.at(tmp_path).create(path, data)
    facts = DataFile(table="videos", path=path, rows=1, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(StorageError, match="not a readable Parquet"):
        read_data_file(Store.at(tmp_path), facts)


def test_there_are_as_many_kinds_as_the_full_form_promises() -> None:
    assert len(hostile_origins.ORIGINS) >= 40
    assert len(hostile_files.CHANGES) >= 15


def test_every_file_has_its_turn_to_be_damaged() -> None:
    """In 20 rounds through all kinds of damage, up to as many files as there are cases."""
    kinds = [change.__name__ for change in hostile_files.CHANGES]
    cases = [damaged(kind, number) for number in range(20) for kind in kinds]
    assert sorted(cases) == list(range(20 * len(kinds)))

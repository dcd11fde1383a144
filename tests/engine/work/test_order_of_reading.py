"""The order of reading: nothing is lost, the longest come first, and a long video does not hold short ones back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.engine.work.reading_order import LENGTH_COLUMNS, blocks_of, expected_length_s
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.rules import InputRules
from simulated_batch import LONG_S, MODEL_BOUND, READ_BOUND, Batch, as_before, of_length, rows_of, skewed

MOST = 16
LONG_AT = (0, 37, 100, 190, 200)


@pytest.mark.parametrize("batch", [READ_BOUND, MODEL_BOUND], ids=["reading takes longest", "models take longest"])
@pytest.mark.parametrize("long_at", LONG_AT)
def test_one_long_video_among_many_short_ones_ends_the_run_within_a_tenth_of_the_least_time(batch: Batch, long_at: int) -> None:
    entries, lengths = skewed(long_at)
    least_s = batch.least_s([*lengths.values()])
    first_s, last_s = batch.run(blocks_of(entries, batch.readers, MOST), lambda entry: lengths[entry.entry_id])
    before_first_s, _ = batch.run(as_before(entries, batch.readers), lambda entry: lengths[entry.entry_id])
    assert last_s <= 1.1 * least_s
    assert first_s <= 1.1 * before_first_s or first_s <= 20


@pytest.mark.parametrize("batch", [READ_BOUND, MODEL_BOUND], ids=["reading takes longest", "models take longest"])
@pytest.mark.parametrize("long_at", LONG_AT)
def test_a_long_video_of_unknown_length_holds_back_no_more_than_itself(batch: Batch, long_at: int) -> None:
    entries, lengths = skewed(long_at, known=False)
    least_s = batch.least_s([*lengths.values()])
    _, last_s = batch.run(blocks_of(entries, batch.readers, MOST), lambda entry: lengths[entry.entry_id])
    assert last_s <= least_s + batch.read_s * LONG_S + sum(batch.models.values()) * rows_of(60)


lengths_of_entries = st.lists(st.none() | st.floats(0.01, 5000), max_size=80)


@given(lengths_of_entries, st.integers(1, 9), st.integers(1, 20))
def test_every_entry_is_in_one_block_and_no_block_is_empty_or_too_large(lengths: list[float | None], readers: int, most: int) -> None:
    entries = [of_length(f"e{number}", length_s) for number, length_s in enumerate(lengths)]
    blocks = blocks_of(entries, readers, most)
    assert sorted(entry.entry_id for block in blocks for entry in block) == sorted(entry.entry_id for entry in entries)
    assert all(0 < len(block) <= most for block in blocks)


@given(st.lists(st.floats(1, 5000), min_size=20, max_size=80), st.integers(1, 4))
def test_after_a_short_one_for_each_reader_the_longest_come_first(lengths: list[float], readers: int) -> None:
    entries = [of_length(f"e{number}", length_s) for number, length_s in enumerate(lengths)]
    blocks = blocks_of(entries, readers, MOST)
    read = [expected_length_s(entry) or 0.0 for block in blocks for entry in block]
    assert [len(block) for block in blocks[:readers]] == [1] * readers
    assert sorted(read[:readers]) == sorted(read)[:readers]
    assert read[readers:] == sorted(read[readers:], reverse=True)


def test_entries_of_unknown_length_come_last_in_the_order_given_and_alone_they_keep_it() -> None:
    entries = [of_length("u1", None), of_length("known", 5.0), of_length("u2", None), of_length("longer", 9.0)]
    assert [entry.entry_id for block in blocks_of(entries, 2, MOST) for entry in block] == ["longer", "known", "u1", "u2"]
    unknown = [of_length(f"e{number}", None) for number in range(100)]
    assert [entry for block in blocks_of(unknown, 4, MOST) for entry in block] == unknown


def test_a_length_is_taken_from_the_manifest_and_else_from_the_size_of_a_local_file(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x" * 500_000)
    assert expected_length_s(Entry("e", str(clip), {}, str(clip))) == 2.0
    assert expected_length_s(Entry("e", str(clip), {" Duration ": " 1:02 "}, str(clip))) == 62.0
    assert expected_length_s(Entry("e", str(clip), {"duration": "0", "duration_s": "7.5"}, str(clip))) == 7.5
    assert expected_length_s(Entry("e", "gone.mp4", {}, str(tmp_path / "gone.mp4"))) is None
    assert expected_length_s(Entry("e", "https://videos.example/v", {})) is None


@given(st.sampled_from(LENGTH_COLUMNS), st.text() | st.floats().map(str) | st.integers().map(str), st.text())
def test_whatever_a_manifest_says_a_length_is_a_number_that_a_day_holds_or_unknown(name: str, text: str, source: str) -> None:
    length_s = expected_length_s(Entry("e", source, {name: text}, source))
    assert length_s is None or 0.0 <= length_s <= 86_400.0


@pytest.mark.parametrize("rules", [InputRules(inputs=("web",)), InputRules(roots=("/nobody/has/this",))], ids=["kinds", "roots"])
def test_a_file_that_a_row_must_not_name_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: InputRules) -> None:
    entries = [Entry(f"e{number}", str(tmp_path / f"{number}.mp4")) for number in range(3)]
    for size, entry in enumerate(entries, 1):
        Path(entry.input).write_bytes(bytes(size * 1000))
    assert [entry.entry_id for block in blocks_of(entries, 1, MOST) for entry in block] == ["e0", "e2", "e1"]
    seen: list[object] = []
    monkeypatch.setattr("rumiai_ray.engine.work.reading_order.os.stat", seen.append)
    assert [entry.entry_id for block in blocks_of(entries, 1, MOST, rules) for entry in block] == ["e0", "e1", "e2"]
    assert seen == []


@pytest.mark.parametrize("columns", [{"Duration S": "12"}, {"video-duration": "0:12"}, {"Duration": " ", "duration": "12"}])
def test_a_column_of_lengths_is_found_however_its_name_is_written(columns: dict[str, str]) -> None:
    assert expected_length_s(Entry("e", "https://h.example/1.mp4", columns)) == 12

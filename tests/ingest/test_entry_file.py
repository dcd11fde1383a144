"""The run's own copy of its entries."""

from __future__ import annotations

from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.table import EntryFile, batched


def _entries(count: int) -> list[Entry]:
    return [Entry(f"e{number}", f"clips/{number} ü.mp4", {"views": str(number)}, f"/clips/{number}") for number in range(count)]


def test_entries_come_back_in_order_and_one_by_one() -> None:
    file = EntryFile.of(iter(_entries(2500)))
    assert len(file) == 2500
    assert list(file) == _entries(2500)
    again = EntryFile(file.data)
    assert (len(again), again.sha256, next(iter(again))) == (2500, file.sha256, _entries(1)[0])


def test_a_file_may_hold_no_entries() -> None:
    assert list(EntryFile.of([])) == []


def test_batches_hold_every_entry_once() -> None:
    assert [len(part) for part in batched(iter(_entries(10)), 4)] == [4, 4, 2]
    assert list(batched([], 4)) == []

"""Rows from a thread: bounded ahead of who takes them, claimed once, ended with the error that broke them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from rumiai_ray.engine.work import thread_source as feeds
from rumiai_ray.engine.work.item import Header, Work
from rumiai_ray.engine.work.thread_source import ThreadSource
from rumiai_ray.ingest.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.engine.work.source import SourceRow

LONG_S = 30.0


class Rows:
    """A stage whose rows are made from the entries' names; it notes how far it is."""

    def __init__(self, rows_each: int = 1, broken_at: str = "", dead_at: str = "") -> None:
        self.begun: list[str] = []
        self.claims: list[bool] = []
        self._rows_each = rows_each
        self._broken_at = broken_at
        self._dead_at = dead_at

    def work_of(self, entry: Entry, claim: Callable[[str, str], bool]) -> Iterator[Any]:
        self.begun.append(entry.entry_id)
        if entry.entry_id == self._broken_at:
            raise MemoryError("no more")
        self.claims.append(claim(entry.input, entry.entry_id))
        for number in range(self._rows_each):
            yield Work(f"{entry.entry_id}{number}", "", 0, 1, {})
        if entry.entry_id == self._dead_at:
            yield Work(f"{entry.entry_id}dead", "", 0, 1, {}, Header(entry, b"", None))


def _entries(names: str) -> list[Entry]:
    return [Entry(name, name) for name in names]


def _names(rows: list[SourceRow]) -> list[str]:
    return [row.work.entry_id for row in rows if row.work is not None]


def _all(feed: Any) -> list[Any]:
    rows = []
    while not feed.ended:
        rows += _names(feed.take(LONG_S))
    return rows


def _feed(stage: Any, entries: list[Entry]) -> Any:
    """A feed of this stage; without a type, for its rows are little more than names."""
    return ThreadSource(stage, entries)


def test_every_row_comes_once_and_in_order_and_then_the_feed_is_ended() -> None:
    feed = _feed(Rows(2), _entries("abc"))
    assert _all(feed) == ["a0", "a1", "b0", "b1", "c0", "c1"]


def test_without_entries_it_ends_at_once() -> None:
    assert _all(_feed(Rows(), [])) == []


def test_the_first_entry_of_a_video_claims_it_and_keeps_it() -> None:
    stage = Rows()
    _all(_feed(stage, [Entry("a", "same"), Entry("b", "same"), Entry("a", "same"), Entry("c", "other")]))
    assert stage.claims == [True, False, True, True]


def test_what_a_dead_letter_had_claimed_is_analysed_for_the_next_entry_of_the_same_bytes() -> None:
    stage = Rows(dead_at="a")
    assert _all(_feed(stage, [Entry("a", "same"), Entry("b", "same"), Entry("c", "same")])) == ["a0", "adead", "b0", "c0"]
    assert stage.claims == [True, True, False]


def test_nothing_is_read_much_further_than_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_AHEAD", 2)
    stage = Rows()
    feed = _feed(stage, _entries("abcdefgh"))
    (first,) = feed.take(LONG_S)
    assert first.work.entry_id == "a0"
    assert len(stage.begun) <= 4, "one taken, two waiting, one being put into the queue"
    assert _all(feed) == [f"{name}0" for name in "bcdefgh"]


def test_what_broke_it_is_raised_after_the_rows_that_were_whole() -> None:
    feed = _feed(Rows(broken_at="b"), _entries("abc"))
    assert _names(feed.take(LONG_S)) == ["a0"]
    with pytest.raises(MemoryError, match="no more"):
        feed.take(LONG_S)
    assert feed.ended


def test_a_feed_nobody_takes_from_ends_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_AHEAD", 1)
    others = set(threading.enumerate())
    feed = _feed(Rows(), _entries("abcdefgh"))
    started = set(threading.enumerate()) - others
    feed.stop()
    for thread in started:
        thread.join(LONG_S)
        assert not thread.is_alive()

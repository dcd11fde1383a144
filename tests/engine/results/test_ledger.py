"""The driver's book: when is an entry complete, and who waits for whom."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pyarrow as pa

from fakes import SAMPLED
from rumiai_ray.engine.cell.messages import Index
from rumiai_ray.engine.results.entry_tracker import Ledger
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.item import Header, VideoPlan
from rumiai_ray.ingest.entries import Entry


class Payload:
    """Stands for a reference to a row's payload."""


class NoAnswerError(Exception):
    """Unlike Python's own exceptions it can be referred to weakly."""


def _header(entry_id: str, key: str = "v", count: int = 2, *, repeats: bool = False) -> Header:
    return Header(Entry(entry_id, f"{entry_id}.mp4"), pack(pa.table({})), VideoPlan(key, {}, (), {}, (), (), count, SAMPLED), repeats)


def _row(entry_id: str, number: int, count: int, header: Header | None = None) -> Index:
    return Index(entry_id, "v", number, count, {}, header=header)


def test_an_entry_is_settled_when_its_last_row_is_back_and_its_answers_are_in_order() -> None:
    ledger = Ledger()
    assert ledger.add(_row("e", 1, 2), "second") == []
    (settled,) = ledger.add(_row("e", 0, 2, _header("e")), "first")
    assert [payload for _, payload in settled.answers] == ["first", "second"]


def test_a_row_that_comes_twice_counts_once() -> None:
    ledger = Ledger()
    assert ledger.add(_row("e", 0, 2, _header("e")), "first") == []
    assert ledger.add(_row("e", 0, 2, _header("e")), "first again") == []
    (settled,) = ledger.add(_row("e", 1, 2), "second")
    assert len(settled.answers) == 2


def test_an_entry_without_its_header_is_never_settled() -> None:
    ledger = Ledger()
    assert ledger.add(_row("e", 1, 2), "a") == []
    assert ledger.add(_row("e", 2, 2), "b") == []


def test_a_row_no_front_could_answer_makes_the_entry_a_dead_letter_once_the_rest_is_back() -> None:
    ledger = Ledger()
    error = ValueError("no")
    assert ledger.fail("e", 1, 2, None, error) == []
    (settled,) = ledger.add(_row("e", 0, 2, _header("e")), "first")
    assert (settled.error, settled.answers) == (error, ())


def test_a_repeat_waits_until_the_first_entry_is_in_the_run() -> None:
    ledger = Ledger()
    assert ledger.add(_row("copy", 0, 1, _header("copy", repeats=True)), None) == []
    (first,) = ledger.add(_row("e", 0, 1, _header("e", count=1)), "rows")
    assert not first.repeat
    (copy,) = ledger.ended("v")
    assert (copy.header.entry.entry_id, copy.repeat, copy.error) == ("copy", True, None)


def test_a_repeat_shares_the_end_of_a_video_that_could_not_be_assembled() -> None:
    ledger = Ledger()
    error = ValueError("no")
    ledger.ended("v", error)
    (copy,) = ledger.add(_row("copy", 0, 1, _header("copy", repeats=True)), None)
    assert (copy.repeat, copy.error) == (True, error)


def test_a_resumed_run_does_not_analyse_again_what_it_has() -> None:
    ledger = Ledger(analysed=["v"])
    (late,) = ledger.add(_row("late", 0, 1, _header("late", count=1)), "rows")
    assert (late.repeat, late.answers) == (True, ())


def test_an_entry_all_of_whose_rows_come_twice_is_settled_once() -> None:
    ledger = Ledger()
    assert len(ledger.add(_row("e", 0, 1, _header("e", count=1)), "rows")) == 1
    assert ledger.add(_row("e", 0, 1, _header("e", count=1)), "rows again") == []
    ledger.ended("v")
    assert ledger.add(_row("e", 0, 1, _header("e", count=1)), "rows again") == []


def test_a_repeat_whose_row_comes_twice_is_settled_once() -> None:
    ledger = Ledger()
    for _ in range(2):
        assert ledger.add(_row("copy", 0, 1, _header("copy", repeats=True)), None) == []
    assert len(ledger.ended("v")) == 1
    assert ledger.add(_row("copy", 0, 1, _header("copy", repeats=True)), None) == []


def test_of_two_owners_of_one_video_the_second_waits_for_the_first() -> None:
    ledger = Ledger()
    (first,) = ledger.add(_row("a", 0, 1, _header("a", count=1)), "rows")
    assert ledger.add(_row("b", 0, 1, _header("b", count=1)), "rows as well") == []
    (second,) = ledger.ended("v")
    assert (first.repeat, second.repeat, second.header.entry.entry_id) == (False, True, "b")


def test_a_settled_video_whose_rows_were_lost_is_settled_again_when_it_was_read_again() -> None:
    ledger = Ledger()
    assert len(ledger.add(_row("e", 0, 1, _header("e", count=1)), "lost")) == 1
    ledger.lost("e", "v")
    (again,) = ledger.add(_row("e", 0, 1, _header("e", count=1)), "rows")
    assert [payload for _, payload in again.answers] == ["rows"]


def test_rows_that_come_after_their_entry_has_become_a_dead_letter_are_not_kept() -> None:
    ledger = Ledger()
    dead = replace(_header("e"), plan=None)
    assert len(ledger.add(_row("e", 3, 4, dead), None)) == 1
    payload = Payload()
    alive = weakref.ref(payload)
    assert ledger.add(_row("e", 0, 4), payload) == []
    del payload
    assert alive() is None
    error = NoAnswerError("of a row that no front could answer")
    held = weakref.ref(error)
    assert ledger.fail("e", 1, 4, None, error) == []
    del error
    assert held() is None


def test_rows_of_a_lost_entry_are_kept_again_from_its_second_round_on() -> None:
    ledger = Ledger()
    assert ledger.add(_row("e", 0, 2, _header("e")), "lost") == []
    assert len(ledger.add(_row("e", 1, 2), "lost")) == 1
    assert ledger.add(_row("e", 1, 2), "late") == []
    ledger.lost("e", "v")
    ledger.forget()
    assert ledger.add(_row("e", 0, 2, _header("e")), "first") == []
    (again,) = ledger.add(_row("e", 1, 2), "second")
    assert [payload for _, payload in again.answers] == ["first", "second"]


def test_what_waits_when_a_round_ends_is_read_again() -> None:
    ledger = Ledger()
    assert ledger.add(_row("copy", 0, 1, _header("copy", repeats=True)), None) == []
    ledger.forget()
    assert ledger.ended("v") == []
    (copy,) = ledger.add(_row("copy", 0, 1, _header("copy", repeats=True)), None)
    assert copy.repeat

"""The note an actor leaves: it must outlive the process that wrote it, and the start of the next one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.engine.cell import call_journal as note
from rumiai_ray.engine.cell.call_journal import NoteBook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], float]:
    """Moves the node's clock on, and says how late it is."""
    now = [1000.0]

    def move(seconds: float) -> float:
        now[0] += seconds
        return now[0]

    monkeypatch.setattr(note, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return move


def busy_s(path: Path, now_s: float) -> float:
    seen = note.read(path)
    assert seen is not None
    return seen.busy_s(now_s)


def test_an_actor_that_never_started_has_no_note(tmp_path: Path) -> None:
    assert note.read(tmp_path / "a") is None


def test_the_executing_call_is_noted_and_cleared_when_it_is_done(tmp_path: Path) -> None:
    book = NoteBook(tmp_path / "a")
    book.begin("f:1")
    executing = note.read(tmp_path / "a")
    book.done()
    idle = note.read(tmp_path / "a")
    assert executing is not None
    assert idle is not None
    assert (executing.call, idle.call, idle.starts) == ("f:1", "", 1)


def test_a_restart_counts_and_does_not_wipe_out_what_the_process_before_died_of(tmp_path: Path) -> None:
    NoteBook(tmp_path / "a").begin("f:1")
    NoteBook(tmp_path / "a")
    seen = note.read(tmp_path / "a")
    assert seen is not None
    assert (seen.call, seen.starts) == ("f:1", 2)


def test_a_shorter_call_number_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    book = NoteBook(tmp_path / "a")
    book.begin("incarnation:123456789")
    book.begin("x:1")
    seen = note.read(tmp_path / "a")
    assert seen is not None
    assert seen.call == "x:1"


def test_the_reason_an_actor_was_given_up_is_kept_beside_its_note(tmp_path: Path) -> None:
    assert note.given_up(tmp_path / "a") is None
    note.give_up(tmp_path / "a", "WeightsError", "no ‘weights’\nat all", "Traceback …")
    assert note.given_up(tmp_path / "a") == ("WeightsError", "no ‘weights’\nat all", "Traceback …")


def test_a_call_under_way_counts_as_busy_time_while_it_lasts_and_not_twice_when_it_has_ended(
    tmp_path: Path, clock: Callable[[float], float]
) -> None:
    book = NoteBook(tmp_path / "a")
    assert busy_s(tmp_path / "a", clock(5)) == 0, "it only loads"
    book.begin("f:1")
    assert busy_s(tmp_path / "a", clock(240)) == 240
    book.done()
    assert busy_s(tmp_path / "a", clock(10)) == 240
    book.begin("f:2")
    assert busy_s(tmp_path / "a", clock(3)) == 243


def test_busy_time_outlives_a_process_and_loading_the_next_one_adds_nothing_to_it(tmp_path: Path, clock: Callable[[float], float]) -> None:
    NoteBook(tmp_path / "a").begin("f:1")
    clock(7)
    NoteBook(tmp_path / "a")
    assert busy_s(tmp_path / "a", clock(20)) == 7
    book = NoteBook(tmp_path / "a")  # died again, while it loaded
    book.begin("f:1")
    assert busy_s(tmp_path / "a", clock(2)) == 9

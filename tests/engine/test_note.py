"""The note an actor leaves: it must outlive the process that wrote it, and the start of the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.engine.cell import call_journal as note
from rumiai_ray.engine.cell.call_journal import NoteBook

if TYPE_CHECKING:
    from pathlib import Path


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

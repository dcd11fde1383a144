"""Seconds of video that a run adds up: what comes late counts once, and the book does not grow with the manifest."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from rumiai_ray.engine.results import video_seconds
from rumiai_ray.engine.results.video_seconds import VideoSeconds

if TYPE_CHECKING:
    import pytest


class EntryId(str):
    """Unlike Python's own strings it can be referred to weakly."""

    __slots__ = ("__weakref__",)


def test_ids_of_entries_that_ended_long_ago_are_forgotten_and_their_seconds_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_seconds, "_REMEMBERED", 3)
    seconds = VideoSeconds()
    kept = []
    for number in range(10):
        entry_id = EntryId(f"e{number}")
        kept.append(weakref.ref(entry_id))
        seconds.measured(entry_id, 2.0)
        seconds.answered(entry_id, 0, 1)
        seconds.ended(entry_id)
        del entry_id
    assert [reference() for reference in kept] == [None] * 7 + ["e7", "e8", "e9"]
    assert (seconds.known_s, seconds.analysed_s, seconds.entries) == (20.0, 20.0, 10)


def test_what_is_told_of_an_entry_after_its_end_counts_for_nothing() -> None:
    seconds = VideoSeconds()
    seconds.measured("e", 2.0)
    seconds.ended("e")
    seconds.measured("e", 3.0)
    seconds.answered("e", 1, 2)
    seconds.ended("e")
    seconds.again(["e"])
    assert (seconds.known_s, seconds.analysed_s, seconds.entries) == (2.0, 2.0, 1)

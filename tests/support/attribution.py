"""Random batches under random kills: what hypothesis draws, and one trial of it."""

from __future__ import annotations

import random
import signal
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from batches import check_attribution, ray_processes
from numbered_clips import numbered_clip
from rumiai_ray.ingest.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

    from batches import Kit

LONGEST_FRAMES = 40
"""Of a clip: up to 40 rows of work at one frame a row."""


@dataclass(frozen=True)
class Trial:
    """One batch and what happens to it."""

    seed: int
    """Of the clips' lengths, of the order of the entries and of who is killed."""
    batch_frames: int
    cells: int
    extract_tasks: int
    batches_in_flight: int
    calls_outstanding: int
    group_mb: float
    group_age_s: float
    kills_s: tuple[float, ...]
    """Times between kills of a random process of the Ray."""


def trials(most_kills: int) -> SearchStrategy[Trial]:
    """Any trial with at most so many kills, which are 5 to 15 s apart: a restart takes 2 to 3 s, more on a busy machine."""
    return st.builds(
        Trial,
        seed=st.integers(0, 2**31),
        batch_frames=st.integers(1, 16),
        cells=st.integers(1, 2),
        extract_tasks=st.integers(1, 2),
        batches_in_flight=st.integers(1, 4),
        calls_outstanding=st.integers(1, 3),
        group_mb=st.sampled_from([0.002, 0.05, 64.0]),
        group_age_s=st.sampled_from([0.2, 2.0, 30.0]),
        kills_s=st.lists(st.floats(5.0, 15.0), max_size=most_kills).map(tuple),
    )


def trial_entries(place: Path, numbers: Sequence[int], seed: int) -> list[Entry]:
    """A clip for each number, of a length that the number decides, in an order that the seed decides."""
    entries = []
    for number in numbers:
        path = place / f"clip{number}.mkv"
        if not path.exists():
            dice = random.Random(number)
            numbered_clip(path, number, frames=min(1 + int(dice.expovariate(1 / 6)), LONGEST_FRAMES))
        entries.append(Entry(f"e{number}", str(path), {"number": str(number)}, str(path)))
    random.Random(seed).shuffle(entries)
    return entries


def run_trial(kit: Kit, name: str, trial: Trial, entries: Sequence[Entry]) -> int:
    """Run it and check that no row is swapped, lost or doubled; returns how many processes were killed."""
    names = ("batch_frames", "cells", "extract_tasks", "batches_in_flight", "calls_outstanding", "group_mb", "group_age_s")
    # Every process that dies may have the same innocent call in flight: more attempts than kills.
    settings = {key: getattr(trial, key) for key in names} | {"attempts": len(trial.kills_s) + 2, "rounds": len(trial.kills_s) + 3}
    finished = threading.Event()
    killed = 0

    def kill() -> None:
        nonlocal killed
        dice = random.Random(trial.seed)
        for wait_s in trial.kills_s:
            if finished.wait(wait_s):
                return
            victims = ray_processes()
            if victims:
                dice.choice(victims)[1].send_signal(signal.SIGKILL)
                killed += 1

    killer = threading.Thread(target=kill, name="killer", daemon=True)
    killer.start()
    try:
        run = replace(kit, settings=settings).run(name, entries)
    finally:
        finished.set()
        killer.join()
    assert run.status == "complete", [row for row in run.table("analyses").to_pylist() if row["error_class"]]
    check_attribution(run, entries)
    return killed

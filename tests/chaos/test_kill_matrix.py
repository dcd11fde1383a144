"""The kill matrix: every kind of fault, in every place, at every moment, once and for ever.

Faults of one place share executions, each on a clip of its own among healthy ones, in random order. What a run must leave is
computed from its faults alone (`chaos.check_equal`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batches import TABLES, ray_processes
from chaos import ChaosKit, check_equal, dead_letter_of, deal, endure
from faults import ALWAYS, DEATHS, HANGS, KINDS, Fault, Kind
from faulty import number_of

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from chaos import Ground
    from rumiai_ray.engine.batch import BatchRun

MOMENTS = ("start", "middle", "end")
RAISED: tuple[Kind, ...] = ("raise", "memory")


def _all(kinds: Iterable[Kind], where: str, moments: Iterable[str], times: Iterable[int] = (1,)) -> list[Fault]:
    return [Fault(kind, where, at, times=count) for at in moments for kind in kinds for count in times]


EXTRACT = _all(KINDS, "extract", MOMENTS)
WORKER = [
    *_all(DEATHS, "worker", MOMENTS[:2], (1, ALWAYS)),
    *_all(DEATHS, "worker", ("end",)),  # not for ever: whether all its rows had left before the death is chance
    *_all(HANGS, "worker", MOMENTS[:2], (1, ALWAYS)),
    *_all(RAISED, "worker", MOMENTS[:2], (ALWAYS,)),
]
MODELS = [
    fault
    for model in ("reader", "ears")
    for fault in (
        *_all(KINDS, model, MOMENTS),
        *_all(KINDS, model, ("middle",), (ALWAYS,)),
        *_all(DEATHS[:1], model, ("start", "end"), (ALWAYS,)),
    )
]
FRONT = [*_all((*RAISED, *DEATHS), "front", ("start", "end"), (1, ALWAYS)), *_all(DEATHS, "front", ("middle",))]
ASSEMBLE = [
    *_all(RAISED, "assemble", MOMENTS, (ALWAYS,)),  # not once: a task that dies of another's fault would assemble it well again
    *_all((*DEATHS, *HANGS[:1]), "assemble", MOMENTS),
    *_all((*DEATHS, *HANGS), "assemble", ("middle",), (ALWAYS,)),
]
WRITER = _all((*DEATHS, *HANGS), "writer", ("before data", "mid data", "after data"))
STORAGE = _all(RAISED, "writer", ("before data", "after data"))
DRIVER = [
    *_all((*RAISED, *DEATHS, *HANGS), "driver", ("before record", "after record")),
    *_all((*DEATHS, *HANGS), "driver", ("mid record",)),
    *_all((*DEATHS[:2], *HANGS[:1]), "driver", ("before data", "after data")),
]


def _executions() -> list[tuple[str, list[Fault]]]:
    """(name, faults that strike in one run). Of faults that end a writing task at most five, or its one entry would be buried."""
    sizes = {"extract": 11, "worker": 8, "models": 12, "front": 8, "assemble": 8, "writer": 5, "storage": 4, "driver": 5}
    lists = (EXTRACT, WORKER, MODELS, FRONT, ASSEMBLE, WRITER, STORAGE, DRIVER)
    found = []
    for (name, size), cases in zip(sizes.items(), lists, strict=True):
        parts = -(-len(cases) // size)
        found += [(f"{name}-{part + 1}", cases[part::parts]) for part in range(parts)]
    return found


EXECUTIONS = _executions()
CASES = sum(len(cases) for _, cases in EXECUTIONS)


def test_the_matrix_is_as_large_as_it_is_said_to_be() -> None:
    assert CASES >= 60
    assert len({(str(fault)) for _, cases in EXECUTIONS for fault in cases}) == CASES, "a case is there twice"


@pytest.mark.parametrize("cases", [pytest.param(cases, id=name) for name, cases in EXECUTIONS])
def test_each_fault_costs_what_it_must_and_nothing_else(
    ground: Ground, tmp_path: Path, dice: random.Random, cases: Sequence[Fault]
) -> None:
    print("\n".join(map(str, cases)))  # noqa: T201 -- shown where the test fails
    settings = {
        "batch_frames": dice.randint(2, 6),
        "group_age_s": dice.choice([0.1, 0.5, 2.0]),
        "group_mb": dice.choice([0.001, 64]),
        "batches_in_flight": dice.randint(1, 3),
        "extract_tasks": dice.randint(1, 2),
    }
    kit = ChaosKit(ground.here, tmp_path, settings=settings)
    fates, entries = deal(cases, ground.entries, dice.randint(3, 10), dice)
    check_equal(endure(kit, "struck", entries, fates), ground.undisturbed, entries, fates)


def test_a_front_that_hangs_is_replaced_after_its_deadline(ground: Ground, tmp_path: Path, dice: random.Random) -> None:
    # One row in flight and short limits: the deadline of a row is (start + call) × attempts × rows in flight.
    kit = ChaosKit(ground.here, tmp_path, settings={"batches_in_flight": 1, "start_timeout_s": 40})
    cases = [*_all(HANGS[:1], "front", ("start", "middle")), *_all(HANGS[1:], "front", ("end",), (ALWAYS,))]
    fates, entries = deal(cases, ground.entries, 4, dice)
    check_equal(endure(kit, "frozen", entries, fates), ground.undisturbed, entries, fates)


def test_the_claims_may_die_and_shared_bytes_are_still_analysed_once(ground: Ground, tmp_path: Path, dice: random.Random) -> None:
    kit = ChaosKit(ground.here, tmp_path, settings={"group_age_s": 0.1})
    chosen = dice.sample(list(ground.entries), 16)
    copies = [type(entry)(f"{entry.entry_id}-again", entry.input, entry.columns, entry.location) for entry in chosen[:8]]
    entries = dice.sample([*chosen, *copies], 24)
    killed: list[int] = []

    def kill_the_claims(_batch: BatchRun, done: int) -> None:
        if len(killed) < done // 4:
            killed.extend(process.kill() or process.pid for _, process in ray_processes(("ray::Claims",)))

    run = kit.run("claimed", entries, kill_the_claims)
    assert killed, "the claims were never killed"
    assert run.status == "complete"
    assert sorted(row["entry_id"] for row in run.table("videos").to_pylist()) == sorted(entry.entry_id for entry in entries)
    for name in set(TABLES) - {"videos", "dead_letter"}:
        keys = set(run.table("videos")["video_key"].to_pylist())
        wanted = [row for row in ground.undisturbed.table(name).to_pylist() if row["video_key"] in keys]
        assert run.table(name).num_rows == len(wanted), f"{name}: rows lost or doubled"
    assert run.verify() == []


def test_copies_of_a_clip_that_cannot_be_read_are_dead_letters_too_and_wait_for_nobody(
    ground: Ground, tmp_path: Path, dice: random.Random
) -> None:
    cases = [*_all(DEATHS[:1], "worker", ("middle",), (ALWAYS,)), *_all(RAISED[:1], "worker", ("middle",), (ALWAYS,))]
    fates, entries = deal(cases, ground.entries, 4, dice)
    struck = {fault.on for fault in fates}
    copies = [
        type(entry)(f"{entry.entry_id}-again", entry.input, entry.columns, entry.location)
        for entry in entries
        if number_of(entry.input) in struck
    ]
    run = endure(ChaosKit(ground.here, tmp_path), "copied", [*entries, *copies], fates)
    dead = {row["entry_id"]: row["error_class"] for row in run.table("dead_letter").to_pylist()}
    endings = {fault.on: (dead_letter_of(fault) or ("", ""))[1] for fault in fates}
    both = [entry for entry in (*entries, *copies) if number_of(entry.input) in struck]
    assert dead == {entry.entry_id: endings[number_of(entry.input)] for entry in both}

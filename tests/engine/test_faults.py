"""A dozen faults of the kill matrix (`make chaos` has them all), several in one run, compared with an undisturbed one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

import faults
from chaos import ChaosKit, Ground, check_equal, deal, endure
from faults import ALWAYS, Fault
from faulty import number_of
from rumiai_ray.engine.interactive import Stopped
from rumiai_ray.errors import StorageError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.runs.reader import open_run

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.batch import BatchRun
    from rumiai_ray.engine.ray_session.local import LocalRay

DOZEN = [
    Fault("segfault", "extract", "middle"),
    Fault("kill", "worker", "middle"),
    Fault("abort", "worker", "start", times=ALWAYS),
    Fault("kill", "front", "end"),
    Fault("segfault", "front", "start", times=ALWAYS),
    Fault("raise", "reader", "start"),
    Fault("kill", "reader", "middle", times=ALWAYS),
    Fault("gil", "ears", "start"),
    Fault("memory", "ears", "middle", times=ALWAYS),
    Fault("raise", "assemble", "start", times=ALWAYS),
    Fault("kill", "assemble", "end"),
    Fault("kill", "writer", "after data"),
]
DRIVER = [
    Fault("kill", "driver", "before record"),
    Fault("segfault", "driver", "mid record"),
    Fault("kill", "driver", "after data"),
]


@pytest.fixture(scope="module")
def ground(ray_here: LocalRay, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground.laid(ray_here, tmp_path_factory.mktemp("ground"), 16, seed=11)


def test_a_dozen_faults_in_one_run_cost_what_they_must_and_nothing_else(ground: Ground, tmp_path: Path) -> None:
    fates, entries = deal(DOZEN, ground.entries, 4, random.Random(11))
    kit = ChaosKit(ground.here, tmp_path)
    check_equal(endure(kit, "struck", entries, fates), ground.undisturbed, entries, fates)


def test_copies_of_a_clip_that_cannot_be_assembled_are_dead_letters_too(ground: Ground, tmp_path: Path) -> None:
    fates, entries = deal([Fault("raise", "assemble", "middle", times=ALWAYS)], ground.entries, 3, random.Random(13))
    (struck,) = [entry for entry in entries if number_of(entry.input) == fates[0].on]
    copies = [Entry(f"{struck.entry_id}-again{number}", struck.input, struck.columns, struck.location) for number in range(3)]
    run = endure(ChaosKit(ground.here, tmp_path, settings={"group_age_s": 0.1}), "copied", [*entries, *copies], fates)
    dead = {row["entry_id"]: (row["stage"], row["error_class"]) for row in run.table("dead_letter").to_pylist()}
    assert dead == {entry.entry_id: ("assemble", "RuntimeError") for entry in (struck, *copies)}
    assert run.table("videos").num_rows == 3
    assert run.verify() == []


def test_storage_that_fails_once_costs_nothing_and_storage_that_fails_for_good_ends_the_run(ground: Ground, tmp_path: Path) -> None:
    kit = ChaosKit(ground.here, tmp_path)
    fates, entries = deal([Fault("raise", "writer", "before data")], ground.entries, 3, random.Random(14))
    check_equal(endure(kit, "once", entries, fates), ground.undisturbed, entries, fates)
    faults.arm([Fault("raise", "writer", "before data", times=ALWAYS)])
    with pytest.raises(StorageError, match="no space left"):
        kit.attempt("for-ever", entries)
    faults.arm([])
    assert open_run(tmp_path / "runs" / "for-ever").entries() == {}


def test_a_stopped_run_does_not_wait_for_a_writer_that_hangs(ground: Ground, tmp_path: Path) -> None:
    kit = ChaosKit(ground.here, tmp_path, settings={"write_timeout_s": 500, "drain_s": 3, "group_age_s": 0.1})
    faults.arm([Fault("hang", "writer", "before data")])

    def stop_once_it_hangs(batch: BatchRun, _done: int) -> None:
        if any(faults.struck().values()):
            batch.stop()

    with pytest.raises(Stopped):
        kit.attempt("hung", ground.entries, stop_once_it_hangs)
    faults.arm([])
    kit.attempt("hung", ground.entries)
    check_equal(open_run(tmp_path / "runs" / "hung"), ground.undisturbed, ground.entries, [])


def test_a_driver_killed_around_its_commits_is_resumed_to_what_an_undisturbed_run_gives(ground: Ground, tmp_path: Path) -> None:
    kit = ChaosKit(ground.here, tmp_path, settings={"group_age_s": 0.1})
    fates, entries = deal(DRIVER, ground.entries, 4, random.Random(12))
    check_equal(endure(kit, "resumed", entries, fates), ground.undisturbed, entries, fates)

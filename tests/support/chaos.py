"""Batches under fire: runs them to the end whatever ends them on the way, and says what must be left of each fault."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
import ray

import fakes
import faults
import faulty
import nulls
import poison
from batches import TABLES, Kit, clips
from faults import ALWAYS, DEATHS, HANGS, Fault
from rumiai_ray.config import load_config
from rumiai_ray.engine.ray_session.local import LocalRay, local_ray
from rumiai_ray.engine.work import ray_data_source as dataset
from rumiai_ray.errors import StorageError
from rumiai_ray.runs.reader import Run, open_run

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.batch import BatchRun
    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.runs.writer import RunWriter

_BLOCK_BYTES = 10_000
"""A few rows of the small clips: blocks then leave in the middle of a task, as those of real clips do."""
_UNEQUAL = {"run_id", "attempts", "pid", "processing_time_s", "frame_store"}
"""Columns in which two runs of the same videos may differ."""
_ENDED = 75
"""The driver process's exit status where the run ended with an error."""
_DRIVER_TIMEOUT_S = 240
_FROZEN_AFTER_S = 3.0


@contextmanager
def ray_with_faults() -> Iterator[LocalRay]:
    """A Ray on loopback whose processes come to grief on demand."""
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        os.environ[faults.DIRECTORY] = directory
        modules = [Path(str(module.__file__)) for module in (fakes, nulls, faults, faulty, poison)]
        try:
            with local_ray(num_cpus=4, num_gpus=2, beside=modules) as ours:
                yield ours
        finally:
            del os.environ[faults.DIRECTORY]


@dataclass
class ChaosKit(Kit):
    """Starts batches whose every place can be struck, with limits that small clips stay far below."""

    models: Any = field(default_factory=faulty.plans)
    cells: int | None = None

    @property
    def config(self) -> BaseConfig:
        engine = {
            "batch_frames": 4,
            "group_age_s": 0.5,
            "stall_timeout_s": 400,
            "attempts": 2,
            "call_timeout_s": 8,
            "start_timeout_s": 120,
            "entry_timeout_s": 30,  # longer than the decoder's own limit
            "write_timeout_s": 20,
            **self.settings,
        }
        flags = {"store": str(self.place / "store"), "out": str(self.place / "runs"), "engine": engine}
        return load_config(flags={**flags, "limits": {"decode_timeout_s": 12}})

    def batch(
        self, run_id: str, on_tick: Callable[[BatchRun, int], None] | None = None, *, again: bool = False
    ) -> tuple[BatchRun, RunWriter]:
        dataset._BLOCK_BYTES = _BLOCK_BYTES
        batch, writer = super().batch(run_id, on_tick, again=again)
        run = faulty.FaultyRunStore(writer.run.fs, writer.run.root)
        writer.run = writer._log._run = run
        stage = batch._stage
        store = faulty.FaultyFrameStore(stage.store.root, spec=stage.store.spec, limits=stage.store.limits, max_bytes=stage.store.max_bytes)
        batch._stage = _faulty(stage, store)
        return batch, writer

    def attempt(self, run_id: str, entries: Sequence[Entry], on_tick: Callable[[BatchRun, int], None] | None = None) -> None:
        """Begin a run, or go on with it where it has been begun."""
        begun = (self.place / "runs" / run_id / "manifest.json").exists()
        batch, writer = self.batch(run_id, on_tick, again=begun)
        done, analysed = {}, set[Any]()
        if begun:
            before = open_run(writer.run.uri())
            done = before.entries()
            analysed = set(before.table("videos", ["video_key"])["video_key"].to_pylist())
        left = [entry for entry in entries if entry.entry_id not in done]
        writer.finish(batch.run(left, len(left), sorted(analysed)), {})


def _faulty(stage: Stage, store: faulty.FaultyFrameStore) -> faulty.FaultyStage:
    return faulty.FaultyStage(stage.run_id, stage.models, store, stage.limits, stage.workdir, stage.batch_frames, stage.thresholds)


@dataclass(frozen=True)
class Ground:
    """What cases are compared on."""

    here: LocalRay
    entries: Sequence[Entry]
    undisturbed: Run

    @classmethod
    def laid(cls, here: LocalRay, place: Path, count: int, seed: int) -> Self:
        """`count` numbered clips of random lengths, and what an undisturbed run makes of them."""
        faults.arm([])
        entries = clips(place, count, seed)
        return cls(here, entries, ChaosKit(here, place).run("undisturbed", entries))


def endure(kit: ChaosKit, run_id: str, entries: Sequence[Entry], fates: Sequence[Fault]) -> Run:
    """Run `entries` to the end under these faults, resuming as often as they end the run; each must have struck."""
    faults.arm(list(fates))
    drive = _drive_elsewhere if any(fault.where == "driver" for fault in fates) else _drive_here
    ends = sum(ends_the_run(fault) for fault in fates)
    ended = 0
    while not drive(kit, run_id, entries):
        ended += 1  # two groups that are being written at the same time may be struck at once
        assert ended <= ends, f"the run ended more often than its faults explain; struck so far: {_told()}"
    assert (ended > 0) == (ends > 0), f"faults that end a run did not; struck: {_told()}"
    idle = [str(fault) for fault, times in faults.struck().items() if times < max(fault.times, 1)]
    faults.arm([])
    run = open_run(kit.place / "runs" / run_id)
    told = [f"{row['model_name']}: {row['error_message']}" for row in run.table("analyses").to_pylist() if row["error_message"]]
    assert not idle, f"these never struck: {idle}; what failed: {told}"
    return run


def _told() -> dict[str, int]:
    return {str(fault): times for fault, times in faults.struck().items()}


def _drive_here(kit: ChaosKit, run_id: str, entries: Sequence[Entry]) -> bool:
    try:
        kit.attempt(run_id, entries)
    except (StorageError, MemoryError, ray.exceptions.RayTaskError) as error:
        print("the run ended:", repr(error)[:200])  # noqa: T201 -- shown by pytest where the case fails
        return False
    return True


def _drive_elsewhere(kit: ChaosKit, run_id: str, entries: Sequence[Entry]) -> bool:
    """Drive in a process of its own, which may be killed; one that is stopped in its tracks is killed after a while."""
    order = kit.place / f"{run_id}.order"
    address = ray.get_runtime_context().gcs_address
    order.write_bytes(pickle.dumps((address, kit, run_id, list(entries))))
    program = [sys.executable, str(Path(__file__).with_name("chaos_driver.py")), str(order)]
    log = kit.place / f"{run_id}.driver-log"
    with log.open("ab") as output:
        process = subprocess.Popen(program, stdout=output, stderr=subprocess.STDOUT)
    faults.drive(process.pid)
    deadline = time.monotonic() + _DRIVER_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if _is_frozen(process.pid):
            process.kill()
        time.sleep(0.25)
    if process.poll() is None:
        process.send_signal(signal.SIGABRT)  # faulthandler then says where every thread is
        process.wait()
        raise AssertionError(f"the driver did not end within {_DRIVER_TIMEOUT_S} s:\n{log.read_text(errors='replace')[-6000:]}")
    struck = {-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT, _ENDED}
    assert process.returncode in {0, *struck}, f"the driver ended with {process.returncode}:\n{log.read_text(errors='replace')[-3000:]}"
    return process.returncode == 0


def _is_frozen(pid: int) -> bool:
    """Stopped by a signal, or asleep in a fault that has struck it for a while."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    marks = sorted(Path(os.environ[faults.DIRECTORY]).glob("struck-*"))
    hung = [
        mark
        for number, fault in enumerate(faults.struck())
        for mark in marks
        if fault.where == "driver" and fault.kind in HANGS and mark.name.startswith(f"struck-{number}-")
    ]
    began_s = psutil.Process(pid).create_time()  # what struck the driver before this one is over
    return state == "T" or any(began_s < mark.stat().st_mtime < time.time() - _FROZEN_AFTER_S for mark in hung)


def main(order: Path) -> int:
    """The process of `_drive_elsewhere`: drives on the Ray of the process that started it."""
    address, kit, run_id, entries = pickle.loads(order.read_bytes())  # noqa: S301 -- written by the function above
    ray.init(address=address, log_to_driver=False, runtime_env={"working_dir": str(kit.here.scratch / "code")})
    return 0 if _drive_here(kit, run_id, entries) else _ENDED


def ends_the_run(fault: Fault) -> bool:
    """Whether a run under this fault has to be resumed: the driver's own, and storage that fails for good."""
    return fault.where == "driver" or (fault.where == "writer" and fault.kind == "raise" and fault.times == ALWAYS)


def dead_letter_of(fault: Fault) -> tuple[str, str] | None:
    """(stage, error class) of the dead letter that the fault's clip must become, or None."""
    raised = {"raise": "RuntimeError", "memory": "MemoryError"}.get(fault.kind)
    stage = {"extract": "frames", "worker": "frames", "front": "assemble", "assemble": "assemble"}.get(fault.where)
    # An error is final where it is raised by the code that knows the video; the front's may be of this front, so the row goes again.
    again = fault.times != ALWAYS and (fault.where == "front" or raised is None)
    if fault.where == "extract":
        return "frames", "MediaError"
    if stage is None or again:
        return None
    return stage, raised or ("MediaError" if stage == "frames" else "ModelError")


def failure_of(fault: Fault) -> tuple[str, str] | None:
    """(model, error class) of the failed analysis that the fault must lead to, or None."""
    if fault.where not in {"reader", "ears"} or fault.times != ALWAYS:
        return None
    if fault.kind in DEATHS:
        return fault.where, "Crash"
    if fault.kind in HANGS:
        return fault.where, "Hang"
    return fault.where, {"raise": "RuntimeError", "memory": "MemoryError"}[fault.kind]


def check_equal(run: Run, undisturbed: Run, entries: Sequence[Entry], fates: Sequence[Fault]) -> None:
    """The run's tables are the undisturbed run's, but for what the faults must lead to, which must be there."""
    numbers = {entry.entry_id: faulty.number_of(entry.input) for entry in entries}
    buried = {fault.on: dead_letter_of(fault) for fault in fates if dead_letter_of(fault)}
    dead = {row["entry_id"]: (row["stage"], row["error_class"]) for row in run.table("dead_letter").to_pylist()}
    expected_dead = {entry_id: buried[number] for entry_id, number in numbers.items() if number in buried}
    assert dead == expected_dead, _difference(dead, expected_dead, fates, numbers)
    reference = undisturbed.table("videos", ["entry_id", "video_key"]).to_pylist()
    keys = {row["entry_id"]: row["video_key"] for row in reference}
    key_of = {number: keys[entry_id] for entry_id, number in numbers.items()}
    failed = {(key_of[fault.on], model): error for fault in fates for model, error in [failure_of(fault) or ("", "")] if model}
    found = {
        (row["video_key"], row["model_name"]): row["error_class"] for row in run.table("analyses").to_pylist() if row["status"] == "failed"
    }
    assert found == failed, _difference(found, failed, fates, {key: number for number, key in key_of.items()})
    wanted_keys = {keys[entry_id] for entry_id in numbers if entry_id not in dead}
    tables_of = {"seen": "reader", "heard": "ears"}
    for name in TABLES:
        if name == "dead_letter":
            continue
        gone = {key for key, model in failed if tables_of.get(name) == model}
        ours = _rows(run.table(name), None, failed)
        theirs = _rows(undisturbed.table(name), wanted_keys - gone, failed)
        assert ours == theirs, f"{name} differs from the undisturbed run's:\n{_first_difference(ours, theirs)}"
    assert run.verify() == []


def _rows(table: pa.Table, videos: Collection[str] | None, failed: Collection[tuple[str, str]]) -> list[str]:
    """Rows of these videos (None: all) as text, without what may differ and without failed analyses, sorted."""
    rows = [row for row in table.to_pylist() if videos is None or row["video_key"] in videos]
    kept = [row for row in rows if (row["video_key"], row.get("model_name", "")) not in failed]
    return sorted(json.dumps({key: row[key] for key in row if key not in _UNEQUAL}, default=str, sort_keys=True) for row in kept)


def _first_difference(ours: list[str], theirs: list[str]) -> str:
    extra = [row for row in ours if row not in set(theirs)] or ["(none, or a row twice)"]
    missing = [row for row in theirs if row not in set(ours)] or ["(none)"]
    return f"{len(ours)} rows, {len(theirs)} wanted\n  too much: {extra[0][:400]}\n  missing: {missing[0][:400]}"


def _difference(found: dict[Any, Any], wanted: dict[Any, Any], fates: Sequence[Fault], numbers: dict[Any, int]) -> str:
    told = {fault.on: str(fault) for fault in fates}
    lines = []
    for key in {**found, **wanted}:
        if found.get(key) != wanted.get(key):
            clip = numbers.get(key if key in numbers else key[0], -1)
            lines.append(f"clip {clip} ({told.get(clip, 'no fault')}): {found.get(key)}, wanted {wanted.get(key)}")
    return "\n".join(lines)


def deal(cases: Sequence[Fault], entries: Sequence[Entry], healthy: int, dice: random.Random) -> tuple[list[Fault], list[Entry]]:
    """Give each fault a clip of its own, add some healthy clips, and shuffle; faults that strike anything keep their `on`."""
    chosen = dice.sample(list(entries), len(cases) + healthy)
    dealt = [
        fault
        if fault.where in {"writer", "driver"}
        else Fault(fault.kind, fault.where, fault.at, faulty.number_of(entry.input), fault.times)
        for fault, entry in zip(cases, chosen, strict=False)
    ]
    dice.shuffle(chosen)
    return dealt, chosen

"""What a run's processes are doing, seen from outside: calls begun by each model, CPU time of each kind of process.

A model actor's note says which call the actor is on (`engine.cell.call_journal`); the rest is the operating system's own accounting. The
engine does not know that it is watched, and a look costs the driver milliseconds.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from rumiai_ray.engine.cell import call_journal as note

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVERY_S = 1.0
_KINDS = {"ray::Front": "front", "ray::MapBatches": "extract tasks", "ray::write_group": "write tasks", "ray::ModelActor": "model"}


@dataclass(frozen=True)
class Sight:
    """One look. All figures but the time are totals since the start."""

    at_s: float
    """`time.monotonic()`."""
    begun: Mapping[str, int]
    """Calls begun, by model. A model that was restarted counts from 0 again."""
    answered: Mapping[str, int]
    """Calls answered, by model; as `begun`."""
    cpu_s: Mapping[str, float]
    """CPU time by kind of process: a model's name, `front`, `extract tasks`, `write tasks`, `driver`, `Ray`."""
    machine_cpu_s: float
    """CPU time of every process of the machine."""


def machine_cpu_s() -> float:
    """CPU time of every process of the machine since it was started, and what its host took from it."""
    used = psutil.cpu_times()
    return float(used.user + used.nice + used.system + used.irq + used.softirq + used.steal)


@dataclass
class _Seen:
    kind: str = "Ray"
    cpu_s: float = 0.0


@dataclass
class Meter:
    """A thread that looks once a second, from entering the context to leaving it. For one Ray on one machine.

    Args:
        notes: directory of the actors' notes.
    """

    notes: Path
    sights: list[Sight] = field(default_factory=list)
    """In order."""

    def __post_init__(self) -> None:
        self._processes: defaultdict[tuple[int, float], _Seen] = defaultdict(_Seen)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            self.sights.append(self.look())

    def look(self) -> Sight:
        """Look now."""
        begun: defaultdict[str, int] = defaultdict(int)
        answered: defaultdict[str, int] = defaultdict(int)
        for path in self.notes.glob("*-*"):
            seen = note.read(path) if path.is_file() and path.suffix == "" else None
            if seen is None:
                continue
            model = _model_of(path.name)
            begun[model] += seen.begun
            answered[model] += seen.begun - (1 if seen.call else 0)
        driver = psutil.Process()
        for process in (driver, *driver.children(recursive=True)):
            self._account(process, own=process.pid == driver.pid)
        cpu_s: defaultdict[str, float] = defaultdict(float)
        for used in self._processes.values():
            cpu_s[used.kind] += used.cpu_s
        return Sight(time.monotonic(), dict(begun), dict(answered), dict(cpu_s), machine_cpu_s())

    def _account(self, process: psutil.Process, *, own: bool) -> None:
        """Processes come and go between two looks: one that is gone keeps what it was last seen with."""
        try:
            with process.oneshot():
                used = self._processes[process.pid, process.create_time()]
                times = process.cpu_times()
                used.cpu_s = times.user + times.system
                if used.kind == "Ray":
                    used.kind = "driver" if own else self._kind(process)
        except psutil.NoSuchProcess:
            return

    def _kind(self, process: psutil.Process) -> str:
        title = (process.cmdline() or [""])[0]
        kind = next((kind for start, kind in _KINDS.items() if title.startswith(start)), "Ray")
        if kind != "model":
            return kind
        # Which model is known by the note it holds open; it opens it before it loads.
        names = {Path(file.path).name for file in process.open_files() if Path(file.path).parent == self.notes}
        return next((_model_of(name) for name in names), "Ray")


def _model_of(actor: str) -> str:
    """The model in an actor's name: `<model>-<cell>-<number>`."""
    return actor.rsplit("-", 2)[0]

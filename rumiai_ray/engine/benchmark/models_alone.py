"""One model alone, warm, in a process of its own without Ray: what its answers cost when nothing stands in its way."""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.engine.benchmark.gpu_watch import GpuWatch
from rumiai_ray.engine.cell.frontend import rgb
from rumiai_ray.engine.cell.model_actor import ModelActor, worker_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rumiai_ray.engine.work.item import Work
    from rumiai_ray.models.base import ModelPlan

_WARM_CALLS = 3


@dataclass(frozen=True)
class Alone:
    """What one model costs over some rows of work."""

    load_s: float
    """Imports and weights; in no other figure."""
    calls: int
    """Rows of work the model was asked about, once each."""
    seconds: float
    """Wall clock inside these calls. Decoding of JPEGs is not the model's and lies outside."""
    cpu_s: float
    """CPU time (user and system) of the process inside these calls, all threads."""
    frames: int = 0
    """Frames in these calls; 0 for a model that does not look at frames."""
    gpu_memory_gb: float | None = None
    """The most GPU memory it took, loading included; None on a CPU."""
    gpu_busy: float | None = None
    """Share of the calls' time in which the GPU was at work; None on a CPU."""
    rows: int = 0
    """Rows in all answers, before assembly."""


def measure_alone(plan: ModelPlan, works: Sequence[Work], code_sha256: str) -> Alone:
    """Ask one model about all rows that want it, one after another, after a few that are not counted.

    The same actor class, environment and threads as in a cell, as a plain process.

    Raises:
        Exception: whatever loading or a call raised; a crash is a `BrokenProcessPool`.
    """
    wanted = [work for work in works if plan.name in work.wanted]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        # An initializer would come too late: libraries that read these may be imported before it.
        with _inherited(worker_environment(plan.settings.threads, gpu=plan.device.startswith("cuda"))):
            cost = pool.submit(_measure, plan, wanted, code_sha256)  # starts the process
        return cost.result()


@contextmanager
def _inherited(variables: Mapping[str, str]) -> Iterator[None]:
    """Processes started meanwhile have these variables; afterwards this process's environment is as it was."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _measure(plan: ModelPlan, works: Sequence[Work], code_sha256: str) -> Alone:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        watch = held.enter_context(GpuWatch()) if plan.device.startswith("cuda") else None
        actor = ModelActor(plan, Path(folder) / "note", code_sha256)
        load_s = actor.ready().load_s
        for work in works[:_WARM_CALLS]:
            _ask(actor, plan.name, work)
        if watch is not None:
            watch.start_over()
        seconds, cpu_s, rows = 0.0, 0.0, 0
        for work in works:
            took = _ask(actor, plan.name, work)
            seconds, cpu_s, rows = seconds + took[0], cpu_s + took[1], rows + took[2]
        actor.close()
    frames = sum(len(work.wanted[plan.name]) for work in works)
    memory_gb, busy = (watch.memory_gb, watch.busy) if watch else (None, None)
    return Alone(load_s, len(works), seconds, cpu_s, frames, memory_gb, busy, rows)


def _ask(actor: ModelActor, name: str, work: Work) -> tuple[float, float, int]:
    """(wall, CPU) seconds of one call, and the rows it gave."""
    images, answer = None, None
    if work.frames is not None:
        images = np.stack([rgb(work.frames.jpegs[at], work) for at in work.wanted[name]])
        images.flags.writeable = False
    began, cpu_began = time.perf_counter(), _cpu_s()
    if work.frames is not None and images is not None:
        chosen = list(work.wanted[name])
        size_px = (work.source_width_px, work.source_height_px)
        answer = actor.predict_frames(
            "alone", images, tuple(range(len(images))), work.frames.frame_index[chosen], work.frames.time_s[chosen], size_px
        )
    elif work.audio is not None:
        answer = actor.predict_audio("alone", work.audio)
    elif work.thumbnails is not None:
        answer = actor.predict_thumbnails("alone", work.thumbnails)
    return time.perf_counter() - began, _cpu_s() - cpu_began, answer.rows if answer else 0


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

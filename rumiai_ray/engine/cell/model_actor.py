"""The Ray actor that holds one warm model."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.engine.cell import oom_split as divided
from rumiai_ray.engine.cell.call_journal import NoteBook
from rumiai_ray.engine.cell.messages import Answer
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.errors import ModelError
from rumiai_ray.logs import configure_worker, variables
from rumiai_ray.models.base import AudioChunk, Batch, FrameBatch, Model, ModelPlan, Thumbnails
from rumiai_ray.models.catalogue import plan_class
from rumiai_ray.models.weights import choice as weights
from rumiai_ray.provenance import source_sha256
from rumiai_ray.schema import SchemaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ready:
    """What a model actor says once its model is loaded."""

    pid: int
    load_s: float
    """Time for imports and weights."""
    calls: int
    """Calls answered since this process started: 0 for a fresh actor."""


def thread_environment(threads: int) -> dict[str, str]:
    """The variables that cap native thread pools; they must be set before the libraries are imported."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    # Threads that wait must sleep: by default OpenMP's spin, which takes from the other models what they need.
    return dict.fromkeys(names, str(threads)) | {"OMP_WAIT_POLICY": "passive"}


def worker_environment(threads: int, *, gpu: bool) -> dict[str, str]:
    """The variables a model's process starts with."""
    # Ray leaves CUDA_VISIBLE_DEVICES unset for actors without a GPU: they would see all of them.
    hidden = {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
    # onnxruntime (in faster-whisper's VAD) reports home unless this is set before it is imported.
    return thread_environment(threads) | hidden | {"ORT_DISABLE_TELEMETRY": "1"} | variables()


def anonymous_memory_bytes() -> int:
    """Resident memory that is this process's own. Plain RSS counts the object store's shared pages (102 of 390 MB, measured)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise ModelError("no RssAnon in /proc/self/status", "memory accounting", "Linux 4.5 or newer is needed")


class ModelActor:
    """One model, loaded once, called by one front. Ray restarts it after a crash; the constructor then runs again."""

    def __init__(self, plan: ModelPlan, note: Path, code_sha256: str) -> None:
        started = time.perf_counter()
        configure_worker()
        self._notes = NoteBook(note)
        self._broken: Exception | None = None
        self._calls = 0
        try:
            self._model = _load(plan, code_sha256)
        except Exception as error:  # noqa: BLE001 -- the actor's boundary: a raising constructor is final for Ray and loses the type
            self._broken = error
            _LOG.info("the model of %s cannot be loaded", note.name, exc_info=error)
        self._load_s = time.perf_counter() - started

    def ready(self) -> Ready:
        """Answers once the model is loaded.

        Raises:
            Exception: whatever loading raised.
        """
        if self._broken is not None:
            raise self._broken
        return Ready(os.getpid(), self._load_s, self._calls)

    def predict_frames(
        self,
        call: str,
        images: NDArray[np.uint8],
        positions: tuple[int, ...],
        frame_index: NDArray[np.int32],
        time_s: NDArray[np.float64],
        source_size_px: tuple[int, int],
    ) -> Answer:
        """Rows for `positions` of `images` (n, height, width, 3)."""
        chosen = slice(None) if len(positions) == len(images) else list(positions)
        width, height = source_size_px
        return self._predict(call, FrameBatch(frame_index[chosen], time_s[chosen], images[chosen], width, height))

    def predict_audio(self, call: str, chunk: AudioChunk) -> Answer:
        """Rows for one stretch of audio."""
        return self._predict(call, chunk)

    def predict_thumbnails(self, call: str, thumbnails: Thumbnails) -> Answer:
        """Rows for one stretch of thumbnails."""
        return self._predict(call, thumbnails)

    def close(self) -> None:
        """Free the model. A Ray actor is killed instead."""
        self._model.close()

    def _predict(self, call: str, batch: Batch) -> Answer:
        self._notes.begin(call)
        try:
            started, cpu_started = time.perf_counter(), time.process_time()
            prediction, most = divided.predict(self._model, batch)
            elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
            _check(self._model, prediction.tables.keys())
            for table in self._model.tables:
                table.check_values(table.check(prediction.tables[table.name], table.row_schema))
        except SchemaError as error:
            self._notes.done()
            raise ModelError(str(error), self._model.name, "a programming error in the model's module") from error
        except Exception:
            self._notes.done()  # or the actor would count as busy until its next call
            raise
        self._calls += 1
        self._notes.done()
        tables = {name: pack(table) for name, table in prediction.tables.items()}
        rows = sum(prediction.tables[table.name].num_rows for table in self._model.tables if table.part_of is None)
        notes = () if most is None else (f"GPU memory ran out: frames were done {most} at a time at most",)
        return Answer(tables, rows, prediction.missed, elapsed_s, anonymous_memory_bytes(), cpu_s, notes)


def _load(plan: ModelPlan, code_sha256: str) -> Model:
    if source_sha256() != code_sha256:
        raise ModelError("the package's source changed since the run started", plan.name, "start a new run")
    import cv2  # noqa: PLC0415 -- see `Front`

    cv2.setNumThreads(plan.settings.threads)
    weights.verify(plan)
    model = plan_class(plan)(plan)
    model.load()
    return model


def _check(model: Model, names: object) -> None:
    expected = {table.name for table in model.tables}
    if names != expected:
        raise SchemaError(f"predict returned tables {names}, declared are {sorted(expected)}")

"""The streaming Ray Dataset of a batch run: entries in, blocks of rows of work out. The only module that knows Ray Data.

Rules with their measurements (Ray 2.60): input blocks of several entries (one-row blocks cost 20 ms a row); a generator, not a
1:1 map, with a small `target_max_block_size` (its first block then leaves at once and not after all of its entries); a limit on
the object store (without one the executor costs the driver 0.8 core instead of 0.1); rows in input order, because a retried
task's output is resumed by position.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Any

import ray
import ray.data
from ray.data import DataContext, ExecutionOptions, ExecutionResources, TaskPoolStrategy

from rumiai_ray.engine.work import encode
from rumiai_ray.errors import RumiaiError
from rumiai_ray.ingest.table import entries_of, entry_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from rumiai_ray.engine.stage import Stage
    from rumiai_ray.ingest.entries import Entry

_BLOCK_BYTES = 8 * 2**20
_STORE_BYTES_PER_CELL = 64 * 10**6
_ENTRIES_PER_BLOCK = 16
"""Fewer where there are few entries, so that every extraction task gets some."""
_AHEAD = 4
"""Bundles taken from Ray Data before the cells want them; its own backpressure does the rest."""


class WorkStream:
    """Blocks of rows of work, as references, in a queue filled by a thread; the bytes stay where they are.

    Args:
        entries: what to read, in order.
        stage: what turns an entry into rows.
        claims: handle of the run's `Claims` actor.
        tasks: extraction tasks at a time.
        cells: cells that will take the rows; sets what Ray Data may hold in the object store.
    """

    def __init__(self, entries: Sequence[Entry], stage: Stage, claims: Any, *, tasks: int, cells: int) -> None:
        self._dataset = _dataset(entries, stage, claims, tasks, cells)
        self._blocks: queue.Queue[tuple[Any, int] | None] = queue.Queue(maxsize=_AHEAD)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self.ended = False
        """The last block has been taken."""
        threading.Thread(target=self._run, name="work-stream", daemon=True).start()

    def take(self, timeout_s: float) -> tuple[Any, int] | None:
        """The next block as (reference, rows), or None where there is none within `timeout_s`; see `ended`.

        Raises:
            BaseException: whatever broke the Dataset as a whole.
        """
        try:
            block = self._blocks.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if block is None:
            self.ended = True
            if self._error is not None:
                raise self._error
        return block

    def stop(self) -> None:
        """Nobody wants any more blocks."""
        self._stopped.set()

    def _run(self) -> None:
        try:
            # A DeveloperAPI: references instead of bytes is what keeps the driver small. Pinned by a test.
            for bundle in self._dataset.iter_internal_ref_bundles():
                for block in bundle.blocks:
                    if block.metadata.num_rows and not self._put((block.ref, block.metadata.num_rows)):
                        return
        except BaseException as error:  # noqa: BLE001 -- the thread's boundary: `take` raises it
            self._error = _cause(error)
        self._put(None)

    def _put(self, block: tuple[Any, int] | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._blocks.put(block, timeout=0.25)
            except queue.Full:
                continue
            return True
        return False


def _cause(error: BaseException) -> BaseException:
    """Our own error under Ray's wrapping, where it is one."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, RumiaiError):
            return inner
        inner = getattr(inner, "cause", None) or inner.__cause__
    return error


def _dataset(entries: Sequence[Entry], stage: Stage, claims: Any, tasks: int, cells: int) -> ray.data.Dataset:
    size = max(1, min(_ENTRIES_PER_BLOCK, len(entries) // (4 * tasks)))
    blocks: list[pa.Table | bytes] = [entry_table(entries[at : at + size]) for at in range(0, len(entries), size)]
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it warns that the bars are off, on every run
    context = DataContext.get_current()
    context.target_max_block_size = _BLOCK_BYTES
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options = ExecutionOptions(resource_limits=ExecutionResources(object_store_memory=cells * _STORE_BYTES_PER_CELL))

    def rows(batch: Any) -> Iterator[Any]:
        stage.workdir.mkdir(parents=True, exist_ok=True)
        for entry in entries_of(batch):
            for work in stage.work_of(entry, lambda key, owner: bool(ray.get(claims.claim.remote(key, owner)))):
                yield encode([work])

    return ray.data.from_arrow(blocks).map_batches(
        rows, batch_size=None, batch_format="pyarrow", compute=TaskPoolStrategy(size=tasks), num_cpus=1
    )

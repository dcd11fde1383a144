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
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import ray
import ray.data
from ray.data import DataContext, ExecutionOptions, ExecutionResources, TaskPoolStrategy
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.exceptions import RayError

from rumiai_ray.engine.work.host_turn import HostTurn
from rumiai_ray.engine.work.item import decode, encode
from rumiai_ray.engine.work.metrics import store_seen
from rumiai_ray.engine.work.node import node_here
from rumiai_ray.engine.work.reading_order import blocks_of
from rumiai_ray.engine.work.source import SourceRow
from rumiai_ray.engine.work.watchdog import ended_after
from rumiai_ray.errors import RumiaiError
from rumiai_ray.ingest.manners import host_of
from rumiai_ray.ingest.table import batched, entries_of, entry_table
from rumiai_ray.logs import configure_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa
    from ray.data._internal.execution.streaming_executor import StreamingExecutor
    from ray.data.block import BlockMetadata

    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.manners import Host, Paused

_LOG = logging.getLogger(__name__)

_BLOCK_BYTES = 8 * 2**20
_STORE_BYTES_PER_CELL = 64 * 10**6
_ENTRIES_PER_BLOCK = 16
"""Most entries in a block; see `reading_order`."""
_WAVE = 4096
_SMALL_BYTES = 64 * 2**10
"""Blocks up to this size are looked into by the driver. A header alone has about 10 KB, a batch of frames rarely less than 64 KB."""
_PAUSE_S = 0.05
_AHEAD = 4
"""Bundles taken from Ray Data before the cells want them; its own backpressure does the rest."""
_STOP_S = 5.0
"""An executor that is closed after `ray.shutdown` prints a traceback."""


@dataclass(frozen=True)
class ReadPolicy:
    """How entries are read."""

    tasks: int
    """Extraction tasks at a time."""
    cells: int
    """Cells that take the rows; sets what Ray Data may hold in the object store."""
    attempts: int
    """Times an entry may end its worker process."""
    timeout_s: float
    """Longest time to the next row; a worker that takes longer is ended."""


class _Pause(ExecutionCallback):
    """Slows Ray Data's scheduling loop down to 20 turns a second; one turn does all there is to do.

    While rows wait for cells that are busy, the loop finds its tasks ready at every turn and turns without end: it took 0.6 of a core
    from two cores that had 54 clips to analyse (measured).
    """

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Called by the loop once a turn."""
        del executor
        time.sleep(_PAUSE_S)


class RayDataSource:
    """A `Source` of blocks of rows of work, as references, in a queue filled by a thread; the bytes stay where they are.

    Small blocks are the exception: the thread looks for rows that ask nothing of any model, so that a dead letter or a repeated video
    does not travel through a cell.

    The entries go through Ray Data in waves, one execution after the other, so that what the driver and the executor hold does not
    grow with the manifest. The rows of one wave keep the cells busy while the next execution starts (1 to 2 s).

    Args:
        entries: what to read; taken a wave at a time, by the thread, and put in order within the wave.
        stage: what turns an entry into rows.
        claims: handle of the run's `Claims` actor.
        policy: how.
        begun: told of each wave before its rows come, by the thread.
    """

    def __init__(
        self, entries: Iterable[Entry], stage: Stage, claims: Any, policy: ReadPolicy, begun: Callable[[Sequence[Entry]], object]
    ) -> None:
        self._waves = batched(entries, _WAVE)
        self._begun = begun
        self._dataset = partial(_dataset, stage=stage, claims=claims, policy=policy)
        self._blocks: queue.Queue[list[SourceRow] | None] = queue.Queue(maxsize=_AHEAD)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self.ended = False
        """The last block has been taken."""
        self.last_news_s = time.monotonic()
        """When a wave was begun last, or a block came."""
        self._thread = threading.Thread(target=self._run, name="work-stream", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> list[SourceRow]:
        """The rows of the next block, or none where there is none within `timeout_s`; see `ended`.

        Raises:
            BaseException: whatever broke the Dataset as a whole.
        """
        try:
            block = self._blocks.get(timeout=timeout_s) if timeout_s > 0 else self._blocks.get_nowait()
        except queue.Empty:
            return []
        if block is None:
            self.ended = True
            if self._error is not None:
                raise self._error
            return []
        return block

    def end(self) -> None:
        """Make no more blocks: nobody will take them."""
        self._stopped.set()

    def stop(self) -> None:
        """`end`, and wait until Ray Data has let go, or for as long as it may hang in somebody's download."""
        self.end()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            for wave in self._waves:
                self.last_news_s = time.monotonic()
                self._begun(wave)
                # A DeveloperAPI: references instead of bytes is what keeps the driver small. Pinned by a test.
                for bundle in self._dataset(wave).iter_internal_ref_bundles():
                    for block in bundle.blocks:
                        self.last_news_s = time.monotonic()
                        if block.metadata.num_rows and not self._put(_source_rows(block.ref, block.metadata)):
                            return
        except BaseException as error:  # noqa: BLE001 -- the thread's boundary: `take` raises it
            self._error = _cause(error)
        self._put(None)

    def _put(self, block: list[SourceRow] | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._blocks.put(block, timeout=0.25)
            except queue.Full:
                continue
            return True
        return False


def _source_rows(block: Any, metadata: BlockMetadata) -> list[SourceRow]:
    """The rows of a block; those that ask nothing of any model are read here, from a block that is small."""
    rows = [SourceRow(block=block, row=number) for number in range(metadata.num_rows or 0)]
    if metadata.size_bytes is None or metadata.size_bytes > _SMALL_BYTES:
        return rows
    try:
        table = ray.get(block)
    except RayError as error:
        _LOG.info("a block is lost, the cell it goes to will say so: %s", error)
        return rows
    kinds = table["kind"].to_pylist()
    return [replace(row, work=decode(table, row.row)) if kind == "none" else row for row, kind in zip(rows, kinds, strict=True)]


def _cause(error: BaseException) -> BaseException:
    """Our own error under Ray's wrapping, where it is one."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, RumiaiError):
            return inner
        inner = getattr(inner, "cause", None) or inner.__cause__
    return error


def _dataset(entries: Sequence[Entry], stage: Stage, claims: Any, policy: ReadPolicy) -> ray.data.Dataset:
    blocks: list[pa.Table | bytes] = [
        entry_table(part) for part in blocks_of(entries, policy.tasks, _ENTRIES_PER_BLOCK, stage.limits.rules)
    ]
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it warns that the bars are off, on every run
    context = DataContext.get_current()
    context.target_max_block_size = _BLOCK_BYTES
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # cells that are busy with long videos are no reason to end; the driver has its own
    context.custom_execution_callback_classes = [_Pause]
    store_bytes = policy.cells * _STORE_BYTES_PER_CELL
    context.execution_options = ExecutionOptions(resource_limits=ExecutionResources(object_store_memory=store_bytes))
    return ray.data.from_arrow(blocks).map_batches(
        lambda batch: _rows(batch, stage, claims, policy),
        batch_size=None,
        batch_format="pyarrow",
        compute=TaskPoolStrategy(size=policy.tasks),
        num_cpus=1,
    )


class _RunsHosts:
    """The book of hosts in the run's `Claims` actor."""

    def __init__(self, claims: Any) -> None:
        self._claims = claims

    def ask(self, host: Host, entry_id: str) -> float | Paused:
        answer: float | Paused = ray.get(self._claims.ask_host.remote(host, entry_id))
        return answer

    def refused(self, host: str, why: str, retry_after_s: float | None, entry_id: str) -> Paused | None:
        paused: Paused | None = ray.get(self._claims.host_refused.remote(host, why, retry_after_s, entry_id))
        return paused

    def ended(self, host: str, entry_id: str, *, answered: bool) -> Paused | None:
        paused: Paused | None = ray.get(self._claims.host_ended.remote(host, entry_id, answered=answered))
        return paused


def _rows(batch: pa.Table, stage: Stage, claims: Any, policy: ReadPolicy) -> Iterator[pa.Table]:
    """The extraction task: rows of one input block, one to a table. Runs in a Ray worker."""
    configure_worker()
    stage.workdir.mkdir(parents=True, exist_ok=True)
    before, node = None, node_here()
    for entry in entries_of(batch):
        deaths = ray.get(claims.begin.remote(entry.entry_id, before, node))
        if deaths >= policy.attempts:
            before = None  # never ended: a repeated task or a further round gives the entry up at once
            ray.get(claims.release.remote(entry.entry_id))
            yield encode([stage.given_up(entry, policy.attempts)])
            continue
        before = entry.entry_id
        store_seen(stage.run_id, stage.store.root)
        turn = HostTurn(host_of(entry), entry.entry_id, _RunsHosts(claims))
        if (paused := turn.wait()) is not None:  # outside of the watchdog: waiting for others is no hang
            ray.get(claims.release.remote(entry.entry_id))  # of an earlier round, whose rows were lost
            yield encode([stage.put_off(entry, paused)])
            continue
        works = stage.work_of(entry, lambda key, owner: bool(ray.get(claims.claim.remote(key, owner))), turn)
        while True:
            with ended_after(policy.timeout_s):
                work = next(works, None)
            if work is None:
                break
            if work.header is not None:
                claims.has_length.remote(entry.entry_id, work.header.length_s)
            if work.header is not None and work.header.plan is None:
                ray.get(claims.release.remote(entry.entry_id))
            yield encode([work])
    if before is not None:
        ray.get(claims.end.remote(before))

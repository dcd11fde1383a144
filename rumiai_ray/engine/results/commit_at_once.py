"""Settled entries on their way into the run, each at once and in this process: for a few videos that a person waits for."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rumiai_ray.engine.results.entry_tracker import Ended, Settled
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rumiai_ray.engine.results.commit_task import Target, Written
    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.runs.writer import RunWriter

_FOR_THE_END = ("ray.dag.compiled_dag_node", "supervision", "trackers", "rumiai_ray.engine.results.commit_task")
"""What assembly and `ray.shutdown` import at their first use, 0.7 s."""


class AtOnce:
    """Takes settled entries and commits each on its own, without a task and so without a time limit of its own.

    Args:
        writer: the run's.
        stage: whose rows they are.
    """

    full = False
    """Writing never falls behind: it is done before anything else goes on."""

    def __init__(self, writer: RunWriter, stage: Stage) -> None:
        self._writer = writer
        self._stage = stage
        self._waiting: deque[Settled] = deque()
        self._importing = False
        self.tally = Tally()
        """Counts of all that is committed."""

    @property
    def open(self) -> int:
        """Entries added that are not in the run yet."""
        return len(self._waiting)

    def add(self, settled: Sequence[Settled]) -> None:
        """Take entries all of whose rows are back."""
        self._waiting.extend(settled)

    def import_ahead(self) -> None:
        """Import what the first commit needs in a thread, while the models work."""
        if not self._importing:
            self._importing = True
            threading.Thread(target=lambda: [import_module(name) for name in _FOR_THE_END], name="imports", daemon=True).start()

    def waits(self) -> list[Any]:
        """No reference: nothing is written elsewhere."""
        return []

    def ready(self, references: Collection[Any] = (), *, everything: bool = False) -> list[Ended]:
        """Commit the next entry; none where none waits.

        Raises:
            StorageError: a file or a record cannot be written.
        """
        del references, everything
        return [self._committed(self._waiting.popleft())] if self._waiting else []

    @cached_property
    def _target(self) -> Target:
        from rumiai_ray.engine.results.commit_task import Target  # noqa: PLC0415 -- see `_FOR_THE_END`

        return Target.of(self._writer, self._stage)

    def _committed(self, settled: Settled) -> Ended:
        from rumiai_ray.engine.results.commit_task import assemble_group, endings, write  # noqa: PLC0415 -- see `_FOR_THE_END`

        assembled = assemble_group(self._target, [settled])
        if assembled.lost:
            return Ended(settled, lost=True)
        try:
            written = write(self._target, assembled, self._writer.next_sequence)
        except StorageError:
            raise
        except Exception as broken:
            if settled.error is not None or settled.header.plan is None:
                raise  # not even a dead letter can be written
            return self._committed(replace(settled, answers=(), error=broken))
        self._commit(written)
        (ended,) = endings([settled], written)
        return replace(ended, tables=assembled.tables[settled.header.entry.entry_id])

    def _commit(self, written: Written) -> None:
        self._writer.commit_files(written.files, written.committed, written.dead_lettered)
        self.tally.add(written.tally)

"""Rows of work from a thread, for a few videos: the next video is decoded while the cell works on this one."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from rumiai_ray.engine.work.entry_registry import Claims
from rumiai_ray.engine.work.source import SourceRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.engine.work.item import Work
    from rumiai_ray.ingest.entries import Entry

_AHEAD = 8
"""Rows waiting to be taken: bounds what decoded work can pile up before a slow cell."""


class ThreadSource:
    """A `Source`. Its thread is started at once.

    Args:
        stage: what turns an entry into rows.
        entries: what to read, in order.
        begun: told of each entry before its rows come, by the thread.
    """

    def __init__(self, stage: Stage, entries: Iterable[Entry], begun: Callable[[Sequence[Entry]], object] = lambda _: None) -> None:
        self._stage = stage
        self._entries = entries
        self._begun = begun
        self._rows: queue.Queue[Work | None] = queue.Queue(maxsize=_AHEAD)
        self._stopped = threading.Event()
        self._claims = Claims({})
        self._error: BaseException | None = None
        self.ended = False
        """The last row has been taken."""
        self.last_news_s = time.monotonic()
        """When an entry was begun last, or a row made."""
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def end(self) -> None:
        """Make no more rows: nobody will take them."""
        self._stopped.set()

    def stop(self) -> None:
        """The same: what the thread uses it gives back when it ends."""
        self.end()

    def take(self, timeout_s: float) -> list[SourceRow]:
        """The next row, or none where there is none within `timeout_s`; see `ended`.

        Raises:
            BaseException: whatever broke the source as a whole.
        """
        try:
            work = self._rows.get(timeout=timeout_s) if timeout_s > 0 else self._rows.get_nowait()
        except queue.Empty:
            return []
        if work is None:
            self.ended = True
            if self._error is not None:
                raise self._error
            return []
        return [SourceRow(work)]

    def _run(self) -> None:
        try:
            for entry in self._entries:
                self._news()
                self._begun([entry])
                for work in self._stage.work_of(entry, self._claims.claim):
                    self._news()
                    if work.header is not None and work.header.plan is None:
                        self._claims.release(entry.entry_id)
                    if not self._put(work):
                        return
        except BaseException as error:  # noqa: BLE001 -- the thread's boundary: `take` raises it
            self._error = error
        self._put(None)

    def _news(self) -> None:
        self.last_news_s = time.monotonic()

    def _put(self, work: Work | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._rows.put(work, timeout=0.25)
            except queue.Full:
                continue
            return True
        return False

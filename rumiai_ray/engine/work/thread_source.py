"""Rows of work from a thread, for the interactive engine: the next video is decoded while the cell works on this one."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.engine.work.entry_reader import Stage
    from rumiai_ray.engine.work.item import Work
    from rumiai_ray.ingest.entries import Entry

_AHEAD = 8
"""Rows waiting to be taken: bounds what decoded work can pile up before a slow cell."""


class Feed:
    """The thread, started at once."""

    def __init__(self, stage: Stage, entries: Sequence[Entry]) -> None:
        self._stage = stage
        self._entries = entries
        self._rows: queue.Queue[Work | None] = queue.Queue(maxsize=_AHEAD)
        self._stopped = threading.Event()
        self._owners: dict[str, str] = {}
        self._error: BaseException | None = None
        self.ended = False
        """The last row has been taken."""
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def stop(self) -> None:
        """Nobody wants any more rows."""
        self._stopped.set()

    def take(self, timeout_s: float) -> Work | None:
        """The next row, or None where there is none within `timeout_s`; see `ended`.

        Raises:
            BaseException: whatever broke the feed as a whole.
        """
        try:
            work = self._rows.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if work is None:
            self.ended = True
            if self._error is not None:
                raise self._error
        return work

    def _run(self) -> None:
        try:
            for entry in self._entries:
                for work in self._stage.work_of(entry, self._claim):
                    if not self._put(work):
                        return
        except BaseException as error:  # noqa: BLE001 -- the thread's boundary: `take` raises it
            self._error = error
        self._put(None)

    def _claim(self, video_key: str, entry_id: str) -> bool:
        return self._owners.setdefault(video_key, entry_id) == entry_id

    def _put(self, work: Work | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._rows.put(work, timeout=0.25)
            except queue.Full:
                continue
            return True
        return False

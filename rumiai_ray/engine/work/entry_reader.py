"""From an entry to its rows of work: fetch, ensure frames, plan. The one stage before the cells, the same in both engines.

Its rows come in input order, the first with the entry's header; an entry that cannot be read gives one row, a dead letter.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.entry_rows import dead_letter_row, known_of, video_row
from rumiai_ray.engine.work.host_turn import HostTurn
from rumiai_ray.engine.work.item import Header, Stretch, Work
from rumiai_ray.engine.work.node import node_here
from rumiai_ray.engine.work.planner import plan_video
from rumiai_ray.engine.work.ray_logs import SEE_RAYS_LOGS
from rumiai_ray.errors import MediaError, StorageError
from rumiai_ray.ingest.fetch import fetch
from rumiai_ray.shown import shown
from rumiai_ray.tracebacks import traceback_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.manners import Paused
    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.models.base import ModelPlan


NO_HOST = HostTurn()
"""The turn of an entry that nobody has to wait for."""


@dataclass(frozen=True)
class Stage:
    """What the stage needs to know; the same for every entry of a run."""

    run_id: str
    models: tuple[ModelPlan, ...]
    store: FrameStore
    limits: FetchLimits
    workdir: Path
    """An existing directory for downloads."""
    batch_frames: int
    thresholds: Thresholds
    """Of the insights."""

    def work_of(self, entry: Entry, claim: Callable[[str, str], bool], turn: HostTurn = NO_HOST) -> Iterator[Work]:
        """The rows of work of one entry; its frames stay leased until the last row was taken.

        Args:
            entry: what to read.
            claim: called with (video_key, entry_id); False where another entry of the run has claimed these bytes.
            turn: at the entry's host; has come, and is given back as soon as the bytes are here.

        Raises:
            StorageError: the frame store cannot be written: the run's trouble, not this entry's.
        """
        video_key, at = "", "ingest"
        began, began_s = time.time(), time.monotonic()

        def reading() -> Stretch:
            return Stretch(node_here(), began, time.monotonic() - began_s)

        with ExitStack() as held:
            try:
                video = held.enter_context(fetch(entry, self.limits, self.workdir, refused=turn.refused))
                turn.ended(None)
                video_key, at = video.video_key, "frames"
                stored = held.enter_context(self.store.ensure(video.path, video_key))
                plan, works = plan_video(
                    entry.entry_id, stored, self.models, self.batch_frames, language=entry.language or video.metadata.language
                )
                at = "assemble"
                packed = pack(video_row(self.run_id, entry, video, stored))
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 -- the boundary of an entry: whatever it is, it costs this entry and no other
                paused = turn.ended(error) if not video_key else None
                if paused is not None:
                    yield self.put_off(entry, paused)
                    return
                row = dead_letter_row(self.run_id, entry, video_key or None, at, error)
                dead = Header(entry, pack(row), None, traceback=_text_of(error, entry), reading=reading())
                yield Work(entry.entry_id, video_key, 0, 1, {}, dead)
                return
            header = Header(entry, packed, plan, repeats=not claim(video_key, entry.entry_id), reading=reading())
            if header.repeats or not plan.batch_count:
                yield Work(entry.entry_id, video_key, 0, 1, {}, header)
                return
            sent = 0
            try:
                for work in works:
                    yield replace(work, run_id=self.run_id, header=None if sent else header)
                    sent += 1
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 -- the same boundary, in mid-stream: the rows before are of no use then
                if sent < plan.batch_count:
                    row = dead_letter_row(self.run_id, entry, video_key, "frames", error)
                    dead = Header(entry, pack(row), None, traceback=_text_of(error, entry), reading=reading())
                    yield Work(entry.entry_id, video_key, 0, 1, {}, dead)

    def put_off(self, entry: Entry, paused: Paused) -> Work:
        """The one row of an entry that is left undone, because its host is left alone."""
        return Work(entry.entry_id, "", 0, 1, {}, Header(entry, b"", None, put_off=paused))

    def given_up(self, entry: Entry, attempts: int) -> Work:
        """The one row of an entry whose reading has ended its process so many times."""
        error = MediaError("reading the input ended the process every time: a crash, a hang or too much memory", entry.input, SEE_RAYS_LOGS)
        error.attempts = attempts
        row = dead_letter_row(self.run_id, entry, None, "frames", error)
        return Work(entry.entry_id, "", 0, 1, {}, Header(entry, pack(row), None))


def _text_of(error: BaseException, entry: Entry) -> str:
    """The traceback of an error as it may be logged: here the entry's full address is known, and in the driver's log it is not."""
    return shown(traceback_of(error), known_of(entry))

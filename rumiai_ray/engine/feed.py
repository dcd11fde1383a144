"""From entries to rows of work, in a thread: the next video is fetched and decoded while the cell works on this one."""

from __future__ import annotations

import queue
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.engine.planning import VideoPlan, plan_video
from rumiai_ray.errors import RumiaiError
from rumiai_ray.ingest.fetch import Video, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rumiai_ray.engine.work import Work
    from rumiai_ray.frames.store import FrameStore
    from rumiai_ray.frames.stored import StoredVideo
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.fetch import FetchLimits
    from rumiai_ray.models.base import ModelPlan

_AHEAD = 8
"""Events waiting to be taken: bounds what decoded work can pile up before a slow cell."""


@dataclass(frozen=True)
class Fetched:
    """An entry's bytes are here and hashed; decoding begins."""

    entry: Entry
    video_key: str


@dataclass(frozen=True)
class Planned:
    """A video's frames are in the store; `plan.batch_count` `Work` events follow, unless `repeated`."""

    entry: Entry
    video: Video
    stored: StoredVideo
    plan: VideoPlan
    repeated: bool
    """The same bytes were planned before in this run: no work follows."""


@dataclass(frozen=True)
class Dead:
    """The entry could not be read."""

    entry: Entry
    video_key: str | None
    stage: str
    error: Exception


@dataclass(frozen=True)
class Ended:
    """No more entries; `error` is set where the feed itself broke."""

    error: BaseException | None


Event = Fetched | Planned | Dead | Ended


class Feed:
    """The thread. Events come out of `events` in order; rows of work arrive as `Work` between `Planned` events."""

    def __init__(
        self,
        entries: Sequence[Entry],
        store: FrameStore,
        limits: FetchLimits,
        workdir: Path,
        plans: Sequence[ModelPlan],
        batch_frames: int,
    ) -> None:
        self.events: queue.Queue[Event | Work] = queue.Queue(maxsize=_AHEAD)
        self._entries = entries
        self._store = store
        self._limits = limits
        self._workdir = workdir
        self._plans = plans
        self._batch_frames = batch_frames
        self._stop = threading.Event()
        self._seen: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the entry it is at."""
        self._stop.set()

    def _run(self) -> None:
        try:
            for entry in self._entries:
                for event in self._one(entry):
                    if not self._put(event):
                        return
        except BaseException as error:  # noqa: BLE001 -- the thread's boundary: the driver raises it
            self._put(Ended(error))
        else:
            self._put(Ended(None))

    def _put(self, event: Event | Work) -> bool:
        """Hand over one event; False where nobody wants any more."""
        while not self._stop.is_set():
            try:
                self.events.put(event, timeout=0.25)
            except queue.Full:
                continue
            return True
        return False

    def _one(self, entry: Entry) -> Iterator[Event | Work]:
        """One entry's events. Its frames stay leased until the last row of work was taken."""
        video_key, stage = None, "ingest"
        with ExitStack() as held:
            try:
                video = held.enter_context(fetch(entry, self._limits, self._workdir))
                video_key, stage = video.video_key, "frames"
                yield Fetched(entry, video_key)
                stored = held.enter_context(self._store.ensure(video.path, video_key))
                plan, works = plan_video(stored, self._plans, self._batch_frames)
            except RumiaiError as error:
                yield Dead(entry, video_key, stage, error)
                return
            repeated = video_key in self._seen
            self._seen.add(video_key)
            yield Planned(entry, video, stored, plan, repeated)
            if not repeated:
                yield from works

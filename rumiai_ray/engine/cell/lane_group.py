"""One model of a cell, which may have several actors: each has a lane, and a call goes to the lane that has least to do."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from rumiai_ray.engine.cell.messages import ModelActivity
from rumiai_ray.engine.cell.model_lane import Call, Lane

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from rumiai_ray.engine.cell.lane_policy import LanePolicy
    from rumiai_ray.engine.cell.messages import Answer, Failure


class Lanes:
    """The lanes of one model. A video that the model has failed for good on one actor is not asked about on the others.

    Args:
        name: the model's.
        actors: the actors' names in Ray.
        notes: directory of their notes, which have the actors' names.
        policy: limits of each lane.
    """

    def __init__(self, name: str, actors: Sequence[str], notes: Path, policy: LanePolicy) -> None:
        failed: OrderedDict[tuple[str, str], Failure] = OrderedDict()
        self._lanes = [Lane(name, actor, notes / actor, policy, failed) for actor in actors]

    @property
    def lost(self) -> bool:
        """Whether the model is gone for good on every actor."""
        return all(lane.lost for lane in self._lanes)

    def activity(self) -> ModelActivity:
        """What the actors are at."""
        times = [lane.times_s() for lane in self._lanes]
        return ModelActivity(
            actors=len(self._lanes),
            loaded=sum(lane.loaded for lane in self._lanes),
            lost=sum(lane.lost for lane in self._lanes),
            ready_s=sum(ready_s for ready_s, _ in times),
            busy_s=sum(busy_s for _, busy_s in times),
            queued=sum(lane.open for lane in self._lanes),
            calls=tuple(call for lane in self._lanes if (call := lane.under_way()) is not None),
        )

    def submit(self, call: Call) -> Future[tuple[Answer | Failure, int]]:
        """Queue `call`; the future always gets a result, never an exception."""
        usable = [lane for lane in self._lanes if not lane.lost] or self._lanes
        return min(usable, key=lambda lane: lane.open).submit(call)

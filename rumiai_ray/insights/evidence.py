"""Which boxes count: a single doubtful box in one of many frames is no person."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rumiai_ray.schema.registry import TRACKED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.insights.looks import Look
    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.insights.tracks import Tracks
    from rumiai_ray.insights.video import AnalysedVideo
    from rumiai_ray.schema.table import Row


@dataclass(frozen=True)
class Evidence:
    """What it takes for something seen to count.

    What is seen in two frames of a shot counts, and so does what is seen in a frame that is held. What is seen once counts where a second
    frame could not show it, because the model looked at one frame of the shot only, or where confidence and size speak for it.
    """

    video: AnalysedVideo
    tracks: Tracks
    thresholds: Thresholds

    def counts(self, of: str, row: Row) -> bool:
        """Whether a row of a tracked table counts."""
        table = TRACKED[of]
        if (of, row["frame_index"], row[table.key[-1]]) in self.tracks.track_of:
            return True
        confidence = row.get("confidence")
        sure = confidence is None or confidence >= self.thresholds.single_confidence
        large = self.video.area_share(row) >= self.thresholds.single_area_share
        return (sure and large) or self.is_still(table.made_by[0], row["frame_index"])

    def is_still(self, model: str, frame_index: int) -> bool:
        """Whether the model looked at no other frame of the shot."""
        return self._looks_in_shot[model][self.video.shot_at(self._looks[model][frame_index].shown_from_s)] == 1

    @cached_property
    def _looks(self) -> Mapping[str, Mapping[int, Look]]:
        models = {table.made_by[0] for table in TRACKED.values()}
        return {model: {look.frame_index: look for look in self.video.looks(model)} for model in models}

    @cached_property
    def _looks_in_shot(self) -> Mapping[str, Counter[int | None]]:
        return {model: Counter(self.video.shot_at(look.shown_from_s) for look in looks.values()) for model, looks in self._looks.items()}

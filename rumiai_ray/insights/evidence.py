"""Which boxes count: a single doubtful box in one of many frames is no person."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from rumiai_ray.insights.looks import worth
from rumiai_ray.insights.shot_size import is_of
from rumiai_ray.insights.video import EMOTIONS, FACES, by_frame
from rumiai_ray.schema.registry import TRACKED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rumiai_ray.insights.looks import Look
    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.insights.tracks import Tracks
    from rumiai_ray.insights.video import AnalysedVideo
    from rumiai_ray.schema.table import Row

_UNTRACKED = {"poses": FACES, "emotions": EMOTIONS}
"""The families of tables whose boxes are not linked into tracks."""


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
        return self._is_plain(row, row.get("confidence")) or self.is_still(table.made_by[0], row["frame_index"])

    def pose_counts(self, pose: Row, faces: Sequence[Row], persons: Sequence[Row]) -> bool:
        """Whether a pose counts: that of a face or a box of a person in its frame that counts, or one with evidence of its own.

        A pose has no confidence, and a phantom may be large, so that neither speaks for one that is seen once.
        """
        is_somebody_s = any(is_of(pose, face) for face in faces) or any(_share_a_middle(pose, person) for person in persons)
        return is_somebody_s or self._is_seen_again("poses", pose)

    def expression_counts(self, row: Row, faces: Sequence[Row]) -> bool:
        """Whether a row of `emotions` counts: of a face of its frame that counts, or with evidence of its own, like a row of `faces`."""
        if self._is_plain(row, row["face_confidence"]) or any(_share_a_middle(row, face) for face in faces):
            return True
        return self._is_seen_again("emotions", row)

    def _is_plain(self, row: Row, confidence: float | None) -> bool:
        """Whether confidence, where there is one, and size speak for a box."""
        sure = confidence is None or confidence >= self.thresholds.single_confidence
        return sure and self.video.area_share(row) >= self.thresholds.single_area_share

    def _is_seen_again(self, of: str, row: Row) -> bool:
        """Whether an untracked box is near one of the look before or after it in its shot, or its frame is held or the shot's only one."""
        model, index = _UNTRACKED[of], row["frame_index"]
        if worth(self._looks[model][index].shown_s, self.video.step_s) > 1 or self.is_still(model, index):
            return True
        return any(
            _near(row, other, self.thresholds)
            for beside in self._beside[model].get(index, ())
            for other in self._untracked[of].get(beside, ())
        )

    def is_still(self, model: str, frame_index: int) -> bool:
        """Whether the model looked at no other frame of the shot."""
        return self._looks_in_shot[model][self.video.shot_at(self._looks[model][frame_index].shown_from_s)] == 1

    @cached_property
    def _looks(self) -> Mapping[str, Mapping[int, Look]]:
        models = {*(table.made_by[0] for table in TRACKED.values()), *_UNTRACKED.values()}
        return {model: {look.frame_index: look for look in self.video.looks(model)} for model in models}

    @cached_property
    def _looks_in_shot(self) -> Mapping[str, Counter[int | None]]:
        return {model: Counter(self.video.shot_at(look.shown_from_s) for look in looks.values()) for model, looks in self._looks.items()}

    @cached_property
    def _beside(self) -> Mapping[str, Mapping[int, list[int]]]:
        """By model and `frame_index`, that of the look before and the look after, as far as they are of the same shot."""
        found: dict[str, dict[int, list[int]]] = {}
        for model in set(_UNTRACKED.values()):
            beside = found[model] = defaultdict(list)
            for before, after in pairwise(self._looks[model].values()):
                if self.video.shot_at(before.shown_from_s) == self.video.shot_at(after.shown_from_s):
                    beside[before.frame_index].append(after.frame_index)
                    beside[after.frame_index].append(before.frame_index)
        return found

    @cached_property
    def _untracked(self) -> Mapping[str, Mapping[int, list[Row]]]:
        """Rows of the untracked tables, by `frame_index`."""
        return {of: by_frame(self.video.rows(of, "frame_index")) for of in _UNTRACKED}


def _share_a_middle(one: Row, other: Row) -> bool:
    """Whether one of two boxes holds the middle of the other."""
    return _holds_middle(one, other) or _holds_middle(other, one)


def _holds_middle(box: Row, of: Row) -> bool:
    x, y = (of["x1"] + of["x2"]) / 2, (of["y1"] + of["y2"]) / 2
    return bool(box["x1"] <= x <= box["x2"] and box["y1"] <= y <= box["y2"])


def _near(one: Row, other: Row, thresholds: Thresholds) -> bool:
    """Whether boxes of two frames overlap as two of one track would, their margins included."""
    one_px, other_px = (_with_margin(box, thresholds.track_margin) for box in (one, other))
    both = _area_px2([max(one_px[0], other_px[0]), max(one_px[1], other_px[1]), min(one_px[2], other_px[2]), min(one_px[3], other_px[3])])
    either = _area_px2(one_px) + _area_px2(other_px) - both
    return both > 0 and both >= thresholds.track_iou * either


def _with_margin(box: Row, margin: float) -> list[float]:
    """x1, y1, x2, y2 with a margin around it, as a share of its sides."""
    x_px, y_px = margin * (box["x2"] - box["x1"]), margin * (box["y2"] - box["y1"])
    return [box["x1"] - x_px, box["y1"] - y_px, box["x2"] + x_px, box["y2"] + y_px]


def _area_px2(box: Sequence[float]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])

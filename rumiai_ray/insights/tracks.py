"""Boxes linked into tracks, with ByteTrack as the library `trackers` has it. Its state lives for one shot of one video, and one label.

Sampled frames are 0.2 to 1 s apart, 6 to 30 times what trackers are made for. So the tracker is told every frame's own time, and a held
frame again at every step of the grid, as in a file that repeats the picture. Boxes are compared with a margin around them (C-BIoU, arXiv
2211.14317). Measured on the shared clips at 5 fps, with YOLO11n and MediaPipe: one person is one track in all seven clips, with or
without. A juggler's face falls into 6 tracks without a margin, 2 with one of 0.3, 1 with 0.5; his ball into 16, 10 and 7; a running dog
into 5 each time. A reference rate of 30 fps instead of 5 makes them 6, 16 and 7 without.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rumiai_ray.insights.looks import worth
from rumiai_ray.insights.video import weighted_mean
from rumiai_ray.schema.registry import TRACKED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rumiai_ray.insights.looks import Look
    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.insights.video import AnalysedVideo
    from rumiai_ray.schema.table import Row

_BUFFER_FPS = 30
"""The unit in which the library counts the time that a track may be lost."""
_REFERENCE_FPS = 5.0
"""The unit of its motion model: our densest sampling."""
BoxKey = tuple[str, int, int]
"""A row of a tracked table: its table, `frame_index` and number within the frame."""


@dataclass(frozen=True)
class Tracks:
    """The tracks of one video."""

    rows: list[Row]
    """Of table `tracks`, by `track_id`."""
    track_of: Mapping[BoxKey, int]
    """The track of every box that has one."""
    looks: Mapping[int, Sequence[Look]]
    """Those of the frames that a track's boxes are in, by `track_id`."""

    def column(self, table: str, rows: Sequence[Row]) -> list[int | None]:
        """`track_id` of each of `rows`."""
        return [self.track_of.get((table, row["frame_index"], row[TRACKED[table].key[-1]])) for row in rows]


def link(video: AnalysedVideo, thresholds: Thresholds) -> Tracks:
    """Link the boxes of all tracked tables. A box that is linked to no other has no track, unless its frame is held."""
    linked = sorted(
        (boxes for boxes in _linked(video, thresholds) if len(boxes) > 1 or worth(boxes[0]["look"].shown_s, video.step_s) > 1),
        key=lambda boxes: (boxes[0]["time_s"], boxes[0]["of"], boxes[0]["index"]),
    )
    rows: list[Row] = []
    track_of: dict[BoxKey, int] = {}
    looks: dict[int, Sequence[Look]] = {}
    for number, boxes in enumerate(linked):
        first, last = boxes[0], boxes[-1]
        looks[number] = [box["look"] for box in boxes]
        confidences = [(box["confidence"], box["look"].length_s) for box in boxes if box["confidence"] is not None]
        rows.append(
            {
                "track_id": number,
                "of": first["of"],
                "label": first["label"],
                "shot_index": video.shot_at(first["time_s"]),
                "first_seen_s": first["time_s"],
                "last_seen_s": last["time_s"],
                "seen_until_s": last["look"].shown_until_s,
                "sightings": len(boxes),
                "mean_confidence": weighted_mean(confidences),
                "mean_area_share": weighted_mean((video.area_share(box), box["look"].length_s) for box in boxes),
            }
        )
        track_of |= {(box["of"], box["frame_index"], box["index"]): number for box in boxes}
    return Tracks(rows, track_of, looks)


def _linked(video: AnalysedVideo, thresholds: Thresholds) -> Iterator[list[Row]]:
    """Boxes that belong together, in time order, for each shot, table and label by itself."""
    groups: defaultdict[tuple[str, str, int | None], defaultdict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for box in _boxes(video):
        groups[box["of"], box["label"], video.shot_at(box["time_s"])][box["frame_index"]].append(box)
    gaps_s = {of: video.distance_s(table.made_by[0]) + thresholds.track_gap_s for of, table in TRACKED.items()}
    for key in sorted(groups, key=str):
        yield from _follow(groups[key], gaps_s[key[0]], video.step_s, thresholds)


def _boxes(video: AnalysedVideo) -> Iterator[Row]:
    """Rows of all tracked tables in one form, in one order."""
    for of, table in TRACKED.items():
        if not video.ran(table.made_by[0]):
            continue
        index = table.key[-1]
        looks = {look.frame_index: look for look in video.looks(table.made_by[0])}
        for row in video.rows(of, "frame_index", index):
            box = {name: row[name] for name in ("frame_index", "time_s", "x1", "y1", "x2", "y2")}
            named = {"of": of, "index": row[index], "label": row.get("label", table.tracked_as), "confidence": row.get("confidence")}
            yield box | named | {"look": looks[row["frame_index"]]}


def _follow(frames: Mapping[int, list[Row]], gap_s: float, step_s: float, thresholds: Thresholds) -> Iterator[list[Row]]:
    """Feed one group's boxes to a tracker of its own, frame by frame; a held frame once for each `step_s` that it is held."""
    # Three quarters of a second to import, and only who has boxes to link should pay for it.
    import supervision as sv  # noqa: PLC0415
    from trackers import BIoU, ByteTrackTracker  # noqa: PLC0415

    tracker = ByteTrackTracker(
        lost_track_buffer=math.ceil(gap_s * _BUFFER_FPS),
        frame_rate=_REFERENCE_FPS,
        track_activation_threshold=0.0,  # the detector's own threshold has chosen already
        high_conf_det_threshold=0.0,
        minimum_consecutive_frames=1,
        minimum_iou_threshold=thresholds.track_iou,
        iou=BIoU(thresholds.track_margin),
    )
    found: defaultdict[int, list[Row]] = defaultdict(list)
    linked: set[tuple[int, int]] = set()
    # A new track is named only when it is met again; until then its first box is kept here.
    begun: list[tuple[Any, Row]] = []
    for number in sorted(frames):
        boxes = frames[number]
        look = boxes[0]["look"]
        seen = sv.Detections(
            xyxy=np.array([[box[side] for side in ("x1", "y1", "x2", "y2")] for box in boxes], np.float64),
            # All alike: doubtful boxes would begin no track, and small fast things are found with 0.3 to 0.5 at best.
            confidence=np.ones(len(boxes)),
            data={"at": np.arange(len(boxes))},
        )
        for time_s in (look.shown_from_s + step_s * repeat for repeat in range(worth(look.shown_s, step_s))):
            before = list(tracker.tracks)  # held, so that no new track gets the identity of one that is dropped meanwhile
            told = tracker.update(seen, timestamp=time_s)
            nameless = []
            for at, identity in zip(told.data["at"], told.tracker_id, strict=True):
                if identity < 0:
                    nameless.append(boxes[int(at)])
                elif (number, int(at)) not in linked:
                    linked.add((number, int(at)))
                    found[int(identity)].append(boxes[int(at)])
            known = set(map(id, before))
            begun += zip((track for track in tracker.tracks if id(track) not in known), nameless, strict=True)
    for track, box in begun:
        if track.tracker_id >= 0 and (box["frame_index"], frames[box["frame_index"]].index(box)) not in linked:
            found[track.tracker_id].insert(0, box)
    yield from found.values()

"""A review set against what the detector found: which of its boxes are confirmed, relabelled, removed, and which it missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rumiai_ray.runs.export.labelled import MODEL, LabelledRun
from rumiai_ray.runs.reviews.table import ReviewVerdict, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa
    from numpy.typing import NDArray

    from rumiai_ray.runs.export.labelled import LabelledBox, LabelledFrame, LabelledVideo
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.runs.reviews.given import GivenBox, GivenFrame, GivenReview
    from rumiai_ray.schema.table import Row

SAME_BOX_IOU = 0.5
"""Two boxes of at least this intersection over union are one (Everingham and others, The PASCAL Visual Object Classes Challenge, 2010)."""


_BoxInPixels = tuple[str, tuple[float, float, float, float]]
"""A reviewer's label and box, cut to the picture: left, top, right and bottom edge in source pixels."""


@dataclass(frozen=True)
class Judged:
    """What a file of reviews says of a run."""

    rows: pa.Table
    frames: int
    videos: int
    changed: int
    """Boxes that a reviewer removed, added, moved or called something else; 0 where the file is the export as it was written."""
    of_other_runs: int
    """Frames that the file says are another run's."""
    unknown: int
    """Frames that the run does not have, or in which its detector saw nothing since it was not run; also those of which the file says that
    they are another frame than the one that their picture is named after."""
    by_name: int
    """Frames that are known by the name of their picture alone: the file does not say which video, or which frame of it."""
    outside: int
    """Boxes of the reviewer's left out, since no part of them is inside the picture, or they have no extent. A frame in which there is
    nothing else has no row and does not count: nothing can be told of it, not even that it is empty."""


@dataclass(frozen=True)
class _ReviewedPlace:
    """One frame of the run."""

    video: LabelledVideo
    frame: LabelledFrame

    def contradicts(self, given: GivenFrame) -> bool:
        """Whether the file says that a frame is another one than this."""
        return given.video_key not in {None, self.video.video_key} or given.frame_index not in {None, self.frame.frame_index}


@dataclass(frozen=True)
class _BoxPair:
    """A box of the detector's, a box of the reviewer's in source pixels, or both."""

    found: LabelledBox | None
    given: _BoxInPixels | None
    iou: float | None

    @property
    def verdict(self) -> ReviewVerdict:
        if self.given is None:
            return ReviewVerdict.REMOVED
        if self.found is None:
            return ReviewVerdict.MISSED
        return ReviewVerdict.CONFIRMED if self.found.label == self.given[0] else ReviewVerdict.RELABELLED

    @property
    def changed(self) -> bool:
        """Whether the reviewer did anything. Exports round lengths to a thousandth of a pixel and relative ones to a millionth."""
        if self.found is None or self.given is None or self.verdict is not ReviewVerdict.CONFIRMED:
            return True
        edges = zip(_edges(self.found), self.given[1], strict=True)
        return any(abs(one - other) > 0.05 for one, other in edges)  # noqa: PLR2004 -- pixels: a millionth of a picture 50,000 wide


def judge(run: Run, given: GivenReview, *, imported_at: datetime, file_sha256: str, by: str | None = None) -> Judged:
    """Set a review against what the run's object detector found.

    Boxes are cut to the picture, as exports are. The pairs are those that make the sum of the intersections over union largest, a pair of
    one label before one of two; a pair below `SAME_BOX_IOU` is none.

    Args:
        run: the run whose export was reviewed; nothing but its committed files is read.
        given: the review.
        imported_at: what the rows say.
        file_sha256: digest of the file, likewise.
        by: who reviewed, where the file does not say.

    Raises:
        ConfigError: the run's tables lack a column.
        StorageError: the run is damaged.
    """
    by_index: dict[tuple[str | None, int | None], _ReviewedPlace] = {}
    by_file: dict[str, _ReviewedPlace] = {}
    for video in LabelledRun(run).videos():
        for frame in video.frames:
            place = _ReviewedPlace(video, frame)
            by_index[video.video_key, frame.frame_index] = place
            by_file[frame.file.rpartition("/")[2]] = place
    made_by = _made_by(run)
    latest: dict[tuple[str, int, str | None], tuple[_ReviewedPlace, GivenFrame]] = {}
    of_other_runs = unknown = by_name = 0
    for one in given.frames:
        if one.run_id not in {None, run.run_id}:
            of_other_runs += 1
            continue
        stated = (one.video_key, one.frame_index)
        found = by_file.get(one.file) if None in stated else by_index.get(stated)
        if found is None or found.contradicts(one):
            unknown += 1
            continue
        by_name += None in stated
        key = (found.video.video_key, found.frame.frame_index, one.reviewer or by)
        before = latest.get(key)
        if before is None or not _is_older(one, before[1]):
            latest[key] = (found, one)
    said: Row = {"run_id": run.run_id, "imported_at": imported_at, "tool": given.tool, "file_sha256": file_sha256, "model_name": MODEL}
    rows: list[Row] = []
    changed = outside = 0
    frames: list[str] = []
    for (video_key, _, reviewer), (place, one) in latest.items():
        boxes = [_in_pixels(box, place.video) for box in one.boxes]
        given_boxes = [box for box in boxes if box is not None]
        left_out = len(boxes) - len(given_boxes)
        outside += left_out
        pairs = list(_pairs(place, given_boxes))
        if left_out and not given_boxes:  # what the reviewer meant is not known, so no detection is rejected
            continue
        frames.append(video_key)
        changed += sum(pair.changed for pair in pairs)
        own: Row = {
            **said,
            **made_by[place.video.video_key],
            "source_sha256": run.manifest.source_sha256,
            "video_key": place.video.video_key,
            "frame_index": place.frame.frame_index,
            "reviewer": reviewer,
            "reviewed_at": one.reviewed_at,
        }
        rows += [own | _cells(pair) for pair in pairs] or [own | {"verdict": ReviewVerdict.EMPTY}]
    return Judged(table_of(rows), len(frames), len(set(frames)), changed, of_other_runs, unknown, by_name, outside)


def _made_by(run: Run) -> dict[str, Row]:
    """What detected the objects of each video."""
    columns = ["video_key", "model_name", "backend", "model_version", "weights_sha256"]
    rows: list[Row] = run.table("analyses", columns).to_pylist()
    wanted = columns[2:]
    return {row["video_key"]: {name: row[name] for name in wanted} for row in rows if row["model_name"] == MODEL}


def _is_older(one: GivenFrame, other: GivenFrame) -> bool:
    return one.reviewed_at is not None and other.reviewed_at is not None and one.reviewed_at < other.reviewed_at


def _cells(pair: _BoxPair) -> Row:
    cells: Row = {"verdict": pair.verdict, "iou": pair.iou}
    if pair.found is not None:
        cells |= {"object_index": pair.found.object_index, "label": pair.found.label, "confidence": pair.found.confidence}
        cells |= dict(zip(("x1", "y1", "x2", "y2"), _edges(pair.found), strict=True))
    if pair.given is not None:
        label, edges = pair.given
        cells["reviewed_label"] = label
        cells |= dict(zip(("reviewed_x1", "reviewed_y1", "reviewed_x2", "reviewed_y2"), edges, strict=True))
    return cells


def _edges(box: LabelledBox) -> tuple[float, float, float, float]:
    return box.x, box.y, box.x + box.width, box.y + box.height


def _pairs(place: _ReviewedPlace, given: Sequence[_BoxInPixels]) -> Iterator[_BoxPair]:
    """Every box of both sides, once."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 -- SciPy's import is not for reading reviews

    found = place.frame.boxes
    overlap = _iou([_edges(box) for box in found], [edges for _, edges in given])
    same = np.array([[box.label == label for label, _ in given] for box in found], np.bool_).reshape(overlap.shape)
    enough = overlap >= SAME_BOX_IOU
    ours, theirs = linear_sum_assignment(np.where(enough, overlap + same, 0.0), maximize=True)
    paired = [(int(one), int(other)) for one, other in zip(ours, theirs, strict=True) if enough[one, other]]
    for one, other in paired:
        yield _BoxPair(found[one], given[other], float(overlap[one, other]))
    matched = ({one for one, _ in paired}, {other for _, other in paired})
    yield from (_BoxPair(box, None, None) for number, box in enumerate(found) if number not in matched[0])
    yield from (_BoxPair(None, box, None) for number, box in enumerate(given) if number not in matched[1])


def _in_pixels(box: GivenBox, video: LabelledVideo) -> _BoxInPixels | None:
    """A reviewer's box cut to the picture; None where nothing of it is left."""
    left, right = (min(max(edge, 0.0), 1.0) * video.width_px for edge in (box.x1, box.x2))
    top, bottom = (min(max(edge, 0.0), 1.0) * video.height_px for edge in (box.y1, box.y2))
    return (box.label, (left, top, right, bottom)) if right > left and bottom > top else None


def _iou(ours: Sequence[tuple[float, ...]], theirs: Sequence[tuple[float, ...]]) -> NDArray[np.float64]:
    """Intersection over union, shape (ours, theirs), in [0, 1]."""
    one = np.array(ours, np.float64).reshape(-1, 1, 4)
    other = np.array(theirs, np.float64).reshape(1, -1, 4)
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.prod(np.maximum(sides, 0.0), axis=-1)
    areas = np.prod(one[..., 2:] - one[..., :2], axis=-1) + np.prod(other[..., 2:] - other[..., :2], axis=-1)
    answer: Any = shared / (areas - shared)
    return np.asarray(answer, np.float64)

"""The sampled frames that the object detector saw, with the boxes it found: what exports for labelling tools are made of."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from rumiai_ray.errors import StorageError
from rumiai_ray.runs.export.document import file_name
from rumiai_ray.runs.export.video import RowsByVideo
from rumiai_ray.schema.yolo import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.runs.export.folder import ExportFolder
    from rumiai_ray.runs.protocols import RunTables
    from rumiai_ray.schema.table import Row

_LOG = logging.getLogger(__name__)

(MODEL,) = OBJECTS.made_by
PICTURES = "data"
"""Directory of the pictures, below the export's own."""

_BOX = ["object_index", "class_id", "label", "confidence", "x1", "y1", "x2", "y2", "track_id"]
_DECIMALS = 3
"""Of lengths in pixels."""
_SCORE_DECIMALS = 6
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class LabelledBox:
    """One detection, cut to the picture."""

    object_index: int
    class_id: int
    label: str
    confidence: float
    track_id: int | None
    x: float
    """Left edge in source pixels after rotation, 0 or more."""
    y: float
    width: float
    """In source pixels, above 0; `x + width` is never beyond the picture."""
    height: float

    def relative(self, width_px: int, height_px: int, whole: float) -> tuple[float, float, float, float]:
        """x, y, width and height as shares of a picture of this size, of which `whole` is all: 1, or 100 for percent."""
        left, right = (round(edge / width_px * whole, 6) for edge in (self.x, self.x + self.width))
        top, bottom = (round(edge / height_px * whole, 6) for edge in (self.y, self.y + self.height))
        return left, top, round(min(right, whole) - left, 6), round(min(bottom, whole) - top, 6)


@dataclass(frozen=True)
class LabelledFrame:
    """One sampled frame."""

    frame_index: int
    file: str
    """Where its picture is, or would be, below the export's directory."""
    boxes: tuple[LabelledBox, ...]


@dataclass(frozen=True)
class LabelledVideo:
    """One video that the detector answered for."""

    video_key: str
    entry_id: str
    width_px: int
    height_px: int
    frames_key: str
    model: str
    """Backend and version of the detector."""
    frames: tuple[LabelledFrame, ...]
    """In order, those without a detection too."""
    outside: int
    """Detections left out, since no part of them is inside the picture."""


@dataclass(frozen=True)
class Labelled:
    """How much was written."""

    videos: int
    frames: int
    boxes: int
    outside: int
    """Detections left out, since no part of them is inside the picture."""
    pictures: int
    """Frames whose picture was written."""
    unseen: int
    """Videos that the detector gave no answer for, or that have no pictures."""


class LabelledRun:
    """The videos of a run that the detector answered for. A video that several entries share is there once, named after the first.

    Args:
        run: the run; nothing but its committed files is read.

    Raises:
        ConfigError: the run's tables lack a column.
        StorageError: the run is damaged.
    """

    def __init__(self, run: RunTables) -> None:
        self._objects = RowsByVideo(run.table(OBJECTS.name, ["video_key", "frame_index", *_BOX]))
        analyses = run.table("analyses", ["video_key", "model_name", "backend", "model_version", "frames_seen"]).to_pylist()
        self._answers = {row["video_key"]: row for row in analyses if row["model_name"] == MODEL and row["frames_seen"] is not None}
        videos: list[Row] = run.table("videos", ["video_key", "entry_id", "width_px", "height_px", "frames_key"]).to_pylist()
        self._videos: dict[str, Row] = {}
        for row in videos:
            self._videos.setdefault(row["video_key"], row)
        self.unseen = sum(not self._is_seen(row) for row in self._videos.values())
        """Videos that the detector gave no answer for, or that have no pictures."""

    def videos(self) -> Iterator[LabelledVideo]:
        """Each video, in the order of the commits."""
        for video in self._videos.values():
            if self._is_seen(video):
                yield _labelled(video, self._answers[video["video_key"]], self._objects.of(video["video_key"]))

    def _is_seen(self, video: Row) -> bool:
        return video["video_key"] in self._answers and video["width_px"] is not None


def _labelled(video: Row, answer: Row, objects: list[Row]) -> LabelledVideo:
    name = file_name(video["entry_id"])
    boxes: dict[int, list[LabelledBox]] = {index: [] for index in answer["frames_seen"]}
    outside = 0
    for row in sorted(objects, key=lambda row: (row["frame_index"], row["object_index"])):
        box = _cut(row, video["width_px"], video["height_px"])
        found = boxes.setdefault(row["frame_index"], [])
        if box is None:
            outside += 1
        else:
            found.append(box)
    return LabelledVideo(
        video_key=video["video_key"],
        entry_id=video["entry_id"],
        width_px=video["width_px"],
        height_px=video["height_px"],
        frames_key=video["frames_key"],
        model=f"{answer['backend']} {answer['model_version']}",
        frames=tuple(LabelledFrame(index, f"{PICTURES}/{name}-{index:06d}.jpg", tuple(found)) for index, found in sorted(boxes.items())),
        outside=outside,
    )


def _cut(row: Row, width_px: int, height_px: int) -> LabelledBox | None:
    """A detection cut to the picture; None where nothing of it is left."""
    left, right = (round(min(max(row[edge], 0.0), width_px), _DECIMALS) for edge in ("x1", "x2"))
    top, bottom = (round(min(max(row[edge], 0.0), height_px), _DECIMALS) for edge in ("y1", "y2"))
    if right <= left or bottom <= top:
        return None
    return LabelledBox(
        object_index=row["object_index"],
        class_id=row["class_id"],
        label=row["label"],
        confidence=round(row["confidence"], _SCORE_DECIMALS),
        track_id=row["track_id"],
        x=left,
        y=top,
        width=round(right - left, _DECIMALS),
        height=round(bottom - top, _DECIMALS),
    )


def write_pictures(folder: ExportFolder, store: FrameStore, video: LabelledVideo, *, in_source_pixels: bool) -> int:
    """Write the pictures of a video's frames.

    Args:
        folder: where to.
        store: where the sampled frames are kept.
        video: whose.
        in_source_pixels: enlarge stored frames that are smaller than the source (`sampling.long_side_px`), for a format whose boxes are in
            pixels: a tool that measures the picture would else draw them in the wrong place.

    Returns:
        How many were written: none where the frames are no longer in the store.

    Raises:
        StorageError: the disk fails, or a stored frame is not a picture.
    """
    try:
        stored = store.open(video.frames_key)
    except StorageError as error:
        _LOG.info("no pictures of %s: %s", video.entry_id, error)
        return 0
    files = {frame.frame_index: frame.file for frame in video.frames}
    size = (video.width_px, video.height_px)
    written = 0
    with stored:
        if size != (stored.facts.width_px, stored.facts.height_px):  # of a run that somebody else wrote: they may ask for any size
            _LOG.warning("no pictures of %s: the run states another picture size than the frame store", video.entry_id)
            return 0
        enlarged = in_source_pixels and (stored.facts.stored_width_px, stored.facts.stored_height_px) != size
        for batch in stored.batches():
            for index, jpeg in zip(batch.frame_index.tolist(), batch.jpegs, strict=True):
                if index in files:
                    with folder.file(files[index]) as sink:
                        sink.write(_enlarged(jpeg, size) if enlarged else jpeg)
                    written += 1
    return written


def _enlarged(jpeg: bytes, size: tuple[int, int]) -> bytes:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise StorageError("a stored frame is not a picture", hint="`rumiai-ray frames verify`")
    done, data = cv2.imencode(".jpg", cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise StorageError("a picture cannot be written as JPEG")
    return np.asarray(data).tobytes()

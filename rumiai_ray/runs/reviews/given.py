"""Reviews as labelling tools export them: Label Studio's JSON, COCO's, FiftyOne's `samples.json`. The text is somebody else's."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rumiai_ray.errors import ConfigError
from rumiai_ray.ingest.cleaning import NAME_CHARS, cleaned

ReviewTool = Literal["labelstudio", "coco", "fiftyone"]
FIELD = "objects"
"""The field of a FiftyOne sample in which `export` writes the boxes."""

MOST_BYTES = 2**30
"""Of a file. A run of 1,000 videos with 300 boxes each exports 100 MB."""
_MOST_BOXES = 5_000
"""Of a frame: pairing them takes memory for each pair of a reviewer's box and one of the detector's."""
_PERCENT = 100.0
_HINT = "export the project as JSON, with every annotation: Label Studio's JSON, COCO's, or samples.json of FiftyOneDataset"

_ShortText = Annotated[str, AfterValidator(lambda text: cleaned(text, NAME_CHARS))]
_FiniteLength = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
_FiniteExtent = Annotated[float, Field(allow_inf_nan=False, gt=0, le=1e9)]
_FrameNumber = Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(frozen=True)
class GivenBox:
    """A box as a reviewer left it, in shares of the picture: 0 is left and top, 1 right and bottom."""

    label: str
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class GivenFrame:
    """A frame that somebody reviewed."""

    run_id: str | None
    """As the file says it; None where it does not, likewise below."""
    video_key: str | None
    frame_index: int | None
    file: str
    """Name of its picture."""
    boxes: tuple[GivenBox, ...]
    reviewer: str | None = None
    reviewed_at: datetime | None = None


@dataclass(frozen=True)
class GivenReview:
    """A file of reviews."""

    tool: ReviewTool
    frames: tuple[GivenFrame, ...]
    unreviewed: int
    """Frames of the file that nobody has reviewed."""
    shapes: int
    """Labels left out, since they are no boxes."""


class _ToolRecord(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _NamedFrame(_ToolRecord):
    """What our own export says of a frame; a tool may have dropped it."""

    run_id: _ShortText | None = None
    video_key: _ShortText | None = None
    frame_index: _FrameNumber | None = None


class _LabellingData(_NamedFrame):
    image: str = ""


class _Annotator(_ToolRecord):
    id: int | str


class _RegionBox(_ToolRecord):
    x: _FiniteLength
    y: _FiniteLength
    width: _FiniteLength
    height: _FiniteLength
    rotation: _FiniteLength = 0.0
    rectanglelabels: tuple[_ShortText, ...] = ()


class _LabelledRegion(_ToolRecord):
    type: str = ""
    value: Any = None
    original_width: _FiniteExtent = 1.0
    original_height: _FiniteExtent = 1.0


class _TaskAnnotation(_ToolRecord):
    was_cancelled: bool = False
    completed_by: _Annotator | int | str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    result: tuple[_LabelledRegion, ...] = ()


class _LabellingTask(_ToolRecord):
    data: _LabellingData
    annotations: tuple[_TaskAnnotation, ...]


class _CocoImage(_NamedFrame):
    id: int | str
    file_name: str = ""
    width: _FiniteExtent
    height: _FiniteExtent


class _CocoCategory(_ToolRecord):
    id: int | str
    name: _ShortText


class _CocoBox(_ToolRecord):
    image_id: int | str
    category_id: int | str
    bbox: Annotated[tuple[_FiniteLength, ...], Field(max_length=4)] = ()


class _CocoFile(_ToolRecord):
    images: tuple[_CocoImage, ...]
    annotations: tuple[_CocoBox, ...]
    categories: tuple[_CocoCategory, ...]


class _FiftyOneDetection(_ToolRecord):
    label: _ShortText
    bounding_box: tuple[_FiniteLength, _FiniteLength, _FiniteLength, _FiniteLength]


class _FiftyOneDetections(_ToolRecord):
    detections: tuple[_FiftyOneDetection, ...] = ()


class _FiftyOneSample(_NamedFrame):
    filepath: str = ""
    tags: Annotated[tuple[str, ...], BeforeValidator(lambda tags: tags or ())] = ()


def parse_review(data: bytes, subject: str, *, field: str = FIELD, tag: str | None = None) -> GivenReview:
    """The reviews in a file of one of the three formats.

    Args:
        data: the file.
        subject: its name, for messages.
        field: the field of a FiftyOne sample that holds the corrected boxes.
        tag: of FiftyOne's samples take those with this tag only: the format does not say which were looked at.

    Raises:
        ConfigError: it is none of the formats, or has more boxes in a frame than are read.
    """
    if len(data) > MOST_BYTES:
        raise ConfigError(f"more than {MOST_BYTES:,} bytes, which are the most that are read", subject, "export fewer frames at a time")
    review = _review_in(data, subject, field, tag)
    for frame in review.frames:
        if len(frame.boxes) > _MOST_BOXES:
            name = cleaned(frame.file, NAME_CHARS)
            what = f"frame {name!r} has {len(frame.boxes):,} boxes, at most {_MOST_BOXES:,} of a frame are read"
            raise ConfigError(what, subject, "correct the frame in the labelling tool, then export the project again")
    return review


def _review_in(data: bytes, subject: str, field: str, tag: str | None) -> GivenReview:
    try:
        value = json.loads(data)
        if isinstance(value, list):
            return _labelstudio(value)
        if isinstance(value, dict) and "samples" in value:
            return _fiftyone(value["samples"], field, tag)
        if isinstance(value, dict) and "images" in value:
            return _coco(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"not a readable review: {first['msg']} at {place}", subject, _HINT) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}", subject, _HINT) from error
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"not a readable review: {cleaned(str(error))}", subject, _HINT) from error
    raise ConfigError("neither Label Studio's tasks, nor COCO's images, nor FiftyOne's samples", subject, _HINT)


def _labelstudio(tasks: list[Any]) -> GivenReview:
    frames: list[GivenFrame] = []
    unreviewed = shapes = 0
    for given in tasks:
        task = _LabellingTask.model_validate(given)
        done = [one for one in task.annotations if not one.was_cancelled]
        unreviewed += not done
        for one in done:
            boxes = [region for region in one.result if region.type == "rectanglelabels"]
            shapes += len(one.result) - len(boxes)
            by = one.completed_by.id if isinstance(one.completed_by, _Annotator) else one.completed_by
            frames.append(
                GivenFrame(
                    task.data.run_id,
                    task.data.video_key,
                    task.data.frame_index,
                    _name(task.data.image),
                    tuple(map(_region, boxes)),
                    None if by is None else cleaned(str(by), NAME_CHARS),
                    _utc(one.updated_at or one.created_at),
                )
            )
    return GivenReview("labelstudio", tuple(frames), unreviewed, shapes)


def _region(region: _LabelledRegion) -> GivenBox:
    """A region's upright box: Label Studio turns regions about their top left corner, in pixels of the picture."""
    value = _RegionBox.model_validate(region.value)
    if not value.rectanglelabels:
        raise ValueError("a region without a label")
    wide, high = (value.width / _PERCENT * region.original_width, value.height / _PERCENT * region.original_height)
    turn = math.radians(value.rotation)
    corners = [(0.0, 0.0), (wide, 0.0), (0.0, high), (wide, high)]
    xs = [(x * math.cos(turn) - y * math.sin(turn)) / region.original_width + value.x / _PERCENT for x, y in corners]
    ys = [(x * math.sin(turn) + y * math.cos(turn)) / region.original_height + value.y / _PERCENT for x, y in corners]
    return GivenBox(value.rectanglelabels[0], min(xs), min(ys), max(xs), max(ys))


def _coco(value: dict[str, Any]) -> GivenReview:
    coco = _CocoFile.model_validate(value)
    names = {category.id: category.name for category in coco.categories}
    images = {image.id: image for image in coco.images}
    boxes: dict[int | str, list[GivenBox]] = {image.id: [] for image in coco.images}
    shapes = 0
    for one in coco.annotations:
        if one.image_id not in images or one.category_id not in names:
            raise ValueError(f"annotation refers to image {one.image_id} or category {one.category_id}, which the file does not define")
        if len(one.bbox) != 4:  # noqa: PLR2004 -- x, y, width, height
            shapes += 1
            continue
        image = images[one.image_id]
        x, y, width, height = one.bbox
        edges = (x / image.width, y / image.height, (x + width) / image.width, (y + height) / image.height)
        boxes[one.image_id].append(GivenBox(names[one.category_id], *edges))
    frames = [
        GivenFrame(image.run_id, image.video_key, image.frame_index, _name(image.file_name), tuple(boxes[image.id]))
        for image in coco.images
    ]
    return GivenReview("coco", tuple(frames), 0, shapes)


def _fiftyone(samples: Any, field: str, tag: str | None) -> GivenReview:
    frames: list[GivenFrame] = []
    unreviewed = 0
    for given in samples if isinstance(samples, list) else (samples,):
        sample = _FiftyOneSample.model_validate(given)
        if tag is not None and tag not in sample.tags:
            unreviewed += 1
            continue
        if field not in given:
            raise ValueError(f"a sample has no field {field!r}: name the field with the boxes (--field)")
        found = _FiftyOneDetections.model_validate(given[field] or {})
        boxes = tuple(_detection(one) for one in found.detections)
        frames.append(GivenFrame(sample.run_id, sample.video_key, sample.frame_index, _name(sample.filepath), boxes))
    return GivenReview("fiftyone", tuple(frames), unreviewed, 0)


def _detection(one: _FiftyOneDetection) -> GivenBox:
    x, y, width, height = one.bounding_box
    return GivenBox(one.label, x, y, x + width, y + height)


def _name(address: str) -> str:
    """The last part of a picture's address."""
    return PurePosixPath(unquote(address).replace("\\", "/")).name


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

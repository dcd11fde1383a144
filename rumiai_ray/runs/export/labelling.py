"""Detections for labelling tools: COCO's JSON, FiftyOne's dataset, Label Studio's tasks.

Each is a directory with the pictures of the sampled frames under `data/`, as far as the frame store still has them, and the boxes beside
them. Files are written as they are made: neither the frames nor the boxes of a run need fit into memory.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from rumiai_ray.models.yolo.coco import COCO_CLASSES
from rumiai_ray.runs.export.folder import new_folder
from rumiai_ray.runs.export.labelled import Labelled, LabelledRun, write_pictures
from rumiai_ray.shown import terminal_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.runs.export.folder import ExportFolder
    from rumiai_ray.runs.export.labelled import LabelledBox, LabelledFrame, LabelledVideo
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.schema.table import Row

LabellingFormat = Literal["coco", "fiftyone", "labelstudio"]

FIFTYONE_VERSION = "1.0.0"
"""The FiftyOne release whose documents `fiftyone` writes. Later ones migrate them: 1.22.1 was seen to, on mongomock in place of MongoDB."""
LABEL_STUDIO_FILES = "/data/local-files/?d="
"""How Label Studio addresses a file below its `LOCAL_FILES_DOCUMENT_ROOT`."""


def export_labelling(run: Run, directory: Path, kind: LabellingFormat, store: FrameStore | None) -> Labelled:
    """Write a run's detections for a labelling tool.

    Args:
        run: the run; nothing but its committed files is read.
        directory: new or empty.
        kind: the tool's format.
        store: where the sampled frames are kept; None to write no pictures.

    Raises:
        ConfigError: `directory` is not empty, or the run's tables lack a column.
        StorageError: the run is damaged, or the directory cannot be written.
    """
    labelled = LabelledRun(run)
    counted = {"videos": 0, "frames": 0, "boxes": 0, "outside": 0, "pictures": 0}
    with new_folder(directory, "detections") as folder:
        for video in labelled.videos():
            counted["videos"] += 1
            counted["frames"] += len(video.frames)
            counted["boxes"] += sum(len(frame.boxes) for frame in video.frames)
            counted["outside"] += video.outside
            if store is not None:
                counted["pictures"] += write_pictures(folder, store, video, in_source_pixels=kind == "coco")
        _WRITERS[kind](_Written(folder, labelled, run.run_id, directory.resolve().name))
    return Labelled(**counted, unseen=labelled.unseen)


@dataclass(frozen=True)
class _Written:
    """What a format's writer is given."""

    folder: ExportFolder
    labelled: LabelledRun
    run_id: str
    directory: str
    """Name of the export's directory."""

    def frames(self) -> Iterator[tuple[LabelledVideo, LabelledFrame]]:
        """Every frame with its video."""
        for video in self.labelled.videos():
            for frame in video.frames:
                yield video, frame

    def labels(self) -> dict[int, str]:
        """The classes by id: COCO's, and what else the detector called a box."""
        found = dict(enumerate(COCO_CLASSES))
        for _, frame in self.frames():
            found |= {box.class_id: box.label for box in frame.boxes}
        return found

    def write(self, name: str, *parts: str | Iterable[Any]) -> None:
        """Write a file of JSON: texts as they are, other values as an array of theirs, one a line."""
        with self.folder.file(name) as sink:
            for part in parts:
                if isinstance(part, str):
                    sink.write(part.encode())
                    continue
                sink.write(b"[")
                for place, value in enumerate(part):
                    sink.write(b",\n" if place else b"\n")
                    sink.write(_json(value).encode())
                sink.write(b"\n]")
            sink.write(b"\n")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _coco(to: _Written) -> None:
    """`annotations.json`, as https://cocodataset.org/#format-data defines object detection, with the `score` of its result format.

    `COCO(path)` of pycocotools reads it, and `loadRes` its annotations. A category's id is the class id and 1, since 0 is the background
    to many readers.
    """
    info = {"description": f"rumiai-ray run {to.run_id}", "version": "1.0", "run_id": to.run_id}
    categories = [{"id": class_id + 1, "name": label, "supercategory": ""} for class_id, label in sorted(to.labels().items())]

    def images() -> Iterator[Row]:
        for image_id, (video, frame) in enumerate(to.frames(), start=1):
            yield {
                "id": image_id,
                "file_name": frame.file.partition("/")[2],
                "width": video.width_px,
                "height": video.height_px,
                "video_key": video.video_key,
                "entry_id": video.entry_id,
                "frame_index": frame.frame_index,
            }

    def annotations() -> Iterator[Row]:
        boxes = ((image_id, box) for image_id, (_, frame) in enumerate(to.frames(), start=1) for box in frame.boxes)
        for annotation_id, (image_id, box) in enumerate(boxes, start=1):
            yield {
                "id": annotation_id,
                "image_id": image_id,
                "category_id": box.class_id + 1,
                "bbox": [box.x, box.y, box.width, box.height],
                "area": round(box.width * box.height, 3),
                "iscrowd": 0,
                "score": box.confidence,
                "track_id": box.track_id,
            }

    head = f'{{"info": {_json(info)},\n"licenses": [],\n"categories": {_json(categories)},\n"images": '
    to.write("annotations.json", head, images(), ',\n"annotations": ', annotations(), "}")


def _fiftyone(to: _Written) -> None:
    """`metadata.json` and `samples.json` of a `fiftyone.types.FiftyOneDataset` of images, in MongoDB's extended JSON.

    https://docs.voxel51.com/user_guide/import_datasets.html#fiftyonedataset gives the layout,
    https://docs.voxel51.com/user_guide/using_datasets.html#object-detection the boxes: relative x, y, width, height in [0, 1].
    """
    to.write("metadata.json", _json(_fiftyone_dataset(to.run_id, sorted({*to.labels().values()}))))
    to.write("samples.json", '{"samples": ', (_fiftyone_sample(to.run_id, *found) for found in to.frames()), "}")


def _fiftyone_dataset(run_id: str, classes: list[str]) -> Row:
    fields = "fiftyone.core.fields."
    own = [
        _fiftyone_field("id", f"{fields}ObjectIdField", stored_as="_id", read_only=True),
        _fiftyone_field("filepath", f"{fields}StringField"),
        _fiftyone_field("tags", f"{fields}ListField", subfield=f"{fields}StringField"),
        _fiftyone_field("metadata", f"{fields}EmbeddedDocumentField", document="fiftyone.core.metadata.ImageMetadata"),
        _fiftyone_field("created_at", f"{fields}DateTimeField", read_only=True),
        _fiftyone_field("last_modified_at", f"{fields}DateTimeField", read_only=True),
        _fiftyone_field("_media_type", f"{fields}StringField"),
        _fiftyone_field("_rand", f"{fields}FloatField"),
        _fiftyone_field("_dataset_id", f"{fields}ObjectIdField"),
        _fiftyone_field("video_key", f"{fields}StringField"),
        _fiftyone_field("entry_id", f"{fields}StringField"),
        _fiftyone_field("frame_index", f"{fields}IntField"),
        _fiftyone_field("objects", f"{fields}EmbeddedDocumentField", document="fiftyone.core.labels.Detections"),
    ]
    nothing: dict[str, Any] = {
        "saved_views": [],
        "workspaces": [],
        "annotation_runs": {},
        "brain_methods": {},
        "evaluations": {},
        "runs": {},
    }
    return {
        "name": run_id,
        "version": FIFTYONE_VERSION,
        "media_type": "image",
        "tags": [],
        "info": {"run_id": run_id},
        "classes": {"objects": classes},
        "default_classes": [],
        "sample_fields": own,
        **nothing,
    }


def _fiftyone_field(
    name: str, kind: str, *, stored_as: str | None = None, document: str | None = None, subfield: str | None = None, read_only: bool = False
) -> Row:
    said: Row = {
        "name": name,
        "ftype": kind,
        "embedded_doc_type": document,
        "subfield": subfield,
        "fields": [],
        "db_field": stored_as or name,
    }
    return said | {"description": None, "info": None, "read_only": read_only}


def _fiftyone_sample(run_id: str, video: LabelledVideo, frame: LabelledFrame) -> Row:
    detections = [
        {
            "_id": _object_id(run_id, video, frame, box),
            "_cls": "Detection",
            "attributes": {},
            "tags": [],
            "label": box.label,
            "bounding_box": list(box.relative(video.width_px, video.height_px, 1)),
            "confidence": box.confidence,
            "index": box.track_id,
        }
        for box in frame.boxes
    ]
    own = _object_id(run_id, video, frame)
    return {
        "_id": own,
        "filepath": frame.file,
        "tags": [],
        "metadata": None,
        "_media_type": "image",
        # FiftyOne draws random views by this number, which it gives each sample between 0.999 and 1.
        "_rand": 0.999 + int(own["$oid"][:6], 16) / 16**6 / 1000,
        "video_key": video.video_key,
        "entry_id": video.entry_id,
        "frame_index": frame.frame_index,
        "objects": {"_cls": "Detections", "detections": detections},
    }


def _object_id(run_id: str, video: LabelledVideo, frame: LabelledFrame, box: LabelledBox | None = None) -> dict[str, str]:
    """A MongoDB id, 24 hexadecimal digits, that two exports of a run agree on."""
    named = f"{run_id}/{video.video_key}/{frame.frame_index}/{'' if box is None else box.object_index}"
    return {"$oid": hashlib.sha256(named.encode()).hexdigest()[:24]}


def _labelstudio(to: _Written) -> None:
    """`tasks.json` with predictions, and the labelling interface they belong to, `interface.xml`.

    https://labelstud.io/guide/predictions gives the format: boxes are in percent of the picture. Pictures are addressed as local files, so
    `LOCAL_FILES_DOCUMENT_ROOT` has to be the directory that holds the export's own.
    """

    def tasks() -> Iterator[Row]:
        for video, frame in to.frames():
            yield {
                "data": {
                    "image": LABEL_STUDIO_FILES + quote(f"{to.directory}/{frame.file}"),
                    "run_id": to.run_id,
                    "video_key": video.video_key,
                    "entry_id": video.entry_id,
                    "frame_index": frame.frame_index,
                },
                "predictions": [{"model_version": video.model, "result": [_labelstudio_box(video, box) for box in frame.boxes]}],
            }

    to.write("tasks.json", tasks())
    labels = "".join(f"    <Label value={quoteattr(terminal_safe(label))}/>\n" for label in dict.fromkeys(to.labels().values()))
    interface = f'<View>\n  <Image name="image" value="$image"/>\n  <RectangleLabels name="label" toName="image">\n{labels}'
    to.write("interface.xml", interface, "  </RectangleLabels>\n</View>")


def _labelstudio_box(video: LabelledVideo, box: LabelledBox) -> Row:
    x, y, width, height = box.relative(video.width_px, video.height_px, 100)
    return {
        "id": f"object-{box.object_index}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": video.width_px,
        "original_height": video.height_px,
        "image_rotation": 0,
        "score": box.confidence,
        "value": {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [box.label]},
    }


_WRITERS: dict[LabellingFormat, Callable[[_Written], None]] = {"coco": _coco, "fiftyone": _fiftyone, "labelstudio": _labelstudio}

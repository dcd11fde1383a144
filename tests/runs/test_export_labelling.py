"""Detections for labelling tools: COCO's JSON is read back by pycocotools, the others are held to their documented schemas."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import cv2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from report_run import analysis_row, video_key, video_row, write_run
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import open_store
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.models.yolo.coco import COCO_CLASSES
from rumiai_ray.runs.export.labelled import Labelled
from rumiai_ray.runs.export.labelling import LABEL_STUDIO_FILES, export_labelling
from synthetic_clips import grid_times_s, make_clip
from synthetic_run import object_row

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.runs.reader import Run

KINDS = ["coco", "fiftyone", "labelstudio"]
WIDTH, HEIGHT = 576, 1024


def seen(frames: list[int], **changes: Any) -> dict[str, Any]:
    return analysis_row("yolo", frames_seen=frames, frames_planned=len(frames), frames_analyzed=len(frames), **changes)


def run_with(out: Path, boxes: list[tuple[float, float, float, float]], **video: Any) -> Run:
    """A run whose frame 0 has boxes and whose frame 1 has none."""
    rows = [
        object_row(0, index, x1=x1, y1=y1, x2=x2, y2=y2, class_id=16, label="dog", confidence=0.5)
        for index, (x1, y1, x2, y2) in enumerate(boxes)
    ]
    return write_run(out, {"clip": {"videos": [video_row("clip", **video)], "analyses": [seen([0, 1])], "objects": rows}})


def coco_of(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_pycocotools_reads_frames_in_source_pixels_and_boxes_with_scores(tmp_path: Path) -> None:
    run = run_with(tmp_path / "runs", [(76.5, 430.25, 386.5, 1021.25), (10, 20, 30, 60)])
    done = export_labelling(run, tmp_path / "coco", "coco", None)
    assert done == Labelled(videos=1, frames=2, boxes=2, outside=0, pictures=0, unseen=0)
    coco = coco_of(tmp_path / "coco/annotations.json")
    first, second = coco.loadImgs(coco.getImgIds())
    assert (first["width"], first["height"], first["file_name"], first["entry_id"]) == (WIDTH, HEIGHT, "clip-000000.jpg", "clip")
    assert (second["frame_index"], coco.getAnnIds(imgIds=[second["id"]])) == (1, [])
    (dog,) = coco.getCatIds(catNms=["dog"])
    found = coco.loadAnns(coco.getAnnIds(imgIds=[first["id"]], catIds=[dog]))
    assert [one["bbox"] for one in found] == [[76.5, 430.25, 310.0, 591.0], [10.0, 20.0, 20.0, 40.0]]
    assert [(one["score"], one["area"], one["iscrowd"]) for one in found] == [(0.5, 183210.0, 0), (0.5, 800.0, 0)]
    assert [one["name"] for one in coco.loadCats(coco.getCatIds())] == list(COCO_CLASSES)
    with contextlib.redirect_stdout(io.StringIO()):
        assert len(coco.loadRes(coco.dataset["annotations"]).anns) == 2


def test_fiftyone_has_a_sample_a_frame_with_relative_boxes_and_ids_that_stay(tmp_path: Path) -> None:
    run = run_with(tmp_path / "runs", [(144, 256, 288, 512)])
    for name in ("one", "two"):
        export_labelling(run, tmp_path / name, "fiftyone", None)
    assert (tmp_path / "one/samples.json").read_bytes() == (tmp_path / "two/samples.json").read_bytes()
    dataset = json.loads((tmp_path / "one/metadata.json").read_text())
    first, second = json.loads((tmp_path / "one/samples.json").read_text())["samples"]
    assert (dataset["media_type"], dataset["version"]) == ("image", "1.0.0")
    # Each stored field of a sample is declared, and no field is declared that a sample could not have.
    assert first.keys() == second.keys()
    stored = {field["db_field"] for field in dataset["sample_fields"]}
    assert first.keys() == stored - {"created_at", "last_modified_at", "_dataset_id"}, "FiftyOne sets these three"
    assert first["filepath"] == "data/clip-000000.jpg"
    assert 0.999 <= first["_rand"] < 1
    (dog,) = first["objects"]["detections"]
    assert (first["objects"]["_cls"], dog["_cls"], dog["label"], dog["confidence"]) == ("Detections", "Detection", "dog", 0.5)
    assert dog["bounding_box"] == [0.25, 0.25, 0.25, 0.25]
    assert second["objects"] == {"_cls": "Detections", "detections": []}
    ids = [first["_id"]["$oid"], second["_id"]["$oid"], dog["_id"]["$oid"]]
    assert len(set(ids)) == 3
    assert all(len(one) == 24 and int(one, 16) >= 0 for one in ids)


@pytest.mark.parametrize(("kind", "file"), [("coco", "annotations.json"), ("fiftyone", "metadata.json")])
def test_the_information_about_the_dataset_names_the_run(tmp_path: Path, kind: Any, file: str) -> None:
    run = run_with(tmp_path / "runs", [(144, 256, 288, 512)])
    export_labelling(run, tmp_path / "to", kind, None)
    assert json.loads((tmp_path / "to" / file).read_text())["info"]["run_id"] == run.run_id


def test_label_studio_has_tasks_with_predictions_in_percent_that_its_interface_shows(tmp_path: Path) -> None:
    run = run_with(tmp_path / "runs", [(144, 256, 288, 512)])
    export_labelling(run, tmp_path / "made for it", "labelstudio", None)
    first, second = json.loads((tmp_path / "made for it/tasks.json").read_text())
    assert unquote(first["data"]["image"]) == LABEL_STUDIO_FILES + "made for it/data/clip-000000.jpg"
    assert " " not in first["data"]["image"]
    (prediction,) = first["predictions"]
    assert prediction["model_version"] == "yolo/backend 1.0"
    (dog,) = prediction["result"]
    value = {"x": 25.0, "y": 25.0, "width": 25.0, "height": 25.0, "rotation": 0, "rectanglelabels": ["dog"]}
    assert (dog["type"], dog["value"], dog["score"]) == ("rectanglelabels", value, 0.5)
    assert (dog["original_width"], dog["original_height"]) == (WIDTH, HEIGHT)
    assert second["predictions"][0]["result"] == []
    view = ET.parse(tmp_path / "made for it/interface.xml").getroot()  # noqa: S314 -- our own
    image, labels = view.find("Image"), view.find("RectangleLabels")
    assert image is not None
    assert labels is not None
    assert (dog["from_name"], dog["to_name"]) == (labels.get("name"), labels.get("toName")) == ("label", image.get("name"))
    assert image.get("value") == "$image"
    assert "dog" in {label.get("value") for label in labels}


EDGES = st.one_of(st.floats(-2000, 3000, width=32), st.sampled_from([0.0, -0.0001, 1.0, 319.9999, 320.0, 320.001, 576.0, 1024.0]))
BOXES = st.lists(st.tuples(EDGES, EDGES, EDGES, EDGES), max_size=5)


@settings(deadline=None, max_examples=30)  # each writes a run
@given(BOXES, st.integers(1, 8000), st.integers(1, 8000), st.sampled_from([0, 90, 180, 270]))
@example([(0, 0, 320, 241), (-50, -50, 0, 0), (319.9999, 0, 330, 10), (300, 200, 290, 190)], 320, 241, 90)
def test_boxes_stay_inside_the_picture_and_those_outside_are_counted(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[float, float, float, float]], width: int, height: int, rotation: int
) -> None:
    out = tmp_path_factory.mktemp("boxes")
    run = run_with(out / "runs", boxes, width_px=width, height_px=height, rotation_deg=rotation)
    done = [export_labelling(run, out / kind, kind, None) for kind in ("coco", "fiftyone", "labelstudio")]
    assert all(one.boxes + one.outside == len(boxes) for one in done)
    coco = json.loads((out / "coco/annotations.json").read_text())
    assert all((image["width"], image["height"]) == (width, height) for image in coco["images"])
    for one in coco["annotations"]:
        x, y, w, h = one["bbox"]
        assert min(x, y) >= 0
        assert min(w, h) > 0
        assert x + w <= width + 1e-6
        assert y + h <= height + 1e-6
    (first, _) = json.loads((out / "fiftyone/samples.json").read_text())["samples"]
    shares = [one["bounding_box"] for one in first["objects"]["detections"]]
    (task, _) = json.loads((out / "labelstudio/tasks.json").read_text())
    values = [one["value"] for one in task["predictions"][0]["result"]]
    percents = [[value[name] for name in ("x", "y", "width", "height")] for value in values]
    for whole, relative in ((1, shares), (100, percents)):
        for x, y, w, h in relative:
            assert min(x, y, w, h) >= 0
            assert max(x + w, y + h) <= whole + 1e-9
    assert len(shares) == len(percents) == len(coco["annotations"]) == done[0].boxes


@pytest.mark.parametrize("kind", KINDS)
def test_a_shared_video_is_there_once_and_a_video_without_an_answer_is_counted(tmp_path: Path, kind: Any) -> None:
    run = write_run(
        tmp_path / "runs",
        {
            "a": {"analyses": [seen([0, 5])], "objects": [object_row(5)]},
            "again": {"analyses": []},
            "failed": {"analyses": [analysis_row("yolo", "failed", frames_seen=None, frames_analyzed=None)]},
            "sound": {"videos": [video_row("sound", width_px=None, height_px=None)], "analyses": [analysis_row("yolo", frames_seen=None)]},
        },
        keys={"again": video_key("a")},
    )
    done = export_labelling(run, tmp_path / "to", kind, None)
    assert done == Labelled(videos=1, frames=2, boxes=1, outside=0, pictures=0, unseen=2)
    with pytest.raises(ConfigError, match="not empty"):
        export_labelling(run, tmp_path / "to", kind, None)


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    """A store whose frames are 64 pixels wide."""
    return open_store(load_config(None, {"store": str(tmp_path / "store"), "sampling": {"long_side_px": 64}}))


def files_told(directory: Path, kind: str) -> list[str]:
    """Where the documents of an export say that the pictures are, below its directory."""
    if kind == "coco":
        return [f"data/{one['file_name']}" for one in json.loads((directory / "annotations.json").read_text())["images"]]
    if kind == "fiftyone":
        return [one["filepath"] for one in json.loads((directory / "samples.json").read_text())["samples"]]
    urls = [one["data"]["image"] for one in json.loads((directory / "tasks.json").read_text())]
    return [unquote(url.partition("?d=")[2]).removeprefix(f"{directory.name}/") for url in urls]


@pytest.mark.parametrize("entry", ["clip", "../../evil", "é b"])
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_lie_where_the_documents_say_in_the_size_that_the_boxes_are_told_in(
    tmp_path: Path, store: FrameStore, kind: Any, entry: str
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", grid_times_s(10, 1.0), size_px=(128, 64))
    with store.ensure(clip, sha256_of(clip)) as stored:
        video = video_row(entry, frames_key=stored.key, width_px=128, height_px=64)
    gone = video_row("gone", frames_key="0" * 64)
    run = write_run(
        tmp_path / "runs",
        {
            entry: {"videos": [video], "analyses": [seen([0, 2])], "objects": [object_row(2)]},
            "gone": {"videos": [gone], "analyses": [seen([0])]},
        },
    )
    done = export_labelling(run, tmp_path / "to", kind, store)
    assert (done.frames, done.pictures) == (3, 2)
    pictures = [tmp_path / "to" / name for name in files_told(tmp_path / "to", kind)]
    assert [path.is_file() for path in pictures] == [True, True, False]
    assert sorted((tmp_path / "to/data").iterdir()) == sorted(pictures[:2])
    read = cv2.imread(str(pictures[0]))
    assert read is not None
    assert read.shape[:2] == ((64, 128) if kind == "coco" else (32, 64))


def test_a_strangers_run_that_says_pictures_are_huge_has_none_of_that_size_made(tmp_path: Path, store: FrameStore) -> None:
    clip = make_clip(tmp_path / "clip.mp4", grid_times_s(10, 1.0), size_px=(128, 64))
    with store.ensure(clip, sha256_of(clip)) as stored:
        video = video_row("clip", frames_key=stored.key, width_px=2_000_000_000, height_px=2_000_000_000)
    run = write_run(tmp_path / "runs", {"clip": {"videos": [video], "analyses": [seen([0])], "objects": [object_row(0)]}})
    done = export_labelling(run, tmp_path / "to", "coco", store)
    assert (done.frames, done.boxes, done.pictures) == (1, 1, 0)
    assert not (tmp_path / "to/data").exists()


def test_an_export_that_fails_leaves_nothing_and_follows_no_link(
    tmp_path: Path, store: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    clip = make_clip(tmp_path / "clip.mp4", grid_times_s(10, 1.0), size_px=(128, 64))
    with store.ensure(clip, sha256_of(clip)) as stored:
        video = video_row("clip", frames_key=stored.key, width_px=128, height_px=64)
    run = write_run(tmp_path / "runs", {"clip": {"videos": [video], "analyses": [seen([0])]}})
    real = store.open

    def planted(key: str) -> Any:
        (tmp_path / "to/data").symlink_to(tmp_path / "elsewhere")
        return real(key)

    monkeypatch.setattr(store, "open", planted)
    with pytest.raises(StorageError, match="cannot write the file"):
        export_labelling(run, tmp_path / "to", "fiftyone", store)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr("rumiai_ray.runs.export.labelling._fiftyone_sample", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_labelling(run, tmp_path / "new", "fiftyone", store)
    assert not (tmp_path / "new").exists()

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pictures import batch, clip, still
from rumiai_ray.errors import ConfigError, WeightsError
from rumiai_ray.models.base import FrameBatch, ModelPlan
from rumiai_ray.models.weights import choice as weights
from rumiai_ray.models.weights.choice import MissingWeightsError, default_directories, resolve
from rumiai_ray.models.weights.fetch import fetchable
from rumiai_ray.models.yolo.coco import COCO_CLASSES
from rumiai_ray.models.yolo.model import Yolo, YoloSettings
from rumiai_ray.models.yolo.ultralytics_detector import import_ultralytics
from rumiai_ray.schema.yolo import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from rumiai_ray.models.weights.files import Candidate

    Plans = Callable[..., ModelPlan]

DIGEST = "0" * 64


@pytest.fixture(scope="module")
def yolo(plan_for: Plans) -> Iterator[Yolo]:
    """YOLO11n as OpenVINO export; a machine without it skips, as nothing can fetch it."""
    plan = plan_for("yolo")
    if plan.stand_in:
        pytest.skip("yolo11n_int8_openvino_model is in no weights directory")
    model = Yolo(plan)
    model.load()
    yield model
    model.close()


class StandInOnly(Yolo):
    """The family on a machine where nobody put the export."""

    @classmethod
    def candidates(cls, settings: YoloSettings) -> tuple[Candidate, ...]:
        return super().candidates(settings)[-1:]


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Yolo]:
    try:
        plan = resolve(StandInOnly, YoloSettings(), profile="offline", directories=default_directories())
    except MissingWeightsError as error:
        pytest.skip(str(error))
    model = Yolo(plan)
    model.load()
    yield model
    model.close()


def _objects(model: Yolo, batch: FrameBatch) -> pa.Table:
    return model.predict(batch).tables["objects"]


def _values(objects: pa.Table, column: str) -> NDArray[np.float32]:
    return objects[column].to_numpy()


def _iou(one: dict[str, float], other: dict[str, float]) -> float:
    width = min(one["x2"], other["x2"]) - max(one["x1"], other["x1"])
    height = min(one["y2"], other["y2"]) - max(one["y1"], other["y1"])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box["x2"] - box["x1"]) * (box["y2"] - box["y1"]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def _count(objects: pa.Table, label: str) -> int:
    return objects["label"].to_pylist().count(label)


@pytest.mark.model("yolo")
def test_four_persons_and_a_bus_are_seen_in_madrid(yolo: Yolo, media: Path) -> None:
    objects = _objects(yolo, batch(still(media / "b_objects/ultralytics_bus.jpg")[None]))
    assert _count(objects, "person") == 4
    assert _count(objects, "bus") == 1
    assert objects.schema.equals(OBJECTS.row_schema)
    assert (np.diff(_values(objects, "confidence")) <= 0).all()
    assert objects["object_index"].to_pylist() == list(range(len(objects)))


@pytest.mark.model("yolo")
def test_two_persons_and_a_tie_are_seen_at_the_stadium(yolo: Yolo, media: Path) -> None:
    objects = _objects(yolo, batch(still(media / "b_objects/ultralytics_zidane.jpg")[None]))
    assert _count(objects, "person") == 2
    # One tie, though an INT8 network on a CPU without VNNI instructions gives it a second box (IoU 0.64, below the NMS threshold of 0.7).
    best, *others = (row for row in objects.to_pylist() if row["label"] == "tie")
    assert best["confidence"] > 0.4
    assert all(_iou(best, other) > 0.5 for other in others)


@pytest.mark.model("yolo")
def test_the_person_and_the_dog_are_seen_throughout_the_clip(yolo: Yolo, media: Path) -> None:
    frames = clip(media / "b_objects/sam2_dog_fetch.mp4", [at / 2 for at in range(18)])
    objects = _objects(yolo, batch(frames))
    seen = {label: {row["frame_index"] for row in objects.to_pylist() if row["label"] == label} for label in ("person", "dog")}
    assert len(seen["person"]) >= 0.95 * len(frames)
    assert len(seen["dog"]) >= 0.80 * len(frames)


@pytest.mark.model("yolo")
def test_nobody_is_seen_on_text_cards(yolo: Yolo, media: Path) -> None:
    objects = _objects(yolo, batch(clip(media / "c_text_derived/tt_textcards_no_person_720x1280.mp4", [0.5, 1, 3, 5])))
    assert _count(objects, "person") == 0


@pytest.mark.model("yolo")
def test_boxes_are_in_source_pixels_when_the_stored_picture_is_smaller(yolo: Yolo, media: Path) -> None:
    path = media / "b_objects/ultralytics_bus.jpg"
    full = _objects(yolo, batch(still(path)[None]))
    small = _objects(yolo, batch(still(path, (600, 800))[None], source_px=(810, 1080)))
    for name in ("x1", "y1", "x2", "y2"):
        assert small[name][0].as_py() == pytest.approx(full[name][0].as_py(), abs=15)
    for objects in (full, small):
        assert _values(objects, "x1").min() >= 0
        assert _values(objects, "x2").max() <= 810
        assert _values(objects, "y2").max() <= 1080


@pytest.mark.model("yolo")
def test_the_same_frames_give_the_same_rows_in_anybatch(yolo: Yolo, media: Path) -> None:
    frames = clip(media / "b_objects/sam2_juggle.mp4", [0, 1, 2])
    together = _objects(yolo, batch(frames))
    alone = [_objects(yolo, batch(frame[None])) for frame in frames]
    assert together.num_rows == sum(map(len, alone)) > 0
    assert together["x1"].to_pylist() == [x1 for objects in alone for x1 in objects["x1"].to_pylist()]


@pytest.mark.model("yolo")
def test_a_blank_frame_gives_an_empty_table(yolo: Yolo) -> None:
    objects = _objects(yolo, batch(np.zeros((2, 320, 180, 3), np.uint8)))
    assert objects.num_rows == 0
    assert objects.schema.equals(OBJECTS.row_schema)


@pytest.mark.model("yolo")
def test_an_export_of_fixed_size_is_not_run_at_another(plan_for: Plans, yolo: Yolo) -> None:  # noqa: ARG001 -- skips without the export
    with pytest.raises(ConfigError, match="exported for 640x640"):
        Yolo(plan_for("yolo", image_size_px=1280)).load()


@pytest.mark.model("yolo")
def test_the_stand_in_is_declared_and_sees_the_bus_and_its_passengers(stand_in: Yolo, media: Path) -> None:
    assert stand_in.plan.stand_in
    assert stand_in.plan.backend == "mediapipe/efficientdet-lite0"
    objects = _objects(stand_in, batch(still(media / "b_objects/ultralytics_bus.jpg")[None]))
    assert _count(objects, "bus") == 1
    assert 3 <= _count(objects, "person") <= 5
    assert all(COCO_CLASSES[row["class_id"]] == row["label"] for row in objects.to_pylist())


@pytest.mark.model("yolo")
def test_the_stand_in_sees_nothing_in_a_blank_frame(stand_in: Yolo) -> None:
    assert _objects(stand_in, batch(np.zeros((1, 320, 180, 3), np.uint8))).num_rows == 0


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WIRING ONLY: the architecture of YOLO11n with random weights, saved as the checkpoint users name. It has learnt nothing."""
    network = import_ultralytics().YOLO("yolo11n.yaml", task="detect")
    network.model.names = dict(enumerate(COCO_CLASSES))
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    network.save(str(path))
    return path


def _own(path: Path, **settings: Any) -> ModelPlan:
    """The plan for a network of the user's, taken at its word."""
    return ModelPlan(
        "yolo", f"ultralytics/{path.name}", "", stand_in=False, files={"weights": path}, digests={}, weights_sha256="",
        device="cpu", precision="fp32", settings=YoloSettings(**settings),
    )  # fmt: skip


def test_wiring_only_a_checkpoint_is_computed_in_batches_and_gives_what_single_frames_give(untrained: Path) -> None:
    model = Yolo(_own(untrained, batch_frames=4, confidence=0, image_size_px=64))
    model.load()
    sizes: list[int] = []
    model._detector._network.backend.model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))  # type: ignore[attr-defined]
    frames = np.random.default_rng(0).integers(0, 255, (6, 128, 72, 3)).astype(np.uint8)
    objects = _objects(model, batch(frames, (720, 1280)))
    assert sizes == [4, 2]
    assert _values(objects, "x1").min() >= 0
    assert 600 < _values(objects, "x2").max() <= 720
    alone = _objects(model, batch(frames[5:], (720, 1280)))
    last = objects.filter([index == 5 for index in objects["frame_index"].to_pylist()])
    assert last["confidence"].to_pylist() == pytest.approx(alone["confidence"].to_pylist(), abs=1e-5)
    model.close()


def test_a_damaged_checkpoint_is_a_weights_error(untrained: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(untrained.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match=r"damaged\.pt: Ultralytics cannot load the weights"):
        Yolo(_own(damaged)).load()


def test_a_damaged_stand_in_is_a_weights_error(tmp_path: Path) -> None:
    damaged = tmp_path / "object_detector.tflite"
    damaged.write_bytes(b"not a network")
    with pytest.raises(WeightsError, match="MediaPipe cannot open the file"):
        Yolo(replace(_own(damaged), files={"efficientdet": damaged})).load()


def test_an_export_beside_another_graph_is_refused_as_the_other_is_unchecked(tmp_path: Path) -> None:
    graphs = [tmp_path / "mine_openvino_model" / name for name in ("mine.xml", "other.xml")]
    graphs[0].parent.mkdir()
    for graph in graphs:
        graph.touch()
    with pytest.raises(WeightsError, match="holds 2 graphs"):
        Yolo(replace(_own(graphs[0]), files={"xml": graphs[0]})).load()


def test_a_network_of_other_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "digits.pt"
    import_ultralytics().YOLO("yolo11n.yaml", task="detect").save(str(path))
    with pytest.raises(WeightsError, match="80 classes that are not COCO's"):
        Yolo(_own(path)).load()


def test_weights_named_by_the_user_need_their_digest() -> None:
    with pytest.raises(ValueError, match="weights_sha256 must be 1 SHA-256"):
        YoloSettings(weights="mine.pt")
    with pytest.raises(ValueError, match="weights_sha256 must be 3 SHA-256"):
        YoloSettings(weights="mine_openvino_model", weights_sha256=DIGEST)
    with pytest.raises(ValueError, match="without weights"):
        YoloSettings(weights_sha256=DIGEST)
    with pytest.raises(ValueError, match="must end in"):
        YoloSettings(weights="mine.h5", weights_sha256=DIGEST)


def test_weights_named_by_the_user_are_the_only_candidate() -> None:
    (mine,) = Yolo.candidates(YoloSettings(weights="sub/mine.pt", weights_sha256=DIGEST))
    assert [(file.path, file.sha256) for file in mine.files] == [("sub/mine.pt", DIGEST)]
    (export,) = Yolo.candidates(YoloSettings(weights="mine_int8_openvino_model", weights_sha256=f"{DIGEST}, {DIGEST},{DIGEST}"))
    assert [file.path.split("/")[1] for file in export.files] == ["mine.xml", "mine.bin", "metadata.yaml"]


def test_weights_named_by_the_user_are_loaded_only_if_they_are_those(untrained: Path) -> None:
    with pytest.raises(WeightsError, match="SHA-256"):
        resolve(Yolo, YoloSettings(weights="random.pt", weights_sha256=DIGEST), profile="standard", directories=[untrained.parent])


@pytest.mark.parametrize("there", [1, 3])
def test_offline_too_the_published_network_runs_where_somebody_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: int) -> None:
    monkeypatch.setattr(weights, "check", lambda found, _: {file.role: DIGEST for file in found})
    for candidate in Yolo.candidates(YoloSettings())[1 : 1 + there]:
        for file in candidate.files:
            (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file.path).touch()
    plan = resolve(Yolo, YoloSettings(), profile="offline", directories=[tmp_path])
    assert (plan.backend, plan.stand_in) == ("ultralytics/yolo11n", False)
    fetched = fetchable(Yolo, YoloSettings(), "offline")
    assert fetched is not None
    assert fetched.stand_in


def test_half_precision_is_planned_on_a_gpu_only_and_where_it_is_asked_for() -> None:
    published, put_there, export, stand_in = Yolo.candidates(YoloSettings(half=True))
    assert put_there.gpu_precision == "fp16"
    assert (published.precision, published.gpu_precision, published.runs_on_gpu) == ("fp32", "fp16", True)
    assert not export.runs_on_gpu
    assert not stand_in.runs_on_gpu
    assert stand_in.profiles == ("offline",)
    assert [network.gpu_precision for network in Yolo.candidates(YoloSettings())[:2]] == ["", ""]
    for half, expected in ((True, "fp16"), (False, "")):
        (mine,) = Yolo.candidates(YoloSettings(weights="mine.pt", weights_sha256=DIGEST, half=half))
        assert mine.gpu_precision == expected


def test_ultralytics_is_offline_installs_nothing_and_keeps_no_settings_in_the_home_directory(tmp_path: Path) -> None:
    program = """
import os
from rumiai_ray.models.yolo.ultralytics_detector import import_ultralytics
import_ultralytics()
from ultralytics import utils
from ultralytics.utils.events import events
assert not utils.ONLINE and not utils.AUTOINSTALL and utils.SAFE_LOAD and not events.enabled
assert not utils.SETTINGS_FILE.exists()
assert not os.listdir(os.environ["HOME"]), os.listdir(os.environ["HOME"])
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO_", "ULTRALYTICS_", "XDG_"))}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=environment | {"HOME": str(tmp_path)})


def test_ultralytics_imported_online_by_somebody_else_is_refused(tmp_path: Path) -> None:
    program = """
import ultralytics
from rumiai_ray.errors import ConfigError
from rumiai_ray.models.yolo.ultralytics_detector import import_ultralytics
try:
    import_ultralytics()
except ConfigError as error:
    assert "YOLO_OFFLINE=true" in str(error)
else:
    raise SystemExit("not refused")
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO_", "ULTRALYTICS_"))}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=environment | {"YOLO_CONFIG_DIR": str(tmp_path)})

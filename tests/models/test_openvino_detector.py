"""The export for OpenVINO without Ultralytics: the boxes that Ultralytics gives, and nothing of torch in the process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictures import batch, clip, still
from rumiai_ray.errors import ConfigError, WeightsError
from rumiai_ray.models.yolo.model import Yolo
from rumiai_ray.models.yolo.openvino_detector import OpenVinoDetector, kept_boxes
from rumiai_ray.models.yolo.ultralytics_detector import UltralyticsDetector, UltralyticsOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.base import ModelPlan

    Plans = Callable[..., ModelPlan]

LOW = 0.001
"""A confidence at which a picture has hundreds of boxes, most of them suppressed."""


def export(plan_for: Plans) -> Path:
    plan = plan_for("yolo")
    if "xml" not in plan.files:
        pytest.skip("yolo11n_int8_openvino_model is in no weights directory")
    return plan.files["xml"]


def alone(graph: Path, confidence: float, iou: float = 0.7) -> OpenVinoDetector:
    return OpenVinoDetector(graph, threads=1, confidence=confidence, iou=iou, image_size_px=640)


def pictures(media: Path) -> list[NDArray[np.uint8]]:
    """(n, height, width, 3) each: upright, wide, square, of the network's own size, tiny and thin, with and without objects."""
    bus, dog = still(media / "b_objects/ultralytics_bus.jpg"), clip(media / "b_objects/sam2_dog_fetch.mp4", [0.5, 3])
    noise = np.random.default_rng(3).integers(0, 255, (1, 77, 411, 3), np.uint8)
    return [
        bus[None], dog, clip(media / "c_text_derived/tt_dog_voiceover_720x1280.mp4", [1, 4]),
        clip(media / "b_objects/sam2_juggle.mp4", [0, 1]), np.zeros((1, 1, 500, 3), np.uint8),
        bus[None, :640, :640].copy(), bus[None, 100:740, 10:370].copy(), bus[None, :9, :700].copy(), noise,
        bus[None, 200:201, 300:301].copy(),
    ]  # fmt: skip


@pytest.mark.model("yolo")
@pytest.mark.parametrize(("confidence", "iou"), [(0.25, 0.7), (LOW, 0.45)])
def test_openvino_alone_gives_the_boxes_of_ultralytics_bit_for_bit(plan_for: Plans, media: Path, confidence: float, iou: float) -> None:
    graph = export(plan_for)
    options = UltralyticsOptions("cpu", half=False, threads=1, confidence=confidence, iou=iou, image_size_px=640, batch_frames=8)
    theirs, ours = UltralyticsDetector(graph.parent, options), alone(graph, confidence, iou)
    found = 0
    for images in pictures(media):
        for mine, wanted in zip(ours.detect(images), theirs.detect(images), strict=True):
            assert mine.dtype == np.float32
            np.testing.assert_array_equal(mine, wanted)
            found += len(mine)
    assert found > (10 if confidence > LOW else 100)


@pytest.mark.model("yolo")
def test_what_an_image_shows_does_not_depend_on_the_one_before(plan_for: Plans, media: Path) -> None:
    upright, wide = pictures(media)[2][:1], pictures(media)[1][:1]
    detector = alone(export(plan_for), LOW)
    ((first,), _, (again,)) = (detector.detect(images) for images in (upright, wide, upright))
    np.testing.assert_array_equal(first, again)


@pytest.mark.model("yolo")
def test_the_export_runs_without_torch_and_ultralytics(plan_for: Plans, media: Path) -> None:
    """They take seconds to import, in every actor of every run."""
    graph = export(plan_for)
    program = f"""
import sys
import numpy as np
from pathlib import Path
from rumiai_ray.models.yolo.model import Yolo
from rumiai_ray.models.yolo.openvino_detector import OpenVinoDetector
detector = OpenVinoDetector(Path({str(graph)!r}), threads=1, confidence=0.25, iou=0.7, image_size_px=640)
detector.detect(np.zeros((1, 64, 64, 3), np.uint8))
assert not {{"torch", "torchvision", "ultralytics"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    model = Yolo(plan_for("yolo"))
    model.load()
    assert isinstance(model._detector, OpenVinoDetector)
    assert model.predict(batch(still(media / "b_objects/ultralytics_bus.jpg")[None])).tables["objects"].num_rows > 3
    model.close()


@pytest.mark.model("yolo")
def test_a_graph_of_another_size_or_of_something_else_is_refused(plan_for: Plans, tmp_path: Path) -> None:
    graph = export(plan_for)
    with pytest.raises(ConfigError, match="exported for 640x640"):
        OpenVinoDetector(graph, threads=1, confidence=0.25, iou=0.7, image_size_px=320)
    damaged = tmp_path / graph.name
    damaged.write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(WeightsError):
        alone(damaged, 0.25)


corner, side = st.floats(0, 600, width=32), st.floats(0, 200, width=32)
boxes = st.lists(st.tuples(corner, corner, side, side, st.floats(0.25, 1, width=32)), max_size=25)


@settings(deadline=None)
@given(boxes, st.sampled_from([0.0, 0.45, 0.5, 0.7, 1.0]))
def test_the_boxes_that_stay_are_those_of_torchvision(given_boxes: list[tuple[float, ...]], iou: float) -> None:
    import torch  # noqa: PLC0415 -- heavy
    import torchvision  # noqa: PLC0415 -- heavy

    rows = np.array(given_boxes, np.float32).reshape(-1, 5)
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    wanted = torchvision.ops.nms(torch.from_numpy(corners), torch.from_numpy(rows[:, 4].copy()), iou).tolist()
    assert kept_boxes(corners, rows[:, 4], iou).tolist() == wanted

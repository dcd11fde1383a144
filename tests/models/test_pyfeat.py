"""py-feat's Detectorv2, wiring only: its real code with seeded random weights, whose readings mean nothing.

Shown are shapes, which value lands in which column, that batches are batches, and that nothing is fetched.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.base import FrameBatch, ModelPlan
from rumiai_ray.models.emotion.model import Emotion, EmotionSettings
from rumiai_ray.schema.emotion import ACTION_UNITS, EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FACES = {
    1: [[10.0, 20.0, 50.0, 70.0, 0.9], [60.0, 5.0, 120.0, 85.0, 0.8], [1.0, 1.0, 9.0, 9.0, 0.2]],
    3: [[30.0, 10.0, 90.0, 80.0, 0.7]],
}
"""What the detector is made to find: [x1, y1, x2, y2, score] by frame; the third face of frame 1 is below the threshold."""


@pytest.fixture(scope="module", autouse=True)
def _py_feat() -> None:
    """Skips where py-feat does not import. Not done at collection: the import takes seconds."""
    try:
        import feat  # noqa: F401, PLC0415
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"py-feat does not import here: {error}")


def save_weights(folder: Path, n_emotion: int = 7, n_au: int = 20) -> dict[str, Path]:
    """Both networks with random weights; the multitask one small, but with the heads of the published version."""
    import torch  # noqa: PLC0415 -- after the skip above
    from feat.face_detectors.Retinaface.Retinaface_test import Retinaface  # noqa: PLC0415
    from feat.multitask.model_v2 import MEGraphAUv2, ModelV2Config  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415

    torch.manual_seed(11)
    config = {
        "backbone": "convnextv2_atto.fcmae",
        "afg_channels": 64,
        "mefl_channels": 64,
        "n_au": n_au,
        "n_emotion": n_emotion,
        "n_blendshape": 52,
        "mesh_normalized": True,
        "use_head_v3": True,
        "drop_mefl": True,
        "emotion_use_au_prob": True,
    }
    files = {"retinaface": folder / "model.safetensors", "face_multitask": folder / "face_multitask_v28.safetensors"}
    save_file(Retinaface(device="cpu", pretrained="random").net.state_dict(), files["retinaface"])
    network = MEGraphAUv2(ModelV2Config(**config, pretrained=False))
    save_file(network.state_dict(), files["face_multitask"], metadata={"config": json.dumps(config)})
    return files


def plan(files: dict[str, Path], precision: str = "fp32", **settings: Any) -> ModelPlan:
    return ModelPlan(
        name="emotion",
        backend="py-feat/detectorv2",
        version="2.1.5",
        stand_in=False,
        files=files,
        digests={},
        weights_sha256="",
        device="cpu",
        precision=precision,
        settings=EmotionSettings(**settings),
    )


def batch() -> FrameBatch:
    images = np.random.default_rng(5).integers(0, 255, (5, 96, 160, 3), dtype=np.uint8)
    images.flags.writeable = False
    return FrameBatch(np.arange(0, 10, 2, dtype=np.int32), np.arange(5) / 2, images, source_width_px=320, source_height_px=192)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_weights(tmp_path_factory.mktemp("pyfeat"))


@pytest.fixture
def sizes() -> dict[str, list[int]]:
    """How many frames and how many faces went through the networks in each call."""
    return {"frames": [], "faces": []}


@pytest.fixture
def model(files: dict[str, Path], sizes: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Emotion]:
    """Loaded without a network; its RetinaFace runs for real, but what it finds is replaced by `FACES`."""
    from feat.face_detectors.Retinaface.Retinaface_test import Retinaface  # noqa: PLC0415
    from feat.multitask.inference import MultitaskModel  # noqa: PLC0415

    def no_network(*_: object) -> None:
        raise AssertionError("py-feat wanted the network")

    look, preprocess = Retinaface.forward, MultitaskModel.preprocess

    def find(detector: Any, frames: Any) -> list[list[list[float]]]:
        found = look(detector, frames)
        assert len(found) == len(frames)
        assert all(len(face) == 5 for faces in found for face in faces)
        first = sum(sizes["frames"])
        sizes["frames"].append(len(frames))
        return [FACES.get(first + index, []) for index in range(len(frames))]

    def count(network: Any, chips: Any) -> Any:
        sizes["faces"].append(len(chips))
        return preprocess(network, chips)

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(Retinaface, "forward", find)
    monkeypatch.setattr(MultitaskModel, "preprocess", count)
    emotion = Emotion(plan(files, batch_frames=4))
    emotion.load()
    yield emotion
    emotion.close()


def test_faces_above_the_threshold_get_a_row_each_and_frames_without_one_get_none(model: Emotion) -> None:
    rows = model.predict(batch()).tables["emotions"].to_pylist()
    assert [(row["frame_index"], row["time_s"], row["face_index"]) for row in rows] == [(2, 0.5, 0), (2, 0.5, 1), (6, 1.5, 0)]
    assert [row["face_confidence"] for row in rows] == pytest.approx([0.8, 0.9, 0.7])
    assert [row["is_largest"] for row in rows] == [True, False, True]
    edges = [[row[edge] for edge in ("x1", "y1", "x2", "y2")] for row in rows]
    assert edges == [[120, 10, 240, 170], [20, 40, 100, 140], [60, 20, 180, 160]]


def test_frames_and_faces_really_go_through_in_batches(model: Emotion, sizes: dict[str, list[int]]) -> None:
    model.predict(batch())
    assert sizes["frames"] == [4, 1]
    # frames 0 and 2 carry one placeholder each, and so does frame 4
    assert sizes["faces"] == [5, 1]


def test_every_reading_is_measured_and_within_its_range(model: Emotion) -> None:
    for row in model.predict(batch()).tables["emotions"].to_pylist():
        assert all(value is not None for value in row.values())
        assert sum(row[emotion] for emotion in EMOTIONS) == pytest.approx(1, abs=1e-5)
        assert row["dominant_emotion"] == max(EMOTIONS, key=row.__getitem__)
        assert all(0 <= row[unit] <= 1 for unit in ACTION_UNITS)
        assert -1 <= row["valence"] <= 1
        assert -1 <= row["arousal"] <= 1


def test_every_reading_lands_in_the_column_py_feat_itself_gives_it(model: Emotion) -> None:
    import torch  # noqa: PLC0415

    rows = model.predict(batch()).tables["emotions"].to_pylist()
    detector: Any = model._reader._detector  # type: ignore[attr-defined]
    # crops of these two frames alone, through py-feat's own call for known boxes
    boxes = [torch.tensor([[60.0, 5.0, 120.0, 85.0], [10.0, 20.0, 50.0, 70.0]]), torch.tensor([[30.0, 10.0, 90.0, 80.0]])]
    images = torch.from_numpy(batch().images[[1, 3]].transpose(0, 3, 1, 2).copy())
    chips = torch.cat([face["faces"] for face in detector.crop_faces_from_boxes(images, boxes)])
    out = detector.multitask(chips)
    ours = {"Happy": "happiness", "Sad": "sadness"} | {name: name.lower() for name in ("Neutral", "Surprise", "Fear", "Disgust", "Anger")}
    for index, row in enumerate(rows):
        expected = {ours[name]: value for name, value in zip(out.emotion_names, out.emotion[index], strict=True)}
        expected |= {name.lower(): value for name, value in zip(out.au_names, out.au[index], strict=True)}
        pitch, yaw, roll = np.degrees(out.pose[index, :3])
        expected |= {"valence": out.valence[index], "arousal": out.arousal[index]}
        expected |= {"head_pitch_deg": -pitch, "head_roll_deg": -roll, "head_yaw_deg": yaw}
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-4)


def test_frames_without_any_face_are_no_error_and_no_row(model: Emotion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FACES, 1)
    monkeypatch.delitem(FACES, 3)
    assert model.predict(batch()).tables["emotions"].num_rows == 0


def test_what_a_head_of_the_network_gives_no_number_for_is_null(model: Emotion, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = model._reader._detector  # type: ignore[attr-defined]
    forward = detector.forward

    def without_numbers(*arguments: Any) -> Any:
        table = forward(*arguments)
        table.loc[:, ["valence", "Roll", "AU01"]] = np.nan
        return table

    monkeypatch.setattr(detector, "forward", without_numbers)
    for row in model.predict(batch()).tables["emotions"].to_pylist():
        assert {name for name, value in row.items() if value is None} == {"valence", "head_roll_deg", "au01"}


def test_half_precision_is_planned_on_a_gpu_only_and_may_be_declined() -> None:
    half, full = (Emotion.candidates(EmotionSettings(half=wanted))[0] for wanted in (True, False))
    assert (half.precision, half.gpu_precision) == ("fp32", "fp16+bf16")
    assert (full.precision, full.gpu_precision) == ("fp32", "")


def test_half_precision_computes_in_16_bits_and_reads_what_full_precision_reads(files: dict[str, Path]) -> None:
    import torch  # noqa: PLC0415

    found, read = {}, {}
    frames = torch.from_numpy(batch().images.transpose(0, 3, 1, 2).copy()).float()
    chips = torch.rand(3, 3, 256, 256, generator=torch.Generator().manual_seed(7))
    for precision in ("fp32", "fp16+bf16"):
        emotion = Emotion(plan(files, precision))
        emotion.load()
        detector: Any = emotion._reader._detector  # type: ignore[attr-defined]
        assert detector.multitask.amp == (precision != "fp32")
        with torch.inference_mode():
            found[precision] = detector.face_detector.net(frames)
        read[precision] = detector.multitask(chips)
        emotion.close()
    for ours, exact in zip(found["fp16+bf16"], found["fp32"], strict=True):
        assert ours.dtype == torch.float32  # boxes are decoded in it
        assert not torch.equal(ours, exact)
        assert torch.linalg.norm(ours - exact) < 0.01 * torch.linalg.norm(exact)
    for reading in ("au", "emotion", "valence", "arousal"):
        ours, exact = (getattr(read[precision], reading) for precision in ("fp16+bf16", "fp32"))
        assert np.abs(ours - exact).max() < 0.05


def test_another_generation_of_the_network_is_refused(tmp_path: Path) -> None:
    emotion = Emotion(plan(save_weights(tmp_path, n_emotion=8, n_au=24)))
    with pytest.raises(WeightsError, match="7 emotions and 20 action units"):
        emotion.load()


def test_a_file_that_is_no_network_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(b"no network")
    with pytest.raises(WeightsError, match="does not load"):
        Emotion(plan(files | {"retinaface": broken})).load()

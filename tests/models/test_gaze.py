from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from clips import frames_of
from rumiai_ray.models.mediapipe.faces import FaceFinder
from rumiai_ray.models.mediapipe.gaze import EyeGaze, GazeLimits, read_gaze

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.base import ModelPlan

LIMITS = GazeLimits(yaw_deg=13, pitch_deg=18, shut_opening=0.12)
LEVEL = -0.07
"""Where the iris of a level look into the camera stands."""

real = pytest.mark.model("mediapipe")


def _mesh(x: float = 0.0, y: float = LEVEL, *, eye_px: float = 30.0, tilt_deg: float = 0.0, opening: float = 0.35) -> NDArray[np.float32]:
    """A face mesh of which only the eyes are drawn, with the irises at x, y eye widths from their middles."""
    points = np.zeros((478, 3), np.float32)
    for middle, corners, iris, lids in ((-1, (33, 133), 468, (159, 145)), (1, (362, 263), 473, (386, 374))):
        points[corners[0], :2], points[corners[1], :2] = (middle - 0.5, 0), (middle + 0.5, 0)
        points[lids[0], :2], points[lids[1], :2] = (middle, -opening / 2), (middle, opening / 2)
        points[iris, :2] = (middle + x, y)
    tilt = math.radians(tilt_deg)
    turn = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    points[:, :2] = points[:, :2] @ turn.T * eye_px + (300, 200)
    return points


def _head(yaw_deg: float = 0.0, pitch_deg: float = 0.0) -> NDArray[np.float32]:
    """Transform of a head straight before the camera, turned to the picture's right and down."""
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg + 3)  # a level canonical face points 3° down
    about_up = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_right = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    transform = np.eye(4)
    transform[:3, :3] = about_up @ about_right
    transform[2, 3] = -40
    return transform.astype(np.float32)


def _gaze(mesh: NDArray[np.float32], head: NDArray[np.float32] | None = None) -> EyeGaze:
    return read_gaze(mesh, _head() if head is None else head, LIMITS)


def test_level_eyes_in_a_level_head_look_into_the_camera() -> None:
    gaze = _gaze(_mesh())
    assert gaze.eye_contact is True
    assert gaze.eye_contact_score == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("x", "y", "side"), [(0.2, LEVEL, "right"), (-0.2, LEVEL, "left"), (0, LEVEL + 0.2, "down"), (0, LEVEL - 0.2, "up")]
)
def test_eyes_turned_in_a_still_head_look_to_that_side_of_the_picture(x: float, y: float, side: str) -> None:
    gaze = _gaze(_mesh(x, y))
    assert gaze.direction == side
    assert gaze.eye_contact is False
    assert gaze.eye_contact_score == 0


@pytest.mark.parametrize(("yaw_deg", "pitch_deg", "side"), [(30, 0, "right"), (-30, 0, "left"), (0, 30, "down"), (0, -30, "up")])
def test_a_head_turned_with_still_eyes_looks_to_that_side_of_the_picture(yaw_deg: float, pitch_deg: float, side: str) -> None:
    gaze = _gaze(_mesh(), _head(yaw_deg, pitch_deg))
    assert gaze.direction == side
    assert (gaze.head_yaw_deg, gaze.head_pitch_deg) == pytest.approx((yaw_deg, pitch_deg), abs=0.5)


def test_eyes_that_hold_the_camera_while_the_head_turns_are_eye_contact() -> None:
    gaze = _gaze(_mesh(x=-0.15), _head(yaw_deg=25))
    assert gaze.eye_contact is True
    assert gaze.head_yaw_deg == pytest.approx(25, abs=0.5)
    assert gaze.yaw_deg == pytest.approx(0, abs=2)


@pytest.mark.parametrize("eye_px", [6.0, 30.0, 200.0])
def test_a_far_face_does_not_look_at_the_camera_more_than_a_near_one(eye_px: float) -> None:
    gaze = _gaze(_mesh(x=0.2, eye_px=eye_px))
    assert gaze.x == pytest.approx(0.2, abs=0.001)
    assert gaze.eye_contact is False


@pytest.mark.parametrize("tilt_deg", [-40, 20, 40])
def test_tilting_the_head_changes_neither_the_offsets_nor_eye_contact(tilt_deg: float) -> None:
    gaze = _gaze(_mesh(tilt_deg=tilt_deg))
    assert (gaze.x, gaze.y) == pytest.approx((0, LEVEL), abs=0.001)
    assert gaze.eye_contact is True


def test_on_a_head_lying_on_its_side_the_direction_is_still_the_picture_s() -> None:
    assert _gaze(_mesh(x=0.3, tilt_deg=90)).direction == "down"


def test_shut_eyes_look_nowhere_and_are_not_reported_as_looking_away() -> None:
    gaze = _gaze(_mesh(opening=0.05))
    assert (gaze.eye_contact, gaze.eye_contact_score, gaze.direction) == (None, None, None)
    assert (gaze.yaw_deg, gaze.pitch_deg) == (None, None)


def test_a_wink_still_looks() -> None:
    mesh = _mesh()
    mesh[[159, 145]] = (mesh[159] + mesh[145]) / 2
    assert _gaze(mesh).eye_contact is True


@pytest.fixture(scope="module")
def finder(plan_for: Callable[..., ModelPlan]) -> Generator[FaceFinder]:
    files = plan_for("mediapipe").files
    faces = FaceFinder(files["face_landmarker"], files["pose_landmarker"])
    yield faces
    faces.close()


def _gazes(finder: FaceFinder, images: NDArray[np.uint8]) -> list[EyeGaze]:
    return [read_gaze(face.landmarks, face.head_transform, LIMITS) for image in images for face in finder.find(image)]


@real
def test_a_talker_reading_into_the_camera_makes_eye_contact_but_not_while_blinking(finder: FaceFinder, media: Path) -> None:
    contacts = [gaze.eye_contact for gaze in _gazes(finder, frames_of(media / "a_speech" / "grid_bbaf2n.mpg"))]
    assert False not in contacts
    assert contacts.count(None) == 1


@real
def test_a_juggler_watches_the_ball_and_never_the_camera(finder: FaceFinder, media: Path) -> None:
    gazes = _gazes(finder, frames_of(media / "b_objects" / "sam2_juggle.mp4", fps=1))
    assert gazes
    assert not any(gaze.eye_contact for gaze in gazes)
    assert sum(gaze.head_pitch_deg > 10 for gaze in gazes) > len(gazes) / 2


@real
def test_a_woman_in_profile_faces_one_side_and_never_looks_at_the_camera(finder: FaceFinder, media: Path) -> None:
    gazes = _gazes(finder, frames_of(media / "b_objects" / "sam2_dog_fetch.mp4", fps=2))
    assert gazes
    assert all(gaze.head_yaw_deg > 20 for gaze in gazes)
    assert not any(gaze.eye_contact for gaze in gazes)


@real
def test_mirroring_the_picture_mirrors_the_gaze(finder: FaceFinder, media: Path) -> None:
    image = frames_of(media / "d_gesture" / "gesture_thumbs_up.jpg")
    (seen,), (mirrored,) = _gazes(finder, image), _gazes(finder, image[:, :, ::-1])
    assert seen.head_yaw_deg == pytest.approx(-mirrored.head_yaw_deg, abs=5)
    assert seen.x == pytest.approx(-mirrored.x, abs=0.05)
    assert seen.head_yaw_deg > 15
    assert seen.eye_contact is True

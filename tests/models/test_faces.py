from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from clips import frames_of
from rumiai_ray.models.mediapipe.boxes import overlap, square_around, tiles
from rumiai_ray.models.mediapipe.faces import FaceFinder
from rumiai_ray.models.mediapipe.heads import head_angles

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.base import ModelPlan

real = pytest.mark.model("mediapipe")


@pytest.fixture(scope="module")
def finder(plan_for: Callable[..., ModelPlan]) -> Generator[FaceFinder]:
    files = plan_for("mediapipe").files
    faces = FaceFinder(files["face_landmarker"], files["pose_landmarker"])
    yield faces
    faces.close()


def _on_grey(picture: NDArray[np.uint8], width: int, x: int, y: int) -> NDArray[np.uint8]:
    """A 1280 × 720 grey image with the picture, `width` pixels wide, at x, y."""
    canvas = np.full((720, 1280, 3), 128, np.uint8)
    small = cv2.resize(picture, (width, round(picture.shape[0] * width / picture.shape[1])), interpolation=cv2.INTER_AREA)
    canvas[y : y + small.shape[0], x : x + width] = small
    return canvas


def test_a_box_within_another_overlaps_it_fully() -> None:
    assert overlap((0, 0, 100, 100), (40, 40, 60, 60)) == 1
    assert overlap((0, 0, 10, 10), (20, 20, 30, 30)) == 0


def test_a_square_around_a_head_at_the_edge_stays_within_the_image() -> None:
    assert square_around((0, 0, 20, 10), 4, width=640, height=480) == (0, 0, 50, 45)


@pytest.mark.parametrize(("width", "height"), [(720, 1280), (1280, 720), (500, 500), (1000, 667), (1, 1)])
def test_tiles_cover_the_whole_image_and_never_leave_it(width: int, height: int) -> None:
    covered = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in tiles(width, height, side=min(width, height, 400), step=0.6):
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        covered[y1:y2, x1:x2] = True
    assert covered.all()


@real
@pytest.mark.parametrize("clip", ["asl_thanks.mkv", "asl_walk.mkv", "asl_yes.mkv"])
def test_a_signer_far_from_the_camera_has_a_face_in_nine_of_ten_frames(finder: FaceFinder, media: Path, clip: str) -> None:
    counts = [len(finder.find(image)) for image in frames_of(media / "d_gesture" / clip)]
    assert np.mean(np.equal(counts, 1)) >= 0.9


@real
def test_a_face_too_small_for_the_whole_frame_is_found_at_the_head_of_the_pose(finder: FaceFinder, media: Path) -> None:
    found = [face for image in frames_of(media / "d_gesture" / "asl_walk.mkv") for face in finder.find(image)]
    assert {face.found_by for face in found} == {"pose_head_crop"}


@real
def test_three_people_beside_one_another_are_three_faces(finder: FaceFinder, media: Path) -> None:
    frames = frames_of(media / "b_objects" / "intel_face_demographics_3faces.gif")[::3]
    assert [len(finder.find(image)) for image in frames] == [3] * len(frames)


@real
def test_a_group_of_five_is_five_faces_largest_first(finder: FaceFinder, media: Path) -> None:
    faces = finder.find(frames_of(media / "d_emotion" / "pyfeat_multi_face_5.jpg")[0])
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (face.box for face in faces)]
    assert len(faces) == 5
    assert areas == sorted(areas, reverse=True)


@real
@pytest.mark.parametrize(
    "picture",
    ["b_objects/cat_and_dog.jpg", "b_objects/chelsea_cat.png", "d_emotion/pyfeat_noface_mountain.jpg", "c_text/easyocr_french.jpg"],
)
def test_animals_drawings_and_signs_have_no_face(finder: FaceFinder, media: Path, picture: str) -> None:
    assert finder.find(frames_of(media / picture)[0]) == []


@real
def test_a_face_is_found_until_the_cut_to_a_logo_and_none_on_the_logo(finder: FaceFinder, media: Path) -> None:
    counts = [len(finder.find(image)) for image in frames_of(media / "d_emotion" / "pyfeat_face_then_noface.mov", fps=2)]
    assert counts == [1] * 5 + [0] * (len(counts) - 5)


@real
@pytest.mark.parametrize("width", [520, 160])
def test_landmarks_lie_on_the_face_however_small_and_wherever_it_is(finder: FaceFinder, media: Path, width: int) -> None:
    portrait = frames_of(media / "d_emotion" / "pyfeat_single_face_happy.jpg")[0]
    (large,) = finder.find(portrait)
    (small,) = finder.find(_on_grey(portrait, width, x=700, y=120))
    scale = width / portrait.shape[1]
    distance = np.linalg.norm(small.landmarks[:, :2] - (large.landmarks[:, :2] * scale + (700, 120)), axis=1)
    assert np.median(distance) < 0.03 * (large.box[2] - large.box[0]) * scale


@real
def test_a_head_points_the_same_way_wherever_in_the_picture_it_is(finder: FaceFinder, media: Path) -> None:
    portrait = frames_of(media / "d_emotion" / "pyfeat_single_face_happy.jpg")[0]
    angles = [
        head_angles(face.head_transform) for x, y in ((0, 0), (760, 0), (380, 200)) for face in finder.find(_on_grey(portrait, 500, x, y))
    ]
    assert len(angles) == 3
    assert np.ptp(angles, axis=0).max() < 4


@real
def test_poses_given_are_not_sought_again(finder: FaceFinder, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = frames_of(media / "d_gesture" / "asl_walk.mkv")[0]
    poses = finder.poses.find(image)
    monkeypatch.setattr(finder.poses, "find", lambda _: pytest.fail("sought again"))
    assert len(finder.find(image, poses)) == 1
    assert finder.find(image, []) == []


@real
def test_an_image_of_one_pixel_has_no_face(finder: FaceFinder) -> None:
    assert finder.find(np.zeros((1, 1, 3), np.uint8)) == []

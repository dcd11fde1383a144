"""Shot sizes of real pictures: as labelled by looking, as cropped, and the same with bars or a blurred copy around the picture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np
import pytest

from rumiai_ray.insights.shot_size import size_of_frame
from rumiai_ray.models.mediapipe.body import height_share, seen_to, stature_share
from rumiai_ray.models.mediapipe.faces import FaceFinder
from rumiai_ray.models.mediapipe.picture_area import picture_area
from rumiai_ray.schema.framing import SHOT_SIZES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from numpy.typing import NDArray

    from rumiai_ray.insights.video import AnalysedVideo
    from rumiai_ray.models.base import ModelPlan

    Image = NDArray[np.uint8]
    Crop = tuple[str, tuple[int, int]]

pytestmark = pytest.mark.model("mediapipe")

LABELS = [line.split("\t") for line in (Path(__file__).parent / "shot_sizes.tsv").read_text(encoding="utf-8").splitlines()[2:]]
BEHIND_BARS = "the network puts the feet of a man behind a railing, whose legs the picture cuts, at the railing"
HALF_OUTSIDE = "the network sees neither face nor pose in a man from behind, half of whom is outside the picture"
FROM_THE_SIDE = "the network finds no pose in a woman from the side in a wide picture"
MISSED = {
    "a_speech/nasa_13013_multistream.mp4 6.4": BEHIND_BARS,
    "a_speech/nasa_13013_multistream.mp4 7.5": BEHIND_BARS,
    "b_objects/ultralytics_bus.jpg 0 560,360,810,910": HALF_OUTSIDE,
    "b_objects/sam2_dog_fetch.mp4 at x 315 medium (16, 9)": FROM_THE_SIDE,
}
"""Pictures whose size is off by more than one step, and why; they count as wrong among the nine in ten."""
JUGGLER = ("b_objects/sam2_juggle.mp4", 1.0)
"""A man of full height in the middle of 1280 × 720 px: crown at 52, chin 168, waist 300, knees 495, soles 685."""
MIDDLE_PX = 740
CROPS_PX = {
    "extreme_close_up": (82, 152), "close_up": (40, 188), "medium_close_up": (30, 245), "medium": (20, 345), "medium_full": (10, 520),
    "full": (0, 715),
}  # fmt: skip
"""Upper and lower edge of the crop that is such a shot."""
PEOPLE: tuple[tuple[tuple[str, float], int, dict[str, tuple[int, int]]], ...] = (
    (JUGGLER, MIDDLE_PX, CROPS_PX),
    # a woman from the side: crown at 82, chin 155, shoulders 178, hips 317, knees 421, soles 560
    (
        ("b_objects/sam2_dog_fetch.mp4", 1.0), 315,
        {"extreme_close_up": (101, 148), "close_up": (72, 180), "medium_close_up": (65, 235), "medium": (55, 330), "medium_full": (45, 445),
         "full": (40, 590)},
    ),
    # a man with folded arms: crown at 398, chin 472, shoulders 505, hips 650, knees 765, soles 900
    (
        ("b_objects/ultralytics_bus.jpg", 0.0), 133,
        {"extreme_close_up": (412, 468), "close_up": (388, 500), "medium_close_up": (388, 562), "medium": (378, 660),
         "medium_full": (370, 790), "full": (360, 925)},
    ),
    # a man in a coat: crown at 405, chin 470, shoulders 497, hips 640, knees 740, soles 858
    (
        ("b_objects/ultralytics_bus.jpg", 0.0), 288,
        {"extreme_close_up": (420, 466), "close_up": (395, 497), "medium_close_up": (392, 560), "medium": (385, 650),
         "medium_full": (380, 770), "full": (370, 885)},
    ),
    # chin at 176, shoulders 227, hips 421
    (
        ("d_gesture/asl_walk.mkv", 1.5), 300,
        {"extreme_close_up": (118, 172), "close_up": (85, 225), "medium_close_up": (75, 300), "medium": (60, 420)},
    ),
    # chin at 130, shoulders 184, hips 417
    (
        ("d_gesture/asl_thanks.mkv", 1.0), 315,
        {"extreme_close_up": (70, 127), "close_up": (40, 175), "medium_close_up": (30, 265), "medium": (15, 415)},
    ),
    # chin at 178, shoulders 248, hips 518
    (
        ("d_emotion/skimage_astronaut_happy.png", 0.0), 226,
        {"extreme_close_up": (80, 170), "close_up": (35, 240), "medium_close_up": (25, 340), "medium": (5, 505)},
    ),
)  # fmt: skip
"""Of each person the picture, the middle, and the crops as in `CROPS_PX`."""
ASPECTS = ((9, 16), (1, 1), (16, 9))
LONG_SIDE_PX = 640
SMILE = ("d_emotion/pyfeat_sad_to_happy_pexels.mp4", 1.0)
SMILE_ROWS, SMILE_COLUMNS = slice(80, 330), slice(325, 575)
"""A face that the crop cuts at forehead and chin."""


@pytest.fixture(scope="module")
def finder(plan_for: Callable[..., ModelPlan]) -> Generator[FaceFinder]:
    files = plan_for("mediapipe").files
    found = FaceFinder(files["face_landmarker"], files["pose_landmarker"])
    yield found
    found.close()


def _picture(file: Path, time_s: float) -> Image:
    """(height, width, 3) RGB: the last frame that is shown by then."""
    with av.open(str(file)) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")
            if (frame.time or 0.0) >= time_s:
                break
    return np.asarray(image, np.uint8)


def _size(finder: FaceFinder, image: Image) -> str:
    """What assembly says of a frame with the rows that the model makes of it."""
    height, width = image.shape[:2]
    area = picture_area(image)
    poses = finder.poses.find(image)

    def box(corners: Sequence[float]) -> dict[str, Any]:
        return dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))

    def share(row: dict[str, Any]) -> float:
        return float((min(row["x2"], width) - max(row["x1"], 0)) * (min(row["y2"], height) - max(row["y1"], 0)) / (width * height))

    faces = [
        {"face_index": at, **box(face.box), "height_share": height_share(face.box, area)}
        for at, face in enumerate(finder.find(image, poses))
    ]
    bodies = [
        {"pose_index": at, **box(pose.box), "seen_to": seen_to(pose, area), "stature_share": stature_share(pose, area)}
        for at, pose in enumerate(poses)
    ]
    video = cast("AnalysedVideo", SimpleNamespace(picture_px=(width, height), width_px=width, height_px=height, area_share=share))
    return size_of_frame(video, faces, bodies)


def _agree(told: Sequence[tuple[str, str, str]]) -> None:
    """Nine in ten of (what, label, found) agree, of those with people too, and none but `MISSED` is off by more than one step."""
    for some in (told, [one for one in told if one[1] != "none"]):
        wrong = [one for one in some if one[1] != one[2]]
        assert len(wrong) <= 0.1 * len(some), wrong
    assert [one for one in told if _steps(one) > 1 and one[0] not in MISSED] == []


def _steps(told: tuple[str, str, str]) -> int:
    return abs(SHOT_SIZES.index(told[1]) - SHOT_SIZES.index(told[2]))


@pytest.fixture(scope="module")
def labelled(finder: FaceFinder, media: Path) -> list[tuple[str, str, str]]:
    """(what, label, found) of the pictures that were labelled by looking."""
    told = []
    for file, time_s, label, part in LABELS:
        image = _picture(media / file, float(time_s))
        if part:
            x1, y1, x2, y2 = map(int, part.split(","))
            image = np.ascontiguousarray(image[y1:y2, x1:x2])
        told.append((f"{file} {time_s} {part}".rstrip(), label, _size(finder, image)))
    return told


@pytest.fixture(scope="module")
def cropped(finder: FaceFinder, media: Path) -> list[tuple[str, str, str]]:
    """(what, label, found) of the crops of `PEOPLE`."""
    told = []
    for (file, time_s), middle_px, crops_px in PEOPLE:
        crops = _crops(_picture(media / file, time_s), middle_px, crops_px)
        told += [(f"{file} at x {middle_px} {size} {aspect}", size, _size(finder, crop)) for (size, aspect), crop in crops.items()]
    return told


def test_nine_in_ten_labelled_pictures_agree_and_none_is_off_by_more_than_a_step(labelled: list[tuple[str, str, str]]) -> None:
    assert len(labelled) >= 40
    assert {label for _, label, _ in labelled} == set(SHOT_SIZES)
    _agree(labelled)


def _crops(image: Image, middle_px: int = MIDDLE_PX, crops_px: Mapping[str, tuple[int, int]] = CROPS_PX) -> dict[Crop, Image]:
    crops = {}
    for size, (y1, y2) in crops_px.items():
        for across, down in ASPECTS:
            width = (y2 - y1) * across // down
            if 60 <= width <= image.shape[1]:  # narrower ones hold no whole face
                x1 = min(max(middle_px - width // 2, 0), image.shape[1] - width)
                crop = image[y1:y2, x1 : x1 + width]
                factor = LONG_SIDE_PX / max(crop.shape[:2])
                crops[size, (across, down)] = np.asarray(
                    cv2.resize(crop, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8
                )
    return crops


def test_crops_of_a_figure_are_the_shots_they_were_cut_to(cropped: list[tuple[str, str, str]]) -> None:
    assert len(cropped) >= 40
    _agree(cropped)


@pytest.mark.parametrize("what", [pytest.param(name, marks=pytest.mark.xfail(strict=True, reason=why)) for name, why in MISSED.items()])
def test_no_picture_is_off_by_more_than_a_step(
    labelled: list[tuple[str, str, str]], cropped: list[tuple[str, str, str]], what: str
) -> None:
    (told,) = [one for one in (*labelled, *cropped) if one[0] == what]
    assert _steps(told) <= 1, told


def _put_on(image: Image, aspect: tuple[int, int], background: str) -> Image:
    """The image in the middle of one of another aspect."""
    height, width = image.shape[:2]
    tall = width * aspect[1] > height * aspect[0]
    size = (width, round(width * aspect[1] / aspect[0])) if tall else (round(height * aspect[0] / aspect[1]), height)
    if background == "blurred":
        made = cv2.GaussianBlur(np.asarray(cv2.resize(image, size), np.uint8), (0, 0), 25)
    else:
        made = np.full((size[1], size[0], 3), {"black": 0, "white": 255}[background], np.uint8)
    x1, y1 = (size[0] - width) // 2, (size[1] - height) // 2
    made[y1 : y1 + height, x1 : x1 + width] = image
    return np.asarray(made, np.uint8)


OFF_BY_A_STEP = {
    "black": [],
    "white": [("medium_close_up (9, 16)", "medium_close_up", "medium")],
    "blurred": [("close_up (4, 5)", "close_up", "medium_close_up"), ("d_gesture/asl_thanks.mkv (1, 1)", "medium", "medium_full")],
}
"""The pictures on each background whose size differs: the detectors see a smaller figure in a wider frame a little differently."""


@pytest.mark.parametrize("background", OFF_BY_A_STEP)
def test_bars_and_a_blurred_copy_around_a_picture_change_no_size(finder: FaceFinder, media: Path, background: str) -> None:
    crops = _crops(_picture(media / JUGGLER[0], JUGGLER[1]))
    pictures = {size: crop for (size, aspect), crop in crops.items() if aspect == (1, 1)}
    # Of a sharp picture: 70 lines that are drawn out to 640 have no more detail than a blurred copy.
    pictures["extreme_close_up"] = np.ascontiguousarray(_picture(media / SMILE[0], SMILE[1])[SMILE_ROWS, SMILE_COLUMNS])
    assert _size(finder, pictures["extreme_close_up"]) == "extreme_close_up"
    pictures |= {file: _picture(media / file, 1.0) for file in ("a_speech/grid_bbaf2n.mpg", "d_gesture/asl_thanks.mkv")}
    told = []
    for name, picture in pictures.items():
        alone = _size(finder, picture)
        told += [(f"{name} {aspect}", alone, _size(finder, _put_on(picture, aspect, background))) for aspect in (*ASPECTS, (4, 5))]
    assert [one for one in told if one[1] != one[2]] == OFF_BY_A_STEP[background]

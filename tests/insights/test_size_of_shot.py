"""From what is seen of a body to the size of the shot, by hand; and where the picture is inside an image."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rumiai_ray.insights.shot_size import size_of
from rumiai_ray.models.mediapipe.body import height_share, seen_to, stature_share
from rumiai_ray.models.mediapipe.picture_area import picture_area
from rumiai_ray.models.mediapipe.poses import FoundPose
from rumiai_ray.schema.framing import SHOT_SIZES, SHOT_TYPE_OF, SHOT_TYPES
from synthetic_video import derived, face, pose, said, video

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

AREA = (0, 0, 100, 100)


def _pose(*heights: float, visible: int = 5) -> FoundPose:
    """Nose, shoulders, hips, knees and ankles at these heights, the first so many visible."""
    landmarks, visibility = np.zeros((33, 3), np.float32), np.zeros(33, np.float32)
    for level, (height, places) in enumerate(zip(heights, ([0], [11, 12], [23, 24], [25, 26], [27, 28]), strict=True)):
        landmarks[places] = (50, height, 0)
        visibility[places] = level < visible
    return FoundPose(landmarks, landmarks, visibility, visibility)


@pytest.mark.parametrize(
    ("heights", "visible", "depth", "size"),
    [
        ((50, 110, 250, 330, 410), 1, 0.83, "close_up"),
        ((50, 95, 195, 270, 340), 2, 1.05, "close_up"),
        ((45, 60, 140, 200, 260), 2, 1.5, "medium_close_up"),
        ((30, 45, 100, 140, 180), 2, 2.0, "medium"),
        ((25, 40, 85, 120, 150), 3, 2.43, "medium"),
        ((20, 30, 62, 85, 105), 4, 3.75, "medium_full"),
        ((15, 22, 50, 70, 88), 5, 4.0, "full"),
        ((40, 44, 56, 65, 73), 5, 4.0, "wide"),
        ((20, 30, 55, 75, 90), 2, 1.5, "medium_close_up"),
    ],
    ids=["chin", "collar", "chest", "waist", "hips", "shins", "whole", "far_away", "behind_a_table"],
)
def test_the_lower_edge_of_the_picture_names_the_shot(heights: tuple[float, ...], visible: int, depth: float, size: str) -> None:
    pose = _pose(*heights, visible=visible)
    row = {"seen_to": seen_to(pose, AREA), "stature_share": stature_share(pose, AREA)}
    assert row["seen_to"] == pytest.approx(depth, abs=0.02)
    assert size_of(None, row) == size_of({"height_share": 0.2}, row) == size


def test_a_body_upside_down_is_cut_by_the_upper_edge() -> None:
    depth = seen_to(_pose(60, 10, -90, -170, -240, visible=2), AREA)
    assert depth == pytest.approx(1.1)
    assert size_of(None, {"seen_to": depth, "stature_share": 1.0}) == "close_up"


def test_a_raised_leg_makes_nobody_smaller() -> None:
    kick = _pose(15, 22, 50, 70, 88)
    kick.landmarks[28, 1] = 40  # one ankle, above the hips
    row = {"seen_to": seen_to(kick, AREA), "stature_share": stature_share(kick, AREA)}
    assert row["stature_share"] == pytest.approx(73 / 0.87 / 100, abs=0.01)
    assert size_of(None, row) == "full"


@pytest.mark.parametrize(
    ("share", "size"),
    [(0.9, "extreme_close_up"), (0.5, "close_up"), (0.3, "medium_close_up"), (0.2, "medium"), (0.13, "medium_full"), (0.08, "full"),
     (0.03, "wide")],
)  # fmt: skip
def test_without_a_pose_the_head_names_the_shot(share: float, size: str) -> None:
    assert size_of({"height_share": share}, None) == size
    assert size_of(None, None) == "none"


def test_three_steps_are_told_from_the_eight() -> None:
    assert set(SHOT_TYPE_OF) == set(SHOT_SIZES)
    order = [SHOT_TYPES.index(SHOT_TYPE_OF[size]) for size in SHOT_SIZES]
    assert order == sorted(order)


def test_the_size_is_measured_over_time_and_dominates_seconds_and_video() -> None:
    made = video(
        2.0, faces=[face(frame) for frame in range(10)], poses=[pose(frame, seen_to=1.5 if frame < 6 else 4.0) for frame in range(10)]
    )
    tables = derived(made)
    (row,) = tables["person_framing"]
    assert (row["medium_close_up_size_share"], row["full_size_share"]) == pytest.approx((0.6, 0.4))
    assert (row["dominant_shot_size"], row["dominant_shot_type"]) == ("medium_close_up", "close")
    assert [(second["shot_size"], second["shot_type"]) for second in tables["timeline"]] == [("medium_close_up", "close"), ("full", "wide")]


def test_the_largest_and_most_central_person_decides() -> None:
    large, small = face(0, 36.0, x1=30.0), face(0, 18.0, index=1, x1=75.0)
    aside, central = face(0, 29.0, x1=0.0), face(0, 27.0, index=1, x1=35.0)
    assert derived(video(0.2, faces=[large, small]))["person_framing"][0]["dominant_shot_size"] == "medium_close_up"
    assert derived(video(0.2, faces=[aside, central]))["person_framing"][0]["dominant_shot_size"] == "medium"
    assert derived(video(0.2, faces=[aside]))["person_framing"][0]["dominant_shot_size"] == "medium"


def _two(moving: int | None, *, jaw: bool = True) -> list[dict[str, Any]]:
    """A larger and a smaller face beside each other for two seconds; the mouth of one of them moves."""
    rows = [face(frame, side, index=index, x1=x1) for frame in range(10) for index, side, x1 in ((0, 36.0, 5.0), (1, 29.0, 60.0))]
    for row in rows:
        if jaw:
            row["jaw_open"] = (0.05, 0.35)[row["frame_index"] % 2] if row["face_index"] == moving else 0.1
    return rows


@pytest.mark.parametrize(
    ("faces", "speech", "size"),
    [
        (_two(1), said(0.0, 2.0, "so this is how it works"), "medium"),
        (_two(0), said(0.0, 2.0, "so this is how it works"), "medium_close_up"),
        (_two(None), said(0.0, 2.0, "so this is how it works"), "medium_close_up"),
        (_two(1, jaw=False), said(0.0, 2.0, "so this is how it works"), "medium_close_up"),
        (_two(1), {}, "medium_close_up"),
        (_two(1), {"without": {"whisper": "failed"}}, "medium_close_up"),
        (_two(1), said(0.0, 0.5, "so"), "medium_close_up"),
    ],
    ids=["smaller_talks", "larger_talks", "voice_over", "no_blendshapes", "no_speech", "no_whisper", "too_short"],
)
def test_a_person_who_talks_comes_before_a_larger_one_who_is_silent(faces: list[dict[str, Any]], speech: dict[str, Any], size: str) -> None:
    assert derived(video(2.0, faces=faces, **speech))["person_framing"][0]["dominant_shot_size"] == size


@given(st.integers(40, 90), st.integers(40, 90), st.integers(0, 40), st.integers(0, 40), st.integers(0, 30), st.sampled_from([0, 128, 255]))
def test_bars_of_one_colour_are_taken_off_on_any_side(height: int, width: int, above: int, below: int, left: int, colour: int) -> None:
    rng = np.random.default_rng(height * 100 + width)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = np.full((height + above + below, width + left, 3), colour, np.uint8)
    image[above : above + height, left:] = picture
    assert picture_area(image) == pytest.approx((left, above, left + width, above + height), abs=1)


@given(st.integers(60, 120), st.integers(60, 120), st.integers(8, 25), st.integers(8, 25), st.floats(0.2, 0.8), st.sampled_from([0, 255]))
def test_a_dark_sky_and_a_white_studio_belong_to_the_picture(
    height: int, width: int, tall: int, wide: int, across: float, colour: int
) -> None:
    rows, columns = np.mgrid[:height, :width]
    x, y = across * width, height * 0.55
    image = np.full((height, width, 3), colour, np.uint8)
    image[((rows - y) / tall) ** 2 + ((columns - x) / wide) ** 2 <= 1] = 128
    assert picture_area(image) == (0, 0, width, height)


def _textured(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Blocks of 4 × 4 pixels and some grain, as sharp as a picture is."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(30, 226, (height // 4 + 1, width // 4 + 1, 3)).repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
    return np.asarray(blocks + rng.integers(-6, 7, blocks.shape), np.uint8)


SKIES: dict[str, Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]] = {
    "a clear sky": lambda down, _: np.stack([90 + 10 * down, 150 + 8 * down, np.full_like(down, 235)], axis=-1),
    "haze": lambda down, _: np.stack([240 + 8 * down] * 3, axis=-1),
    "a sunset": lambda down, _: np.stack([230 + 5 * down, 140 + 14 * down, 80 + 12 * down], axis=-1),
    "overcast, with grain": lambda down, rng: np.stack([200 + rng.normal(0, 3, down.shape)] * 3, axis=-1),
    "dusk": lambda down, _: np.stack([6 + 4 * down, 6 + 6 * down, 12 + 12 * down], axis=-1),
    "a wall beside a lamp": lambda down, rng: np.stack([170 - 12 * down + rng.normal(0, 1, down.shape)] * 3, axis=-1),
    "a night sky, with grain": lambda down, rng: np.stack([8 + np.abs(rng.normal(0, 3, down.shape))] * 3, axis=-1),
}
"""Colours of an even ground above a straight horizon, by the share of it that is above each pixel."""


ENCODINGS = [("jpeg", 90), ("jpeg", 75), ("jpeg", 60), ("x264", 18), ("x264", 23), ("x264", 28)]
"""A JPEG's quality (Pillow's own is 75, its colours at half resolution), or the constant rate factor of x264 (its own is 23)."""


@pytest.mark.parametrize("encoding", [("raw", 0), ("jpeg", 95), *ENCODINGS])
@pytest.mark.parametrize("name", SKIES)
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_sky_above_a_straight_horizon_is_no_bar(name: str, turns: int, encoding: tuple[str, int]) -> None:
    rng = np.random.default_rng(3)
    down = np.repeat(np.linspace(0, 1, 140)[:, None], 240, axis=1)
    sky = np.clip(SKIES[name](down, rng), 0, 255).astype(np.uint8)
    image = np.ascontiguousarray(np.rot90(np.concatenate([sky, _textured(180, 240, 5)]), turns))
    assert picture_area(_encoded(image, *encoding)) == (0, 0, image.shape[1], image.shape[0])


@pytest.mark.parametrize("quality", [None, 95])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 80), (20, 24, 60), (250, 246, 235)])
@pytest.mark.parametrize(("above", "below"), [(140, 0), (60, 60), (0, 90), (12, 200)])
def test_bars_are_found_in_encoded_frames_too(colour: tuple[int, int, int], above: int, below: int, quality: int | None) -> None:
    image = np.empty((above + 180 + below, 240, 3), np.uint8)
    image[:] = colour
    image[above : above + 180] = _textured(180, 240, 5)
    x1, y1, x2, y2 = picture_area(_through_jpeg(image, quality))
    assert (x1, x2) == (0, 240)
    assert (y1, y2) == pytest.approx((above, above + 180), abs=8)


BARRED_PX = {
    "landscape in portrait": ((320, 180), (320, 568), (0, 194)), "landscape low in portrait": ((320, 180), (320, 568), (0, 300)),
    "square in portrait": ((320, 320), (320, 568), (0, 124)), "portrait in landscape": ((180, 320), (568, 320), (194, 0)),
    "square in landscape": ((320, 320), (568, 320), (124, 0)), "landscape in square": ((320, 180), (320, 320), (0, 70)),
    "portrait in square": ((180, 320), (320, 320), (70, 0)), "bars on four sides of portrait": ((240, 136), (320, 568), (40, 216)),
    "bars on four sides of landscape": ((301, 203), (568, 320), (133, 57)), "one bar": ((320, 300), (320, 400), (0, 100)),
}  # fmt: skip
"""Width and height of a picture, those of the image around it, and where in it the picture is."""
BARS = {
    "black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "pink": (255, 0, 80),
    "green": (0, 177, 64), "blue": (0, 60, 255), "cream": (250, 246, 235),
}  # fmt: skip


@pytest.mark.parametrize("colour", BARS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_bars_of_40_px_and_more_are_found_at_any_usual_quality(encoding: tuple[str, int], colour: str) -> None:
    wrong = {}
    for layout, ((width, height), (canvas_width, canvas_height), (x, y)) in BARRED_PX.items():
        for drawn in (_textured, _soft):
            image = np.empty((canvas_height, canvas_width, 3), np.uint8)
            image[:] = BARS[colour]
            image[y : y + height, x : x + width] = drawn(height, width, 5)
            wanted, found = (x, y, x + width, y + height), picture_area(_encoded(image, *encoding))
            if found != pytest.approx(wanted, abs=2):
                wrong[layout, drawn.__name__] = found, wanted
    assert wrong == {}


def _soft(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Slopes of colour, fine grain and a few ellipses: as smooth in places, and as uneven along its edges, as a photo is."""
    rng = np.random.default_rng(seed)
    slopes = cv2.resize(rng.integers(40, 216, (5, 4, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 1.2) * 25
    drawn = np.ascontiguousarray(slopes + grain[..., None])
    for _ in range(6):
        middle = int(rng.integers(0, width)), int(rng.integers(0, height))
        colour = [int(level) for level in rng.integers(20, 236, 3)]
        cv2.ellipse(drawn, middle, (width // 6, height // 9), float(rng.integers(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return np.asarray(np.clip(drawn, 0, 255), np.uint8)


@pytest.mark.parametrize("colour", BARS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_ground_around_a_talking_head_is_no_bar_at_any_usual_quality(encoding: tuple[str, int], colour: str) -> None:
    wrong = {}
    for width, height in ((320, 568), (568, 320), (400, 400)):
        ground = np.empty((height, width, 3), np.uint8)
        ground[:] = BARS[colour]
        shape = np.zeros((height, width), np.uint8)
        cv2.ellipse(shape, (width // 2, height * 2 // 5), (height // 9, height // 7), 0, 0, 360, 255, -1)
        cv2.ellipse(shape, (width // 2, height), (width * 2 // 5, height * 2 // 5), 0, 0, 360, 255, -1)
        image = np.where(shape[..., None] > 0, _soft(height, width, 7), ground)
        found = picture_area(_encoded(image, *encoding))
        if found != (0, 0, width, height):
            wrong[width, height] = found
    assert wrong == {}


def _encoded(image: NDArray[np.uint8], codec: str, quality: int) -> NDArray[np.uint8]:
    """What is shown of the (height, width, 3) RGB image: as it is, out of a JPEG, or as the last of four frames of H.264."""
    if codec == "raw":
        return image
    file = io.BytesIO()
    if codec == "jpeg":
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file).convert("RGB"), np.uint8)
    height, width = (side + side % 2 for side in image.shape[:2])
    padded = np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)), mode="edge")
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(quality), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(padded, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as made:
        *_, last = made.decode(video=0)
    return np.asarray(last.to_ndarray(format="rgb24"), np.uint8)[: image.shape[0], : image.shape[1]]


@pytest.mark.parametrize("darker", [1.0, 0.5])
@pytest.mark.parametrize(
    ("picture_px", "canvas_px", "at_px"),
    [
        ((320, 180), (320, 568), (0, 60)),
        ((320, 180), (320, 568), (0, 300)),
        ((320, 320), (320, 568), (0, 40)),
        ((180, 320), (568, 320), (90, 0)),
        ((180, 320), (568, 320), (330, 0)),
        ((240, 180), (320, 568), (40, 300)),
        ((200, 200), (400, 400), (60, 150)),
    ],
)
def test_a_picture_off_the_middle_of_its_own_blurred_copy_is_found(
    picture_px: tuple[int, int], canvas_px: tuple[int, int], at_px: tuple[int, int], darker: float
) -> None:
    (width, height), (x, y) = picture_px, at_px
    picture = _textured(height, width, 9)
    scene = cv2.GaussianBlur(_textured(canvas_px[1], canvas_px[0], 9), (0, 0), 12).astype(np.float64)
    light = np.linspace(60, 190, canvas_px[1])[:, None, None] - 110 + np.linspace(-30, 30, canvas_px[0])[None, :, None]
    image = np.clip((scene + light) * darker, 0, 255).astype(np.uint8)
    image[y : y + height, x : x + width] = picture
    assert picture_area(_through_jpeg(image, 90)) == pytest.approx((x, y, x + width, y + height), abs=3)


def _through_jpeg(image: NDArray[np.uint8], quality: int | None) -> NDArray[np.uint8]:
    if quality is None:
        return image
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize("colour", [0, 90, 255])
def test_an_image_of_one_colour_is_all_picture(colour: int) -> None:
    assert picture_area(np.full((60, 80, 3), colour, np.uint8)) == (0, 0, 80, 60)


@given(st.floats(0.05, 0.9), st.integers(0, 60))
def test_a_height_is_told_of_the_picture_and_not_of_its_bars(share: float, bar: int) -> None:
    assert height_share((0, bar, 10, bar + 100 * share), (0, bar, 100, bar + 100)) == pytest.approx(share)

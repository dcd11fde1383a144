"""What is drawn, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mediapipe.tasks.python.vision import FaceLandmarksConnections, HandLandmarksConnections, PoseLandmarksConnections

from absurd import full_run
from rumiai_ray.report._skeletons import BODY_EDGES, FACE_EDGES, HAND_EDGES, HEAD_EDGES, IRIS_EDGES
from rumiai_ray.report.draw import COLOURS, FramePainter, FrameRows
from rumiai_ray.report.rows import RunRows
from synthetic_run import video_key

if TYPE_CHECKING:
    from pathlib import Path

GREY = np.full((320, 180, 3), 128, np.uint8)


def box(x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2}


def is_colour(picture: np.ndarray[Any, Any], layer: str, x: int, y: int) -> bool:
    """Whether a pixel or its neighbour has a layer's colour."""
    rgb = np.array([int(COLOURS[layer][start : start + 2], 16) for start in (1, 3, 5)])
    around = picture[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2, ::-1].reshape(-1, 3).astype(int)
    return bool((np.abs(around - rgb).max(axis=1) < 12).any())


def test_boxes_are_where_they_are_in_the_picture_whatever_its_size() -> None:
    rows = FrameRows(objects=[{"label": "dog", "confidence": 0.9, **box(200, 400, 600, 1000)}])
    painted = FramePainter((180, 320), (720, 1280)).paint(GREY, rows)
    for x, y in ((50, 200), (150, 200), (100, 100), (100, 250)):
        assert is_colour(painted, "objects", x, y)
    assert (painted[180, 100] == 128).all(), "the inside stays visible"
    assert (GREY == 128).all(), "the picture given is not drawn on"


def test_hands_and_bodies_are_drawn_between_their_landmarks_and_hidden_ones_are_not() -> None:
    hand = np.zeros((21, 3), np.float32)
    hand[:, 0], hand[:, 1] = np.linspace(20, 100, 21), 60
    pose = np.zeros((33, 3), np.float32)
    pose[11, :2], pose[12, :2], pose[13, :2] = (20, 200), (120, 200), (20, 300)
    visibility = np.zeros(33, np.float32)
    visibility[[11, 12]] = 1.0
    rows = FrameRows(
        hands=[{"landmarks": hand.reshape(-1).tolist()}],
        poses=[{"landmarks": pose.reshape(-1).tolist(), "visibility": visibility.tolist()}],
    )
    painted = FramePainter((180, 320), (180, 320)).paint(GREY, rows)
    assert is_colour(painted, "hands", 60, 60)
    assert is_colour(painted, "poses", 70, 200)
    assert (painted[250, 20] == 128).all(), "the elbow is hidden"


@pytest.mark.parametrize("text", ["ПРИВЕТ 你好 🎉", "", "a\nb", "x" * 500])
def test_any_text_can_be_drawn(text: str) -> None:
    polygon = [20, 100, 160, 100, 160, 140, 20, 140]
    painted = FramePainter((180, 320), (180, 320)).paint(
        GREY, FrameRows(texts=[{"text": text, "polygon": polygon, **box(20, 100, 160, 140)}])
    )
    assert is_colour(painted, "texts", 90, 140)


def test_what_lies_outside_the_picture_or_has_no_size_does_no_harm() -> None:
    rows = FrameRows(
        objects=[
            {"label": "bus", "confidence": 0.5, **box(-500, -500, 5000, 5000)},
            {"label": "dot", "confidence": 0.5, **box(9, 9, 9, 9)},
        ],
        faces=[{**box(-10, -10, 4, 4), "landmarks": [float("1e6")] * 478 * 3}],
    )
    assert FramePainter((180, 320), (180, 320)).paint(GREY, rows).shape == GREY.shape


def test_nothing_found_leaves_the_picture_alone() -> None:
    assert (FramePainter((180, 320), (720, 1280)).paint(GREY, FrameRows()) == GREY).all()


def test_a_picture_of_one_pixel_can_be_drawn_on() -> None:
    rows = FrameRows(objects=[{"label": "speck", "confidence": 0.5, **box(0, 0, 1, 1)}])
    assert FramePainter((1, 1), (1, 1)).paint(np.zeros((1, 1, 3), np.uint8), rows).shape == (1, 1, 3)


def test_the_skeletons_are_mediapipes() -> None:
    def edges(*connections: Any) -> set[frozenset[int]]:
        return {frozenset((each.start, each.end)) for part in connections for each in part}

    def ours(*parts: tuple[tuple[int, int], ...]) -> set[frozenset[int]]:
        return {frozenset(edge) for part in parts for edge in part}

    faces = FaceLandmarksConnections
    assert ours(FACE_EDGES) == edges(
        faces.FACE_LANDMARKS_FACE_OVAL, faces.FACE_LANDMARKS_LIPS, faces.FACE_LANDMARKS_LEFT_EYE, faces.FACE_LANDMARKS_RIGHT_EYE,
        faces.FACE_LANDMARKS_LEFT_EYEBROW, faces.FACE_LANDMARKS_RIGHT_EYEBROW,
    )  # fmt: skip
    assert ours(IRIS_EDGES) == edges(faces.FACE_LANDMARKS_LEFT_IRIS, faces.FACE_LANDMARKS_RIGHT_IRIS)
    assert ours(HEAD_EDGES, BODY_EDGES) == edges(PoseLandmarksConnections.POSE_LANDMARKS)
    assert ours(HAND_EDGES) == edges(HandLandmarksConnections.HAND_CONNECTIONS)


def test_what_is_drawn_of_faces_poses_and_hands_has_their_landmarks(tmp_path: Path) -> None:
    frames = RunRows(full_run(tmp_path)).drawn(video_key("clip")).values()
    (face,), (pose,), (hand,) = ([row for rows in frames for row in getattr(rows, name)] for name in ("faces", "poses", "hands"))
    assert [len(row["landmarks"]) for row in (face, pose, hand)] == [478 * 3, 33 * 3, 21 * 3]
    assert len(pose["visibility"]) == 33
    assert face["x1"] is not None

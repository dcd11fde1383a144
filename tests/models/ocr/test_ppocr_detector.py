"""The detector's post-processing, beside RapidOCR's way of doing it with pyclipper and shapely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pyclipper
import pytest
from shapely.geometry import Polygon

from rumiai_ray.models.ocr.ppocr_detector import boxes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def scores_with(*cores: tuple[tuple[float, float], tuple[float, float], float], inside: float = 0.9) -> NDArray[np.float32]:
    """A map of 240 × 320 with rectangles (centre, sides, angle) of a probability."""
    scores = np.zeros((240, 320), np.float32)
    for core in cores:
        cv2.fillPoly(scores, [cv2.boxPoints(core).astype(np.int32)], inside)
    return scores


def unclipped(core: NDArray[np.float32]) -> NDArray[np.float32]:
    """RapidOCR 3.10's `unclip`, then its `get_mini_boxes`."""
    polygon, offset = Polygon(core), pyclipper.PyclipperOffset()
    offset.AddPath(core, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    wider = np.array(offset.Execute(polygon.area * 1.6 / polygon.length), np.float32).reshape(-1, 1, 2)
    return np.asarray(cv2.boxPoints(cv2.minAreaRect(wider)), np.float32)


@pytest.mark.parametrize("angle_deg", [0, 5, 30, 45, 77, 90])
@pytest.mark.parametrize("sides", [(90, 8), (140, 20), (40, 30), (12, 7)])
def test_a_line_is_widened_as_rapidocr_widens_it(sides: tuple[float, float], angle_deg: float) -> None:
    scores = scores_with(((160, 120), sides, angle_deg))
    (ours,) = boxes_of(scores)
    mask = cv2.dilate((scores > 0.3).astype(np.uint8), np.ones((2, 2), np.uint8))
    (contour,), _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    theirs = unclipped(cv2.boxPoints(cv2.minAreaRect(contour)))
    # pyclipper counts in whole pixels, which is a tenth of the smallest core here.
    mine, other = Polygon(ours), Polygon(theirs)
    assert mine.intersection(other).area / mine.union(other).area >= (0.9 if min(sides) > 10 else 0.8)


def test_two_lines_are_two_boxes_and_noise_is_none() -> None:
    scores = scores_with(((80, 60), (90, 10), 0), ((200, 150), (100, 14), 3))
    scores[5, 5] = scores[200:202, 20:22] = 1.0
    assert len(boxes_of(scores)) == 2


@pytest.mark.parametrize(("probability", "found"), [(0.29, 0), (0.35, 0), (0.45, 0), (0.55, 1), (1.0, 1)])
def test_a_line_the_network_is_not_sure_of_is_none(probability: float, found: int) -> None:
    assert len(boxes_of(scores_with(((160, 120), (120, 20), 0), inside=probability))) == found


def test_a_line_at_the_edge_of_the_map_is_found() -> None:
    assert len(boxes_of(scores_with(((2, 2), (200, 12), 0), ((318, 238), (60, 9), 0)))) == 2


def test_an_empty_map_has_no_boxes() -> None:
    assert boxes_of(np.zeros((32, 32), np.float32)) == []

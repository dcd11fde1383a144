"""The engine `ppocr`: PP-OCRv6 finds and reads, EasyOCR's recognisers read the scripts it does not know. Always on the CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.models.ocr.crops import cut, same, sample
from rumiai_ray.models.ocr.ppocr_detector import TextDetector
from rumiai_ray.models.ocr.ppocr_recogniser import Line, TextRecogniser
from rumiai_ray.models.ocr.reading import Reading
from rumiai_ray.models.ocr.script_probe import KNOWN, ScriptProbe
from rumiai_ray.models.ocr.scripts import COMMON, script_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.ocr.easyocr_engine import LineReader
    from rumiai_ray.models.ocr.settings import OcrSettings

_MOVED_SHARE = 0.15
_MOVED_PX = 2.0
"""A quadrilateral stands where one stood in the frame before if no corner is farther than this share of its height, and this much, away."""
_TALL = 1.5
_VERTICAL = 2.5
"""A quadrilateral so many times as high as wide is read turned, too (RapidOCR's figure); from the second on only turned."""
_DOUBTFUL = 0.85
_SURE = 0.9
_LINE = 2.0
"""A line so many times as wide as high that is read with less confidence is read upside down, too (0.72 to 0.79 for captions on their
head). Not what is shorter: a pictogram on its head is another character."""


@dataclass(frozen=True)
class _Known:
    """A place of the frame before, what its pixels were when they were read, and what was read."""

    polygon: NDArray[np.float32]
    pixels: NDArray[np.uint8]
    reading: Reading | None
    """None where nothing is to be kept."""


class PpocrReader:
    """A loaded detector and recogniser, and recognisers of other scripts.

    Args:
        detector: PP-OCR's detector in ONNX, its digest checked.
        recogniser: PP-OCR's recogniser in ONNX, its digest checked.
        others: EasyOCR's recognisers by the script they read.
        settings: the model's settings.

    Raises:
        WeightsError: a file does not load.
    """

    def __init__(self, detector: Path, recogniser: Path, others: Mapping[str, LineReader], settings: OcrSettings) -> None:
        import cv2  # noqa: PLC0415 -- heavy

        cv2.setNumThreads(settings.threads)
        self._detector = TextDetector(detector, settings.threads, settings.long_side_px)
        self._recogniser = TextRecogniser(recogniser, settings.threads)
        self._probe = ScriptProbe()
        self._others = others
        self._settings = settings

    def read(self, images: NDArray[np.uint8]) -> list[list[Reading]]:
        """The readings of each image, in no particular order.

        A place whose pixels are those of the frame before it among `images` keeps that frame's reading, which is then marked `carried`.

        Args:
            images: (n, height, width, 3) uint8 RGB, in order of time.
        """
        known: list[_Known] = []
        readings: list[list[Reading]] = []
        for at, image in enumerate(images):
            if at and np.array_equal(image, images[at - 1]):
                readings.append([replace(reading, carried=True) for reading in readings[-1]])
                continue
            found = [self._at(image, polygon, known) for polygon in self._detector.find(image)]
            known = [place for place, _ in found]
            readings.append([reading for _, reading in found if reading is not None])
        return readings

    def close(self) -> None:
        """Free the networks."""
        del self._detector, self._recogniser, self._others

    def _at(self, image: NDArray[np.uint8], polygon: NDArray[np.float32], known: list[_Known]) -> tuple[_Known, Reading | None]:
        """What stands in a quadrilateral, and what the next frame is to be compared with.

        That is the picture that was read, not the latest one: slow changes add up.
        """
        for place in known:
            if _stands(polygon, place.polygon) and same(place.pixels, sample(image, place.polygon)):
                return place, None if place.reading is None else replace(place.reading, polygon=polygon, carried=True)
        reading = self._read(image, polygon)
        return _Known(polygon, sample(image, polygon), reading), reading

    def _read(self, image: NDArray[np.uint8], polygon: NDArray[np.float32]) -> Reading | None:
        picture, line, turns = self._best_turn(cut(image, polygon))
        script = self._foreign_script(line)
        if script is None and turns == 0 and picture.shape[1] >= _LINE * picture.shape[0] and line.confidence < _DOUBTFUL:
            # Only here: a foreign line on its head may be read more surely than upright, and neither reading is its text.
            turned = self._recogniser.read(np.ascontiguousarray(np.rot90(picture, 2)))
            if turned.confidence >= _DOUBTFUL:
                line, turns = turned, 2
        corners = np.roll(polygon, -turns, axis=0)
        if script is not None:
            other = self._others.get(script)
            text, confidence = (None, None) if other is None else other.read(picture)
            if other is None or (text and confidence is not None and confidence >= self._settings.least_confidence):
                return Reading(corners, text, confidence)
            return Reading(corners, None, None)
        if not line.text.strip() or line.confidence < self._needed_confidence(line.text.strip()):
            return None
        return Reading(corners, line.text.strip(), line.confidence)

    def _best_turn(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Line, int]:
        """The picture turned as it is read most surely, its line, and the quarter turns to the left that took."""
        slimness = picture.shape[0] / picture.shape[1]
        turns = (0,) if slimness < _TALL else (0, 1, 3) if slimness < _VERTICAL else (1, 3)
        tried = [(self._recogniser.read(np.ascontiguousarray(np.rot90(picture, turn))), turn) for turn in turns]
        line, turn = max(tried, key=lambda each: each[0].confidence)
        return np.ascontiguousarray(np.rot90(picture, turn)), line, turn

    def _foreign_script(self, line: Line) -> str | None:
        """The script of a line that PP-OCR does not know; None for one it does. Digits read surely are digits in any script."""
        # A foreign line is often read as nothing but spaces, and those surely.
        if line.confidence >= _SURE and script_of(line.text) == COMMON and any(map(str.isdecimal, line.text)):
            return None
        odds = self._probe.probabilities(line.features)
        if 1 - odds.pop(KNOWN) < self._settings.foreign_probability:
            return None
        return max(odds, key=odds.__getitem__)

    def _needed_confidence(self, text: str) -> float:
        return max(self._settings.least_confidence, self._settings.min_glyph_confidence if len(text) == 1 else 0.0)


def _stands(polygon: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    height = min(float(np.linalg.norm(other[0] - other[3])), float(np.linalg.norm(other[0] - other[1])))
    return float(np.abs(polygon - other).max()) <= _MOVED_PX + _MOVED_SHARE * height

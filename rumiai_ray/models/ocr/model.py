"""On-screen text: two engines behind one setting. `ppocr` is PP-OCRv6 on OpenVINO, `easyocr` is CRAFT and EasyOCR's recognisers."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from rumiai_ray.models.base import Box, FrameBatch, Model, Prediction
from rumiai_ray.models.ocr import weights
from rumiai_ray.models.ocr.easyocr_engine import LineReader, TextReader
from rumiai_ray.models.ocr.easyocr_weights import SCRIPTS, recognisers_beside_ppocr
from rumiai_ray.models.ocr.ppocr_engine import PpocrReader
from rumiai_ray.models.ocr.reading_order import blocks_in_order
from rumiai_ray.models.ocr.settings import OcrSettings
from rumiai_ray.schema import ocr as schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from rumiai_ray.models.ocr.reading import Reading
    from rumiai_ray.models.weights.files import Candidate
    from rumiai_ray.schema import Table

_RIGHT_TO_LEFT = frozenset({"ar", "fa", "ug", "ur"})


class OcrReader(Protocol):
    """What both engines are."""

    def read(self, images: NDArray[np.uint8]) -> list[list[Reading]]:
        """The readings of each of (n, height, width, 3) uint8 RGB images, in no particular order."""

    def close(self) -> None:
        """Free the networks."""


class Ocr(Model[OcrSettings, FrameBatch]):
    """Every sighting of a text in sampled frames, in reading order."""

    name: ClassVar[str] = "ocr"
    tables: ClassVar[tuple[Table, ...]] = schema.TABLES
    packages: ClassVar[tuple[str, ...]] = ("easyocr", "openvino", "torch", "torchvision")
    _reader: OcrReader

    @classmethod
    def candidates(cls, settings: OcrSettings) -> tuple[Candidate, ...]:
        """The engine that is asked for, in both profiles, with the recognisers that the languages need.

        Raises:
            ConfigError: EasyOCR does not know a language, or cannot read these together.
        """
        return (weights.easyocr(settings.languages) if settings.engine == "easyocr" else weights.ppocr(settings.languages),)

    def load(self) -> None:
        """See `Model.load`."""
        files, settings = self.plan.files, self.settings
        if settings.engine == "easyocr":
            self._reader = TextReader(files["detector"], files["recogniser"], self.plan.device, settings)
            return
        others = {
            SCRIPTS[PurePath(name).stem]: LineReader(files[PurePath(name).stem], languages, settings.threads)
            for name, languages in recognisers_beside_ppocr(settings.languages).items()
        }
        self._reader = PpocrReader(files["detector"], files["recogniser"], others, settings)

    def predict(self, batch: FrameBatch) -> Prediction:
        """Rows of `texts`: polygons and boxes in source pixels, clipped to the picture, in reading order within a frame."""
        records: list[dict[str, object]] = []
        for position, readings in enumerate(self._reader.read(batch.images)):
            records += self._rows_of_frame(batch, position, readings)
        return Prediction({schema.TEXTS.name: schema.TEXTS.rows(records)})

    @classmethod
    def remarks(cls, tables: Mapping[str, pa.Table]) -> tuple[str, ...]:
        """How many sightings were found and not read, and how many were carried over."""
        texts = tables[schema.TEXTS.name]
        unread, carried = texts["text"].null_count, sum(map(bool, texts["carried"].to_pylist()))
        counted = ((unread, "in a script that no loaded recogniser knows"), (carried, "carried over from the frame before, unchanged"))
        return tuple(f"{count} of {texts.num_rows} sightings {what}" for count, what in counted if count)

    def close(self) -> None:
        """See `Model.close`."""
        self._reader.close()

    def _rows_of_frame(self, batch: FrameBatch, position: int, readings: list[Reading]) -> list[dict[str, object]]:
        """Rows of `texts` for one frame, in reading order, with polygons and boxes in source pixels.

        Args:
            batch: the frames that the reader saw.
            position: the frame's place in `batch`.
            readings: the frame's texts; each polygon is (4, 2) x, y in pixels of `batch.images`.
        """
        settings = self.settings
        limits = np.array([batch.source_width_px, batch.source_height_px], np.float32)
        kept = [each for each in readings if each.confidence is None or each.confidence >= settings.least_confidence]
        polygons = [np.clip(reading.polygon * np.array(batch.scale, np.float32), 0, limits) for reading in kept]
        boxes = [_hull(polygon) for polygon in polygons]
        order = blocks_in_order(boxes, right_to_left=not _RIGHT_TO_LEFT.isdisjoint(settings.languages))
        return [
            {
                "frame_index": int(batch.frame_index[position]),
                "time_s": float(batch.time_s[position]),
                "text_index": index,
                "block_index": block,
                "text": kept[place].text,
                "confidence": kept[place].confidence,
                "script": kept[place].script,
                "carried": kept[place].carried,
                "polygon": polygons[place].ravel().tolist(),
                **dict(zip(("x1", "y1", "x2", "y2"), boxes[place], strict=True)),
            }
            for index, (block, place) in enumerate(order)
        ]


def _hull(polygon: NDArray[np.float32]) -> Box:
    (x1, y1), (x2, y2) = polygon.min(axis=0), polygon.max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)

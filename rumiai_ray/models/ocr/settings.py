"""The text reader's settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator
from pydantic_settings import NoDecode

from rumiai_ray.models.base import ModelSettings, Subset
from rumiai_ray.settings import execution, result, split_at_commas

OcrEngine = Literal["ppocr", "easyocr"]


class OcrSettings(ModelSettings):
    """Settings of the text reader; where a default is `None`, each engine has its own.

    PP-OCR reads every sampled frame, its detector at 480 px. At 416 px captions are read alike and small print is not: three lines of 22
    on photos are misread instead of one, for a twentieth of the time (table in docs/text-engines.md).

    EasyOCR, measured on the captions of real clips, each at four sizes (120 readings, JPEG 95, canvas 640): a margin of 0.05 gives a
    mean character error rate of 0.054 with 14 above 0.15; EasyOCR's own 0.1 gives 0.061 with 22. Canvases of 480, 640 and 960
    read captions alike (0.025, 0.035, 0.031 at that margin) in 1.1, 1.9 and 4.2 s a frame on one thread; small print on a poster
    costs 480 a rate of 0.11, the others 0.02 and 0.01.
    """

    engine: OcrEngine = result(
        "ppocr", "text reader: `ppocr` (PP-OCRv6 on OpenVINO) or `easyocr` (CRAFT and a recogniser, a tenth as fast)"
    )
    threads: int = execution(1, "threads per library of the model; by default 2 with easyocr", ge=1)
    languages: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)] = result(
        ("en",),
        "EasyOCR's language codes, comma-separated; ppocr always reads Latin, Chinese and Japanese, and uses EasyOCR's "
        "recognisers for languages in other scripts; easyocr combines other scripts than Latin with en only",
    )
    fps: float | None = result(None, "frames read per second; by default every sampled frame with ppocr, 1 with easyocr", gt=0, le=60)
    canvas_px: int | None = result(
        None, "long side that frames are scaled down to for finding text; by default 480 with ppocr, 640 with easyocr", ge=128, le=2560
    )
    mag_ratio: float = result(1.0, "easyocr: frames smaller than the canvas are enlarged by up to this for finding text", ge=1, le=4)
    box_margin: float = result(0.05, "easyocr: margin around a found text when it is read, as a share of its height", ge=0, le=1)
    min_size_px: int = result(10, "easyocr: found texts whose longer side is below this, in stored pixels, are not read", ge=1)
    min_confidence: float | None = result(
        None, "readings below this confidence are dropped; by default 0.5 with ppocr, 0 with easyocr", ge=0, le=1
    )
    min_glyph_confidence: float = result(
        0.9, "ppocr: confidence needed to keep a single character, since pictograms resemble one (0.2 to 0.87; real ones 0.99)",
        ge=0, le=1,
    )  # fmt: skip
    foreign_probability: float = result(
        0.8, "ppocr: probability at which a line counts as written in a script that PP-OCR does not know", gt=0, le=1
    )
    runtime: Literal["openvino", "torch"] = result(
        "openvino",
        "easyocr: runtime that finds text on a CPU; openvino finds the same texts in a quarter less time; a GPU always uses torch",
    )
    batch_frames: int = execution(4, "easyocr: frames searched for text at once on a GPU; a CPU takes them one by one", ge=1, le=32)

    @model_validator(mode="before")
    @classmethod
    def _easyocr_threads(cls, given: object) -> object:
        """EasyOCR is most of a run's CPU time: the other models would wait for one thread (a 12 s clip on 2 cores: 60 s, 48 s with two)."""
        return {"threads": 2} | given if isinstance(given, dict) and given.get("engine") == "easyocr" else given

    @property
    def looked_at_fps(self) -> float | None:
        """`fps`, or the engine's own; None for every sampled frame."""
        return self.fps or (1.0 if self.engine == "easyocr" else None)

    @property
    def long_side_px(self) -> int:
        """`canvas_px`, or the engine's own."""
        return self.canvas_px or (640 if self.engine == "easyocr" else 480)

    @property
    def least_confidence(self) -> float:
        """`min_confidence`, or the engine's own."""
        if self.min_confidence is not None:
            return self.min_confidence
        return 0.0 if self.engine == "easyocr" else 0.5

    def subset(self, duration_s: float) -> Subset:  # noqa: ARG002 -- the same for every duration
        """`looked_at_fps` frames a second."""
        return Subset(fps=self.looked_at_fps)

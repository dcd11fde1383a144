"""EasyOCR opened the way this project uses it: from checked files, offline, leaving nothing behind, threads capped."""

from __future__ import annotations

import sys
import tempfile
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.ocr.craft import craft_on_openvino
from rumiai_ray.models.ocr.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.ocr.settings import OcrSettings


class TextReader:
    """A loaded detector and recogniser.

    Args:
        detector: CRAFT's file, its digest checked.
        recogniser: the recogniser's file, its digest checked, in the same directory.
        device: `cpu` or `cuda:N`.
        settings: the model's settings.

    Raises:
        WeightsError: EasyOCR cannot load a file, or they lie in different directories.
    """

    def __init__(self, detector: Path, recogniser: Path, device: str, settings: OcrSettings) -> None:
        _prepare_libraries(settings.threads)
        if detector.parent != recogniser.parent:
            raise WeightsError("EasyOCR reads both files from one directory", f"{detector}, {recogniser}", "put them together")
        on_cpu = device == "cpu"
        self._settings = settings
        self._at_once = 1 if on_cpu else settings.batch_frames
        self._reader = _open(detector.parent, device, settings.languages)
        if not on_cpu:
            # EasyOCR would spread each call over all GPUs of the process.
            self._reader.detector, self._reader.recognizer = self._reader.detector.module, self._reader.recognizer.module
        elif settings.runtime == "openvino":
            self._reader.detector = craft_on_openvino(self._reader.detector, settings.threads)

    def read(self, images: NDArray[np.uint8]) -> list[list[Reading]]:
        """The readings of each image, in no particular order.

        An image that equals the one before in every pixel is not read again: still cards are common and texts costly.

        Args:
            images: (n, height, width, 3) uint8 RGB.
        """
        distinct = [at for at in range(len(images)) if at == 0 or not np.array_equal(images[at], images[at - 1])]
        known: dict[int, list[Reading]] = {}
        for chunk in (distinct[at : at + self._at_once] for at in range(0, len(distinct), self._at_once)):
            # `detect` and `recognize` apart, not `readtext`: that one takes BGR, in which CRAFT was not trained.
            upright, slanted = self._reader.detect(
                images[chunk],
                canvas_size=self._settings.long_side_px,
                mag_ratio=self._settings.mag_ratio,
                add_margin=self._settings.box_margin,
                min_size=self._settings.min_size_px,
                reformat=False,
            )
            known |= {at: self._recognise(images[at], *boxes) for at, *boxes in zip(chunk, upright, slanted, strict=True)}
        source = 0
        readings = []
        for at in range(len(images)):
            source = at if at in known else source
            readings.append([replace(reading, carried=source != at) for reading in known[source]])
        return readings

    def _recognise(self, image: NDArray[np.uint8], upright: list[Any], slanted: list[Any]) -> list[Reading]:
        import cv2  # noqa: PLC0415 -- heavy

        height, width = image.shape[:2]
        # CRAFT sees the picture padded to multiples of 32; a box in the padding has no pixels to read, and OpenCV raises.
        inside = [box for box in upright if min(box[1], width) > max(box[0], 0) and min(box[3], height) > max(box[2], 0)]
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        read = self._reader.recognize(grey, inside, slanted, reformat=False)
        # A product of float32 ratios may come out a little above 1.
        return [Reading(np.array(corners, np.float32), text, min(float(sure), 1.0)) for corners, text, sure in read if text.strip()]

    def close(self) -> None:
        """Free the networks."""
        del self._reader


class LineReader:
    """A loaded recogniser, without a detector: reads pictures of single lines on the CPU.

    Args:
        recogniser: the recogniser's file, its digest checked.
        languages: EasyOCR's language codes, all read by this recogniser.
        threads: threads the library may use.

    Raises:
        WeightsError: EasyOCR cannot load the file.
    """

    def __init__(self, recogniser: Path, languages: Sequence[str], threads: int) -> None:
        _prepare_libraries(threads)
        self._reader = _open(recogniser.parent, "cpu", languages, finds=False)

    def read(self, picture: NDArray[np.uint8]) -> tuple[str | None, float | None]:
        """The text of one line and its confidence; None for both where nothing is read.

        Args:
            picture: (height, width, 3) uint8 RGB, the line from left to right.
        """
        import cv2  # noqa: PLC0415 -- heavy

        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        read = [(text, min(float(sure), 1.0)) for _, text, sure in self._reader.recognize(grey, reformat=False) if text.strip()]
        return max(read, key=lambda each: each[1]) if read else (None, None)


def _prepare_libraries(threads: int) -> None:
    import cv2  # noqa: PLC0415 -- heavy
    import torch  # noqa: PLC0415 -- heavy

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    # EasyOCR asks for pinned memory whatever the device, and torch says so for every text read.
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    # EasyOCR quantises CRAFT, which has nothing that could be, whatever it is told.
    warnings.filterwarnings("ignore", message=".*torch.ao.quantization", category=DeprecationWarning)


def _open(directory: Path, device: str, languages: Sequence[str], *, finds: bool = True) -> Any:
    import easyocr  # noqa: PLC0415 -- heavy

    # EasyOCR makes this directory (by default in the home directory) and imports networks of the user's from it.
    with tempfile.TemporaryDirectory(prefix="rumiai-easyocr-") as empty:
        try:
            # EasyOCR calls torch.load with weights_only=False: what it loads has been held against its SHA-256.
            return easyocr.Reader(
                list(languages),
                detector=finds,
                gpu=False if device == "cpu" else device,
                model_storage_directory=str(directory),
                user_network_directory=empty,
                download_enabled=False,
                verbose=False,
                quantize=False,  # it would be the recogniser's LSTM only, and measured no faster
            )
        except Exception as error:  # the boundary: unpickling can raise anything
            raise WeightsError(f"EasyOCR cannot load the weights: {type(error).__name__}: {error}", str(directory)) from error
        finally:
            sys.path[:] = [entry for entry in sys.path if entry != empty]

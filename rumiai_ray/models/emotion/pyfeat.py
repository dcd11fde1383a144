"""The flagship reader: py-feat's Detectorv2 on arrays, from local weights. Imported by `load` only.

Importing py-feat takes seconds, and needs torchcodec and through it FFmpeg's shared libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from feat.detector_v2 import Detectorv2
from feat.face_detectors.Retinaface.Retinaface_test import Retinaface
from feat.multitask.inference import _DLIB68_IDX, CHIP_SIZE, MultitaskModel
from safetensors import SafetensorError
from safetensors.torch import load_file

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.emotion.expressions import Expression
from rumiai_ray.schema.emotion import ACTION_UNITS, EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_COLUMN = {
    "anger": "Anger",
    "disgust": "Disgust",
    "fear": "Fear",
    "happiness": "Happy",
    "sadness": "Sad",
    "surprise": "Surprise",
    "neutral": "Neutral",
}
"""py-feat's names of our emotions."""
_EMOTIONS = [_COLUMN[emotion] for emotion in EMOTIONS]
_ACTION_UNITS = [unit.upper() for unit in ACTION_UNITS]
_HEAD = ["Pitch", "Roll", "Yaw"]
"""In radians (py-feat's plotting.draw_facepose): up, to the subject's right, to the subject's right are positive."""


class _LocalDetector(Detectorv2):  # type: ignore[misc]  # the library has no types
    """Detectorv2 whose two networks come from given files. Its own constructor can only download RetinaFace."""

    def __init__(self, retinaface: Path, multitask: Path, device: torch.device, face_confidence: float, *, half: bool) -> None:
        torch.nn.Module.__init__(self)
        self.device = device
        self.face_size = CHIP_SIZE
        self.face_detection_threshold = face_confidence
        self.face_detector = Retinaface(device=device, detection_threshold=face_confidence, pretrained="local file")
        self.face_detector.net.load_state_dict(load_file(retinaface, device=str(device)))
        if half:
            self.face_detector.net = _Fp16(self.face_detector.net)
        self.multitask = MultitaskModel(device=device, weights_path=str(multitask), amp=half)  # amp is bf16
        self.identity_detector = None  # 174 MB more for an embedding nobody asked for
        self._idx68 = _DLIB68_IDX.to(device)


class _Fp16:
    """A network that computes in fp16 and answers in fp32, in which its boxes are decoded: in fp16 those of a large frame lose pixels."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def __call__(self, images: Any) -> tuple[Any, ...]:
        with torch.autocast(images.device.type, dtype=torch.float16):
            outputs = self._network(images)
        return tuple(output.float() for output in outputs)


class PyFeat:
    """Emotions, action units, valence, arousal and head pose of every face.

    Args:
        files: the networks `retinaface` and `face_multitask`.
        device: `cpu` or `cuda:N`.
        half: RetinaFace computes in fp16, the multitask network in bf16; else both in fp32.
        threads: of torch.
        face_confidence: faces the detector is less sure of are left out.
        batch_frames: images RetinaFace takes at once.

    Raises:
        WeightsError: a file does not load, or is another network than expected.
    """

    def __init__(
        self, files: Mapping[str, Path], *, device: str, half: bool, threads: int, face_confidence: float, batch_frames: int
    ) -> None:
        torch.set_num_threads(threads)
        self._face_confidence, self._batch_frames = face_confidence, batch_frames
        try:
            self._detector = _LocalDetector(files["retinaface"], files["face_multitask"], torch.device(device), face_confidence, half=half)
        except (SafetensorError, RuntimeError, OSError) as error:
            raise WeightsError(f"does not load: {error}", "py-feat Detectorv2", "fetch the weights again") from error
        given = {*self._detector.multitask.emotion_names, *self._detector.multitask.au_names}
        if given != {*_EMOTIONS, *_ACTION_UNITS}:
            hint = f"its outputs are {', '.join(sorted(given))}"
            raise WeightsError("is not the network with 7 emotions and 20 action units", str(files["face_multitask"]), hint)

    def read(self, images: NDArray[np.uint8]) -> list[Expression]:
        """See `Reader`. `batch_frames` images at once through the detector, all their faces at once through the multitask network."""
        found: list[Expression] = []
        for start in range(0, len(images), self._batch_frames):
            found += self._read_batch(images[start : start + self._batch_frames], start)
        return found

    def close(self) -> None:
        """Let go of the networks."""
        del self._detector

    def _read_batch(self, images: NDArray[np.uint8], first: int) -> Iterator[Expression]:
        # a copy: torch wants its channels first and refuses memory it may not write to
        frames = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        faces = self._detector.detect_faces(frames, face_detection_threshold=self._face_confidence)
        table = self._detector.forward(faces, _unscaled(frames))
        # FaceRect of the table is the enlarged square the face was cut out with, not the face
        boxes = torch.cat([face["boxes"] for face in faces]).cpu().numpy()
        scores = torch.cat([face["scores"] for face in faces]).cpu().numpy()
        owners = np.repeat(np.arange(first, first + len(faces)), [len(face["scores"]) for face in faces])
        emotions, units = table[_EMOTIONS].to_numpy(np.float64), table[_ACTION_UNITS].to_numpy(np.float64)
        heads, moods = np.degrees(table[_HEAD].to_numpy(np.float64)), table[["valence", "arousal"]].to_numpy(np.float64)
        # an image without a face has one row of NaN
        for row in np.flatnonzero(~np.isnan(boxes).any(axis=1)):
            x1, y1, x2, y2 = boxes[row].tolist()
            pitch, roll, yaw = (_measured(angle) for angle in heads[row])
            yield Expression(
                image=int(owners[row]),
                box=(x1, y1, x2, y2),
                emotions=tuple(emotions[row].tolist()),
                confidence=float(scores[row]),
                valence=_measured(moods[row, 0]),
                arousal=_measured(moods[row, 1]),
                head_deg=(pitch, roll, yaw),
                action_units=tuple(_measured(unit) for unit in units[row]),
            )


def _measured(value: float) -> float | None:
    """`value`, or None where the network's answer is no number."""
    return None if np.isnan(value) else float(value)


def _unscaled(frames: Any) -> dict[str, Any]:
    """What py-feat's loaders say of images they left as they were."""
    none = torch.zeros(len(frames))
    return {"Image": frames, "Scale": torch.ones(len(frames)), "Padding": dict.fromkeys(("Left", "Top", "Right", "Bottom"), none)}

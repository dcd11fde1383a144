"""The plain script: what a competent user writes to run the five libraries over a folder of clips, without this project.

Usage: plain.py CLIPS.txt OUT.json
One process, every model loaded once, OpenCV decodes, each library with its own defaults: EasyOCR's `readtext` on torch, Ultralytics' YOLO,
MediaPipe's tasks on single images, faster-whisper, and an expression network on the faces that MediaPipe has found. Three things are taken
from this project, so that both sides do the same work: the files of the weights (profile `offline`), the frames that are looked at (the
grid, 2 frames a second for expressions, and 1 a second for EasyOCR, as with `--ocr-engine easyocr`), and the limits of faces, poses, hands.
What is found is written to OUT.json, with the seconds that it took; `beside_plain.py` sets both sides side by side.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.update(
    YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false", YOLO_CONFIG_DIR=tempfile.mkdtemp(), ORT_DISABLE_TELEMETRY="1"
)

import av
import cv2
import numpy as np

from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.model_choice import choose_models
from rumiai_ray.frames.sampling import GridSampler, grid_fps, subset
from rumiai_ray.models._openvino import import_openvino

import_openvino()

import easyocr  # noqa: E402
import mediapipe as mp  # noqa: E402
from faster_whisper import WhisperModel  # noqa: E402
from mediapipe.tasks.python import BaseOptions, vision  # noqa: E402
from ultralytics import YOLO  # noqa: E402

from rumiai_ray.models.emotion.fer import face_crop  # noqa: E402
from rumiai_ray.models.emotion.xception import MiniXception  # noqa: E402
from rumiai_ray.models.ocr.model import Ocr  # noqa: E402
from rumiai_ray.models.ocr.settings import OcrSettings  # noqa: E402
from rumiai_ray.models.weights.choice import default_directories, resolve  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rumiai_ray.frames.sampling import Sample

MODELS = ("mediapipe", "yolo", "whisper", "emotion")
TEXT_FPS = 1.0
EMOTION_FPS = 2.0


class Plain:
    """The loaded models."""

    def __init__(self) -> None:
        config = load_config(flags={"profile": "offline", "models": MODELS, "device": "cpu"})
        files = {plan.name: plan.files for plan in choose_models(config)}
        if "xml" not in files["yolo"]:
            sys.exit("YOLO's weights are needed, not the stand-in's: name their directory in RUMIAI_WEIGHTS_DIR")
        text = resolve(Ocr, OcrSettings(engine="easyocr"), profile="offline", directories=default_directories()).files
        faces, poses, hands = (str(files["mediapipe"][name]) for name in ("face_landmarker", "pose_landmarker", "gesture_recognizer"))
        self.reader = easyocr.Reader(["en"], model_storage_directory=str(text["detector"].parent), download_enabled=False, verbose=False)
        self.yolo = YOLO(str(files["yolo"]["xml"].parent), task="detect")
        self.whisper = WhisperModel(str(files["whisper"]["model.bin"].parent))
        self.expression = MiniXception(files["emotion"]["emotion_model"])
        self.faces = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=faces),
                num_faces=10,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
        )
        self.poses = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(base_options=BaseOptions(model_asset_path=poses), num_poses=5)
        )
        self.hands = vision.GestureRecognizer.create_from_options(
            vision.GestureRecognizerOptions(base_options=BaseOptions(model_asset_path=hands), num_hands=10)
        )

    def analyse(self, clip: str) -> dict[str, Any]:
        """What is in one clip."""
        frames, duration_s = sampled(clip)
        shown_s = np.array([(frame.time_s, frame.shown_until_s) for frame in frames]).T
        read = set(subset(shown_s[0], shown_s[1], duration_s, fps=TEXT_FPS, max_frames=None).tolist())
        expressive = set(subset(shown_s[0], shown_s[1], duration_s, fps=EMOTION_FPS, max_frames=60).tolist())
        looked = [self._look(each.frame, texts=at in read, expressions=at in expressive) for at, each in enumerate(frames)]
        return {
            "frames": [{"time_s": frame.time_s, **found} for frame, found in zip(frames, looked, strict=True)],
            "words": self._hear(clip),
        }

    def _look(self, image: NDArray[np.uint8], *, texts: bool, expressions: bool) -> dict[str, Any]:
        height, width = image.shape[:2]
        picture = mp.Image(image_format=mp.ImageFormat.SRGB, data=cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        (objects,) = self.yolo(image, verbose=False)
        faces = [box_around([(point.x * width, point.y * height) for point in face]) for face in self.faces.detect(picture).face_landmarks]
        found: dict[str, Any] = {
            "objects": [
                {"label": objects.names[int(box.cls)], "box": box.xyxy[0].tolist(), "confidence": float(box.conf)} for box in objects.boxes
            ],
            "faces": faces,
            "poses": len(self.poses.detect(picture).pose_landmarks),
            "hands": len(self.hands.recognize(picture).hand_landmarks),
        }
        if texts:
            found["texts"] = [text for _, text, _ in self.reader.readtext(image)]
        if expressions and faces:
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            found["expressions"] = self.expression(np.stack([face_crop(grey, box) for box in faces])).tolist()
        return found

    def _hear(self, clip: str) -> list[str]:
        with av.open(clip) as container:
            if not container.streams.audio:
                return []
        segments, _ = self.whisper.transcribe(clip, word_timestamps=True)
        return [word.word for segment in segments for word in segment.words or ()]


def sampled(clip: str) -> tuple[list[Sample[NDArray[np.uint8]]], float]:
    """The frames on the grid, BGR, and the clip's duration."""
    video = cv2.VideoCapture(clip)
    rate, count = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
    grid = GridSampler["NDArray[np.uint8]"](grid_fps(count / rate))
    picked, times_s = [], []
    while True:
        there, image = video.read()
        if not there:
            break
        times_s.append(video.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        picked += grid.push(len(times_s) - 1, times_s[-1] - times_s[0], image)
    video.release()
    end_s = times_s[-1] - times_s[0] + 1 / rate
    picked += grid.finish(end_s)
    return picked, end_s


def box_around(points: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    manifest, out = (Path(argument) for argument in sys.argv[1:])
    clips = manifest.read_text(encoding="utf-8").split("\n")[:-1]
    plain = Plain()
    plain.analyse(min(clips, key=lambda clip: Path(clip).stat().st_size))  # what a library does at its first call is no clip's cost
    began_s, cpu_began_s = time.monotonic(), cpu_s()
    found = {Path(clip).name: plain.analyse(clip) for clip in clips}
    took = {"clock_s": time.monotonic() - began_s, "cpu_s": cpu_s() - cpu_began_s}
    out.write_text(json.dumps({**took, "clips": found}), encoding="utf-8")


if __name__ == "__main__":
    main()

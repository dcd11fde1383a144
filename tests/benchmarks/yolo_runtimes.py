"""YOLO's export for OpenVINO through Ultralytics and alone, in turn: CPU time of a frame and of a process that loads it, and its memory.

Usage: yolo_runtimes.py MEDIA [--rounds 5]
Frames are those of three clips, 5 a second, on one thread; a round runs all frames through one and then through the other, and the ratio
is that of each round's two times. Boxes must be equal bit for bit. Loading is user and system time of a process of its own, imports and one
frame included, and the most memory that it had.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictures import clip
from rumiai_ray.models.weights.choice import default_directories, resolve
from rumiai_ray.models.yolo.model import Yolo, YoloSettings
from rumiai_ray.models.yolo.openvino_detector import OpenVinoDetector
from rumiai_ray.models.yolo.ultralytics_detector import UltralyticsDetector, UltralyticsOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rumiai_ray.models.yolo.model import ObjectDetector

CLIPS = ("c_text_derived/tt_dog_voiceover_720x1280.mp4", "b_objects/sam2_dog_fetch.mp4", "b_objects/sam2_juggle.mp4")
TIMES_S = tuple(at / 5 for at in range(10))
NAMES = ("ultralytics", "alone")


def loaded(name: str) -> ObjectDetector:
    graph = resolve(Yolo, YoloSettings(), profile="offline", directories=default_directories()).files["xml"]
    if name == "alone":
        return OpenVinoDetector(graph, threads=1, confidence=0.25, iou=0.7, image_size_px=640)
    options = UltralyticsOptions("cpu", half=False, threads=1, confidence=0.25, iou=0.7, image_size_px=640, batch_frames=1)
    return UltralyticsDetector(graph.parent, options)


def process_of(name: str) -> tuple[float, float]:
    """CPU-seconds and GB of a process that loads one of them and looks at one frame."""
    with subprocess.Popen([sys.executable, __file__, "--load", name]) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, name)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20


def cpu_s(detector: ObjectDetector, clips: list[NDArray[np.uint8]]) -> tuple[float, list[NDArray[np.float32]]]:
    began_s = time.process_time()
    boxes = [found for images in clips for found in detector.detect(images)]
    return time.process_time() - began_s, boxes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("media", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load", choices=NAMES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.load:
        loaded(asked.load).detect(np.zeros((1, 1280, 720, 3), np.uint8))
        return
    clips = [clip(asked.media / name, list(TIMES_S)) for name in CLIPS]
    frames = sum(map(len, clips))
    detectors = {name: loaded(name) for name in NAMES}
    for detector in detectors.values():
        cpu_s(detector, clips)
    rounds = [{name: cpu_s(detector, clips) for name, detector in detectors.items()} for _ in range(asked.rounds)]
    for one in rounds:
        for theirs, ours in zip(*(one[name][1] for name in NAMES), strict=True):
            np.testing.assert_array_equal(theirs, ours)
    loads = [{name: process_of(name) for name in NAMES} for _ in range(3)]
    print(f"{frames} frames, {sum(map(len, rounds[0]['alone'][1]))} boxes, equal bit for bit; median of {asked.rounds} rounds, one thread")
    print("| | CPU-ms a frame | CPU-s to load | GB |\n|---|---|---|---|")
    for name in NAMES:
        frame_ms = 1000 * statistics.median(one[name][0] for one in rounds) / frames
        load_s, memory_gb = (statistics.median(one[name][at] for one in loads) for at in (0, 1))
        print(f"| {name} | {frame_ms:.1f} | {load_s:.2f} | {memory_gb:.2f} |")
    per_frame = [one["alone"][0] / one["ultralytics"][0] for one in rounds]
    per_load = [one["alone"][0] / one["ultralytics"][0] for one in loads]
    print(f"| ratio, median of pairs | {statistics.median(per_frame):.2f} | {statistics.median(per_load):.2f} | |")
    print(f"ratios of the frames {min(per_frame):.2f} to {max(per_frame):.2f}, of loading {min(per_load):.2f} to {max(per_load):.2f}")


if __name__ == "__main__":
    main()

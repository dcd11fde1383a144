"""What holds for every model family."""

from __future__ import annotations

import subprocess
import sys

from rumiai_ray.models.catalogue import MODELS

HEAVY = {"cv2", "easyocr", "faster_whisper", "feat", "mediapipe", "onnxruntime", "openvino", "parselmouth", "scenedetect", "torch",
         "torchvision", "ultralytics"}  # fmt: skip


def test_a_family_s_module_imports_no_heavy_library_before_load() -> None:
    modules = sorted({implementation.partition(":")[0] for implementation in MODELS.values()})
    code = f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint(*sorted(sys.modules))"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(modules) <= set(imported)
    assert HEAVY & set(imported) == set()

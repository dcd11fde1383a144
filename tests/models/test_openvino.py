"""How graphs are compiled for the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CORES_OF_EVERY_THREAD_AT_WORK = """
import os, threading
import numpy as np
from rumiai_ray.models._openvino import cpu_properties, import_openvino
openvino = import_openvino()
from openvino import opset13
picture = opset13.parameter([1, 3, 512, 512])
convolved = opset13.convolution(picture, np.ones((64, 3, 7, 7), np.float32), [1, 1], [3, 3], [3, 3], [1, 1])
compiled = openvino.Core().compile_model(openvino.Model([convolved], [picture]), "CPU", cpu_properties(openvino, 1))
work = threading.Thread(target=lambda: [compiled(np.ones((1, 3, 512, 512), np.float32)) for _ in range(3)])
work.start()
while work.is_alive():
    for thread in os.listdir("/proc/self/task"):
        try:
            print(*sorted(os.sched_getaffinity(int(thread))), sep=",")
        except ProcessLookupError:
            continue
"""


def test_no_thread_is_bound_to_a_core_that_every_other_process_would_bind_its_own_to() -> None:
    """OpenVINO's default: text readers of a thread each took turns on the first core while the others were idle."""
    root = Path(__file__).resolve().parents[2]
    script = [sys.executable, "-c", CORES_OF_EVERY_THREAD_AT_WORK]
    done = subprocess.run(script, cwd=root, capture_output=True, text=True, check=True, timeout=120)
    assert set(done.stdout.split()) == {",".join(map(str, sorted(os.sched_getaffinity(0))))}

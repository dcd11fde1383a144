"""OpenVINO without its telemetry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rumiai_ray.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path


def import_openvino() -> Any:
    """The `openvino` package, which otherwise reports each import to Intel's analytics and leaves a client id in the home directory.

    No variable switches that off (2026.4 heeds `CI=true` only), but without the package `openvino_telemetry`, a dependency of
    its, it takes a stub; None in `sys.modules` is how Python is told that there is no such package.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # typeshed does not know this use
    import openvino  # noqa: PLC0415 -- heavy

    return openvino


def cpu_properties(openvino: Any, threads: int) -> dict[str, Any]:
    """How graphs are compiled for the CPU: with `threads` threads, which may run on any core, in f32.

    Both said aloud. On CPUs with AMX OpenVINO would choose bf16, and answers would depend on the node. And it would bind its threads to
    the first cores of the machine, those of every process to the same ones: two text readers of one thread each took turns on one of two
    cores (measured: together 0.8 of a core, the other idle).
    """
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": openvino.Type.f32,
        "ENABLE_CPU_PINNING": False,
    }


def read_network(openvino: Any, file: Path) -> Any:
    """The network in a file of weights, not yet compiled.

    Raises:
        WeightsError: OpenVINO cannot load the file.
    """
    try:
        return openvino.Core().read_model(file)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise WeightsError(
            f"OpenVINO cannot load the network: {reason}", str(file), "fetch it again: `rumiai-ray weights fetch`"
        ) from error

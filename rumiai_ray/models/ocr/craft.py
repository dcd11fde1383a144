"""CRAFT, EasyOCR's text detector, run by OpenVINO instead of torch: the same scores for less time on a CPU.

CRAFT is 90 % of what reading text costs. On one thread at 640×384, the network alone: torch 2.4 s, torch with channels_last
2.1 s, OpenVINO f32 1.7 s (EPYC with AVX-512, other work on the machine); scores differ by 6e-8, boxes not at all. Plain
INT8 quantisation is four times faster again but reads a third of texts differently, so it is not offered.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from rumiai_ray.models._openvino import cpu_properties, import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


def craft_on_openvino(network: Any, threads: int) -> Callable[[torch.Tensor], tuple[torch.Tensor, None]]:
    """What EasyOCR calls as its detector, computed by OpenVINO.

    Args:
        network: EasyOCR's loaded CRAFT, a torch module, on the CPU.
        threads: threads OpenVINO may use.

    Returns:
        A function from images, (n, 3, height, width) float32 with sides that are multiples of 32, to (scores, None): scores are
        (n, height / 2, width / 2, 2) float32, text and link. EasyOCR ignores the second.
    """
    import torch  # noqa: PLC0415 -- heavy

    openvino = import_openvino()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # OpenVINO traces with torch.jit, which torch calls old
        # Traced on a tiny picture; the graph keeps batch and sides dynamic, which measured no slower than fixed sides.
        graph = openvino.convert_model(network, example_input=torch.zeros(1, 3, 64, 64))
    compiled = openvino.Core().compile_model(graph, "CPU", cpu_properties(openvino, threads))

    def detect(images: torch.Tensor) -> tuple[torch.Tensor, None]:
        # Copied: OpenVINO hands out its output buffer and writes the next answer into it.
        return torch.from_numpy(compiled(images.numpy())[0].copy()), None

    return detect

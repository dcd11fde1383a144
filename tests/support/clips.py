"""Frames of the real clips and pictures, decoded for tests of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from rumiai_ray.models.base import FrameBatch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def frames_of(path: Path, fps: float = 5.0) -> NDArray[np.uint8]:
    """(n, height, width, 3) uint8 RGB: the first frame at or after each k / fps seconds; one frame of a picture."""
    taken: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0.0) >= len(taken) / fps - 1e-6:
                taken.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    return np.stack(taken)


def batch_of(images: NDArray[np.uint8], first_index: int = 0, *, times: int = 1) -> FrameBatch:
    """A batch as a model gets it: read-only; the source is `times` as large as the images."""
    images = images.view()
    images.flags.writeable = False
    index = np.arange(first_index, first_index + len(images), dtype=np.int32)
    return FrameBatch(index, index / 5.0, images, images.shape[2] * times, images.shape[1] * times)

"""Frame batches made of pictures and clips, without the frame store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
from PIL import Image

from rumiai_ray.models.base import FrameBatch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def still(path: Path, size_px: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """A picture file as (height, width, 3) RGB, scaled to `size_px` (width, height) if given."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
        return np.asarray(rgb.resize(size_px) if size_px else rgb)


def clip(path: Path, times_s: list[float]) -> NDArray[np.uint8]:
    """The frames of a clip shown at `times_s`, ascending, as (n, height, width, 3) RGB."""
    wanted, frames = list(times_s), []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if wanted and frame.time is not None and frame.time >= wanted[0] - 1e-3:
                frames.append(frame.to_ndarray(format="rgb24"))
                wanted.pop(0)
    assert not wanted, f"{path} ends before {wanted[0]} s"
    return np.stack(frames)


def batch(images: NDArray[np.uint8], source_px: tuple[int, int] | None = None) -> FrameBatch:
    """A batch of frames, five a second, of a source of `source_px` (width, height); of the images' own size if not given."""
    n, height, width, _ = images.shape
    source_width, source_height = source_px or (width, height)
    return FrameBatch(np.arange(n, dtype=np.int32), np.arange(n) / 5, images, source_width, source_height)

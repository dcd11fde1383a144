"""Rows of work whose pixels and samples carry a number, for the fakes to read."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rumiai_ray.engine.work.item import Work
from rumiai_ray.frames.types import EncodedBatch
from rumiai_ray.models.base import AudioChunk

if TYPE_CHECKING:
    from collections.abc import Mapping


def frames_work(numbers: list[int], wanted: Mapping[str, tuple[int, ...]], *, video_key: str = "v", index: int = 0, count: int = 1) -> Work:
    """A row of work whose frames carry `numbers` in their red channel."""
    batch = EncodedBatch(
        frame_index=np.arange(len(numbers), dtype=np.int32),
        source_frame=np.arange(len(numbers), dtype=np.int64),
        time_s=np.arange(len(numbers), dtype=np.float64) / 5,
        jpegs=tuple(_jpeg(number) for number in numbers),
    )
    return Work(video_key, video_key, index, count, wanted, frames=batch, source_width_px=32, source_height_px=32)


def audio_work(number: int, wanted: tuple[str, ...], *, video_key: str = "v", index: int = 0, count: int = 1) -> Work:
    """A row of work whose first sample is `number`."""
    chunk = AudioChunk(np.full(1600, number, np.int16), 0.0)
    return Work(video_key, video_key, index, count, dict.fromkeys(wanted, ()), audio=chunk)


def _jpeg(number: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (32, 32), (number, 128, 128)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()

"""Clips that carry a number in every pixel picture and in every audio sample, so that no row can be attributed to the wrong one."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from synthetic_clips import picture

if TYPE_CHECKING:
    from pathlib import Path

_RATE_HZ = 16_000


def numbered_clip(path: Path, number: int, *, frames: int = 6, fps: int = 5, audio: bool = True) -> Path:
    """Write a lossless clip of `frames` pictures of `number` (0..4095), and of samples that all equal it."""
    with av.open(str(path), "w", format="matroska") as output:
        video = output.add_stream("ffv1", rate=fps)
        video.width, video.height, video.pix_fmt = 96, 64, "bgr0"
        sound = output.add_stream("pcm_s16le", rate=_RATE_HZ, layout="mono") if audio else None
        image = picture(number)
        for at in range(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, fps)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if sound is not None:
            samples = np.full((1, _RATE_HZ * frames // fps), number, np.int16)
            heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            heard.sample_rate, heard.pts = _RATE_HZ, 0
            output.mux(sound.encode(heard))
            output.mux(sound.encode(None))
    return path

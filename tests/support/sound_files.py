"""Small files that hold sound and no video stream, made on the spot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 48_000
TONE_HZ = 440
LEVEL = 0.5
"""Peak of the tone, full scale = 1."""
FORMATS = {
    "song.mp3": ("mp3", "libmp3lame"),
    "memo.m4a": ("ipod", "aac"),
    "voice.opus": ("ogg", "libopus"),
    "take.wav": ("wav", "pcm_s16le"),
    "post.mp4": ("mp4", "aac"),
    "take.flac": ("flac", "flac"),
    "radio.aac": ("adts", "aac"),
    "voice.webm": ("webm", "libopus"),
}
"""(muxer, encoder) by the name of a file."""
_SAMPLES_A_FRAME = 960
_COVER_PX = 64


def make_sound(path: Path, length_s: float, *, cover: bool = False, options: dict[str, str] | None = None) -> Path:
    """Write a tone of 440 Hz.

    Args:
        path: of the file; its name is one of `FORMATS`, or ends like one.
        length_s: of the tone.
        cover: add a picture as cover art.
        options: of the muxer.
    """
    muxer, encoder = next(how for name, how in FORMATS.items() if name == path.name or name.endswith(path.suffix))
    with av.open(str(path), "w", format=muxer, options=options or {}) as output:
        sound = output.add_stream(encoder, rate=RATE_HZ, layout="mono")
        assert isinstance(sound, av.AudioStream)
        if cover:
            picture = output.add_stream("png", rate=1)
            picture.width = picture.height = _COVER_PX
            picture.pix_fmt = "rgb24"
            picture.disposition = av.stream.Disposition.attached_pic
            drawn = av.VideoFrame.from_ndarray(np.full((_COVER_PX, _COVER_PX, 3), 200, np.uint8), format="rgb24")
            output.mux([*picture.encode(drawn), *picture.encode(None)])
        total = round(length_s * RATE_HZ)
        for start in range(0, total, _SAMPLES_A_FRAME):
            at = np.arange(start, min(total, start + _SAMPLES_A_FRAME))
            tone = LEVEL * np.sin(2 * np.pi * TONE_HZ * at / RATE_HZ)
            frame = av.AudioFrame.from_ndarray((tone * 32767).astype(np.int16)[None], format="s16", layout="mono")
            frame.rate, frame.pts = RATE_HZ, start
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path

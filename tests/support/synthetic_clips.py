"""Small clips made on the spot. Each picture carries its own number, so a test can tell which frame it was given; or they are given."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from av.container import OutputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

WIDTH_PX, HEIGHT_PX = 96, 64
_BITS = 12
_TICKS_A_SECOND = 90_000
_LAST_FRAME_S = 0.04


def picture(number: int, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> NDArray[np.uint8]:
    """(height, width, 3) RGB: four columns and three rows of black and white cells, the binary digits of `number`."""
    bits = np.array([number >> bit & 1 for bit in range(_BITS)], np.uint8).reshape(3, 4) * 255
    return np.repeat(cv2.resize(bits, (width_px, height_px), interpolation=cv2.INTER_NEAREST)[..., None], 3, axis=2)


def pixels(jpeg: bytes) -> NDArray[np.uint8]:
    """(height, width, 3) BGR."""
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def number_in(jpeg: bytes) -> int:
    """The number that `picture` drew."""
    grey = cv2.cvtColor(pixels(jpeg), cv2.COLOR_BGR2GRAY)
    height, width = grey.shape
    cells = grey[height // 6 :: height // 3, width // 8 :: width // 4][:3, :4]
    return sum(1 << bit for bit, value in enumerate(cells.reshape(-1)) if value > 127)


def grid_times_s(fps: Fraction | float, duration_s: float) -> list[float]:
    return [float(number / fps) for number in range(int(duration_s * fps))]


def make_clip(
    path: Path,
    times_s: Sequence[float],
    *,
    sound_from_to_s: Sequence[tuple[float, float]] = (),
    size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX),
    numbers: Sequence[int] | None = None,
    container: str = "mp4",
) -> Path:
    """Write a clip.

    Args:
        path: of the file.
        times_s: when each frame is presented.
        numbers: the number each picture carries; its own place among the frames where not given.
        sound_from_to_s: when there is a tone of 440 Hz; what lies between is missing, not silent.
        size_px: width and height.
        container: a muxer's name.
    """
    shown = ((time_s, picture(number, *size_px)) for number, time_s in zip(numbers or range(len(times_s)), times_s, strict=True))
    with av.open(str(path), "w", format=container) as output:
        video = _x264(output, size_px, crf=10)
        sound = _Tone(output) if sound_from_to_s else None
        _encode(output, video, shown)
        if sound is not None:
            for from_s, to_s in sound_from_to_s:
                sound.play(from_s, to_s)
            sound.finish()
    return path


def slide_show(path: Path, slides: Sequence[tuple[NDArray[np.uint8], int]], fps: int | None) -> Path:
    """Write pictures shown one after the other into an MP4, without loss: frames that repeat a picture are equal in every pixel.

    The last picture has one more frame at its end, as a file need not say how long its last frame is shown.

    Args:
        path: of the file.
        slides: (picture, whole seconds) in order; pictures (height, width, 3) RGB, all of one size, both sides even.
        fps: frames in a second, which repeat the pictures; None for one frame of each picture, held.
    """
    ends_s = list(accumulate(seconds for _, seconds in slides))
    last_s = ends_s[-1] - _LAST_FRAME_S
    shown: list[tuple[float, NDArray[np.uint8]]] = []
    for (slide, seconds), end_s in zip(slides, ends_s, strict=True):
        shown += [(end_s - seconds + frame / (fps or 1), slide) for frame in range(seconds * fps if fps else 1)]
    shown = [frame for frame in shown if frame[0] < last_s - 1e-6]
    height, width = slides[0][0].shape[:2]
    with av.open(str(path), "w", format="mp4") as output:
        _encode(output, _x264(output, (width, height), crf=0), [*shown, (last_s, slides[-1][0])])
    return path


def _x264(output: OutputContainer, size_px: tuple[int, int], *, crf: int) -> VideoStream:
    """A stream of H.264; with a `crf` of 0 it loses nothing but colour between neighbouring pixels."""
    video = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "threads": "1", "crf": str(crf)})
    video.width, video.height = size_px
    video.pix_fmt = "yuv420p"
    video.time_base = video.codec_context.time_base = Fraction(1, _TICKS_A_SECOND)
    return video


def _encode(output: OutputContainer, video: VideoStream, shown: Iterable[tuple[float, NDArray[np.uint8]]]) -> None:
    """Write all frames of a stream: (seconds, picture)."""
    for time_s, image in shown:
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = round(time_s * _TICKS_A_SECOND)
        frame.time_base = Fraction(1, _TICKS_A_SECOND)
        output.mux(video.encode(frame))
    output.mux(video.encode(None))


class _Tone:
    _RATE_HZ = 48_000
    _SAMPLES_A_FRAME = 1024

    def __init__(self, output: OutputContainer) -> None:
        self._output = output
        self._stream = output.add_stream(
            "pcm_s16le" if output.format.name in ("matroska", "mov") else "aac", rate=self._RATE_HZ, layout="mono"
        )

    def play(self, from_s: float, to_s: float) -> None:
        first, last = round(from_s * self._RATE_HZ), round(to_s * self._RATE_HZ)
        for start in range(first, last, self._SAMPLES_A_FRAME):
            at = np.arange(start, min(last, start + self._SAMPLES_A_FRAME))
            tone = (0.5 * np.sin(2 * np.pi * 440 * at / self._RATE_HZ)).astype(np.float32)
            if self._stream.codec_context.name == "aac":
                frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            else:
                frame = av.AudioFrame.from_ndarray((tone * 32767).astype(np.int16)[None], format="s16", layout="mono")
            frame.rate, frame.pts, frame.time_base = self._RATE_HZ, start, Fraction(1, self._RATE_HZ)
            self._output.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._output.mux(self._stream.encode(None))

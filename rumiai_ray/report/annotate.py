"""A video with the results of a run drawn on it, at its own frame times.

The original is decoded where everything here is decoded, in the frame store's limited subprocess, and must be byte for byte the video that
was analysed. Sound is what was analysed too: 16 kHz, one channel.
"""

from __future__ import annotations

import bisect
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from rumiai_ray.errors import ConfigError, MediaError, StorageError
from rumiai_ray.frames.decode.parent import DecodedFrame, DecodedSound, decode
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.types import AUDIO_RATE_HZ, SourceFacts
from rumiai_ray.report.draw import DRAWN, FramePainter, FrameRows
from rumiai_ray.report.lanes import step_of
from rumiai_ray.report.rows import RunRows
from rumiai_ray.report.write import find_video
from rumiai_ray.schema.registry import made_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.frames.limits import DecodeLimits
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.schema.table import Row

_EVERY_FRAME = SamplingSpec(fps=240.0, long_side_px=1280, jpeg_quality=92)
"""A grid finer than any video's frames takes each of them once."""
_TICKS = 90_000
"""A second of MP4's usual clock; every frame rate in use is a whole number of ticks."""
_LAYERS = {model: tuple(table for table in DRAWN if model in made_by(table)) for table in DRAWN for model in made_by(table)}
"""What each model's frames bring."""
_SOUND_FRAME = 1024
"""Samples of one AAC frame."""


class Nearest:
    """What is drawn at any time: of each model the nearest frame that it saw, for half of the time to its next one.

    Args:
        rows: of the run.
        video: the video's row of `videos`.
    """

    def __init__(self, rows: RunRows, video: Row) -> None:
        key: str = video["video_key"]
        step_s = step_of(video)
        known = rows.times_s(key)
        self._drawn = rows.drawn(key)
        self._models: list[tuple[tuple[str, ...], list[float], list[int], float]] = []
        for model, layers in _LAYERS.items():
            seen: list[int] = rows.analyses(key).get(model, {}).get("frames_seen") or []
            times = [known.get(frame, frame * step_s) for frame in seen]
            reach_s = max(step_s, video["duration_s"] / len(seen) if seen else 0.0) / 2
            self._models.append((layers, times, seen, reach_s))

    def at(self, time_s: float) -> FrameRows:
        """The rows to draw on the frame shown at `time_s`."""
        shown: dict[str, list[Row]] = {}
        for layers, times, frames, reach_s in self._models:
            after = bisect.bisect_left(times, time_s)
            near = min(
                (place for place in (after - 1, after) if 0 <= place < len(times)), key=lambda p: abs(times[p] - time_s), default=None
            )
            if near is not None and abs(times[near] - time_s) <= reach_s + 1e-6:
                rows = self._drawn.get(frames[near], FrameRows())
                shown |= {layer: getattr(rows, layer) for layer in layers}
        return FrameRows(**shown)


def annotate(
    run: Run, wanted: str, target: Path, limits: DecodeLimits, *, source: Path | None = None, told: Callable[[float], None] = lambda _: None
) -> int:
    """Write a video with a run's results drawn on every frame, as MP4 (H.264, AAC).

    Args:
        run: the run.
        wanted: which of its videos, see `find_video`.
        target: the file, which must not be there yet.
        limits: what decoding may cost.
        source: where the video lies, if not where the run found it.
        told: is called with the time of each frame that was written.

    Returns:
        How many frames were written.

    Raises:
        ConfigError: there is no such video, it has no video stream, its input is no file here, or `target` is there.
        InputError, MediaError: the original cannot be read, or is not the video that was analysed.
        StorageError: the run is damaged, or `target` cannot be written.
    """
    video = find_video(run, wanted)
    if video["width_px"] is None:
        raise ConfigError("has no video stream, so there are no pictures to draw on", repr(wanted), "`rumiai-ray report` shows its sound")
    path = source or _local(video)
    nearest = Nearest(RunRows(run, video["video_key"]), video)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # FFmpeg opens files itself and would write over this one, or through a link.
        target.open("xb").close()
    except FileExistsError as error:
        raise ConfigError("already exists", str(target), "choose another name") from error
    except OSError as error:
        raise StorageError(f"cannot write the file: {error.strerror}", str(target), "choose another place") from error
    try:
        return _write(path, video, target, limits, nearest, told)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(f"cannot write the file: {error.strerror}", str(target), "choose another place") from error
        raise


def _local(video: Row) -> Path:
    location = str(video["input"]).removeprefix("file://")
    if "://" in location:
        raise ConfigError("was fetched from there and not kept", location, "give the file itself with --input")
    if not Path(location).is_file():
        raise ConfigError("the video is no longer there", location, "give it with --input")
    return Path(location)


def _write(
    path: Path, video: Row, target: Path, limits: DecodeLimits, nearest: Nearest, told: Callable[[float], None]
) -> int:  # fmt: skip
    sound: list[bytes] = []
    facts: SourceFacts | None = None
    written = 0
    with (
        av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container,
        closing(decode(path, _EVERY_FRAME, limits, sha256=video["video_key"])) as pieces,
    ):
        stream: Any = None
        audio: Any = container.add_stream("aac", rate=AUDIO_RATE_HZ) if video["audio_codec"] is not None else None
        for piece in pieces:
            if isinstance(piece, DecodedFrame):
                picture = _even(nearest, video, piece)
                if stream is None:
                    stream = _stream(container, picture.shape[1], picture.shape[0])
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                frame.pts, frame.time_base = round(piece.time_s * _TICKS), Fraction(1, _TICKS)
                container.mux(stream.encode(frame))
                written += 1
                told(piece.time_s)
            elif isinstance(piece, DecodedSound) and audio is not None:
                sound.append(piece.samples)
            elif isinstance(piece, SourceFacts):
                facts = piece
        if stream is None or facts is None:
            raise MediaError("no frame could be decoded", str(path))
        container.mux(stream.encode(None))
        if audio is not None:
            _mux_sound(container, audio, np.frombuffer(b"".join(sound), "<i2"), facts.audio_start_s or 0.0)
    return written


def _even(nearest: Nearest, video: Row, piece: DecodedFrame) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The painted picture with an even number of rows and columns, which H.264 wants."""
    picture = cv2.imdecode(np.frombuffer(piece.jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise MediaError("the decoder gave no picture")
    height, width = picture.shape[:2]
    painted = FramePainter((width, height), (video["width_px"], video["height_px"])).paint(
        np.asarray(picture, np.uint8), nearest.at(piece.time_s)
    )
    return np.asarray(cv2.copyMakeBorder(painted, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)


def _stream(container: Any, width_px: int, height_px: int) -> Any:
    stream = container.add_stream("libx264", rate=30, options={"crf": "21", "preset": "veryfast"})
    stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
    stream.codec_context.time_base = stream.time_base = Fraction(1, _TICKS)
    return stream


def _mux_sound(container: Any, audio: Any, samples: np.ndarray[Any, Any], start_s: float) -> None:
    """Sound that began before the first frame loses its beginning; sound that began later keeps its place."""
    skipped = max(0, round(-start_s * AUDIO_RATE_HZ))
    first = max(0, round(start_s * AUDIO_RATE_HZ))
    for start in range(skipped, len(samples), _SOUND_FRAME):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + _SOUND_FRAME], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE_HZ, first + start - skipped, Fraction(1, AUDIO_RATE_HZ)
        container.mux(audio.encode(frame))
    container.mux(audio.encode(None))

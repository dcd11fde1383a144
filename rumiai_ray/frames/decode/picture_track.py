"""The pictures of one video on their way out of the decoding subprocess: sampled frames large, all frames as thumbnails."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.clock import PresentationClock
from rumiai_ray.frames.decode.picture import Geometry, Painter
from rumiai_ray.frames.sampling import GridSampler

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from rumiai_ray.frames.decode.container import Survey
    from rumiai_ray.frames.decode.job import Job
    from rumiai_ray.frames.sampling import Sample

_THUMBNAILS_A_MESSAGE = 64
MICROSECOND = Fraction(1, 1_000_000)
"""Time base of streams that have none: libav's own."""


class Send(Protocol):
    """Hands one message to the parent."""

    def __call__(self, header: dict[str, object], payload: bytes | memoryview) -> None:
        """Send `payload` under `header`."""


class PictureTrack:
    """Takes every decoded frame of one video, in order of presentation.

    Args:
        stream: where the frames come from.
        first: the first of them; the whole video is shown and stored as it is.
        survey: what its packets said.
        job: which frames are wanted, at what size, within which limits.
        send: the way to the parent.
    """

    def __init__(self, stream: VideoStream, first: VideoFrame, survey: Survey, job: Job, send: Send) -> None:
        self._limits = job.limits
        self._send = send
        self._first_size_px = first.width, first.height
        self._sizes_differ = False
        self._damaged = 0
        self._thumbnails: list[bytes] = []
        self._thumbnail_times_s: list[float] = []
        self.geometry = Geometry.of(first, stream.sample_aspect_ratio)
        self.painter = Painter(self.geometry, job.spec.long_side_px)
        self._thumbnail_painter = Painter(self.geometry, job.spec.thumbnail_long_side_px)
        self.clock = PresentationClock(stream.time_base or MICROSECOND, survey.period_s)
        self.sampling_fps = job.spec.fps_for(survey.duration_s)
        self._sampler: GridSampler[VideoFrame] = GridSampler(self.sampling_fps)
        self.decoded = 0
        """Frames taken."""
        self.sampled = 0
        """Frames sent at full size."""

    def take(self, frame: VideoFrame) -> None:
        """Take the next frame.

        Raises:
            MediaError: one more than allowed, or it is too large or too late.
        """
        refuse_too_many_pixels(frame.width, frame.height, self._limits.max_pixels)
        self._sizes_differ |= self._first_size_px != (frame.width, frame.height)
        self._damaged += frame.is_corrupt
        time_s = self.clock.time_of(frame)
        refuse_too_long(time_s, self._limits.max_duration_s)
        for sample in self._sampler.push(self.decoded, time_s, frame):
            self._send_frame(sample)
        self._thumbnails.append(self._thumbnail_painter.paint(frame, tone_map=False).tobytes())
        self._thumbnail_times_s.append(time_s)
        if len(self._thumbnails) == _THUMBNAILS_A_MESSAGE:
            self._send_thumbnails()
        self.decoded += 1
        if self.decoded > self._limits.max_frames:
            raise MediaError(f"more than {self._limits.max_frames} frames", hint="raise --limits-max-frames to allow it")

    def finish(self) -> None:
        """There are no more frames: send what was held back."""
        for sample in self._sampler.finish(self.clock.end_s):
            self._send_frame(sample)
        if self._thumbnails:
            self._send_thumbnails()

    def lost(self) -> list[str]:
        """What of the pictures taken cannot be seen, in words."""
        return [f"{self._damaged} frames decoded with damage"] if self._damaged else []

    def repaired(self) -> list[str]:
        """What was wrong with the pictures and was made good, in words."""
        found = []
        if self.clock.repaired:
            found.append(f"{self.clock.repaired} frames without a usable timestamp, placed by the frame rate")
        if self._sizes_differ:
            found.append("frames differ in size; all were scaled to the first one's")
        return found

    def _send_frame(self, sample: Sample[VideoFrame]) -> None:
        picture = self.painter.paint(sample.frame)
        header = {"kind": "frame", "source_frame": sample.source_frame, "time_s": sample.time_s, **_size_of(self.painter)}
        self._send(header, picture.data.cast("B"))
        self.sampled += 1

    def _send_thumbnails(self) -> None:
        header = {"kind": "thumbnails", "time_s": self._thumbnail_times_s, **_size_of(self._thumbnail_painter)}
        self._send(header, b"".join(self._thumbnails))
        self._thumbnails, self._thumbnail_times_s = [], []


def refuse_too_many_pixels(width: int, height: int, allowed: int) -> None:
    """Raise `MediaError` for a picture of more than `allowed` pixels."""
    if width * height > allowed:
        raise MediaError(f"{width}×{height} is more than {allowed} pixels", hint="raise --limits-max-pixels to allow it")


def refuse_too_long(duration_s: float, allowed_s: float) -> None:
    """Raise `MediaError` for a video of more than `allowed_s` seconds."""
    if duration_s > allowed_s:
        raise MediaError(f"its length, {duration_s:.1f} s, is above {allowed_s:g} s", hint="raise --limits-max-duration-s to allow it")


def _size_of(painter: Painter) -> dict[str, int]:
    return {"width_px": painter.width_px, "height_px": painter.height_px}

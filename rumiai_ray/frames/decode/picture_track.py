"""The pictures of one video on their way out of the decoding subprocess: sampled frames large, all frames as thumbnails."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, Protocol

from av.video.reformatter import ColorTrc

from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.picture import Painter, View, fit
from rumiai_ray.frames.sampling import GridSampler
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from rumiai_ray.frames.decode.job import Job
    from rumiai_ray.frames.sampling import Sample

_THUMBNAILS_A_MESSAGE = 64
MICROSECOND = Fraction(1, 1_000_000)
"""Time base of streams that have none: libav's own."""
_NAMED_OTHERWISE = {
    ColorTrc.GAMMA22: "bt470m",
    ColorTrc.GAMMA28: "bt470bg",
    ColorTrc.LOG: "log100",
    ColorTrc.LOG_SQRT: "log316",
    ColorTrc.BT1361_ECG: "bt1361e",
}
"""Names by `av_color_transfer_name` that are not those of libav's constants, after which PyAV names its own."""
_MUCH_SMALLER = 0.75
"""A picture scaled down by more than this beside what it would have been stored at alone: small text and faces are lost in it."""


class Send(Protocol):
    """Hands one message to the parent."""

    def __call__(self, header: dict[str, object], payload: bytes | memoryview) -> None:
        """Send `payload` under `header`."""


class Picture(NamedTuple):
    """A decoded frame and how it is shown."""

    frame: VideoFrame
    view: View


class PictureTrack:
    """Takes every decoded frame of one video, in order of presentation.

    Args:
        first: the first of them; its size as shown is the canvas of the whole video.
        duration_s: about how long the video is; decides on the sampling grid.
        job: which frames are wanted, at what size, within which limits.
        send: the way to the parent.
        on_white: transparent parts are shown on white.
    """

    def __init__(self, first: View, duration_s: float, job: Job, send: Send, *, on_white: bool = False) -> None:
        self._limits = job.limits
        self._long_side_px = job.spec.long_side_px
        self._send = send
        self._shown_px = first.shown_px
        self._damaged = 0
        self._thumbnails: list[bytes] = []
        self._thumbnail_times_s: list[float] = []
        self.view = first
        """How the first picture is shown."""
        self.painter = Painter(first.shown_px, job.spec.long_side_px, on_white=on_white)
        self._thumbnail_painter = Painter(first.shown_px, job.spec.thumbnail_long_side_px, on_white=on_white)
        self.sampling_fps = job.spec.fps_for(duration_s)
        self._sampler: GridSampler[Picture] = GridSampler(self.sampling_fps)
        self._sizes: list[tuple[int, int]] = []
        self._shrunk = 0
        self.decoded = 0
        """Frames taken."""
        self.sampled = 0
        """Frames sent at full size."""
        self.color_transfer: str | None = None
        """See `SourceFacts.color_transfer`."""

    def take(self, time_s: float, picture: Picture) -> None:
        """Take the next frame.

        Args:
            time_s: when it is shown, after all frames before it; the first one is at 0.
            picture: the frame and its view.

        Raises:
            MediaError: one more than allowed, or it is too large or too late.
        """
        frame, view = picture
        refuse_too_many_pixels(frame.width, frame.height, self._limits.max_pixels)
        refuse_too_long(time_s, self._limits.max_duration_s)
        if self.decoded == 0:
            self.color_transfer = _transfer_name(frame.color_trc)
        self._note_size(view)
        self._damaged += frame.is_corrupt
        for sample in self._sampler.push(self.decoded, time_s, picture):
            self._send_frame(sample)
        self._thumbnails.append(self._thumbnail_painter.paint(frame, view, tone_map=False).tobytes())
        self._thumbnail_times_s.append(time_s)
        if len(self._thumbnails) == _THUMBNAILS_A_MESSAGE:
            self._send_thumbnails()
        self.decoded += 1
        if self.decoded > self._limits.max_frames:
            raise MediaError(f"more than {self._limits.max_frames} frames", hint="raise --limits-max-frames to allow it")

    def finish(self, end_s: float) -> None:
        """There are no more frames: send what was held back.

        Args:
            end_s: when the last frame ends.
        """
        for sample in self._sampler.finish(end_s):
            self._send_frame(sample)
        if self._thumbnails:
            self._send_thumbnails()

    def lost(self) -> list[str]:
        """What of the pictures taken cannot be seen, in words."""
        found = [f"{counted(self._damaged, 'frame')} decoded with damage"] if self._damaged else []
        if self._shrunk:
            found.append(f"{counted(self._shrunk, 'frame is', 'frames are')} larger than the first one and lost detail in its size")
        return found

    def repaired(self) -> list[str]:
        """What was wrong with the pictures and was made good, in words."""
        if not self._sizes:
            return []
        width, height = self.view.shown_px
        sizes = ", ".join(f"{width}×{height}" for width, height in self._sizes[:8])
        return [f"frames differ in size or aspect ({sizes}); each was fitted into the first one's {width}×{height}"]

    def _note_size(self, view: View) -> None:
        shown_px = view.shown_px
        if shown_px == self.view.shown_px:
            return
        if shown_px not in self._sizes:
            self._sizes.append(shown_px)
        alone = min(1.0, self._long_side_px / max(shown_px))
        place = fit(shown_px, (self.painter.width_px, self.painter.height_px))
        self._shrunk += place.width < _MUCH_SMALLER * alone * shown_px[0] and place.height < _MUCH_SMALLER * alone * shown_px[1]

    def _send_frame(self, sample: Sample[Picture]) -> None:
        picture = self.painter.paint(sample.frame.frame, sample.frame.view)
        shown = {"time_s": sample.time_s, "shown_until_s": sample.shown_until_s}
        header = {"kind": "frame", "source_frame": sample.source_frame, **shown, **_size_of(self.painter)}
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
        raise MediaError(f"the length, {duration_s:.1f} s, is above {allowed_s:g} s", hint="raise --limits-max-duration-s to allow it")


def _transfer_name(value: int) -> str | None:
    """A frame's transfer characteristics as libav names them; None where the file does not say."""
    named = next((known for known in ColorTrc if known == value), ColorTrc.UNSPECIFIED)
    return None if named == ColorTrc.UNSPECIFIED else _NAMED_OTHERWISE.get(named, named.name.lower().replace("_", "-"))


def _size_of(painter: Painter) -> dict[str, int]:
    return {"width_px": painter.width_px, "height_px": painter.height_px}

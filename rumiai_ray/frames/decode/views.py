"""How each frame of a video stream is shown: size, sample aspect, orientation and clean aperture, which may change on the way.

Runs inside the decoding subprocess.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from av.sidedata.sidedata import Type

from rumiai_ray.frames.decode.boxes import TrackHeader, track_header
from rumiai_ray.frames.decode.orientation import UPRIGHT, Orientation
from rumiai_ray.frames.decode.picture import View

if TYPE_CHECKING:
    from fractions import Fraction

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from rumiai_ray.frames.decode.container import Media

_MAY_CARRY_PROFILES = {"apng", "gif", "jpegxl", "mjpeg", "png", "tiff", "webp"}
"""Codecs whose frames carry an ICC profile with a name: PyAV 18.1 frees that name twice where `frame.side_data` is looked at."""
_MATRIX_BYTES = 36


class FrameViews:
    """Tells the view of each decoded frame.

    Args:
        media: the open file.
        descriptor: of the same file; its boxes are read where it is an MP4 or QuickTime file.
    """

    def __init__(self, media: Media, descriptor: int) -> None:
        self._stream: VideoStream = media.video
        is_mp4 = "mp4" in media.container.format.name.split(",")
        self._header = (track_header(descriptor, media.video.id) if is_mp4 else None) or TrackHeader()
        self._aspect = self._stream.sample_aspect_ratio
        self._codec_aspect = self._stream.codec_context.sample_aspect_ratio
        self._aspect_changes: list[tuple[int | None, Fraction | None]] = []
        self._follows_codec = not self._aspect or self._aspect == self._codec_aspect
        self._rotation_deg: int | None = None
        self._orientation = UPRIGHT

    def decoded(self, packet: Packet[VideoStream]) -> None:
        """Take note of what a packet has changed; to be called after it was decoded and before its frames are asked about."""
        aspect = self._stream.codec_context.sample_aspect_ratio
        if self._follows_codec and aspect and aspect != self._codec_aspect:
            self._codec_aspect = aspect
            self._aspect_changes.append((packet.pts, aspect))

    def of(self, frame: VideoFrame) -> View:
        """The view of the next frame that the decoder has given."""
        while self._aspect_changes:
            pts, aspect = self._aspect_changes[0]
            # frames from before the change may still come out of the decoder after it
            if pts is not None and frame.pts is not None and frame.pts < pts:
                break
            self._aspect = aspect
            self._aspect_changes.pop(0)
        # libav tells an orientation from within the stream on the frame that carries it, often the first of a sequence; it holds for all
        if frame.key_frame or frame.rotation not in (0, self._rotation_deg):
            self._rotation_deg = frame.rotation
            self._orientation = self._orientation_of(frame)
        aperture = self._header.aperture
        return View.of(frame, self._aspect, self._orientation, aperture.of(frame.width, frame.height) if aperture else None)

    def _orientation_of(self, frame: VideoFrame) -> Orientation:
        if self._stream.codec_context.codec.canonical_name not in _MAY_CARRY_PROFILES:
            try:
                side_data: Any = frame.side_data
                data = bytes(side_data[Type.DISPLAYMATRIX])
            except KeyError:
                return UPRIGHT
            except ValueError:  # another kind of side data that PyAV has no name for
                data = b""
            if len(data) == _MATRIX_BYTES:
                return Orientation.of_matrix(struct.unpack("=9i", data))
        turned = Orientation(-round(frame.rotation / 90) * 90 % 360)  # PyAV counts counterclockwise, and does not tell mirrored pictures
        return turned if self._header.orientation == UPRIGHT else self._header.orientation

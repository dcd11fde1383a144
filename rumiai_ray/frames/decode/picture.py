"""From decoded frames to pictures as shown: rotated, with square pixels, scaled down, in SDR.

Runs inside the decoding subprocess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from rumiai_ray.frames.decode.tonemap import HDR_TRANSFERS, to_sdr

if TYPE_CHECKING:
    from fractions import Fraction

    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

_MAX_PIXEL_ASPECT = 16
"""A pixel more than this many times wider than high, or the reverse, is a damaged header."""
_RIGHT_ANGLE = 90


@dataclass(frozen=True)
class Geometry:
    """How the pictures of one video are shown, learnt from its first frame and kept for all of them."""

    shown_width_px: int
    shown_height_px: int
    rotation_deg: int
    """Clockwise: 0, 90, 180 or 270."""

    @classmethod
    def of(cls, frame: VideoFrame, pixel_aspect: Fraction | None) -> Geometry:
        """Geometry of a video by its first frame.

        Args:
            frame: not yet rotated.
            pixel_aspect: width over height of one pixel; None or nonsense means square.
        """
        aspect = float(pixel_aspect) if pixel_aspect else 1.0
        if not 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT:
            aspect = 1.0
        width, height = max(1, round(frame.width * aspect)), frame.height
        # PyAV counts counterclockwise. Its frame.side_data would tell mirrored pictures from turned ones, but crashes the process
        # on a frame that carries an ICC profile (PyAV 18.1 frees the profile's name twice).
        clockwise_deg = -round(frame.rotation / _RIGHT_ANGLE) * _RIGHT_ANGLE % 360
        if clockwise_deg % 180:
            width, height = height, width
        return cls(width, height, clockwise_deg)


class Painter:
    """Paints every frame of one video at one size.

    Args:
        geometry: how the video is shown.
        long_side_px: the pictures' longest side at most; smaller videos keep their size.
    """

    def __init__(self, geometry: Geometry, long_side_px: int) -> None:
        scale = min(1.0, long_side_px / max(geometry.shown_width_px, geometry.shown_height_px))
        self.width_px = max(1, round(geometry.shown_width_px * scale))
        self.height_px = max(1, round(geometry.shown_height_px * scale))
        self._quarter_turns = geometry.rotation_deg // _RIGHT_ANGLE
        self._scaler = VideoReformatter()

    def paint(self, frame: VideoFrame, *, tone_map: bool = True) -> NDArray[np.uint8]:
        """The picture of `frame` as shown.

        Args:
            frame: as decoded, of any size and pixel format.
            tone_map: whether HDR becomes SDR; costs 0.1 s a megapixel.

        Returns:
            (height_px, width_px, 3) BGR, 0 to 255, contiguous.
        """
        if tone_map and frame.color_trc in HDR_TRANSFERS:
            # planar: into packed rgb48le swscale 9.5 writes false colours where it scales the width alone
            picture = to_sdr(self._scale(frame, "gbrp16le", Colorspace.BT2020).astype(np.uint16, copy=False), frame.color_trc)
        else:
            picture = self._scale(frame, "bgr24", None).astype(np.uint8, copy=False)
        return np.ascontiguousarray(np.rot90(picture, -self._quarter_turns))

    def _scale(self, frame: VideoFrame, pixel_format: str, colorspace: Colorspace | None) -> NDArray[Any]:
        turned = self._quarter_turns % 2
        scaled = self._scaler.reformat(
            frame,
            self.height_px if turned else self.width_px,
            self.width_px if turned else self.height_px,
            pixel_format,
            src_colorspace=colorspace,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        return scaled.to_ndarray()

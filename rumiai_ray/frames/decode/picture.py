"""From decoded frames to pictures as shown: cropped, upright, with square pixels, scaled down, in SDR.

Runs inside the decoding subprocess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from rumiai_ray.frames.decode.orientation import UPRIGHT, Orientation
from rumiai_ray.frames.decode.tonemap import HDR_TRANSFERS, to_sdr

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

    from rumiai_ray.frames.decode.boxes import Crop

_MAX_PIXEL_ASPECT = 16
"""A pixel more than this many times wider than high, or the reverse, is a damaged header."""
_WHITE = 255


@dataclass(frozen=True)
class View:
    """How one stored picture is shown: first cropped, then stretched to square pixels, then mirrored and turned."""

    stored_width_px: int
    stored_height_px: int
    pixel_aspect: float = 1.0
    """Width over height of one stored pixel."""
    orientation: Orientation = UPRIGHT
    crop: Crop | None = None
    """None for the whole picture."""

    @classmethod
    def of(cls, frame: VideoFrame, pixel_aspect: Fraction | None, orientation: Orientation, crop: Crop | None) -> View:
        """The view of a frame; a pixel aspect that is None or nonsense means square."""
        aspect = float(pixel_aspect) if pixel_aspect else 1.0
        if not 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT:
            aspect = 1.0
        return cls(frame.width, frame.height, aspect, orientation, crop)

    @property
    def upright_px(self) -> tuple[int, int]:
        """Width and height with square pixels, before the picture is turned."""
        width, height = (self.stored_width_px, self.stored_height_px) if self.crop is None else self.crop[2:]
        return max(1, round(width * self.pixel_aspect)), height

    @property
    def shown_px(self) -> tuple[int, int]:
        """Width and height as shown."""
        width, height = self.upright_px
        return (height, width) if self.orientation.is_on_its_side else (width, height)


class Place(NamedTuple):
    """Where a picture lies on a canvas, in the canvas's pixels."""

    x: int
    y: int
    width: int
    height: int


def fit(picture_px: tuple[int, int], canvas_px: tuple[int, int]) -> Place:
    """The largest place with a picture's aspect in the middle of a canvas; sizes are width and height."""
    (width, height), (canvas_width, canvas_height) = picture_px, canvas_px
    scale = min(canvas_width / width, canvas_height / height)
    fitted_width = min(canvas_width, max(1, round(width * scale)))
    fitted_height = min(canvas_height, max(1, round(height * scale)))
    return Place((canvas_width - fitted_width) // 2, (canvas_height - fitted_height) // 2, fitted_width, fitted_height)


class Painter:
    """Paints every frame of one video at one size.

    Args:
        canvas_px: width and height of the video as shown, which are those of its first picture.
        long_side_px: the pictures' longest side at most; smaller videos keep their size.
        on_white: transparent parts become white instead of whatever colour lies under them.
    """

    def __init__(self, canvas_px: tuple[int, int], long_side_px: int, *, on_white: bool = False) -> None:
        scale = min(1.0, long_side_px / max(canvas_px))
        self._canvas_px = canvas_px
        self.width_px = max(1, round(canvas_px[0] * scale))
        self.height_px = max(1, round(canvas_px[1] * scale))
        self._on_white = on_white
        self._scaler = VideoReformatter()

    def paint(self, frame: VideoFrame, view: View, *, tone_map: bool = True) -> NDArray[np.uint8]:
        """The picture of `frame` as shown, fitted into the canvas with black bars where its aspect is another.

        Args:
            frame: as decoded, of any size and pixel format.
            view: how it is shown.
            tone_map: whether HDR becomes SDR; costs 0.1 s a megapixel.

        Returns:
            (height_px, width_px, 3) BGR, 0 to 255, contiguous.
        """
        size_px = self.width_px, self.height_px
        place = Place(0, 0, *size_px) if view.shown_px == self._canvas_px else fit(view.shown_px, size_px)
        picture = self._picture(frame, view, place, tone_map=tone_map)
        if (place.width, place.height) == size_px:
            return np.ascontiguousarray(picture)
        canvas = np.zeros((self.height_px, self.width_px, 3), np.uint8)
        canvas[place.y : place.y + place.height, place.x : place.x + place.width] = picture
        return canvas

    def _picture(self, frame: VideoFrame, view: View, place: Place, *, tone_map: bool) -> NDArray[np.uint8]:
        turned = view.orientation.is_on_its_side
        width, height = (place.height, place.width) if turned else (place.width, place.height)
        transfer = frame.color_trc
        if tone_map and transfer in HDR_TRANSFERS:
            if view.crop is not None:
                frame = _cropped(frame.to_ndarray(format="rgb48le"), "rgb48le", view.crop)
            # planar: into packed rgb48le swscale 9.5 writes false colours where it scales the width alone
            scaled = self._scale(frame, width, height, "gbrp16le", Colorspace.BT2020)
            picture = to_sdr(scaled.astype(np.uint16, copy=False), transfer)
        else:
            if self._has_alpha(frame):  # before scaling, which would mix in colours that nobody sees
                frame = VideoFrame.from_ndarray(over_white(frame.to_ndarray(format="rgba").astype(np.uint8, copy=False)), format="rgb24")
            if view.crop is not None:
                frame = _cropped(frame.to_ndarray(format="bgr24"), "bgr24", view.crop)
            picture = self._scale(frame, width, height, "bgr24", None)
        return view.orientation.apply(picture).astype(np.uint8, copy=False)

    def _has_alpha(self, frame: VideoFrame) -> bool:
        return self._on_white and (frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components))

    def _scale(self, frame: VideoFrame, width: int, height: int, pixel_format: str, colorspace: Colorspace | None) -> NDArray[Any]:
        scaled = self._scaler.reformat(
            frame, width, height, pixel_format, src_colorspace=colorspace, interpolation=Interpolation.AREA, threads=1
        )
        return scaled.to_ndarray()


def _cropped(picture: NDArray[Any], pixel_format: str, crop: Crop) -> VideoFrame:
    part = picture[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    return VideoFrame.from_ndarray(np.ascontiguousarray(part), format=pixel_format)


def over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture with straight alpha, laid on white.

    Args:
        rgba: (height, width, 4) 0 to 255.

    Returns:
        (height, width, 3) RGB, 0 to 255.
    """
    alpha = rgba[..., 3:].astype(np.uint16)
    laid = (rgba[..., :3] * alpha + _WHITE * (_WHITE - alpha) + _WHITE // 2) // _WHITE
    return laid.astype(np.uint8)

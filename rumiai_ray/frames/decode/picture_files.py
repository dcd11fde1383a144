"""Still pictures and picture sequences, which Pillow decodes: it knows orientation, transparency, colour profiles and tiles.

Runs inside the decoding subprocess. Pillow and pillow-heif are imported by `prepare_pictures` alone, before the process is confined and
only for a file that begins like a picture: a video's decoder does without them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from av.video.frame import VideoFrame

from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.boxes import ItemProperties, item_properties
from rumiai_ray.frames.decode.orientation import UPRIGHT, Orientation
from rumiai_ray.frames.decode.picture import View, over_white
from rumiai_ray.frames.decode.tonemap import HDR_TRANSFERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

HEAD_BYTES = 4096
MILLISECOND = Fraction(1, 1000)
_STILL_S = 1 / 25
"""How long a still picture is shown: one frame of 25 a second, as libav has it."""
SHORTEST_MS = 10
SHORTEST_SHOWN_MS = 100
"""Browsers show a frame that asks for 10 ms or less for 100 ms (Chromium's `DeferredImageDecoder::FrameDurationAtIndex`)."""
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2"}
_AVIF_BRANDS = {b"avif", b"avis"}
_ANIMATED = {"PNG", "WEBP", "AVIF"}
"""Formats whose further pictures are the next frames; further ones of a JPEG, TIFF or HEIF are depth maps, gain maps, pages, bursts."""
_CODECS = {"HEIF": "hevc", "AVIF": "av1", "JPEG": "mjpeg"}
_ORIENTATION_TAG = 0x0112
_WHITE = 255
_DEPTH = 8
_PNG_DEPTH_AT = 24
"""Where a PNG says how many bits a sample has."""
_WEBP_FLAGS_AT, _WEBP_ANIMATED, _WEBP_ALPHA = 20, 0x02, 0x10
"""Where an extended WebP says what is in it, and two of the bits."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA


@dataclass(frozen=True)
class PictureFormat:
    """What a file that begins like a picture is."""

    name: str
    """As Pillow names it."""

    is_unsupported: bool = False
    """There is no decoder for it here."""

    @property
    def codec(self) -> str:
        """The codec's name in libav."""
        return _CODECS.get(self.name, self.name.lower())


def format_of(head: bytes) -> PictureFormat | None:
    """The picture format that a file's first bytes tell; None for what is none, and for GIF, which libav decodes."""
    if head.startswith(_JPEG_XL):
        return PictureFormat("JPEG XL", is_unsupported=True)
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return PictureFormat(name)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return PictureFormat("WEBP")
    if head[4:8] == b"ftyp":
        size = min(int.from_bytes(head[:4], "big"), len(head))
        major, brands = head[8:12], {head[at : at + 4] for at in (8, *range(16, size, 4))}
        if major in _AVIF_BRANDS | _HEIF_BRANDS:
            return PictureFormat("AVIF" if brands & _AVIF_BRANDS else "HEIF")
    return None


def prepare_pictures(descriptor: int) -> PictureFormat | None:
    """Import what decodes the file, if it is a picture; to be called before the process can open no file any more."""
    found = format_of(os.pread(descriptor, HEAD_BYTES, 0))
    if found is None or found.is_unsupported:
        return found
    from PIL import (  # noqa: F401, PLC0415 -- see the module's docstring
        AvifImagePlugin,
        BmpImagePlugin,
        Image,
        ImageCms,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    Image.preinit()
    Image.MAX_IMAGE_PIXELS = None  # the limit here is the job's
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    if found.name == "HEIF":
        import pillow_heif  # noqa: PLC0415 -- likewise

        pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
    return found


def is_motion_jpeg(descriptor: int) -> bool:
    """Whether a file that begins like a JPEG is a stream of them: the next one follows at once, and no index of pictures tells of it.

    Gain maps (Ultra HDR) and depth maps follow too, but the first picture's multi-picture index or its metadata announce them.
    """
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        data = file.read()
    end = _end_of_jpeg(data)
    if end is None or data[end:].lstrip(b"\0")[:3] != b"\xff\xd8\xff":
        return False
    head = data[:end]
    return b"MPF\0" not in head and b"hdrgm:" not in head and b"hdr-gain-map" not in head


def _end_of_jpeg(data: bytes) -> int | None:
    at = 2
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            return None
        kind = found[0][1]
        if kind == _END_OF_IMAGE:
            return found.end()
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        at = found.end() + length


@dataclass(frozen=True)
class Shown:
    """One picture of a file and when it is on."""

    frame: VideoFrame
    """RGB, without transparency."""
    view: View
    duration_s: float


class PictureFile:
    """A picture file, opened by Pillow.

    Args:
        descriptor: of the file.
        kind: its format.
        max_pixels: of one picture.

    Raises:
        MediaError: it cannot be read.
    """

    def __init__(self, descriptor: int, kind: PictureFormat, max_pixels: int) -> None:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 -- imported long since

        self._kind = kind
        data = _contents(descriptor)
        if kind.name == "WEBP":
            data = _showing_what_no_frame_covers(data)
        self._depth = data[_PNG_DEPTH_AT] if kind.name == "PNG" and len(data) > _PNG_DEPTH_AT else _DEPTH
        self._data = BytesIO(data)
        try:
            self._image = Image.open(self._data, formats=[kind.name])
        except (UnidentifiedImageError, SyntaxError, ValueError, OSError) as error:
            raise MediaError(f"the {kind.name} picture is damaged beyond reading", hint="does it open in a viewer?") from error
        width, height = self._image.size
        if width * height > max_pixels:
            raise MediaError(f"{width}×{height} is more than {max_pixels} pixels", hint="raise --limits-max-pixels to allow it")
        self._asked = Orientation.of_exif(self._image.tag_v2.get(_ORIENTATION_TAG)) if kind.name == "TIFF" else None  # type: ignore[attr-defined]
        self._properties = item_properties(descriptor) if kind.name in ("HEIF", "AVIF") else ItemProperties()
        self.damage: list[str] = []
        """What of the pictures could not be decoded, in words."""

    @property
    def count(self) -> int:
        """Pictures that are shown one after another."""
        first = self._first
        return max(1, getattr(self._image, "n_frames", 1) - first) if self._kind.name in _ANIMATED else 1

    @property
    def _first(self) -> int:
        """An APNG may have a still picture of its own before the animation, for viewers that know none."""
        return int(bool(getattr(self._image, "default_image", False)))

    def durations_s(self) -> list[float]:
        """How long each picture is shown; of an animation, all are decoded for that."""
        if self.count == 1:
            return [_STILL_S]
        return [self._duration_s() for _ in self._seek_all()]

    def pictures(self) -> Iterator[Shown]:
        """All pictures, in order."""
        for _ in self._seek_all():
            yield self._shown()

    def _seek_all(self) -> Iterator[int]:
        if self.count == 1 and not self._first:  # HEIF: its primary picture, wherever that lies
            self._load()
            yield 0
            return
        for index in range(self._first, self._first + self.count):
            try:
                self._image.seek(index)
            except (EOFError, OSError, SyntaxError, ValueError) as error:
                self.damage.append(
                    f"{self._first + self.count - index} of {self.count} pictures of the animation cannot be decoded: {error}"
                )
                return
            self._load()
            yield index

    def _load(self) -> None:
        """Decode the picture; what of it is missing stays grey, and is told."""
        from PIL import ImageFile  # noqa: PLC0415 -- imported long since

        try:
            self._image.load()
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            ImageFile.LOAD_TRUNCATED_IMAGES = True
            try:
                self._image.load()
            except (OSError, SyntaxError, ValueError, EOFError) as final:
                raise MediaError(
                    f"the {self._kind.name} picture cannot be decoded: {final}", hint="the file is damaged or not complete"
                ) from final
            finally:
                ImageFile.LOAD_TRUNCATED_IMAGES = False
            self.damage.append(f"the picture is damaged or ends early: {error}")

    def _duration_s(self) -> float:
        milliseconds = float(self._image.info.get("duration") or 0)
        return (milliseconds if milliseconds > SHORTEST_MS else SHORTEST_SHOWN_MS) / 1000

    def _colours(self) -> NDArray[np.uint8]:
        """(height, width, 3) RGB of the picture that is loaded: in sRGB, on white."""
        clear = self._image.info.get("transparency")
        is_deep = self._depth == 2 * _DEPTH and self._image.mode == "RGB" and isinstance(clear, tuple)
        if not is_deep or getattr(self._image, "n_frames", 1) > 1:  # of a frame of an animation Pillow gives no low bytes
            return _rgb(self._image, self._depth)
        high = np.asarray(self._image, np.uint16)
        is_clear = np.all(high << _DEPTH | self._low_bytes() == np.array(clear, np.uint16), axis=-1)
        opaque = _srgb(self._image, self._image.info.get("icc_profile"))
        return np.where(is_clear[..., None], np.uint8(_WHITE), np.asarray(opaque, np.uint8))

    def _low_bytes(self) -> NDArray[np.uint8]:
        """(height, width, 3) low bytes of a PNG's RGB samples of 16 bits. Pillow keeps the high ones; transparency is told by all bits."""
        from PIL import Image, ImageFile  # noqa: PLC0415 -- imported long since

        image: Any = Image.open(BytesIO(self._data.getvalue()), formats=["PNG"])
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]
        ImageFile.LOAD_TRUNCATED_IMAGES = True  # what is missing was told when the high bytes were read
        try:
            image.load()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        return np.asarray(image, np.uint8)

    def _shown(self) -> Shown:
        transfer = self._properties.transfer
        frame = VideoFrame.from_ndarray(self._colours(), format="rgb24")
        if transfer in HDR_TRANSFERS:
            frame.color_trc = transfer
        view = View(frame.width, frame.height, orientation=self._orientation)
        aperture = self._properties.aperture
        if aperture is not None and self._kind.name == "AVIF":  # libheif has cut its own
            view = View(frame.width, frame.height, orientation=self._orientation, crop=aperture.of(frame.width, frame.height))
        return Shown(frame, view, _STILL_S if self.count == 1 else self._duration_s())

    @property
    def _orientation(self) -> Orientation:
        """What is still to be done to the picture that was loaded."""
        match self._kind.name:
            case "TIFF":
                return UPRIGHT  # Pillow has turned it
            case "HEIF":
                # libheif has turned the picture by its own properties; EXIF, which pillow-heif hides, counts where there are none
                turned = self._properties.orientation != UPRIGHT
                return UPRIGHT if turned else Orientation.of_exif(self._image.info.get("original_orientation"))
            case "AVIF":
                return self._properties.orientation
            case _:
                return Orientation.of_exif(_exif_orientation(self._image))

    @property
    def orientation(self) -> Orientation:
        """The orientation that the file asks for, also where a library has turned the picture already."""
        asked = self._asked or self._properties.orientation
        return asked if asked != UPRIGHT else self._orientation


def _contents(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read()


def _showing_what_no_frame_covers(data: bytes) -> bytes:
    """An animated WebP whose header says that it has transparency.

    Where no frame covers the canvas it is transparent, as browsers show it; Pillow leaves such places black if no frame itself has
    transparency.
    """
    if data[12:16] != b"VP8X" or len(data) <= _WEBP_FLAGS_AT or not data[_WEBP_FLAGS_AT] & _WEBP_ANIMATED:
        return data
    return data[:_WEBP_FLAGS_AT] + bytes([data[_WEBP_FLAGS_AT] | _WEBP_ALPHA]) + data[_WEBP_FLAGS_AT + 1 :]


def _exif_orientation(image: Any) -> object:
    """EXIF's orientation, and no other: Pillow's own reader takes XMP's where EXIF has none, which no browser does."""
    from PIL import Image  # noqa: PLC0415 -- imported long since

    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        return exif.get(_ORIENTATION_TAG)
    except (SyntaxError, ValueError, KeyError, OSError, IndexError):  # damaged metadata turns nothing
        return None


def _rgb(image: Any, depth: int) -> NDArray[np.uint8]:
    """(height, width, 3) RGB of the picture that is loaded: in sRGB, on white, with 8 bits.

    Args:
        image: the picture.
        depth: bits of a sample in a PNG, for Pillow leaves the one colour that is transparent as the file has it; 8 for other files.
    """
    if image.mode.startswith("I;16"):
        values = np.asarray(image, np.uint16)
        clear = image.info.get("transparency")  # the one level that is transparent, with all of its 16 bits
        return np.repeat(np.where(values == clear, _WHITE, values >> 8).astype(np.uint8)[..., None], 3, axis=2)
    clear = image.info.get("transparency")
    if depth != _DEPTH and image.mode in ("L", "RGB") and isinstance(clear, (int, tuple)):
        levels = (clear,) if isinstance(clear, int) else clear
        scaled = tuple(level >> (depth - _DEPTH) if depth > _DEPTH else level * 255 // ((1 << depth) - 1) for level in levels)
        image = image.copy()
        image.info["transparency"] = scaled[0] if isinstance(clear, int) else scaled
    if image.mode in ("I", "F"):
        values = np.asarray(image, np.float64)
        lowest, highest = float(values.min()), float(values.max())
        grey = (values - lowest) * (255 / (highest - lowest) if highest > lowest else 0)
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        rgba = image.convert("RGBA")
        colours = np.asarray(_srgb(rgba.convert("RGB"), image.info.get("icc_profile")))
        return over_white(np.dstack([colours, np.asarray(rgba.getchannel("A"))]))
    return np.asarray(_srgb(image, image.info.get("icc_profile")), np.uint8)


def _srgb(image: Any, profile: bytes | None) -> Any:
    """An opaque picture in RGB and, where it says which colours its numbers mean, in sRGB."""
    from PIL import ImageCms  # noqa: PLC0415 -- imported long since

    if profile and image.mode in ("RGB", "L", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            if "sRGB" not in (source.profile.profile_description or ""):
                converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a damaged profile, or one for another mode: viewers ignore it
            pass
    return image.convert("RGB")

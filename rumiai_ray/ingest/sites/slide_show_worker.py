"""The process that makes a video of a post's images: `python -m rumiai_ray.ingest.sites.slide_show_worker`.

It reads a `SlideShowJob` from standard input, confines itself to its descriptors as the decoder does, and answers in one line of JSON:
`joined` with how many images are shown and which are left out, or `error` with what is wrong.

What the video is: each image is one frame, shown for `SHOWN_S` in the order of the post. TikTok's app moves on by itself after about as
long; the exact time is ours. The file says what it is (`ingest.slide_show`): each image is a shot, however alike two of them are.

Sound is copied from its beginning to its end. Where it is longer than the images, the last image stays:
decoders hold it. The app begins again with the first image, which shows nothing that has not been seen. The canvas is as large as the
widest and the highest image; each image is fitted into it whole, with black beside it.

Measured on one core: 3.7 s of CPU for 35 images of 1080×1920, and a file of 21 MB.
"""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING

import av
import pillow_heif
from av.packet import Packet
from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from rumiai_ray.errors import MediaError
from rumiai_ray.ingest.sites.job import SlideShowJob
from rumiai_ray.ingest.sites.muxing import SourceStream, interleave, output_for, work
from rumiai_ray.ingest.slide_show import SHOWN_S, TAG, TAG_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

LONGEST_SIDE_PX = 1920
"""Larger images are scaled down to it; the frame store keeps 1280 unless told otherwise."""
MAX_PIXELS = 8192 * 4320
"""Of one image: as many as the decoder allows for a frame by default."""
_PLUGINS = (AvifImagePlugin, GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin)
"""Imported here, for the confined process can import nothing."""
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF")
_JPEG = {"quality": 95, "subsampling": 0}
"""As the frame store encodes, but with colours at full resolution: coloured text keeps its edges."""
_MAX_REASON_CHARS = 150


def show(images: Mapping[int, int], sound_fd: int | None, output_fd: int) -> tuple[int, list[str]]:
    """Write a video of images, with sound if there is any. The same files give the same bytes, until Pillow is updated.

    Args:
        images: a descriptor for each place in the post.
        sound_fd: of a file of sound.
        output_fd: of the file to write.

    Returns:
        How many images are shown, and which are left out and why, in words.

    Raises:
        MediaError: none of the images can be decoded, or the sound cannot be read to its end.
    """
    sizes_px: dict[int, tuple[int, int]] = {}
    left_out = []
    for place, descriptor in sorted(images.items()):
        try:
            sizes_px[place] = _decoded(descriptor).size
        except MediaError as error:
            left_out.append(f"image {place} is left out: {error.what}")
    if not sizes_px:
        raise MediaError(f"none of {len(images)} images can be decoded; {left_out[0]}")
    canvas_px = max(width for width, _ in sizes_px.values()), max(height for _, height in sizes_px.values())
    sound = None if sound_fd is None else SourceStream(sound_fd, "audio", "sound")
    codecs = {"mjpeg", *([sound.stream.codec_context.codec.canonical_name] if sound else [])}
    try:
        with output_for(output_fd, codecs) as output:
            output.metadata[TAG_NAME] = TAG
            pictures: Any = output.add_stream("mjpeg", rate=Fraction(1, SHOWN_S))
            pictures.width, pictures.height = canvas_px
            pictures.pix_fmt = "yuvj444p"
            parts = [(pictures, _packets([images[place] for place in sizes_px], canvas_px))]
            if sound is not None:
                parts.append((output.add_stream_from_template(sound.stream), sound.packets()))
            interleave(output, parts)
    except av.FFmpegError as error:
        raise MediaError(f"images and sound cannot be put together: {error.strerror}") from error
    return len(sizes_px), left_out


def _packets(descriptors: Sequence[int], canvas_px: tuple[int, int]) -> Iterator[Packet[Any]]:
    for number, descriptor in enumerate(descriptors):
        buffer = BytesIO()
        ImageOps.pad(_decoded(descriptor), canvas_px, Image.Resampling.LANCZOS, color="black").save(buffer, "JPEG", **_JPEG)
        packet: Packet[Any] = Packet(buffer.getvalue())
        packet.time_base = Fraction(SHOWN_S)
        packet.pts = packet.dts = number
        packet.duration = 1
        packet.is_keyframe = True
        yield packet


def _decoded(descriptor: int) -> Image.Image:
    """The image upright, in RGB on white, no larger than `LONGEST_SIDE_PX`; the first one of an animation.

    Raises:
        MediaError: it cannot be decoded whole, or has more than `MAX_PIXELS`.
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        try:
            image = Image.open(file, formats=_FORMATS)
            _refuse_too_many_pixels(*image.size)
            image.draft("RGB", (LONGEST_SIDE_PX, LONGEST_SIDE_PX))  # of a large JPEG only what is needed
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.LANCZOS)
            return _on_white(upright)
        except UnidentifiedImageError as error:
            raise MediaError("the file is not a picture") from error
        except MediaError:
            raise
        except Exception as error:  # the boundary of one image: its decoder raises whatever a stranger's bytes make it
            why = "it takes too much memory" if isinstance(error, MemoryError) else f"it cannot be decoded ({error})"
            raise MediaError(why[:_MAX_REASON_CHARS]) from error


def _refuse_too_many_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise MediaError(f"{width}×{height} is more than {MAX_PIXELS} pixels")


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


def main() -> None:
    """Do one job."""
    job = SlideShowJob.from_json(sys.stdin.read())
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = None  # `MAX_PIXELS` is the limit here
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
    descriptors = [*job.images.values(), job.output_fd, *([] if job.sound_fd is None else [job.sound_fd])]

    def do() -> dict[str, object]:
        shown, left_out = show(job.images, job.sound_fd, job.output_fd)
        return {"shown": shown, "left_out": left_out}

    work(job, tuple(descriptors), do)


if __name__ == "__main__":
    main()

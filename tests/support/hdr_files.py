"""Files in HDR (PQ or HLG, BT.2020), made on the spot, whose right look in SDR is known: red and green over blue and white."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pillow_heif
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from quadrants import quadrants

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PQ, HLG = int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67)
_FRAMES, _RATE = 3, 5
_SIZE_PX = 192, 128
_WHITE_NITS = 203.0
"""Of SDR white in an HDR programme (ITU-R BT.2408, table 1)."""
_FROM_709_TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""Linear RGB (ITU-R BT.2087-0, M2)."""
_LUMA = np.array([0.2627, 0.6780, 0.0593])
"""Of BT.2020, for light and for signals."""


def signals(nits: NDArray[Any], transfer: int) -> NDArray[np.float64]:
    """The signal 0 to 1 of a display's light (height, width, 3) in BT.2020, by ITU-R BT.2100-2, tables 4 and 5 (display of 1000 nits)."""
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        power = (nits / 10_000) ** m1
        return np.asarray(((c1 + c2 * power) / (1 + c3 * power)) ** m2)
    light = nits / 1000
    scene = light / np.maximum(light @ _LUMA, 1e-9)[..., None] ** (0.2 / 1.2)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal: NDArray[np.float64] = np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
    return signal


def _signals(transfer: int) -> NDArray[np.float64]:
    """(height, width, 3) of `quadrants` at the brightness of SDR."""
    return signals(_WHITE_NITS * (quadrants(*_SIZE_PX) / 255) @ _FROM_709_TO_2020.T, transfer)


def make_hdr_clip(path: Path, codec: str, pixel_format: str, transfer: int, *, frames_say: bool = True) -> Path:
    """Write a clip of one picture.

    Args:
        path: of the file; its ending says which container.
        codec: the encoder.
        pixel_format: planar YUV of 10 or 12 bits.
        transfer: `PQ` or `HLG`.
        frames_say: the transfer stands in the frames' own headers, too, and not in the container alone.
    """
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=_RATE, options=_OPTIONS.get(codec, {}))
        stream.width, stream.height = _SIZE_PX
        stream.pix_fmt = pixel_format
        for number in range(_FRAMES):
            frame = _frame(_signals(transfer), pixel_format)
            for one in (stream.codec_context, *([frame] if frames_say else [])):  # some encoders ask the one, some the other
                one.color_trc, one.color_primaries = transfer, int(ColorPrimaries.BT2020)
                one.colorspace, one.color_range = int(Colorspace.BT2020), int(ColorRange.MPEG)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


_OPTIONS = {
    "libx264": {"crf": "5", "preset": "ultrafast"},
    "libx265": {"crf": "5", "preset": "ultrafast", "x265-params": "log-level=none"},
    "libsvtav1": {"crf": "5", "preset": "10"},
}


def make_hdr_picture(path: Path, transfer: int) -> Path:
    """Write a still picture, HEIC or AVIF by the ending of `path`."""
    pillow_heif.register_heif_opener()
    image = Image.fromarray(np.round(_signals(transfer) * 255).astype(np.uint8))
    if path.suffix == ".heic":
        properties: dict[str, Any] = {
            "color_primaries": 9,
            "transfer_characteristics": transfer,
            "matrix_coefficients": 9,
            "full_range_flag": 1,
        }
        image.save(path, quality=-1, chroma=444, **properties)
        return path
    image.save(path, quality=100, subsampling="4:4:4")
    data = bytearray(path.read_bytes())
    at = data.index(b"nclx") + 4
    data[at : at + 4] = bytes((0, int(ColorPrimaries.BT2020), 0, transfer))  # Pillow writes AVIF in sRGB alone
    path.write_bytes(data)
    return path


def _frame(signal: NDArray[np.float64], pixel_format: str) -> av.VideoFrame:
    """R'G'B' 0 to 1 as Y'CbCr of BT.2020, limited range (ITU-R BT.2100-2, tables 6 and 9)."""
    step = 1 << ((12 if "12" in pixel_format else 10) - 8)
    luma = signal @ _LUMA
    colours = [(signal[..., channel] - luma) / (2 * (1 - _LUMA[channel])) for channel in (2, 0)]
    planes = [(219 * luma + 16) * step, *((224 * colour + 128) * step for colour in colours)]
    across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[pixel_format[3:6]]
    height, width = luma.shape
    frame = av.VideoFrame(width, height, pixel_format)
    for number, (plane, values) in enumerate(zip(frame.planes, planes, strict=True)):
        part = values if number == 0 else values[::down, ::across]
        rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        rows[:, : plane.width] = np.round(part)
        plane.update(rows.tobytes())
    return frame

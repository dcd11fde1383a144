"""HDR pictures (HLG, PQ) to SDR BT.709, so that models see phones' HDR videos as people do, not as grey mist."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from av.video.reformatter import ColorTrc

if TYPE_CHECKING:
    from numpy.typing import NDArray

HDR_TRANSFERS = (int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67))
"""Values of a frame's `color_trc` that `to_sdr` knows: PQ and HLG."""

_WHITE_NITS = 203.0
"""HDR reference white, which becomes SDR white (ITU-R BT.2408-7, table 1)."""
_HLG_PEAK_NITS = 1000.0
_HLG_SYSTEM_GAMMA = 1.2
"""OOTF exponent of a display of 1000 nits (ITU-R BT.2100-2, table 5)."""
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
_FROM_2020_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)
"""Linear RGB (ITU-R BT.2087-0, inverse of its M2)."""
_KNEE = 0.75
"""Linear light below this share of SDR white stays as it is; above, it bends smoothly towards white instead of clipping."""
_SDR_GAMMA = 2.4
"""Of an SDR display (ITU-R BT.1886)."""
_CODES = 65536


def to_sdr(picture: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """Tone-map one picture.

    Args:
        picture: (height, width, 3) RGB, BT.2020 primaries, full range 0 to 65535.
        transfer: one of `HDR_TRANSFERS`.

    Returns:
        (height, width, 3) BGR, BT.709, 0 to 255.
    """
    if transfer == ColorTrc.SMPTE2084:
        light = _pq_light()[picture]
    else:
        scene = _hlg_scene_light()[picture]
        luma = np.maximum(scene @ _LUMA_2020, 1e-6)
        light = scene * (luma ** (_HLG_SYSTEM_GAMMA - 1) * (_HLG_PEAK_NITS / _WHITE_NITS))[..., None]
    light = np.maximum(light @ _FROM_2020_TO_709.T, 0)
    brightest = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])
    too_bright = brightest > _KNEE
    peaks = brightest[too_bright]
    bent = 1 - (1 - _KNEE) * np.exp((_KNEE - peaks) / (1 - _KNEE))
    light[too_bright] *= (bent / peaks)[:, None]
    codes: NDArray[np.uint8] = _sdr_codes()[(light[..., ::-1] * (_CODES - 1)).astype(np.uint16)]
    return codes


@cache
def _pq_light() -> NDArray[np.float32]:
    """Light in units of SDR white by 16-bit code: the PQ EOTF of ITU-R BT.2100-2, table 4."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = np.linspace(0, 1, _CODES) ** (1 / m2)
    nits = 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return (nits / _WHITE_NITS).astype(np.float32)


@cache
def _hlg_scene_light() -> NDArray[np.float32]:
    """Scene light 0 to 1 by 16-bit code: the inverse HLG OETF of ITU-R BT.2100-2, table 5."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = np.linspace(0, 1, _CODES)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)  # noqa: PLR2004 -- where its halves meet


@cache
def _sdr_codes() -> NDArray[np.uint8]:
    """8-bit SDR code by linear light in steps of 1/65535."""
    return np.round(255 * np.linspace(0, 1, _CODES) ** (1 / _SDR_GAMMA)).astype(np.uint8)

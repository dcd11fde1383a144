from __future__ import annotations

import numpy as np
import pytest
from av.video.reformatter import ColorTrc

from rumiai_ray.frames.decode.tonemap import to_sdr

PQ, HLG = int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67)


def grey(signal: float, transfer: int) -> int:
    code = np.full((1, 1, 3), round(signal * 65535), np.uint16)
    b, g, r = to_sdr(code, transfer)[0, 0].tolist()
    assert max(b, g, r) - min(b, g, r) <= 2  # grey stays grey
    return int(g)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_brighter_hdr_never_becomes_darker_sdr(transfer: int) -> None:
    levels = [grey(signal, transfer) for signal in np.linspace(0, 1, 33)]
    assert levels == sorted(levels)
    assert levels[0] <= 1
    assert levels[-1] >= 253


def test_reference_white_of_both_curves_is_nearly_sdr_white() -> None:
    # ITU-R BT.2408: 203 nits is 58 % of PQ and 75 % of HLG
    assert 225 <= grey(0.58, PQ) <= 250
    assert 225 <= grey(0.75, HLG) <= 250


def test_mid_grey_of_both_curves_is_mid_grey() -> None:
    # ITU-R BT.2408, table 1: an 18 % grey card is 38 % of PQ and HLG
    assert 95 <= grey(0.38, PQ) <= 145
    assert 95 <= grey(0.38, HLG) <= 145


def test_a_saturated_colour_keeps_its_hue_and_order_of_channels() -> None:
    red = np.array([[[40000, 15000, 15000]]], np.uint16)
    b, g, r = to_sdr(red, HLG)[0, 0].tolist()
    assert r > g + 50
    assert r > b + 50

"""Loudness in LUFS: the signals of EBU Tech 3341, whose loudness is known, and ffmpeg's own meter as a second opinion."""

from __future__ import annotations

import re
import shutil
import subprocess
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from decoded import decoded
from rumiai_ray.frames.decode.sound import SoundTrack

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RATE_HZ = 48_000


def sine(dbfs: float, seconds: float, hz: float = 1000.0, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    """(n,) a sine whose peak is at `dbfs`, as EBU Tech 3341 has it."""
    wave: NDArray[np.float64] = 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return wave


def track_of(*parts: tuple[NDArray[np.float64], str, int]) -> SoundTrack:
    """The sound of parts, each (channels, n) with its layout and rate, in frames of 0.1 s."""
    track = SoundTrack(Fraction(1, 1000), 1000, 1000)
    for channels, layout, rate_hz in parts:
        step = rate_hz // 10
        for at in range(0, channels.shape[1], step):
            piece = np.ascontiguousarray(channels[:, at : at + step].T, np.float32)
            frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="flt", layout=layout)
            frame.rate = rate_hz
            track.take(frame)
    track.finish()
    return track


def stereo(*tones: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.concatenate(tones)] * 2)


EBU_TECH_3341 = {
    "case 1": (stereo(sine(-23, 20)), "stereo", -23.0),
    "case 2": (stereo(sine(-33, 20)), "stereo", -33.0),
    "case 3": (stereo(sine(-36, 10), sine(-23, 60), sine(-36, 10)), "stereo", -23.0),
    "case 4": (stereo(sine(-72, 10), sine(-36, 10), sine(-23, 60), sine(-36, 10), sine(-72, 10)), "stereo", -23.0),
    "case 5": (stereo(sine(-26, 20), sine(-20, 20.1), sine(-26, 20)), "stereo", -23.0),
    "case 6": (np.stack([sine(-28, 20)] * 2 + [sine(-24, 20), 0 * sine(0, 20)] + [sine(-30, 20)] * 2), "5.1", -23.0),
}
"""The minimum requirements signals that can be made by formula: channels, layout, loudness in LUFS."""


@pytest.mark.parametrize("case", EBU_TECH_3341)
def test_a_signal_of_the_ebu_has_its_loudness_within_a_tenth(case: str) -> None:
    channels, layout, lufs = EBU_TECH_3341[case]
    assert track_of((channels, layout, RATE_HZ)).loudness_lufs() == pytest.approx(lufs, abs=0.1)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 96_000])
def test_the_sample_rate_changes_no_loudness(rate_hz: int) -> None:
    tone = np.stack([sine(-23, 5, rate_hz=rate_hz)] * 2)
    assert track_of((tone, "stereo", rate_hz)).loudness_lufs() == pytest.approx(-23, abs=0.1)


def test_one_channel_counts_once_as_the_standard_has_it() -> None:
    assert track_of((sine(-23, 5)[None], "mono", RATE_HZ)).loudness_lufs() == pytest.approx(-26.0, abs=0.1)


def test_opposite_phase_costs_no_loudness_and_a_constant_offset_adds_none() -> None:
    tone = sine(-23, 5)
    assert track_of((np.stack([tone, -tone]), "stereo", RATE_HZ)).loudness_lufs() == pytest.approx(-23.0, abs=0.1)
    assert track_of((np.stack([tone, tone]) + 0.25, "stereo", RATE_HZ)).loudness_lufs() == pytest.approx(-23.0, abs=0.3)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3])
def test_too_little_sound_has_no_loudness(seconds: float) -> None:
    assert track_of((np.stack([sine(-23, seconds)] * 2), "stereo", RATE_HZ)).loudness_lufs() is None


def test_silence_has_no_loudness_and_that_is_no_problem() -> None:
    track = track_of((np.zeros((2, 5 * RATE_HZ)), "stereo", RATE_HZ))
    assert track.loudness_lufs() is None
    assert track.repaired() == []


def test_channels_and_rate_may_change_on_the_way() -> None:
    track = track_of((np.stack([sine(-23, 5)] * 2), "stereo", RATE_HZ), (np.stack([sine(-23, 5, rate_hz=44_100)] * 2), "stereo", 44_100))
    assert track.loudness_lufs() == pytest.approx(-23.0, abs=0.1)
    assert track.repaired() == []


@pytest.mark.parametrize("layout", ["mono", "stereo", "3.0", "quad", "5.1(side)", "7.1", "3 channels", "11 channels"])
def test_any_channels_have_a_loudness(layout: str) -> None:
    count = av.AudioLayout(layout).nb_channels
    track = track_of((np.stack([sine(-23, 2)] * count), layout, RATE_HZ))
    assert track.loudness_lufs() == pytest.approx(-23, abs=8)
    assert track.repaired() == []


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg to ask for a second opinion")
@pytest.mark.parametrize(
    "name",
    [
        "a_speech/nasa_13013_multistream.mp4",
        "a_speech/autoeditor_example_voice_timecode.mp4",
        "a_speech/grid_bbaf2n.mpg",
        "c_text_derived/tt_dog_voiceover_720x1280.mp4",
        "e_edge_made/vp8_vorbis.webm",
    ],
)
def test_ffmpeg_measures_the_same(media: Path, name: str) -> None:
    told = subprocess.run(
        ["ffmpeg", "-nostats", "-i", str(media / name), "-vn", "-af", "ebur128", "-f", "null", "-"],  # noqa: S607 -- the one on the path
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    (lufs,) = re.findall(r"Integrated loudness:\s+I:\s+(-?[\d.]+) LUFS", told)
    measured = decoded(media / name).facts.loudness_lufs
    if float(lufs) <= -70:
        assert measured is None
    else:
        assert measured == pytest.approx(float(lufs), abs=0.15)

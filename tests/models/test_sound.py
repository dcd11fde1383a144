"""Sound: energy, silence and pitch of tones whose figures are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.models.base import AudioChunk
from rumiai_ray.models.signals.sound import Sound, SoundSettings
from rumiai_ray.models.weights.choice import resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.frames.store.stored import StoredVideo


def _rows(samples: NDArray[np.int16], start_s: float = 0.0, **changes: Any) -> list[dict[str, Any]]:
    sound = Sound(resolve(Sound, SoundSettings(**changes), profile="offline", directories=[]))
    sound.load()
    rows: list[dict[str, Any]] = sound.predict(AudioChunk(samples, start_s)).tables["audio_energy"].to_pylist()
    return rows


def _tone(hz: float, seconds: float = 1.0, amplitude: float = 0.5) -> NDArray[np.int16]:
    at = np.arange(int(seconds * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    return (32767 * amplitude * np.sin(2 * np.pi * hz * at)).astype(np.int16)


def test_a_sine_of_half_scale_has_the_energy_and_the_pitch_of_one() -> None:
    rows = _rows(_tone(220.0))
    assert len(rows) == 20
    for row in rows:
        assert row["rms"] == pytest.approx(0.5 / np.sqrt(2), abs=0.001)
        assert row["peak"] == pytest.approx(0.5, abs=0.001)
        assert row["loudness_dbfs"] == pytest.approx(-9.03, abs=0.02)
        assert row["is_silent"] is False
    voiced = [row["pitch_hz"] for row in rows if row["pitch_hz"] is not None]
    assert len(voiced) >= 16
    assert voiced == pytest.approx([220.0] * len(voiced), abs=1)


def test_digital_silence_is_measured_and_has_no_pitch() -> None:
    for row in _rows(np.zeros(AUDIO_RATE_HZ, np.int16)):
        assert (row["rms"], row["peak"], row["loudness_dbfs"], row["is_silent"], row["pitch_hz"]) == (0.0, 0.0, -90.0, True, None)


def test_noise_has_energy_and_no_pitch() -> None:
    rows = _rows(np.random.default_rng(1).integers(-8000, 8000, AUDIO_RATE_HZ).astype(np.int16))
    assert not any(row["is_silent"] for row in rows)
    assert sum(row["pitch_hz"] is None for row in rows) >= 18


def test_stretches_follow_one_another_from_where_the_audio_begins() -> None:
    rows = _rows(_tone(220.0, 0.12), start_s=-0.02)
    assert [row["start_s"] for row in rows] == pytest.approx([-0.02, 0.03, 0.08])
    assert [row["end_s"] for row in rows] == pytest.approx([0.03, 0.08, 0.10])


@pytest.mark.parametrize("count", [1, 10, 799, 800, 801])
def test_a_sound_too_short_for_a_pitch_still_has_energy(count: int) -> None:
    rows = _rows(_tone(220.0)[:count])
    assert {row["pitch_hz"] for row in rows} == {None}
    assert rows[-1]["end_s"] == pytest.approx(count / AUDIO_RATE_HZ)


def test_the_silence_threshold_is_a_setting() -> None:
    quiet = _tone(220.0, amplitude=0.01)
    assert not any(row["is_silent"] for row in _rows(quiet))
    assert all(row["is_silent"] for row in _rows(quiet, silence_dbfs=-30))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40_000), st.data())
def test_cutting_the_audio_into_stretches_keeps_its_energy(count: int, data: st.DataObject) -> None:
    samples = np.random.default_rng(count).integers(-9000, 9000, count).astype(np.int16)
    seam = data.draw(st.integers(0, count))
    whole = _rows(samples)
    parts = [row for at, part in ((0, samples[:seam]), (seam, samples[seam:])) if len(part) for row in _rows(part, at / AUDIO_RATE_HZ)]
    for rows, pieces in ((whole, (samples,)), (parts, (samples[:seam], samples[seam:]))):
        energy = sum(row["rms"] ** 2 * (row["end_s"] - row["start_s"]) for row in rows) * AUDIO_RATE_HZ
        # of noise, what lies below 20 Hz goes with the offset: 0.1 % of what lies below 8,000 Hz
        assert energy == pytest.approx(float(sum(np.sum((piece / 32768.0) ** 2) for piece in pieces)), rel=3e-3)


@pytest.mark.parametrize("offset", [-9000, 300, 9000])
def test_a_constant_offset_is_silence_and_adds_nothing_to_a_tone(offset: int) -> None:
    seconds = np.arange(2 * AUDIO_RATE_HZ) / AUDIO_RATE_HZ
    tone = 5000 * np.sin(2 * np.pi * 440 * seconds)
    assert all(row["is_silent"] for row in _rows(np.full(len(seconds), offset, np.int16)))
    levels = [[row["rms"] for row in _rows((tone + shift).astype(np.int16))] for shift in (0, offset)]
    assert levels[1] == pytest.approx(levels[0], rel=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.7, 0.9])
def test_a_lopsided_wave_loses_its_offset_and_nothing_else(share: float) -> None:
    pulses = np.where(np.arange(2 * AUDIO_RATE_HZ) % 80 < round(80 * share), 8192, -8192).astype(np.int16)
    level = 0.25 * 2 * np.sqrt(share * (1 - share))
    assert [row["rms"] for row in _rows(pulses)] == pytest.approx([level] * 40, rel=0.03)


@pytest.mark.parametrize("hz", [30, 50, 100, 440, 3000])
def test_the_lowest_tones_keep_their_level(hz: float) -> None:
    middle = [row["rms"] for row in _rows(_tone(hz, 3.0))][2:-2]
    assert float(np.sqrt(np.mean(np.square(middle)))) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


def test_digital_silence_beside_a_lopsided_voice_is_silent() -> None:
    pulses = np.where(np.arange(AUDIO_RATE_HZ) % 80 < 8, 16000, -1600).astype(np.int16)
    rows = _rows(np.concatenate([pulses, np.zeros(AUDIO_RATE_HZ, np.int16)]))
    assert all(row["is_silent"] for row in rows if row["start_s"] >= 1.15)
    assert not any(row["is_silent"] for row in rows if row["end_s"] <= 1.0)


@pytest.mark.model("sound")
def test_a_voice_has_a_voice_s_pitch_and_the_pause_in_it_is_silent(media: Path, stored: Callable[[Path], StoredVideo]) -> None:
    with stored(media / "a_speech/autoeditor_example_voice_timecode.mp4") as video:
        audio = video.audio()
    assert audio is not None
    rows = _rows(audio.samples, audio.start_s)
    spoken = [row for row in rows if row["end_s"] < 17]
    pause = [row for row in rows if 18 <= row["start_s"] < 39]
    pitches = [row["pitch_hz"] for row in spoken if row["pitch_hz"] is not None]
    assert 80 < float(np.median(pitches)) < 180
    assert sum(row["is_silent"] for row in pause) / len(pause) > 0.95
    assert sum(row["is_silent"] for row in spoken) / len(spoken) < 0.5

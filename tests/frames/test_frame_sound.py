"""The audio time line, fed frame by frame: what timestamps say is what is heard."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.sound import SoundTrack

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 48_000


def frame_at(time_s: float | None, length_s: float, rate_hz: int = RATE_HZ, layout: str = "stereo") -> av.AudioFrame:
    count = round(length_s * rate_hz)
    channels = {"mono": 1, "stereo": 2}[layout]
    frame = av.AudioFrame.from_ndarray(np.full((1, count * channels), 8000, np.int16), format="s16", layout=layout)
    frame.rate = rate_hz
    frame.pts = None if time_s is None else round(time_s * 1000)
    return frame


def track_of(*frames: av.AudioFrame, longest_gap_s: float = 10) -> tuple[SoundTrack, NDArray[np.int16]]:
    track = SoundTrack(Fraction(1, 1000), longest_gap_s, 20)
    for frame in frames:
        track.take(frame)
    track.finish()
    return track, np.frombuffer(bytes(track.ready), "<i2")


def test_adjoining_frames_adjoin() -> None:
    track, samples = track_of(*(frame_at(number / 10, 0.1) for number in range(10)))
    assert len(samples) == track.samples == pytest.approx(16_000, abs=20)
    assert np.median(samples) == 8000
    assert track.lost([], 1.0) == track.repaired() == []


def test_a_gap_becomes_silence_of_its_own_length() -> None:
    track, samples = track_of(frame_at(1, 0.5), frame_at(2, 0.5))
    assert track.start_s == 1
    assert len(samples) == pytest.approx(1.5 * 16_000, abs=20)
    assert np.abs(samples[8100:15900]).max() == 0
    assert np.median(samples[16_100:]) == 8000
    assert track.repaired() == ["0.50 s of missing audio filled with silence"]


def test_a_jump_back_is_played_on_and_told() -> None:
    track, samples = track_of(frame_at(0, 0.5), frame_at(0.5, 0.5), frame_at(0.1, 0.5), frame_at(0.6, 0.5))
    assert len(samples) == pytest.approx(2 * 16_000, abs=20)
    assert track.repaired() == ["audio timestamps jump 1 times"]


def test_a_gap_longer_than_the_video_is_a_broken_timestamp() -> None:
    track, samples = track_of(frame_at(0, 0.5), frame_at(5000, 0.5), frame_at(5000.5, 0.5))
    assert len(samples) == pytest.approx(1.5 * 16_000, abs=20)
    assert track.repaired() == ["audio timestamps jump 1 times"]


def test_frames_without_timestamps_follow_each_other() -> None:
    track, samples = track_of(frame_at(None, 0.5), frame_at(None, 0.5))
    assert track.start_s == 0
    assert len(samples) == pytest.approx(16_000, abs=20)


def test_rate_and_channels_may_change_on_the_way() -> None:
    _, samples = track_of(frame_at(0, 0.5), frame_at(0.5, 0.5, rate_hz=44_100, layout="mono"), frame_at(1, 0.5))
    assert len(samples) == pytest.approx(1.5 * 16_000, abs=60)


def test_audio_beyond_the_limit_is_refused() -> None:
    with pytest.raises(MediaError, match=r"20 s.*--limits-max-duration-s"):
        track_of(*(frame_at(number, 1) for number in range(21)))


def test_a_stream_without_any_audio_says_so() -> None:
    track, _ = track_of()
    assert track.lost(["bad", "bad"], 0.0) == [
        "2 audio packets could not be decoded: bad",
        "the audio stream holds no audio that can be decoded",
    ]


@pytest.mark.parametrize(("promised_s", "words"), [(0.0, []), (1.2, []), (2.0, ["1.00 of 2.00 promised seconds of audio decoded"])])
def test_audio_that_ends_before_its_header_s_end_is_told(promised_s: float, words: list[str]) -> None:
    track, _ = track_of(frame_at(0, 1.0))
    assert track.lost([], promised_s) == words

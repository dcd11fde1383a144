"""The audio time line, fed frame by frame: what timestamps say is what is heard."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from av.stream import Disposition

from decoded import decoded
from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.sound import Downmix, SoundTrack

if TYPE_CHECKING:
    from pathlib import Path

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
    assert track.repaired() == ["audio timestamps jump once"]


def test_a_gap_longer_than_the_video_is_a_broken_timestamp() -> None:
    track, samples = track_of(frame_at(0, 0.5), frame_at(5000, 0.5), frame_at(5000.5, 0.5))
    assert len(samples) == pytest.approx(1.5 * 16_000, abs=20)
    assert track.repaired() == ["audio timestamps jump once"]


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
    assert track.lost(["bad"], 0.0)[0] == "1 audio packet could not be decoded: bad"
    assert track.lost(["bad", "bad"], 0.0) == [
        "2 audio packets could not be decoded: bad",
        "the audio stream holds no audio that can be decoded",
    ]


@pytest.mark.parametrize(("promised_s", "words"), [(0.0, []), (1.2, []), (2.0, ["1.00 of 2.00 promised seconds of audio decoded"])])
def test_audio_that_ends_before_its_header_s_end_is_told(promised_s: float, words: list[str]) -> None:
    track, _ = track_of(frame_at(0, 1.0))
    assert track.lost([], promised_s) == words


TONE = np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000).astype(np.float32) * 0.25
OTHER = np.sin(np.arange(16_000) * 2 * np.pi * 313 / 16_000).astype(np.float32) * 0.25
QUIET = np.zeros_like(TONE)
SURROUND = ("FL", "FR", "FC", "LFE", "SL", "SR")


@pytest.mark.parametrize(
    ("channels", "names", "share"),
    [
        ((TONE, TONE), ("FL", "FR"), 1.0),
        ((TONE, -TONE), ("FL", "FR"), 1.0),
        ((TONE, -0.8 * TONE), ("FL", "FR"), 0.9),
        ((TONE, QUIET), ("FL", "FR"), 0.5),
        ((QUIET, TONE), ("FL", "FR"), 0.5),
        ((QUIET, QUIET, TONE, QUIET, QUIET, QUIET), SURROUND, 0.7071),
        ((QUIET, QUIET, TONE, QUIET, QUIET, QUIET, QUIET, QUIET), ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"), 0.7071),
        ((TONE, -TONE, QUIET, QUIET, QUIET, QUIET), SURROUND, 1.0),
        ((TONE,), ("FC",), 1.0),
    ],
)
def test_channels_are_mixed_at_their_level_and_never_cancel(
    channels: tuple[NDArray[np.float32], ...], names: tuple[str, ...], share: float
) -> None:
    mixed = Downmix()(np.stack(channels), names)
    assert float(np.sqrt(np.mean(mixed**2))) == pytest.approx(share * float(np.sqrt(np.mean(TONE**2))), rel=0.02)


def test_different_sounds_on_both_sides_are_both_heard() -> None:
    mixed = Downmix()(np.stack([TONE, OTHER]), ("FL", "FR"))
    assert mixed == pytest.approx((TONE + OTHER) / 2, abs=1e-6)


def sound_file(path: Path, *tracks: tuple[NDArray[np.float64], str], default: int | None = None) -> Path:
    """A Matroska file of one second of pictures and of sound tracks, each (channels, n) at 48 kHz with its layout."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        streams = []
        for number, (_, layout) in enumerate(tracks):
            stream = output.add_stream("pcm_f32le", rate=RATE_HZ, layout=layout)
            stream.disposition = Disposition.default if number == default else Disposition(0)
            streams.append(stream)
        for number in range(25):
            output.mux(video.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), number * 10, np.uint8), format="rgb24")))
        output.mux(video.encode(None))
        for stream, (channels, layout) in zip(streams, tracks, strict=True):
            packed = np.ascontiguousarray(channels.T, np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.rate, frame.pts = RATE_HZ, 0
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return path


def surround(layout: str, **levels: float) -> tuple[NDArray[np.float64], str]:
    """A second of a tone in each channel named, at its level; the other channels are silent."""
    tone = np.sin(np.arange(RATE_HZ) * 2 * np.pi * 440 / RATE_HZ)
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    return np.stack([levels.get(name, 0.0) * tone for name in names]), layout


@pytest.mark.parametrize(
    ("layout", "levels", "amplitude"),
    [
        ("mono", {"FC": 0.25}, 0.25),
        ("stereo", {"FL": 0.25, "FR": 0.25}, 0.25),
        ("stereo", {"FL": 0.25, "FR": -0.25}, 0.25),
        ("5.1", {"FC": 0.25}, 0.1768),
        ("5.1(side)", {"FC": 0.25, "LFE": 0.5}, 0.1768),
        ("7.1", {"FC": 0.25}, 0.1768),
        ("7.1", {"FC": 0.25, "BL": 0.25, "SR": 0.25}, 0.3536),
        ("7.1", {"FL": 0.25, "FR": -0.25}, 0.25),
        ("7.1(wide)", {"FC": 0.25}, 0.1768),
    ],
)
def test_a_file_of_many_channels_is_heard_at_its_level(tmp_path: Path, layout: str, levels: dict[str, float], amplitude: float) -> None:
    result = decoded(sound_file(tmp_path / "sound.mkv", surround(layout, **levels)))
    assert result.rms(0.1, 0.9) == pytest.approx(amplitude / np.sqrt(2), rel=0.03)
    assert result.facts.problems == ()


@pytest.mark.parametrize(("count", "default"), [(1, None), (2, 0), (2, 1), (3, 1), (3, 2), (5, None), (5, 4)])
def test_the_track_a_player_chooses_is_heard_and_named(tmp_path: Path, count: int, default: int | None) -> None:
    tracks = [surround("stereo", FL=0.1 * (number + 1), FR=0.1 * (number + 1)) for number in range(count)]
    path = sound_file(tmp_path / "tracks.mkv", *tracks, default=default)
    result = decoded(path)
    with av.open(str(path)) as container:
        best = container.streams.best("audio")
        assert best is not None
        place = [stream.index for stream in container.streams.audio].index(best.index)
    assert place == (default or 0)
    assert (result.facts.audio_stream, result.facts.audio_streams, result.facts.audio_layout) == (place, count, "stereo")
    assert result.rms(0.1, 0.9) == pytest.approx(0.1 * (place + 1) / np.sqrt(2), rel=0.03)


def test_the_default_track_is_heard(reported: Path) -> None:
    result = decoded(reported / "two_tracks_second_default.mkv")
    assert result.rms() == pytest.approx(0.088, abs=0.005)
    assert (result.facts.audio_streams, result.facts.audio_stream) == (2, 1)


def test_a_tone_in_opposite_phase_is_heard(reported: Path) -> None:
    assert decoded(reported / "phase_inverted_tone.mp4").rms() == pytest.approx(0.088, abs=0.005)


@pytest.mark.parametrize(
    ("name", "duration_s"),
    [("trim_tail_elst.mp4", 2.0), ("video_starts_3s_late.mkv", 3.0), ("ts_jump_to_4000s.ts", 6.0), ("ts_jump_100s.ts", 6.0)],
)
def test_a_file_of_a_public_report_lasts_as_long_as_it_is_and_lost_nothing(reported: Path, name: str, duration_s: float) -> None:
    result = decoded(reported / name)
    assert result.facts.duration_s == pytest.approx(duration_s, abs=0.1)
    assert result.facts.lost_video == result.facts.lost_audio == ()
    assert any("jump" in problem for problem in result.facts.problems) == name.startswith("ts_jump")

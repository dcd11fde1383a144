"""Every real and edge-case file: stored with its whole length covered, or refused by name and reason."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from real_media import known_files
from rumiai_ray.errors import MediaError
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import _GRID_SLACK_S, SamplingSpec
from rumiai_ray.frames.store.store import FrameStore
from synthetic_clips import pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.frames.store.stored import StoredVideo

FILES = known_files()
REFUSED = {
    "a_speech/grid_swwp2s.align": "not a media file",
    "e_edge_made/text_named.mp4": "not a media file",
    "e_edge_made/truncated_no_moov.mp4": "damaged",
    "e_edge_made/zero_byte.mp4": "empty",
}
SOUND_ONLY = {
    "a_speech/jfk.flac": 11.0,
    "a_speech/multilingual_en_de.mp3": 59.9,
    "a_speech/stereo_two_speakers.wav": 5.0,
    "e_edge_made/audio_only.mp4": 6.0,
}
"""Files without a video stream, and their length in seconds."""
HAVE_PROBLEMS = {"e_edge_made/truncated_faststart.mp4"}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return FrameStore(tmp_path_factory.mktemp("frames of real media"), spec=SamplingSpec(), limits=DecodeLimits())


@pytest.fixture
def stored(media: Path, store: FrameStore, request: pytest.FixtureRequest) -> Callable[[str], StoredVideo]:
    """Opens a file of the media folder by its name; decoded once in the whole session."""

    def open_stored(name: str) -> StoredVideo:
        path = media / name
        video = store.ensure(path, hashlib.sha256(path.read_bytes()).hexdigest())
        request.addfinalizer(video.close)
        return video

    return open_stored


def presented_s(path: Path, width_px: int) -> list[float]:
    """Times of all frames, decoded plainly, of the video stream that is `width_px` wide; from the first one."""
    times = []
    with av.open(str(path)) as container:
        stream = next((s for s in container.streams.video if s.codec_context.width == width_px), container.streams.video[0])
        assert stream.time_base is not None
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                assert path.name in {Path(name).name for name in HAVE_PROBLEMS}
                continue
            times += [float(frame.pts * stream.time_base) for frame in frames if frame.pts is not None]
    return [time_s - times[0] for time_s in times]


@pytest.mark.parametrize("name", [name for name in FILES if name not in REFUSED and name not in SOUND_ONLY])
def test_a_readable_file_is_covered_from_its_first_frame_to_its_last(media: Path, stored: Callable[[str], StoredVideo], name: str) -> None:
    video = stored(name)
    facts = video.facts
    assert facts.width_px is not None
    assert facts.sampling_fps is not None
    assert facts.stored_width_px is not None
    assert facts.stored_height_px is not None
    expected_s = presented_s(media / name, facts.width_px)
    times_s = video.times_s
    assert facts.frames_sampled == len(times_s)
    assert times_s[0] == 0
    assert np.all(np.diff(times_s) > 0)
    assert facts.duration_s > times_s[-1]
    assert bool(facts.problems) == (name in HAVE_PROBLEMS)
    if name not in HAVE_PROBLEMS:
        assert facts.frames_decoded == len(expected_s)
        assert set(times_s.round(6)) <= {round(time_s, 6) for time_s in expected_s}
    step_s = 1 / facts.sampling_fps
    assert expected_s[-1] - times_s[-1] <= step_s + 1e-6
    grid_s = np.arange(0, facts.duration_s - 1e-6, step_s)
    on_screen = np.searchsorted(times_s, grid_s + _GRID_SLACK_S, side="right") - 1
    assert np.all(grid_s <= video.shown_until_s[on_screen] + _GRID_SLACK_S), "what is on screen at a grid point was not sampled"
    source_gap_s = max(np.diff(expected_s), default=0.0)
    assert max(np.diff(times_s), default=0.0) <= step_s + source_gap_s + 1e-6
    shapes = {pixels(jpeg).shape for batch in video.batches() for jpeg in batch.jpegs[::8]}
    assert shapes == {(facts.stored_height_px, facts.stored_width_px, 3)}
    assert max(facts.stored_height_px, facts.stored_width_px) <= 1280
    audio = video.audio()
    if facts.audio_codec is None:
        assert audio is None
    else:
        assert audio is not None
        assert len(audio.samples) / 16_000 == pytest.approx(facts.audio_duration_s)


@pytest.mark.parametrize(("name", "length_s"), SOUND_ONLY.items())
def test_a_file_without_a_video_stream_has_its_sound_and_no_frame(
    media: Path, stored: Callable[[str], StoredVideo], name: str, length_s: float
) -> None:
    assert (media / name).exists()
    video = stored(name)
    audio = video.audio()
    assert audio is not None
    assert len(audio.samples) / 16_000 == video.facts.duration_s == pytest.approx(length_s, abs=0.1)
    assert (len(video.times_s), video.facts.video_codec, video.facts.problems) == (0, None, ())


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_an_unreadable_file_is_refused_by_name_and_reason(stored: Callable[[str], StoredVideo], name: str, reason: str) -> None:
    with pytest.raises(MediaError, match=f"{Path(name).name}.*{reason}"):
        stored(name)


@pytest.mark.parametrize(
    ("name", "width_px", "height_px", "rotation_deg"),
    [
        ("e_edge_made/rotate90_meta.mp4", 640, 480, 270),
        ("e_edge_real/ae_SAR-2by3.mp4", 427, 360, 0),
        ("e_edge_made/odd_size_321x241_yuv444.mp4", 321, 241, 0),
        ("e_edge_real/moviepy_-video-with-dash-.mp4", 1, 1, 0),
        ("e_edge_real/ae_h264-png.mp4", 640, 360, 0),
        ("c_text/moviepy_smpte_counters.mp4", 1920, 1080, 0),
        ("c_text_derived/tt_grid4_captions_720x1280.mp4", 720, 1280, 0),
        ("a_speech/nasa_13013_multistream.mp4", 480, 270, 0),
        ("b_objects/ultralytics_bus.jpg", 810, 1080, 0),
    ],
)
def test_sizes_are_those_of_the_picture_as_shown(
    stored: Callable[[str], StoredVideo], name: str, width_px: int, height_px: int, rotation_deg: int
) -> None:
    facts = stored(name).facts
    assert (facts.width_px, facts.height_px, facts.rotation_deg) == (width_px, height_px, rotation_deg)


def test_a_turned_talking_head_is_stored_upright(stored: Callable[[str], StoredVideo]) -> None:
    # the wall behind the woman is blue at the top and on both sides, her clothes are pink at the bottom
    [first, *_] = stored("e_edge_made/rotate90_meta.mp4").batches()
    frame = pixels(first.jpegs[0]).astype(int)
    blue_minus_red = frame[..., 0] - frame[..., 2]
    assert blue_minus_red[:60].mean() > 60
    assert blue_minus_red[-40:, 150:500].mean() < 20


def test_a_cut_file_says_how_much_of_it_is_there(stored: Callable[[str], StoredVideo]) -> None:
    facts = stored("e_edge_made/truncated_faststart.mp4").facts
    assert f"{facts.frames_decoded} of 75 promised frames decoded" in facts.lost_video
    assert "1.46 of 2.98 promised seconds of audio decoded" in facts.lost_audio
    assert set(facts.problems) == {*facts.lost_video, *facts.lost_audio}
    assert 30 <= facts.frames_decoded <= 45


@pytest.mark.parametrize(
    ("name", "frames", "duration_s"),
    [
        ("e_edge_made/one_frame.mp4", 1, 0.033),
        ("e_edge_made/fps1.mp4", 4, 4.0),
        ("e_edge_made/vfr_30_5_15.mp4", 60, 4.0),
        ("e_edge_made/anim.gif", 20, 2.0),
        ("e_edge_real/tc_av1_video.mkv", 125, 5.0),
        ("e_edge_real/moviepy_no_duration.webm", 74, 4.94),
        ("b_objects/cat_and_dog.jpg", 1, 0.04),
    ],
)
def test_counts_and_lengths_are_those_decoded(stored: Callable[[str], StoredVideo], name: str, frames: int, duration_s: float) -> None:
    facts = stored(name).facts
    assert facts.frames_decoded == frames
    assert facts.duration_s == pytest.approx(duration_s, abs=0.05)
    assert facts.fps is None if frames == 1 else facts.fps == pytest.approx(frames / facts.duration_s)


def test_hdr_is_brought_to_sdr(stored: Callable[[str], StoredVideo], media: Path) -> None:
    # the clip is an ordinary one that only says it is HLG: read as HLG, its highlights lie above reference white
    [batch] = stored("e_edge_made/hevc_10bit_hlg.mp4").batches()
    toned = pixels(batch.jpegs[5])
    with av.open(str(media / "e_edge_made" / "hevc_10bit_hlg.mp4")) as container:
        plain = list(container.decode(video=0))[int(batch.source_frame[5])].to_ndarray(format="bgr24")
    assert toned.mean() > plain.mean() + 5
    assert np.percentile(toned, 1) < 40
    correlation = np.corrcoef(toned[:, :358].mean(axis=2).reshape(-1), plain[:, :358].mean(axis=2).reshape(-1))[0, 1]
    assert correlation > 0.95


@pytest.mark.parametrize(
    ("name", "start_s", "duration_s"),
    [
        ("d_emotion/pyfeat_face_then_noface.mov", 2.43, 3.97),
        ("a_speech/autoeditor_example_voice_timecode.mp4", 0, 42.4),
        ("a_speech/grid_bbaf2n.mpg", 0, 2.98),
        ("e_edge_made/vp8_vorbis.webm", 0, 2.99),
        ("e_edge_real/moviepy_no_duration.webm", 0.015, 4.86),
    ],
)
def test_audio_lies_where_it_belongs_on_the_video_s_time_line(
    stored: Callable[[str], StoredVideo], name: str, start_s: float, duration_s: float
) -> None:
    audio = stored(name).audio()
    assert audio is not None
    assert audio.start_s == pytest.approx(start_s, abs=0.02)
    assert len(audio.samples) / 16_000 == pytest.approx(duration_s, abs=0.05)


def test_a_digitally_silent_track_is_silent_and_there(stored: Callable[[str], StoredVideo]) -> None:
    audio = stored("e_edge_made/silent_audio_track.mp4").audio()
    assert audio is not None
    assert len(audio.samples) > 2.9 * 16_000
    assert np.abs(audio.samples).max() <= 1

"""Pictures come at their times, and in their order, from containers that say only when a packet is decoded, or say nothing of most."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from decoded import decoded
from rumiai_ray.frames.decode.frame_times import TimesByPlace
from rumiai_ray.frames.sampling import SamplingSpec

if TYPE_CHECKING:
    from pathlib import Path

    from decoded import Decoded

FPS = 10
FRAMES = 24
LEVEL = 10
"""Picture N is grey of N times this."""
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "H.264 in AVI": ("avi", "libx264", {"bf": "2"}),
    "H.264 in AVI, pyramid": ("avi", "libx264", {"bf": "3", "b-pyramid": "normal", "b_strategy": "0"}),
    "H.264 in AVI, one picture ahead": ("avi", "libx264", {"bf": "1"}),
    "H.264 in AVI, in order": ("avi", "libx264", {"bf": "0"}),
    "H.264 in AVI, key frames only": ("avi", "libx264", {"g": "1"}),
    "H.264 in AVI, short groups": ("avi", "libx264", {"g": "4", "bf": "2"}),
    "MPEG-4 in AVI": ("avi", "mpeg4", {"bf": "2", "qscale": "2"}),
    "Motion JPEG in AVI": ("avi", "mjpeg", {}),
    "H.264 in ASF": ("asf", "libx264", {"bf": "3"}),
    "WMV in ASF": ("asf", "wmv2", {}),
    "H.264 in MXF": ("mxf", "libx264", {"bf": "3"}),
    "H.264 in a program stream": ("mpeg", "libx264", {"bf": "2"}),
    "MPEG-2 in a program stream": ("mpeg", "mpeg2video", {"bf": "2", "qmin": "1", "qmax": "2"}),
    "H.264 alone": ("h264", "libx264", {"bf": "2"}),
    "HEVC alone": ("hevc", "libx265", {"x265-params": "log-level=none"}),
    "MPEG-2 alone": ("mpeg2video", "mpeg2video", {"bf": "2", "qmin": "1", "qmax": "2"}),
}
WITH_SOUND = {"avi": "pcm_s16le", "asf": "pcm_s16le"}


def _fps(kind: str) -> int:
    return 25 if "MPEG-2" in kind or "MXF" in kind else FPS  # these know no ten


def _clip(path: Path, kind: str, *, sound: bool = False, frames: int = FRAMES) -> Path:
    container, codec, options = KINDS[kind]
    fps = _fps(kind)
    with av.open(str(path), "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height = 160, 96
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        track: Any = output.add_stream(WITH_SOUND[container], rate=32_000, layout="mono") if sound else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), LEVEL * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            output.mux(stream.encode(frame))
            if track is not None:
                length = 32_000 // fps
                samples = np.full((1, length), 8000 if number >= frames // 2 else 0, np.int16)
                heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                heard.sample_rate, heard.pts = 32_000, number * length
                output.mux(track.encode(heard))
        output.mux(stream.encode(None))
        if track is not None:
            output.mux(track.encode(None))
    return path


def _numbers(found: Decoded) -> list[int]:
    return [round(float(picture.mean()) / LEVEL) for picture in found.pictures]


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_come_at_their_times_and_in_their_order(tmp_path: Path, kind: str) -> None:
    fps = _fps(kind)
    found = decoded(_clip(tmp_path / "clip", kind), SamplingSpec(fps=fps))
    assert found.facts.frames_decoded == FRAMES
    assert found.facts.duration_s == pytest.approx(FRAMES / fps, abs=0.001)
    assert found.thumbnail_times_s == pytest.approx([number / fps for number in range(FRAMES)], abs=0.001)
    assert _numbers(found) == pytest.approx([round(frame.time_s * fps) for frame in found.frames], abs=0.5 if "MPEG-4" not in kind else 1)
    assert found.facts.lost_video == ()


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "AVI" in kind or "ASF" in kind])
def test_the_shortest_of_them_have_their_times_too(tmp_path: Path, kind: str, frames: int) -> None:
    found = decoded(_clip(tmp_path / "clip", kind, frames=frames), SamplingSpec(fps=FPS))
    assert found.thumbnail_times_s == pytest.approx([number / FPS for number in range(frames)], abs=0.001)
    assert found.facts.problems == ()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "AVI" in kind or "ASF" in kind])
def test_pictures_and_sound_stay_together(tmp_path: Path, kind: str) -> None:
    """The sound sets in with the middle picture."""
    found = decoded(_clip(tmp_path / "clip", kind, sound=True), SamplingSpec(fps=FPS))
    assert found.facts.audio_start_s == pytest.approx(0.0, abs=0.08)  # codecs of sound fill their first frames
    assert found.rms(0.0, 1.05) < 0.05
    assert found.rms(1.35, 2.2) > 0.1


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv", "nut"])
@pytest.mark.parametrize("frames", [5, 24])
def test_a_writer_who_forgot_in_which_order_pictures_are_shown_does_no_harm(tmp_path: Path, container: str, frames: int) -> None:
    """Each packet says that its picture is shown when it is decoded."""
    right = _clip(tmp_path / "right", "H.264 in AVI, pyramid", frames=frames)
    with av.open(str(right)) as source, av.open(str(tmp_path / "forgot"), "w", format=container) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream, packet.pts = stream, packet.dts
                output.mux(packet)
    found = decoded(tmp_path / "forgot", SamplingSpec(fps=FPS))
    assert _numbers(found) == list(range(frames))
    assert [round(frame.time_s * FPS) for frame in found.frames] == list(range(frames))
    assert found.facts.duration_s == pytest.approx(frames / FPS, abs=0.002)
    assert found.facts.lost_video == ()


def test_pictures_behind_a_broken_group_stay_where_they_are(tmp_path: Path) -> None:
    """The packets of the first group are there, and not one of them can be decoded."""
    whole = _clip(tmp_path / "whole", "H.264 in AVI, short groups")
    data = bytearray(whole.read_bytes())
    with av.open(str(whole)) as media:
        for packet in [packet for packet in media.demux(video=0) if packet.size][:4]:
            assert packet.pos is not None
            slices = [
                at for at in range(packet.pos, packet.pos + packet.size) if data[at : at + 3] == b"\0\0\1" and data[at + 3] & 0x1F in {1, 5}
            ]
            for at in slices:
                data[at + 4 : packet.pos + packet.size] = b"\xff" * (packet.pos + packet.size - at - 4)
    (tmp_path / "broken").write_bytes(data)
    found = decoded(tmp_path / "broken", SamplingSpec(fps=FPS))
    shift = round(found.facts.origin_s * FPS)
    assert _numbers(found) == pytest.approx([round(frame.time_s * FPS) + shift for frame in found.frames], abs=0.5)
    assert found.facts.lost_video


def test_a_picture_has_the_time_of_its_place() -> None:
    times = TimesByPlace(counted=True)
    for dts in range(6):
        times.sent(10 * dts, is_key=dts == 0)
    # two are held back: the first picture comes with the third packet, the last two with none
    assert [times.shown(released) for released in (20, 30, 40, 50, None, None, None)] == [0, 10, 20, 30, 40, 50, None]


def test_where_there_is_a_clock_a_picture_is_shown_when_the_decoder_gives_it() -> None:
    times = TimesByPlace(counted=False)
    for dts in range(4):
        times.sent(10 * dts, is_key=dts == 0)
    assert [times.shown(released) for released in (20, 30, None, None, None)] == [20, 30, 40, 50, None]


def test_what_cannot_be_decoded_moves_nothing() -> None:
    times = TimesByPlace(counted=True)
    for dts in range(4):
        times.sent(10 * dts, is_key=dts == 0)
        times.failed()
    for dts in range(4, 9):
        times.sent(10 * dts, is_key=dts == 4)
    assert [times.shown(released) for released in (60, 70, 80, None, None)] == [40, 50, 60, 70, 80]
    times.sent(90, is_key=False)
    times.failed()
    times.sent(120, is_key=True)
    assert times.shown(120) == 90


def test_a_packet_that_fails_behind_a_good_key_frame_moves_nothing() -> None:
    times = TimesByPlace(counted=True)
    for dts in range(3):
        times.sent(10 * dts, is_key=dts == 0)
        if dts == 1:
            times.failed()
    assert times.shown(20) == 0

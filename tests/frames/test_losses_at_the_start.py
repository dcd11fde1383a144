"""Videos whose first picture cannot be decoded: how long they are, when the rest is shown, and what is told."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from decoded import decoded
from synthetic_clips import number_in, picture

if TYPE_CHECKING:
    from pathlib import Path

FRAMES, RATE, KEY_EVERY = 100, 25, 25
SOUND_OF = {"mp4": "aac", "matroska": "aac", "mpegts": "aac", "webm": "libopus"}
KINDS = [
    ("libx264", "mp4", {"preset": "ultrafast", "bf": "0"}, 5),
    ("libx264", "matroska", {"preset": "veryfast", "bf": "3"}, 5),
    ("libx264", "mpegts", {"preset": "ultrafast", "bf": "0"}, 5),
    ("libx265", "mp4", {"preset": "ultrafast", "x265-params": "log-level=none"}, 5),
    ("libx265", "matroska", {"preset": "ultrafast", "x265-params": "log-level=none"}, 5),
    ("libx264", "mpegts", {"preset": "ultrafast", "bf": "0"}, 40),
    ("libx264", "mpegts", {"preset": "veryfast", "bf": "3"}, 700),
    ("libx265", "mpegts", {"preset": "ultrafast", "x265-params": "log-level=none"}, 40),
    ("libvpx", "webm", {"deadline": "realtime", "cpu-used": "8"}, 5),
    ("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "8"}, 5),
]


def numbered_packets(output: Any, codec: str, options: dict[str, str], key_every: int) -> list[Any]:
    """Packets of numbered pictures at `RATE`, with a key frame every `key_every` pictures, for a new video stream of `output`."""
    video = output.add_stream(codec, rate=RATE, options={"g": str(key_every), "threads": "1", **options})
    video.width, video.height, video.pix_fmt = 192, 128, "yuv420p"
    frames = (av.VideoFrame.from_ndarray(picture(number, 192, 128), format="rgb24") for number in range(FRAMES))
    return [packet for frame in (*frames, None) for packet in video.encode(frame)]


def with_a_first_picture_of_noise(
    path: Path, codec: str, container: str, options: dict[str, str], head: int | None, *, sound: bool, without_time: int | None = None
) -> Path:
    """Four seconds of numbered pictures, a key frame each second; the first packet's data are noise from byte `head` on, if given.

    The packet `without_time` has the presentation time of the one before it.
    """
    with av.open(str(path), "w", format=container) as output:
        packets = numbered_packets(output, codec, options, KEY_EVERY)
        if sound:
            track: Any = output.add_stream(SOUND_OF[container], rate=48_000)
            track.layout = "mono"
        for number, packet in enumerate(packets):
            if number == without_time:
                packet.pts = packets[number - 1].pts
            if number == 0 and head is not None:
                data = bytes(packet)
                noise = np.random.default_rng(1).integers(1, 256, len(data) - head, dtype=np.uint8).tobytes()
                broken = av.Packet(data[:head] + noise)
                broken.pts, broken.dts, broken.time_base, broken.stream = packet.pts, packet.dts, packet.time_base, packet.stream
                broken.duration, broken.is_keyframe = packet.duration, True
                packet = broken  # noqa: PLW2901 -- in its place
            output.mux(packet)
        for number in range(FRAMES * 48_000 // RATE // 960 if sound else 0):
            tone = np.sin((number * 960 + np.arange(960)) * 2 * np.pi * 440 / 48_000)[None] / 4
            heard = av.AudioFrame.from_ndarray(tone.astype(np.float32), format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 48_000, number * 960, Fraction(1, 48_000)
            output.mux(track.encode(heard))
        if sound:
            output.mux(track.encode(None))
    return path


@pytest.mark.parametrize("sound", [False, True], ids=["mute", "sound"])
@pytest.mark.parametrize(("codec", "container", "options", "head"), KINDS, ids=[f"{kind[0]}-{kind[1]}-{kind[3]}" for kind in KINDS])
def test_a_video_whose_first_picture_is_damaged_keeps_its_times_and_says_what_the_start_lost(
    tmp_path: Path, codec: str, container: str, options: dict[str, str], head: int, *, sound: bool
) -> None:
    result = decoded(with_a_first_picture_of_noise(tmp_path / "clip", codec, container, options, head, sound=sound))
    facts, first = result.facts, number_in(result.frames[0].jpeg)
    assert 0 < first <= KEY_EVERY
    assert facts.duration_s == pytest.approx((FRAMES - first) / RATE, abs=1.01 / RATE)
    assert facts.frames_decoded == pytest.approx(FRAMES - first, abs=1)
    assert [number_in(frame.jpeg) for frame in result.frames[1:]] == [first + round(frame.time_s * RATE) for frame in result.frames[1:]]
    assert any(f"the first {first / RATE:.2f} s of pictures, at the start" in lost for lost in facts.lost_video)
    assert set(facts.lost_video) <= set(facts.problems)
    assert facts.lost_audio == ()
    if sound:
        assert facts.audio_start_s == pytest.approx(-first / RATE, abs=0.05)
        assert len(result.samples) / 16_000 == pytest.approx(FRAMES / RATE, abs=0.1)


@pytest.mark.parametrize("without_time", [20, 45, 70])
def test_a_lost_start_is_said_whatever_a_later_timestamp_says(tmp_path: Path, without_time: int) -> None:
    clip = with_a_first_picture_of_noise(tmp_path / "clip", "libx264", "matroska", {"bf": "0"}, 5, sound=False, without_time=without_time)
    facts = decoded(clip).facts
    assert facts.repaired_stamps > 0
    assert any("of pictures, at the start" in lost for lost in facts.lost_video)


@pytest.mark.parametrize(("codec", "container", "options", "head"), KINDS, ids=[f"{kind[0]}-{kind[1]}-{kind[3]}" for kind in KINDS])
def test_a_whole_video_lost_nothing_at_its_start(tmp_path: Path, codec: str, container: str, options: dict[str, str], head: int) -> None:
    del head
    facts = decoded(with_a_first_picture_of_noise(tmp_path / "clip", codec, container, options, None, sound=True)).facts
    assert facts.frames_decoded == FRAMES
    assert facts.problems == ()


STATED = [
    ("libx264", "mp4", {"preset": "ultrafast", "bf": "0"}),
    ("libx265", "mp4", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    ("libvpx", "webm", {"deadline": "realtime", "cpu-used": "8"}),
    ("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "8"}),
    ("libvpx-vp9", "mp4", {"deadline": "realtime", "cpu-used": "8"}),
    ("libsvtav1", "mp4", {"preset": "12"}),
    ("libsvtav1", "matroska", {"preset": "12"}),
]
CUTS = [(0, "zeros", 0), (0, "noise", 1), (5, "noise", 1), (5, "noise", 3), (12, "zeros", 0), (30, "noise", 2)]
"""(first damaged byte, what is there instead, seed); noise 1 from byte 5 on makes a VP9 picture of 4095×16936."""


def damage_first_picture(path: Path, head: int, kind: str, seed: int) -> None:
    """Write over the first picture of a finished file, from its byte `head` on; the container's headers stay right."""
    with av.open(str(path)) as file:
        data = next(bytes(packet) for packet in file.demux(video=0))
    whole = path.read_bytes()
    assert whole.count(data) == 1
    rest = len(data) - head
    damage = bytes(rest) if kind == "zeros" else np.random.default_rng(seed).integers(1, 256, rest, dtype=np.uint8).tobytes()
    path.write_bytes(whole.replace(data, data[:head] + damage))


@pytest.mark.parametrize(("head", "kind", "seed"), CUTS)
@pytest.mark.parametrize(("codec", "container", "options"), STATED, ids=[f"{kind[0]}-{kind[1]}" for kind in STATED])
def test_wherever_the_first_picture_is_damaged_the_others_keep_their_times(
    tmp_path: Path, codec: str, container: str, options: dict[str, str], head: int, kind: str, seed: int
) -> None:
    path = with_a_first_picture_of_noise(tmp_path / "clip", codec, container, options, None, sound=False)
    damage_first_picture(path, head, kind, seed)
    result = decoded(path)
    facts = result.facts
    good = [frame for frame in result.frames if frame.time_s > KEY_EVERY / RATE]
    [first] = {number_in(frame.jpeg) - round(frame.time_s * RATE) for frame in good}
    assert 0 <= first <= KEY_EVERY
    assert facts.duration_s == pytest.approx((FRAMES - first) / RATE, abs=1.01 / RATE)
    assert (facts.width_px, facts.height_px) == (192, 128)
    assert any("at the start" in lost for lost in facts.lost_video) == (first > 0)
    assert facts.lost_video or facts.frames_decoded == FRAMES, "what is gone was not told"


def test_damage_in_a_packet_of_two_vp9_pictures_costs_none_after_the_next_key_frame(tmp_path: Path) -> None:
    path, at = tmp_path / "clip", 10
    with av.open(str(path), "w", format="webm") as output:
        for number, packet in enumerate(numbered_packets(output, "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, KEY_EVERY)):
            if number == at:
                sizes = struct.pack("<BHHB", 0xC9, 20, packet.size, 0xC9)  # VP9, annex B: an index behind two frames
                both = av.Packet(bytes(20) + bytes(packet) + sizes)
                both.pts, both.dts, both.time_base, both.stream = packet.pts, packet.dts, packet.time_base, packet.stream
                packet = both  # noqa: PLW2901 -- in its place
            output.mux(packet)
    result = decoded(path)
    assert result.facts.frames_decoded >= FRAMES - (KEY_EVERY - at)
    assert result.facts.duration_s == pytest.approx(FRAMES / RATE, abs=1.01 / RATE)
    assert {number_in(frame.jpeg) for frame in result.frames if frame.time_s >= KEY_EVERY / RATE} >= set(range(KEY_EVERY, FRAMES - 5, 5))
    assert any(lost.startswith("1 video packet could not be decoded: ") for lost in result.facts.lost_video), result.facts.lost_video


OPEN = "open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3"


@pytest.mark.parametrize(
    ("codec", "container", "options"),
    [
        ("mpeg2video", "mpegts", {"bf": "2"}),
        ("mpeg2video", "mpeg", {"bf": "2"}),
        ("libx264", "mpegts", {"preset": "veryfast", "x264-params": OPEN}),
        ("libx265", "mpegts", {"preset": "ultrafast", "x265-params": f"log-level=none:{OPEN}"}),
    ],
    ids=["mpeg2-ts", "mpeg2-ps", "h264-ts", "hevc-ts"],
)
def test_a_recording_cut_at_a_key_frame_lost_none_of_the_pictures_that_lean_on_the_part_before(
    tmp_path: Path, codec: str, container: str, options: dict[str, str]
) -> None:
    path = tmp_path / "clip"
    with av.open(str(path), "w", format=container) as output:
        packets = numbered_packets(output, codec, options, key_every=12)
        cut_at = [number for number, packet in enumerate(packets) if packet.is_keyframe][1]
        output.mux(packets[cut_at:])
    facts = decoded(path).facts
    assert len(packets) - cut_at - 3 <= facts.frames_decoded <= len(packets) - cut_at
    assert facts.problems == ()

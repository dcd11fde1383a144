"""What a header promises beyond what the file holds by design is no loss: pictures held by empty chunks, sound that an edit list hides."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from decoded import decoded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FPS = 25
HELD: dict[str, list[int]] = {
    "a gap in the middle": [*range(20), *range(60, 100)],
    "every second frame": list(range(0, 100, 2)),
    "the last picture is held": [*range(50), 99],
    "a slide show": [0, 25, 50, 75, 99],
    "here and there": [number for number in range(100) if number % 7],
}
"""Frames of the cadence that have a picture of their own."""


def _avi(path: Path, codec: str, numbers: Sequence[int], *, sound: bool = False) -> Path:
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=FPS)
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "bf": "0"}
        track: Any = output.add_stream("pcm_s16le", rate=16_000, layout="mono") if sound else None
        stream.codec_context.time_base = Fraction(1, FPS)
        for number in numbers:
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 2 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if track is not None:
            samples = (np.sin(np.arange(64_000) / 6) * 3000).astype(np.int16)[None]
            tone = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            tone.sample_rate, tone.pts = 16_000, 0
            output.mux(track.encode(tone))
            output.mux(track.encode(None))
    return path


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4", "libx264"])
@pytest.mark.parametrize("kind", HELD)
def test_a_picture_that_avi_holds_by_empty_chunks_is_no_loss(tmp_path: Path, kind: str, codec: str) -> None:
    facts = decoded(_avi(tmp_path / "held.avi", codec, HELD[kind], sound=kind == "every second frame")).facts
    assert facts.frames_decoded == len(HELD[kind])
    assert facts.duration_s == pytest.approx(4.0, abs=0.13)
    assert (facts.problems, facts.lost_video, facts.lost_audio) == ((), (), ())


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("kind", HELD)
def test_an_avi_file_that_was_cut_says_what_it_has_lost(tmp_path: Path, kind: str, share: float) -> None:
    whole = _avi(tmp_path / "whole.avi", "mjpeg", HELD[kind]).read_bytes()
    cut = tmp_path / "cut.avi"
    end = whole.rindex(b"idx1")
    start = whole.index(b"movi")
    cut.write_bytes(whole[: start + int(share * (end - start))])
    facts = decoded(cut).facts
    assert facts.frames_decoded < len(HELD[kind])
    assert facts.lost_video


@pytest.mark.parametrize("hidden_s", [0.3, 0.64, 1.0, 1.28, 2.0])
def test_sound_that_an_edit_list_of_a_fragmented_file_hides_is_no_loss(tmp_path: Path, hidden_s: float) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+delay_moov"}
    path = tmp_path / "trimmed.mp4"
    with av.open(str(path), "w", options=options) as output:
        video: Any = output.add_stream("libx264", rate=FPS)
        audio: Any = output.add_stream("aac", rate=48_000, layout="mono")
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.options = {"preset": "ultrafast"}
        packets: list[Any] = []
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 2 * number, np.uint8), format="rgb24")
            packets += video.encode(frame)
        packets += video.encode(None)
        samples = (np.sin(np.arange(192_000) / 18) * 0.1).astype(np.float32)[None]
        tone = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        tone.sample_rate, tone.pts = 48_000, 0
        packets += [*audio.encode(tone), *audio.encode(None)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            shift = round(hidden_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            output.mux(packet)
    facts = decoded(path).facts
    assert facts.frames_decoded == 100
    assert (facts.problems, facts.lost_audio) == ((), ())


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_of_a_cut_file_the_sound_that_its_header_states_is_promised_without_the_codecs_padding(tmp_path: Path, share: float) -> None:
    path = tmp_path / "whole.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as output:
        video: Any = output.add_stream("libx264", rate=FPS)
        audio: Any = output.add_stream("aac", rate=44_100, layout="mono")
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        noise = np.random.default_rng(0)
        for _ in range(75):
            output.mux(video.encode(av.VideoFrame.from_ndarray(noise.integers(0, 256, (64, 96, 3), np.uint8), format="rgb24")))
        output.mux(video.encode(None))
        tone = av.AudioFrame.from_ndarray(noise.normal(0, 0.1, (1, 131_330)).astype(np.float32), format="fltp", layout="mono")
        tone.sample_rate, tone.pts = 44_100, 0
        output.mux([*audio.encode(tone), *audio.encode(None)])
    assert decoded(path).facts.lost_audio == ()
    cut = tmp_path / "cut.mp4"
    data = path.read_bytes()
    cut.write_bytes(data[: int(share * len(data))])
    [lost] = (line for line in decoded(cut).facts.lost_audio if "promised" in line)
    assert lost.endswith("of 2.98 promised seconds of audio decoded"), "an edit list hides the encoder's first 1,024 samples"

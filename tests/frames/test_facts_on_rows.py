"""What was decided about a file stands on its row of `videos`: streams, orientation, origin, timestamps, colour, loudness."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.reformatter import ColorTrc

from quadrants import MATRIX_BY_EXIF, ROTATION_BY_EXIF, make_quadrant_clip, matrix, quadrants, set_track_matrix
from rows_of_videos import row_of
from synthetic_clips import grid_times_s, make_clip

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 48_000
FPS = 25
LIBAV_NAMES = {
    ColorTrc.BT709: "bt709",
    ColorTrc.GAMMA22: "bt470m",
    ColorTrc.GAMMA28: "bt470bg",
    ColorTrc.SMPTE170M: "smpte170m",
    ColorTrc.SMPTE240M: "smpte240m",
    ColorTrc.LINEAR: "linear",
    ColorTrc.LOG: "log100",
    ColorTrc.LOG_SQRT: "log316",
    ColorTrc.IEC61966_2_4: "iec61966-2-4",
    ColorTrc.BT1361_ECG: "bt1361e",
    ColorTrc.IEC61966_2_1: "iec61966-2-1",
    ColorTrc.BT2020_10: "bt2020-10",
    ColorTrc.BT2020_12: "bt2020-12",
    ColorTrc.SMPTE2084: "smpte2084",
    ColorTrc.SMPTE428: "smpte428",
    ColorTrc.ARIB_STD_B67: "arib-std-b67",
}
"""As `av_color_transfer_name` and ffprobe name them."""


def coloured_clip(path: Path, transfer: int | None) -> Path:
    """A clip that states its transfer characteristics, or states none."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=5, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        if transfer is not None:
            stream.codec_context.color_trc = transfer
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(quadrants(), format="rgb24")))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("transfer", list(LIBAV_NAMES), ids=list(LIBAV_NAMES.values()))
def test_the_transfer_of_a_clip_is_named_as_libav_names_it(tmp_path: Path, transfer: ColorTrc) -> None:
    assert row_of(coloured_clip(tmp_path / "clip.mp4", int(transfer)))["color_transfer"] == LIBAV_NAMES[transfer]


@pytest.mark.parametrize("unstated", [None, 0, 2, 3], ids=["none", "reserved", "unspecified", "reserved 3"])
def test_a_clip_that_does_not_state_its_transfer_has_none(tmp_path: Path, unstated: int | None) -> None:
    assert row_of(coloured_clip(tmp_path / "clip.mp4", unstated))["color_transfer"] is None


def restamped(path: Path, damage: dict[int, int | None], rng: Random | None = None) -> Path:
    """A Matroska clip of 50 numbered frames; those of `damage` repeat the time of the frame named, or lie hours ahead (None)."""
    source = make_clip(path.with_name("source.mkv"), grid_times_s(FPS, 2.0), container="matroska")
    with av.open(str(source)) as read, av.open(str(path), "w", format="matroska") as write:
        video = read.streams.video[0]
        copy = write.add_stream_from_template(video)
        packets = [packet for packet in read.demux(video) if packet.dts is not None]
        stamps = [packet.pts for packet in packets]
        for number, packet in enumerate(packets):
            if number in damage:
                instead = damage[number]
                assert packet.time_base is not None
                packet.pts = (
                    stamps[instead]
                    if instead is not None
                    else (stamps[number] or 0) + round((rng.uniform(1e3, 1e6) if rng else 3600) / packet.time_base)
                )
            packet.dts = min(packet.pts or 0, stamps[number] or 0)  # muxers refuse decoding times that go back
            packet.stream = copy
            write.mux(packet)
    return path


@pytest.mark.parametrize(
    ("damage", "count"),
    [({}, 0), ({20: 19}, 1), ({20: 19, 30: 29, 40: 39}, 3), ({20: None}, 1), ({10: 9, 25: None}, 2)],
    ids=["none", "one repeated", "three repeated", "one wild", "one of each"],
)
def test_the_number_of_repaired_timestamps_is_on_the_row(tmp_path: Path, damage: dict[int, int | None], count: int) -> None:
    row = row_of(restamped(tmp_path / "clip.mkv", damage))
    assert row["repaired_stamps"] == count
    assert row["duration_s"] == pytest.approx(2.0, abs=1.01 / FPS)
    assert any("without a usable timestamp" in problem for problem in row["media_problems"]) == bool(count)


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 1.0])
def test_a_file_most_of_whose_timestamps_are_wrong_lasts_as_long_as_its_cadence_says_and_says_so(tmp_path: Path, share: float) -> None:
    rng = Random(round(10 * share))
    row = row_of(restamped(tmp_path / "clip.mkv", dict.fromkeys(rng.sample(range(1, 50), round(share * 49))), rng))
    assert row["duration_s"] == pytest.approx(2.0, abs=2.01 / FPS)
    assert row["repaired_stamps"] >= round(share * 49) - 1
    assert any("without a usable timestamp" in problem for problem in row["media_problems"])


@pytest.mark.parametrize(
    ("from_s", "container"), [(0.0, "mp4"), (0.0, "matroska"), (3.0, "matroska"), (3600.0, "matroska"), (3600.0, "mpegts")]
)
def test_the_file_s_own_time_of_the_first_frame_is_on_the_row(tmp_path: Path, from_s: float, container: str) -> None:
    path = tmp_path / "clip"
    row = row_of(make_clip(path, [from_s + time_s for time_s in grid_times_s(FPS, 2.0)], container=container))
    with av.open(str(path)) as read:
        first_s = min(frame.time for frame in read.decode(video=0) if frame.time is not None)
    assert first_s == pytest.approx(from_s, abs=2)  # a transport stream begins with its muxer's delay
    assert row["origin_s"] == pytest.approx(first_s, abs=0.002)
    assert row["duration_s"] == pytest.approx(2.0, abs=1.01 / FPS)


@pytest.mark.parametrize("orientation", MATRIX_BY_EXIF)
def test_the_orientation_is_on_the_row(tmp_path: Path, orientation: int) -> None:
    row = row_of(set_track_matrix(make_quadrant_clip(tmp_path / "clip.mp4"), matrix(*MATRIX_BY_EXIF[orientation])))
    assert (row["rotation_deg"], row["mirrored"]) == ROTATION_BY_EXIF[orientation]
    assert (row["width_px"], row["height_px"]) == ((64, 96) if orientation >= 5 else (96, 64))


def sounding_clip(
    path: Path, layout: str, peaks: list[float | None], default: int | None = None, seconds: float = 3.0, codec: str = "pcm_s16le"
) -> Path:
    """Pictures and tracks of a tone of 997 Hz in all their channels, each at its peak; None is silence."""
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        tracks: list[Any] = []
        for number in range(len(peaks)):
            track: Any = output.add_stream(codec, rate=RATE_HZ, layout=layout)
            track.disposition = Disposition.default if number == default else Disposition(0)
            tracks.append(track)
        for number in range(round(FPS * seconds)):
            output.mux(video.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), number, np.uint8), format="rgb24")))
        output.mux(video.encode(None))
        tone = np.sin(np.arange(round(RATE_HZ * seconds)) * 2 * np.pi * 997 / RATE_HZ)
        for track, peak in zip(tracks, peaks, strict=True):
            packed = np.repeat((peak or 0.0) * tone, track.codec_context.layout.nb_channels)
            frame = av.AudioFrame.from_ndarray((packed * 32767).astype(np.int16)[None], format="s16", layout=layout)
            frame.rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
            output.mux([*track.encode(frame), *track.encode(None)])
    return path


@pytest.mark.parametrize(("layout", "decibels"), list(product(["mono", "stereo"], [-6.0, -20.0, -40.0])))
def test_layout_and_loudness_of_a_clip_are_on_the_row(tmp_path: Path, layout: str, decibels: float) -> None:
    row = row_of(sounding_clip(tmp_path / "clip.mkv", layout, [10 ** (decibels / 20)]))
    assert (row["audio_streams"], row["audio_stream"], row["audio_layout"]) == (1, 0, layout)
    # BS.1770-4: a sine of 997 Hz at full scale in one channel is -3.01 LUFS; in two channels the power doubles
    assert row["loudness_lufs"] == pytest.approx(decibels - (3.01 if layout == "mono" else 0.0), abs=0.15)


@pytest.mark.parametrize(
    ("codec", "layout", "named"),
    [
        *(("flac", layout, layout) for layout in ("5.1", "5.1(side)", "7.1", "quad", "2.1")),
        ("pcm_s16le", "5.1(side)", "5.1"),  # Matroska says of PCM only how many channels there are
        ("pcm_s16le", "quad", "4.0"),
    ],
)
def test_a_layout_of_many_channels_is_on_the_row(tmp_path: Path, codec: str, layout: str, named: str) -> None:
    row = row_of(sounding_clip(tmp_path / "clip.mkv", layout, [0.1], codec=codec))
    assert row["audio_layout"] == named
    assert row["loudness_lufs"] > -30


@pytest.mark.parametrize(("peaks", "seconds"), [([None], 3.0), ([0.5], 0.2)], ids=["silence", "too short"])
def test_a_clip_without_measurable_loudness_has_none(tmp_path: Path, peaks: list[float | None], seconds: float) -> None:
    row = row_of(sounding_clip(tmp_path / "clip.mkv", "stereo", peaks, seconds=seconds))
    assert (row["audio_layout"], row["loudness_lufs"]) == ("stereo", None)


@pytest.mark.parametrize(("count", "default"), [(1, None), (2, 0), (2, 1), (3, 1), (4, 3)])
def test_the_track_that_was_taken_is_on_the_row_with_its_loudness(tmp_path: Path, count: int, default: int | None) -> None:
    decibels = [-10.0 * (number + 1) for number in range(count)]
    row = row_of(sounding_clip(tmp_path / "clip.mkv", "stereo", [10 ** (level / 20) for level in decibels], default))
    assert (row["audio_streams"], row["audio_stream"]) == (count, default or 0)
    assert row["loudness_lufs"] == pytest.approx(decibels[default or 0], abs=0.15)


def test_a_clip_without_sound_names_no_track(tmp_path: Path) -> None:
    row = row_of(make_quadrant_clip(tmp_path / "clip.mp4"))
    assert row["audio_streams"] == 0
    assert [row[name] for name in ("audio_codec", "audio_stream", "audio_layout", "loudness_lufs", "audio_duration_s")] == [None] * 5

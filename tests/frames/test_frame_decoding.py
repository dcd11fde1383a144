"""What a decode pass gets out of clips made here, whose every frame is known."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

from canaries import Canaries
from rumiai_ray.errors import InputError, MediaError
from rumiai_ray.frames.decode import parent as decode_module
from rumiai_ray.frames.decode.container import open_media
from rumiai_ray.frames.decode.parent import DecodedFrame, DecodedSound, DecodedThumbnails, decode
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.types import AUDIO_RATE_HZ, SourceFacts
from synthetic_clips import HEIGHT_PX, WIDTH_PX, grid_times_s, make_clip, number_in, picture, pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Result:
    frames: list[DecodedFrame]
    thumbnails: list[bytes]
    thumbnail_times_s: list[float]
    samples: NDArray[np.int16]
    facts: SourceFacts

    @property
    def numbers(self) -> list[int]:
        return [number_in(frame.jpeg) for frame in self.frames]


def decoded(path: Path, spec: SamplingSpec | None = None, limits: DecodeLimits | None = None) -> Result:
    pieces = list(decode(path, spec or SamplingSpec(), limits or DecodeLimits()))
    facts = pieces[-1]
    assert isinstance(facts, SourceFacts)
    thumbnails = [piece for piece in pieces if isinstance(piece, DecodedThumbnails)]
    return Result(
        frames=[piece for piece in pieces if isinstance(piece, DecodedFrame)],
        thumbnails=[jpeg for piece in thumbnails for jpeg in piece.jpegs],
        thumbnail_times_s=[time_s for piece in thumbnails for time_s in piece.time_s],
        samples=np.frombuffer(b"".join(piece.samples for piece in pieces if isinstance(piece, DecodedSound)), "<i2"),
        facts=facts,
    )


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001)], ids=str)
def test_each_sampled_picture_is_the_source_frame_it_says_it_is(tmp_path: Path, rate: Fraction) -> None:
    times_s = grid_times_s(rate, 4)
    result = decoded(make_clip(tmp_path / "clip.mp4", times_s))
    assert result.numbers == [frame.source_frame for frame in result.frames]
    assert [frame.time_s for frame in result.frames] == pytest.approx([times_s[number] for number in result.numbers], abs=1e-4)
    assert times_s[-1] - result.frames[-1].time_s <= 0.2
    assert max(b.time_s - a.time_s for a, b in pairwise(result.frames)) <= 0.3
    assert result.facts.frames_decoded == len(times_s)
    assert result.facts.fps == pytest.approx(float(rate), rel=1e-2)  # the muxer guesses the last frame's length
    assert result.facts.problems == result.facts.lost_video == result.facts.lost_audio == ()


def test_every_frame_has_a_thumbnail_whether_sampled_or_not(tmp_path: Path) -> None:
    times_s = grid_times_s(25, 4)
    result = decoded(make_clip(tmp_path / "clip.mp4", times_s, size_px=(384, 256)), SamplingSpec(thumbnail_long_side_px=96))
    assert [number_in(jpeg) for jpeg in result.thumbnails] == list(range(100))
    assert result.thumbnail_times_s == pytest.approx(times_s, abs=1e-4)


def test_a_slide_show_keeps_its_slides_and_their_own_times(tmp_path: Path) -> None:
    times_s = [0.0, 0.04, 2.5, 2.54, 7.01]
    result = decoded(make_clip(tmp_path / "clip.mp4", times_s))
    assert [frame.time_s for frame in result.frames] == pytest.approx(times_s, abs=1e-4)
    assert result.numbers == [0, 1, 2, 3, 4]


def test_a_five_minute_video_is_sampled_once_a_second_to_its_end(tmp_path: Path) -> None:
    result = decoded(make_clip(tmp_path / "clip.mp4", grid_times_s(4, 300)))
    assert result.facts.sampling_fps == 1
    assert len(result.frames) == 300
    assert result.frames[-1].time_s == pytest.approx(299)
    assert result.facts.duration_s == pytest.approx(300, abs=0.3)


def test_large_frames_are_stored_smaller_and_small_ones_as_they_are(tmp_path: Path) -> None:
    large = decoded(make_clip(tmp_path / "large.mp4", [0, 0.1], size_px=(400, 240)), SamplingSpec(long_side_px=200))
    assert (large.facts.width_px, large.facts.height_px) == (400, 240)
    assert (large.facts.stored_width_px, large.facts.stored_height_px) == (200, 120)
    assert pixels(large.frames[0].jpeg).shape == (120, 200, 3)
    small = decoded(make_clip(tmp_path / "small.mp4", [0, 0.1]))
    assert (small.facts.stored_width_px, small.facts.stored_height_px) == (WIDTH_PX, HEIGHT_PX)


def test_colours_survive(tmp_path: Path) -> None:
    path = tmp_path / "colours.png"
    colours = np.zeros((64, 96, 3), np.uint8)
    colours[:, :32], colours[:, 32:64], colours[:, 64:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    cv2.imwrite(str(path), colours)
    stored = pixels(decoded(path).frames[0].jpeg)
    assert np.abs(stored[32, [16, 48, 80]].astype(int) - colours[32, [16, 48, 80]]).max() < 12


@pytest.mark.parametrize(("counterclockwise_deg", "clockwise_deg"), [(0, 0), (90, 270), (180, 180), (-90, 90)])
def test_turned_videos_are_stored_upright(tmp_path: Path, counterclockwise_deg: int, clockwise_deg: int) -> None:
    path = tmp_path / "turned.mp4"
    upright = picture(0b000000001011)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=5, options={"crf": "5"})
        stored = np.ascontiguousarray(np.rot90(upright, -counterclockwise_deg // 90))
        stream.height, stream.width = stored.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.set_display_rotation(counterclockwise_deg)
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        output.mux(stream.encode(None))
    result = decoded(path)
    assert result.facts.rotation_deg == clockwise_deg
    assert (result.facts.width_px, result.facts.height_px) == (WIDTH_PX, HEIGHT_PX)
    assert set(result.numbers) == {0b000000001011}


def test_audio_starts_where_it_starts_and_gaps_are_silent(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", grid_times_s(10, 4), sound_from_to_s=[(0.5, 1.5), (2.5, 3.5)], container="matroska")
    result = decoded(path)
    assert result.facts.audio_start_s == pytest.approx(0.5, abs=0.03)
    assert result.facts.audio_duration_s == pytest.approx(3.0, abs=0.03)
    assert len(result.samples) == pytest.approx(3.0 * AUDIO_RATE_HZ, abs=500)

    def loudness(from_s: float, to_s: float) -> float:
        part = result.samples[int((from_s - 0.5) * AUDIO_RATE_HZ) : int((to_s - 0.5) * AUDIO_RATE_HZ)].astype(float)
        return float(np.sqrt(np.mean(part**2)))

    assert loudness(0.55, 1.45) == pytest.approx(0.5 * 32767 / np.sqrt(2), rel=0.05)
    assert loudness(1.55, 2.45) < 5
    assert loudness(2.55, 3.45) == pytest.approx(0.5 * 32767 / np.sqrt(2), rel=0.05)
    assert any("filled with silence" in problem for problem in result.facts.problems)
    assert result.facts.lost_audio == ()


def test_audio_keeps_its_pitch_and_length_through_a_lossy_codec(tmp_path: Path) -> None:
    result = decoded(make_clip(tmp_path / "clip.mp4", grid_times_s(10, 3), sound_from_to_s=[(0, 3)]))
    assert result.facts.audio_codec == "aac"
    assert result.facts.audio_duration_s == pytest.approx(3, abs=0.05)
    spectrum = np.abs(np.fft.rfft(result.samples[: 2 * AUDIO_RATE_HZ]))
    assert int(np.argmax(spectrum)) / 2 == pytest.approx(440, abs=2)


def test_a_video_without_audio_has_none_rather_than_silence(tmp_path: Path) -> None:
    result = decoded(make_clip(tmp_path / "clip.mp4", [0, 0.1]))
    assert result.facts.audio_start_s is None
    assert result.facts.audio_codec is None
    assert len(result.samples) == 0


@pytest.fixture(scope="module")
def two_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "two_frames.mp4", [0.0, 0.5])


HOSTILE_NAMES = [
    "-i.mp4",
    "--help",
    "a'b\"c`d$(id).mp4",
    "two\nlines.mp4",
    "видео 視頻 فيديو.mp4",
    "🎬.mp4",
    "%03d.jpg",
    "concat:a|b",
    "http:__x",
    "name with no ending",
    "liar.m3u8",
    "\udcff\udcfe.mp4",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_file_name_changes_nothing(two_frames: Path, tmp_path: Path, name: str) -> None:
    result = decoded(Path(shutil.copy(two_frames, tmp_path / name)))
    assert result.numbers == [0, 1]


def test_an_error_about_a_hostile_name_is_one_printable_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines \udcff.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(MediaError) as caught:
        decoded(path)
    assert "two\\nlines" in str(caught.value)
    assert str(caught.value).isprintable()


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{clip}\n#EXTINF:4,\n{url}\n#EXT-X-ENDLIST\n",
    "hls with a byte order mark": "\ufeff#EXTM3U\n#EXTINF:4,\n{clip}\n#EXTINF:4,\n{url}\n",
    "hls with a key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{clip}\n#EXT-X-ENDLIST\n',
    "concat": "ffconcat version 1.0\nfile '{clip}'\nfile '{url}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "dash": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static' mediaPresentationDuration='PT4S'><Period>"
    "<AdaptationSet mimeType='video/mp4'><Representation id='1' bandwidth='1'><BaseURL>{clip}</BaseURL></Representation>"
    "<Representation id='2' bandwidth='2'><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "pls": "[playlist]\nFile1={clip}\nFile2={url}\n",
}


@pytest.fixture
def canaries(two_frames: Path) -> Iterator[Canaries]:
    """A clip and a server that a playlist may name; they have been seen to notice."""
    with Canaries(two_frames) as watched:
        assert watched.seen() == []
        yield watched
        two_frames.read_bytes()
        socket.create_connection(("127.0.0.1", watched.port)).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", watched.port))
        assert watched.seen() == ["file", "connection", "datagram"]


def filled(text: str, canaries: Canaries) -> bytes:
    """A playlist that names the canaries."""
    return text.format(clip=canaries.file, url=f"http://127.0.0.1:{canaries.port}/a.mp4", port=canaries.port).encode()


@pytest.mark.parametrize("ending", [".mp4", ".m3u8"])
@pytest.mark.parametrize("text", PLAYLISTS.values(), ids=PLAYLISTS)
def test_a_playlist_is_refused_and_opens_nothing(canaries: Canaries, tmp_path: Path, text: str, ending: str) -> None:
    path = tmp_path / f"list{ending}"
    path.write_bytes(filled(text, canaries))
    with pytest.raises(MediaError, match=rf"list\{ending}.*playlist"):
        decoded(path)
    assert canaries.seen() == []


@pytest.mark.parametrize("text", PLAYLISTS.values(), ids=PLAYLISTS)
def test_a_playlist_is_refused_by_what_is_in_it_and_not_only_by_the_cage(canaries: Canaries, tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.mp4"
    for content in (filled(text, canaries), b"\n\n# comment\n" + filled(text, canaries)):
        path.write_bytes(content)
        with path.open("rb") as file, pytest.raises(MediaError):
            open_media(file.fileno())
        assert canaries.seen() == []


def test_a_playlist_in_disguise_reaches_no_other_file(two_frames: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.mp4"
    path.write_text(f"\n\n# comment\n#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{two_frames}\n#EXT-X-ENDLIST\n", encoding="utf-8")
    with pytest.raises(MediaError, match=r"list\.mp4"):
        decoded(path)


def test_what_is_no_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.mp4.*No such file"):
        decoded(tmp_path / "nowhere.mp4")
    with pytest.raises(InputError, match="not a regular file"):
        decoded(tmp_path)
    pipe = tmp_path / "pipe.mp4"
    subprocess.run(["mkfifo", str(pipe)], check=True)  # noqa: S607 -- coreutils
    with pytest.raises(InputError, match="not a regular file"):
        decoded(pipe)
    with pytest.raises(InputError, match="not a possible file name"):
        decoded(tmp_path / "a\0b")


def test_the_subprocess_loads_no_more_than_it_needs() -> None:
    report = "import sys, rumiai_ray.frames.decode.child; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-P", "-S", "-c", report],
        env=decode_module._environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    foreign = set(done.stdout.split()) - sys.stdlib_module_names - {"__main__", "av", "numpy", "rumiai_ray"}
    assert {name for name in foreign if not name.startswith(("_cython", "cython_runtime"))} == set()


def test_damage_in_the_middle_is_survived_and_told(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", grid_times_s(25, 4), container="matroska", sound_from_to_s=[(0, 4)])
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    result = decoded(path)
    assert 40 <= result.facts.frames_decoded <= 100
    assert result.facts.problems
    assert result.numbers[:8] == [0, 5, 10, 15, 20, 25, 30, 35]


def test_timestamps_that_jump_back_are_put_in_order(tmp_path: Path) -> None:
    parts = [make_clip(tmp_path / f"{number}.ts", grid_times_s(10, 2), container="mpegts").read_bytes() for number in range(2)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    result = decoded(path)
    times_s = result.thumbnail_times_s
    assert len(times_s) >= 35
    assert all(b > a for a, b in pairwise(times_s))
    assert times_s[-1] == pytest.approx(4, abs=0.3)
    assert np.median(np.diff(times_s)) == pytest.approx(0.1, abs=0.01)
    assert any("timestamp" in problem for problem in result.facts.problems)
    assert result.facts.lost_video == ()


def test_damaged_sound_is_no_loss_of_pictures(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", grid_times_s(10, 2), sound_from_to_s=[(0, 2)])
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        sound = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.pos is not None and packet.size]
    for start, size in sound[len(sound) // 2 :]:
        data[start : start + size] = b"\xff" * size
    path.write_bytes(data)
    facts = decoded(path).facts
    assert facts.frames_decoded == 20
    assert facts.lost_video == ()
    assert facts.lost_audio
    assert set(facts.lost_audio) <= set(facts.problems)


def test_half_a_file_without_sound_lost_pictures_and_no_sound(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", grid_times_s(25, 4), container="matroska")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    facts = decoded(path).facts
    assert facts.lost_video
    assert facts.lost_audio == ()


def test_half_a_file_whose_streams_promise_nothing_lost_both(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", grid_times_s(25, 4), container="matroska", sound_from_to_s=[(0, 4)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    facts = decoded(path).facts
    assert facts.lost_video
    assert facts.lost_audio

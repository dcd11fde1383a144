"""Files with sound and no video stream: all of the sound is stored, and there are no frames."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from decoded import decoded
from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode import parent as decode_module
from rumiai_ray.frames.export import export
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.frames.types import AUDIO_RATE_HZ
from sound_files import FORMATS, LEVEL, TONE_HZ, make_sound

if TYPE_CHECKING:
    from pathlib import Path

LENGTH_S = 2.0
CODECS = {"libmp3lame": "mp3", "libopus": "opus"}
"""Codecs by the encoders that are not named like them."""
OF_PICTURES = ("video_codec", "width_px", "height_px", "rotation_deg", "mirrored", "fps", "cadence_fps", "sampling_fps", "video_stream")


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "store", spec=SamplingSpec(), limits=DecodeLimits())


@pytest.mark.parametrize("name", FORMATS)
def test_all_of_the_sound_is_there_and_no_frame(tmp_path: Path, name: str) -> None:
    got = decoded(make_sound(tmp_path / name, LENGTH_S))
    facts = got.facts
    assert (got.frames, got.thumbnail_times_s) == ([], [])
    assert (facts.video_streams, facts.frames_decoded, facts.frames_sampled) == (0, 0, 0)
    assert [getattr(facts, field) for field in OF_PICTURES] == [None] * len(OF_PICTURES)
    assert facts.audio_codec == CODECS.get(FORMATS[name][1], FORMATS[name][1])
    assert (facts.audio_streams, facts.audio_stream, facts.audio_layout, facts.audio_start_s) == (1, 0, "mono", 0.0)
    assert facts.duration_s == facts.audio_duration_s == len(got.samples) / AUDIO_RATE_HZ
    assert facts.duration_s == pytest.approx(LENGTH_S, abs=0.1)
    assert facts.problems == ()
    assert got.rms(0.2, 1.8) == pytest.approx(LEVEL / np.sqrt(2), rel=0.05)
    spectrum = np.abs(np.fft.rfft(got.samples[: AUDIO_RATE_HZ // 2 * 2]))
    assert np.argmax(spectrum) * AUDIO_RATE_HZ / (AUDIO_RATE_HZ // 2 * 2) == pytest.approx(TONE_HZ, abs=2)


def test_cover_art_is_no_video_stream(tmp_path: Path) -> None:
    song = make_sound(tmp_path / "song.mp3", LENGTH_S, cover=True)
    with av.open(str(song)) as container:
        assert len(container.streams.video) == 1
    got = decoded(song)
    assert got.facts.video_streams == 0
    assert got.frames == []
    assert got.facts.duration_s == pytest.approx(LENGTH_S, abs=0.1)


def test_the_store_keeps_it_and_gives_it_back(store: FrameStore, tmp_path: Path) -> None:
    song = make_sound(tmp_path / "song.mp3", LENGTH_S)
    with store.ensure(song, sha256_of(song)) as first:
        assert first.origin == "miss"
    with store.ensure(song, sha256_of(song)) as video:
        assert video.hit
        assert list(video.batches()) == []
        assert (len(video.times_s), len(video.shown_until_s)) == (0, 0)
        assert [len(part) for part in video.thumbnails()] == [0, 0]
        audio = video.audio()
        assert audio is not None
        assert (audio.start_s, len(audio.samples)) == (0.0, round(video.facts.duration_s * AUDIO_RATE_HZ))
        written = export(video, tmp_path / "out")
    assert [path.name for path in written] == ["audio.wav", "facts.json"]
    assert json.loads((tmp_path / "out" / "facts.json").read_text())["width_px"] is None
    assert [(entry.facts.frames_sampled, entry.facts.video_codec) for entry in store.entries()] == [(0, None)]
    assert [problem for _, problem in store.verify()] == [None]


@pytest.mark.parametrize("name", ["song.mp3", "take.flac"])
def test_a_file_that_was_cut_says_how_much_is_missing(tmp_path: Path, name: str) -> None:
    song = make_sound(tmp_path / name, 6 * LENGTH_S)
    data = song.read_bytes()
    song.write_bytes(data[: len(data) // 2])
    facts = decoded(song).facts
    assert facts.duration_s == pytest.approx(3 * LENGTH_S, rel=0.2)
    assert any("of 12.0" in lost and "promised seconds of audio decoded" in lost for lost in facts.lost_audio), facts.lost_audio
    assert facts.problems == facts.lost_audio


VBR = {"flags": "+qscale", "global_quality": "118"}
GUESSED: dict[str, tuple[str, str, int, str, dict[str, str]]] = {
    "mono.mp3": ("mp3", "libmp3lame", 48_000, "mono", VBR),
    "stereo.mp3": ("mp3", "libmp3lame", 44_100, "stereo", VBR),
    "slow.mp3": ("mp3", "libmp3lame", 22_050, "mono", VBR),
    "average.mp3": ("mp3", "libmp3lame", 48_000, "mono", {"abr": "1", "b": "128000"}),
    "mono.aac": ("adts", "aac", 48_000, "mono", {}),
    "stereo.aac": ("adts", "aac", 44_100, "stereo", {"flags": "+qscale", "global_quality": "236"}),
}
"""(muxer, encoder, samples a second, channels, the encoder's options): bits by need, and no header that says how long the file is."""
SAMPLES_OF = {"libmp3lame": 1152, "aac": 1024, "libopencore_amrnb": 160}
"""Of one frame."""


def silence_then_noise(path: Path, muxer: str, encoder: str, rate_hz: int, layout: str, options: dict[str, str]) -> float:
    """Write a hundred frames, the first half of which are silent and take few bits. Returns their length in seconds."""
    random, samples = np.random.default_rng(0), SAMPLES_OF[encoder]
    with av.open(str(path), "w", format=muxer, options={"write_xing": "0"} if muxer == "mp3" else {}) as output:
        sound = output.add_stream(encoder, rate=rate_hz, layout=layout, options=options)
        assert isinstance(sound, av.AudioStream)
        for number in range(100):
            packed = random.normal(0, 0.2, samples * sound.codec_context.layout.nb_channels) * 32767 * (number > 50)
            frame = av.AudioFrame.from_ndarray(packed.clip(-32768, 32767).astype(np.int16)[None], format="s16", layout=layout)
            frame.rate, frame.pts = rate_hz, number * samples
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return 100 * samples / rate_hz


def guessed_s(path: Path) -> float:
    """How long libav says that a file is."""
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / av.time_base


@pytest.mark.parametrize("name", GUESSED)
def test_a_length_that_libav_guessed_from_a_bit_rate_is_not_held_against_the_file(tmp_path: Path, name: str) -> None:
    """From its first frames, the file looks much longer than it is."""
    song = tmp_path / name
    length_s = silence_then_noise(song, *GUESSED[name])
    facts = decoded(song).facts
    assert guessed_s(song) > facts.duration_s + 1.5, "the file does not deceive libav, so this test shows nothing"
    assert facts.duration_s == pytest.approx(length_s, abs=0.1)
    assert facts.problems == ()


def test_neither_is_one_that_was_guessed_of_a_memo_whose_bit_rate_rises(tmp_path: Path) -> None:
    """AMR may change its bit rate from frame to frame, as phones do where the network allows more."""
    parts = []
    for bits in ("4750", "12200"):
        part = tmp_path / f"{bits}.amr"
        length_s = silence_then_noise(part, "amr", "libopencore_amrnb", 8_000, "mono", {"b": bits})
        parts.append(part.read_bytes())
    memo = tmp_path / "memo.amr"
    memo.write_bytes(parts[0] + parts[1].removeprefix(b"#!AMR\n"))
    facts = decoded(memo).facts
    assert guessed_s(memo) > facts.duration_s + 1.5, "the file does not deceive libav, so this test shows nothing"
    assert facts.duration_s == pytest.approx(2 * length_s, abs=0.1)
    assert facts.problems == ()


def test_sound_that_is_too_long_is_refused_by_its_setting(tmp_path: Path) -> None:
    song = make_sound(tmp_path / "song.mp3", 3.0)
    with pytest.raises(MediaError, match=r"the length, 3\.\d s, is above 2 s.*--limits-max-duration-s"):
        decoded(song, limits=DecodeLimits(max_duration_s=2.0))


def test_sound_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    memo = make_sound(tmp_path / "take.flac", LENGTH_S)
    data = bytearray(memo.read_bytes())
    data[8192:] = bytes(len(data) - 8192)
    memo.write_bytes(data[:9000])
    with pytest.raises(MediaError, match="not one sample can be decoded"):
        decoded(memo)


def test_a_file_with_neither_pictures_nor_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "subtitles.mkv"
    with av.open(str(path), "w", format="matroska") as output, av.open(str(_subtitles(tmp_path))) as source:
        (text,) = source.streams.subtitles
        copy = output.add_stream_from_template(text)
        for packet in source.demux(text):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    with pytest.raises(MediaError, match=r"no video stream and no audio stream \(matroska,webm: subtitle\)"):
        decoded(path)


def _subtitles(folder: Path) -> Path:
    path = folder / "words.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    return path


@pytest.mark.parametrize(("changed", "what"), [({"width_px": 96}, "in part"), ({"frames_sampled": 3}, "3 frames|frames of a file")])
def test_facts_that_contradict_each_other_are_none(tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    facts = decoded(make_sound(tmp_path / "song.mp3", LENGTH_S)).facts
    with pytest.raises(ValueError, match=what):
        replace(facts, **changed)


def test_a_decoder_that_counts_frames_of_a_file_without_pictures_talks_nonsense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys\nfrom rumiai_ray.frames.decode import child\n"
        "facts = child.asdict\n"
        "child.asdict = lambda given: {**facts(given), 'frames_sampled': 7}\n"
        "child.main(sys.argv[1])"
    )
    song = make_sound(tmp_path / "song.mp3", LENGTH_S)
    monkeypatch.setattr(decode_module, "_DECODER", ("-c", program))
    with pytest.raises(MediaError, match="sent an invalid message"):
        decoded(song)

"""Posts whose pictures and sound are two files: both are fetched, and one file holds them afterwards."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from decoded import decoded
from rumiai_ray.errors import MediaError, RumiaiError, TransientError
from rumiai_ray.ingest.outcomes import NoVideoError
from rumiai_ray.ingest.sites import joining
from rumiai_ray.ingest.sites import process as _site_process
from sound_files import make_sound
from synthetic_clips import grid_times_s, make_clip

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rumiai_ray.ingest.fetch import FetchedVideo, FetchLimits
    from tests.ingest.conftest import Site

    Got = Callable[..., AbstractContextManager[FetchedVideo]]

LENGTH_S = 2.0


@pytest.fixture
def pictures(tmp_path: Path) -> bytes:
    """A silent clip of ten pictures a second."""
    return make_clip(tmp_path / "pictures.mp4", grid_times_s(10, LENGTH_S)).read_bytes()


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    """A tone."""
    return make_sound(tmp_path / "sound.m4a", LENGTH_S).read_bytes()


@pytest.fixture(autouse=True)
def fake_site(monkeypatch: pytest.MonkeyPatch, site: Site, pictures: bytes, sound: bytes) -> None:
    monkeypatch.setattr(_site_process, "WORKER", "fake_site")
    site.serve("/media/sound.m4a", body=sound)
    site.serve("/media/separate.mp4", body=pictures)
    site.serve("/media/page-for-sound.mp4", body=pictures)
    site.serve("/media/page.m4a", body=b"<!DOCTYPE html>")


def test_both_are_fetched_and_one_file_has_them(site: Site, got: Got, pictures: bytes, sound: bytes) -> None:
    with got(site.url("/post/separate")) as video:
        assert [path.name for path in video.path.parent.iterdir()] == ["video"]
        assert video.video_key == hashlib.sha256(video.path.read_bytes()).hexdigest()
        assert video.size_bytes == pytest.approx(len(pictures) + len(sound), rel=0.2)
        whole = decoded(video.path)
    assert site.requests == ["/media/separate.mp4", "/media/sound.m4a"]
    assert (whole.facts.video_codec, whole.facts.audio_codec, whole.facts.frames_decoded) == ("h264", "aac", 20)
    assert whole.facts.problems == ()
    assert [frame.time_s for frame in whole.frames] == pytest.approx([number / 5 for number in range(10)], abs=0.001)
    assert whole.facts.audio_start_s == pytest.approx(0.0, abs=0.05)
    assert whole.rms(0.2, 1.8) == pytest.approx(0.35, abs=0.03)


def test_the_same_two_files_are_the_same_video(site: Site, got: Got) -> None:
    keys = []
    for _ in range(2):
        with got(site.url("/post/separate")) as video:
            keys.append(video.video_key)
    assert keys[0] == keys[1]


def test_pictures_that_mp4_has_no_place_for_are_joined_in_matroska(site: Site, got: Got, tmp_path: Path) -> None:
    path = tmp_path / "pictures.webm"
    with av.open(str(path), "w", format="webm") as output:
        stream = output.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    site.serve("/media/separate.mp4", body=path.read_bytes())
    site.serve("/media/sound.m4a", body=make_sound(tmp_path / "sound.webm", 1.0).read_bytes())
    with got(site.url("/post/separate")) as video:
        facts = decoded(video.path).facts
    assert (facts.container, facts.video_codec, facts.audio_codec) == ("matroska,webm", "vp8", "opus")
    assert (facts.frames_decoded, facts.problems) == (10, ())


@pytest.mark.parametrize(
    ("kind", "resolution_px", "asked"),
    [
        ("sizes", 1080, "/media/sizes-1080.mp4"),
        ("sizes", 720, "/media/sizes-360.mp4"),
        ("sizes", 2160, "/media/sizes-2160.mp4"),
        ("tall-and-whole", 1080, "/media/tall-and-whole-1080.mp4"),
        ("huge-only", 1080, "/media/huge-only-2160.mp4"),
    ],
)
def test_the_largest_pictures_up_to_the_setting_are_taken(
    site: Site, got: Got, limits: FetchLimits, pictures: bytes, kind: str, resolution_px: int, asked: str
) -> None:
    site.serve(asked, body=pictures)
    with got(site.url(f"/post/{kind}"), dataclasses.replace(limits, resolution_px=resolution_px)):
        pass
    assert site.requests == [asked, "/media/sound.m4a"]


def test_a_whole_file_of_the_right_size_needs_no_second_one(site: Site, got: Got, limits: FetchLimits, pictures: bytes) -> None:
    site.serve("/media/tall-and-whole-360.mp4", body=pictures)
    with got(site.url("/post/tall-and-whole"), dataclasses.replace(limits, resolution_px=480)) as video:
        assert video.path.read_bytes() == pictures
    assert site.requests == ["/media/tall-and-whole-360.mp4"]


def test_the_size_limit_is_over_both_together(site: Site, got: Got, limits: FetchLimits, pictures: bytes, sound: bytes) -> None:
    limit = dataclasses.replace(limits, max_bytes=len(pictures) + len(sound) - 1)
    assert max(len(pictures), len(sound)) < limit.max_bytes
    with pytest.raises(MediaError, match="larger than"), got(site.url("/post/separate"), limit):
        pass


def test_a_page_in_the_place_of_the_sound_is_no_video(site: Site, got: Got) -> None:
    with pytest.raises(NoVideoError, match="an HTML page"), got(site.url("/post/page-for-sound")):
        pass


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/media/sound.m4a", "the file of the sound is not a media file"),
        ("/media/separate.mp4", "the file of the pictures is not a media file"),
    ],
)
def test_a_part_that_is_no_media_costs_the_post_by_name(site: Site, got: Got, path: str, what: str) -> None:
    site.serve(path, body=b"\x01nothing of the kind" * 500)
    with pytest.raises(MediaError, match=what), got(site.url("/post/separate")):
        pass


def test_a_part_without_its_stream_costs_the_post_by_name(site: Site, got: Got, pictures: bytes) -> None:
    site.serve("/media/sound.m4a", body=pictures)
    with pytest.raises(MediaError, match="the file of the sound has no audio stream"), got(site.url("/post/separate")):
        pass


def test_sound_that_breaks_off_costs_the_post_and_is_not_passed_for_whole(site: Site, got: Got, tmp_path: Path) -> None:
    long = make_sound(tmp_path / "long.m4a", 10.0, options={"movflags": "faststart"}).read_bytes()
    site.serve("/media/sound.m4a", body=long[: len(long) // 2])
    with pytest.raises(MediaError, match=r"the file of the sound breaks off after \d\.\d of 10\.0 s"), got(site.url("/post/separate")):
        pass


def test_an_mp3_that_states_its_length_and_breaks_off_is_noticed_too(site: Site, got: Got, tmp_path: Path) -> None:
    long = make_sound(tmp_path / "long.mp3", 20.0).read_bytes()
    site.serve("/media/sound.m4a", body=long[: len(long) // 2])
    with pytest.raises(MediaError, match=r"the file of the sound breaks off after \d+\.\d of 20\.\d s"), got(site.url("/post/separate")):
        pass


def test_sound_in_a_container_that_states_no_length_is_whole_however_quietly_it_begins(site: Site, got: Got, tmp_path: Path) -> None:
    """libav guesses the length of raw AAC from its first frames: 20 s that begin with 10 s of silence were 296 s, and "broke off"."""
    path = tmp_path / "quiet.aac"
    with av.open(str(path), "w", format="adts") as output:
        stream = output.add_stream("aac", rate=44100, layout="mono", options={"b": "128k"})
        assert isinstance(stream, av.AudioStream)
        noise = np.random.default_rng(1)
        for start in range(0, 20 * 44100, 1024):
            samples = noise.normal(0, 0.3, (1, 1024)) if start >= 10 * 44100 else np.zeros((1, 1024))
            frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout="mono")
            frame.rate, frame.pts = 44100, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    site.serve("/media/sound.m4a", body=path.read_bytes())
    with got(site.url("/post/separate")) as video, av.open(str(video.path)) as joined:
        assert [stream.type for stream in joined.streams] == ["video", "audio"]


PROGRAMS: dict[str, tuple[str, type[RumiaiError], str]] = {
    "talks": ("import sys\nwhile True:\n    sys.stdout.write('x' * 4096)", MediaError, "sent too many messages"),
    "lies": ("print('{\"kind\": 7}')", MediaError, "separate files"),
    "dies": ("import os; os.kill(os.getpid(), 9)", TransientError, "killed with SIGKILL"),
    "stays": ("import os, time; os.close(1); time.sleep(3600)", MediaError, "did not end"),
    "crashes": ("import os; os.kill(os.getpid(), 11)", MediaError, "ended early with status -11"),
}


@pytest.mark.parametrize("how", PROGRAMS)
def test_a_joiner_that_was_taken_over_or_dies_costs_the_post(
    site: Site, got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    program, error, what = PROGRAMS[how]
    (tmp_path / "bad_joiner.py").write_text(program)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(joining, "_WORKER", "bad_joiner")
    monkeypatch.setattr(joining, "_END_S", 1.0)
    with pytest.raises(error, match=what), got(site.url("/post/separate"), dataclasses.replace(limits, attempts=1)):
        pass


def test_a_joiner_that_hangs_ends_with_the_total_time(
    site: Site, got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bad_joiner.py").write_text("import time; time.sleep(3600)")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(joining, "_WORKER", "bad_joiner")
    short = dataclasses.replace(limits, attempts=1, total_s=20)
    with pytest.raises(TransientError, match=r"the time is up|not done after"), got(site.url("/post/separate"), short):
        pass


def test_the_joiner_is_confined_before_it_reads_a_byte(site: Site, got: Got, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "spying_joiner.py").write_text(
        "import socket\nfrom rumiai_ray.ingest.sites import join_worker\n"
        "def reach_out(*_):\n    try:\n        socket.socket()\n"
        "    except PermissionError:\n        raise ValueError('confined') from None\n"
        "join_worker.join = reach_out\njoin_worker.main()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(joining, "_WORKER", "spying_joiner")
    with pytest.raises(MediaError, match="ValueError: confined"), got(site.url("/post/separate")):
        pass

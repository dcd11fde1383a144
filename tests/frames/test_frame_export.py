from __future__ import annotations

import json
import wave
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.errors import StorageError
from rumiai_ray.frames.export import export
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.frames.store.store import FrameStore
from synthetic_clips import grid_times_s, make_clip, number_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "store", spec=SamplingSpec(), limits=DecodeLimits())


def test_an_entry_becomes_pictures_sound_and_facts(store: FrameStore, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", grid_times_s(10, 2), sound_from_to_s=[(0, 2)])
    with store.ensure(clip, sha256_of(clip)) as video:
        written = export(video, tmp_path / "out" / "deep")
        expected = [number for batch in video.batches() for number in batch.source_frame]
        audio = video.audio()
    assert sorted(written) == sorted((tmp_path / "out" / "deep").iterdir())
    assert [number_in(path.read_bytes()) for path in sorted((tmp_path / "out" / "deep").glob("*.jpg"))] == expected
    with wave.open(str(tmp_path / "out" / "deep" / "audio.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert audio is not None
        assert file.readframes(10**9) == audio.samples.tobytes()
    assert json.loads((tmp_path / "out" / "deep" / "facts.json").read_text())["frames_decoded"] == 20


def test_a_silent_entry_has_no_sound_file(store: FrameStore, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", [0.0, 0.5])
    with store.ensure(clip, sha256_of(clip)) as video:
        written = export(video, tmp_path / "out")
    assert [path.name for path in written] == ["frame_00000_00000.000s.jpg", "frame_00001_00000.500s.jpg", "facts.json"]


def test_a_place_that_cannot_be_written_is_told(store: FrameStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    clip = make_clip(tmp_path / "clip.mp4", [0.0])
    with store.ensure(clip, sha256_of(clip)) as video, pytest.raises(StorageError, match="exporting failed"):
        export(video, tmp_path / "file" / "out")


@pytest.mark.parametrize("name", ["frame_00000_00000.000s.jpg", "audio.wav", "facts.json"])
def test_nothing_is_written_over_or_through_a_link(store: FrameStore, tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4", grid_times_s(10, 1), sound_from_to_s=[(0, 1)])
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "out" / name).symlink_to(tmp_path / "precious")
    with store.ensure(clip, sha256_of(clip)) as video, pytest.raises(StorageError, match="exporting failed"):
        export(video, tmp_path / "out")
    assert (tmp_path / "precious").read_bytes() == b"mine"

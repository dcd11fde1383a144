"""The last picture is on the screen until the sound ends, as in players; padding of the sound changes nothing, losses are not held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoded import decoded
from rumiai_ray.errors import MediaError
from rumiai_ray.frames.limits import DecodeLimits
from synthetic_clips import make_clip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rumiai_ray.frames.types import SourceFacts

FPS = 25


def facts_of(path: Path, pictures_s: Sequence[float], sound: Sequence[tuple[float, float]], container: str = "mov") -> SourceFacts:
    return decoded(make_clip(path, pictures_s, sound_from_to_s=sound, container=container)).facts


def at_25_fps(length_s: float, from_s: float = 0.0) -> list[float]:
    return [from_s + number / FPS for number in range(round(length_s * FPS))]


@pytest.mark.parametrize(
    ("pictures_s", "sound_s", "container", "ends_s"),
    [
        ([0.0], (0, 6), "mp4", 6),
        ([0.0], (0, 6), "matroska", 6),
        (at_25_fps(2), (0, 6), "mp4", 6),
        (at_25_fps(2), (0, 6), "mov", 6),
        (at_25_fps(2), (0, 6), "matroska", 6),
        (at_25_fps(2), (4, 6), "matroska", 6),
        (at_25_fps(2, from_s=3), (0, 9), "mov", 6),
        ([0.0, 2.0, 4.0], (0, 8), "mov", 8),
    ],
)
def test_the_last_picture_is_shown_until_the_sound_ends(
    tmp_path: Path, pictures_s: Sequence[float], sound_s: tuple[float, float], container: str, ends_s: float
) -> None:
    result = decoded(make_clip(tmp_path / "clip", pictures_s, sound_from_to_s=[sound_s], container=container))
    assert result.facts.duration_s == pytest.approx(ends_s, abs=0.06)
    assert result.frames[-1].shown_until_s == result.facts.duration_s
    assert (result.facts.lost_video, result.facts.problems) == ((), ())


@pytest.mark.parametrize("sound_s", [(0, 1), (0, 1.9), (0, 2.0), (0, 2.1), (0, 2.2)])
def test_sound_that_ends_with_the_pictures_or_before_changes_nothing(tmp_path: Path, sound_s: tuple[float, float]) -> None:
    assert facts_of(tmp_path / "clip.mov", at_25_fps(2), [sound_s]).duration_s == pytest.approx(2, abs=0.001)


@pytest.mark.parametrize("begins_s", [13.0, 5_000.0, 100_000.0, 2**31 / 1000])
def test_sound_that_begins_long_after_the_pictures_makes_no_video_longer(tmp_path: Path, begins_s: float) -> None:
    facts = facts_of(tmp_path / "clip.mkv", at_25_fps(2), [(begins_s, begins_s + 1)], "matroska")
    assert facts.duration_s == pytest.approx(2, abs=0.001)


def test_a_picture_is_not_held_beyond_the_length_that_is_allowed(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", [0.0], sound_from_to_s=[(3, 8)], container="matroska")
    with pytest.raises(MediaError, match=r"the length, 8\.0 s, is above 7 s"):
        decoded(path, limits=DecodeLimits(max_duration_s=7))
    assert decoded(path, limits=DecodeLimits(max_duration_s=9)).facts.duration_s == pytest.approx(8, abs=0.01)


def test_the_rate_of_pictures_is_that_of_the_time_in_which_they_change(tmp_path: Path) -> None:
    assert facts_of(tmp_path / "clip.mov", at_25_fps(2), [(0, 6)]).fps == pytest.approx(FPS, abs=0.01)


def test_pictures_that_are_lost_are_not_replaced_by_the_last_one(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mov", at_25_fps(6), sound_from_to_s=[(0, 6)], container="mov")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        gone = [(packet.pos or 0, packet.size) for packet in file.demux(video=0) if float((packet.pts or 0) * (packet.time_base or 0)) >= 2]
    assert len(gone) > FPS
    for position, size in gone:
        data[position : position + size] = np.random.default_rng(0).bytes(size)
    path.write_bytes(data)
    facts = decoded(path).facts
    assert facts.lost_video
    assert facts.duration_s < 5.9 or facts.frames_decoded == 6 * FPS, "held, though nobody knows what was shown"


@settings(max_examples=12, deadline=None)
@given(pictures=st.integers(1, 60), sound_ms=st.integers(100, 5000), late_ms=st.integers(0, 800))
def test_a_video_is_never_shorter_than_its_pictures_and_hardly_ever_than_its_sound(
    tmp_path_factory: pytest.TempPathFactory, pictures: int, sound_ms: int, late_ms: int
) -> None:
    pictures_s = [late_ms / 1000 + number / FPS for number in range(pictures)]
    folder = tmp_path_factory.mktemp("clip")
    facts = facts_of(folder / "clip.mkv", pictures_s, [(0, sound_ms / 1000)], "matroska")
    own_s, sound_end_s = pictures / FPS, (sound_ms - late_ms) / 1000
    assert facts.duration_s >= own_s - 0.002
    assert facts.duration_s >= sound_end_s - 0.252
    assert facts.duration_s == pytest.approx(own_s, abs=0.002) or facts.duration_s == pytest.approx(sound_end_s, abs=0.03)

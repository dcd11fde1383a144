"""Files that begin late, begin with sound alone, are trimmed by an edit list, or were joined: they are whole, and as long as shown."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from decoded import decoded
from shifted_clips import FPS, KINDS, Part, trim_by_edit_list, write_clip
from synthetic_clips import make_clip, number_in

if TYPE_CHECKING:
    from pathlib import Path

    from decoded import Decoded

FRAME_S = 1 / FPS


def check(result: Decoded, duration_s: float, sound_from_s: float, sound_s: float, first: int = 0) -> None:
    """Each picture is shown at its time, the sound begins and ends with its own, and nothing is lost, so no analysis is degraded."""
    facts = result.facts
    assert facts.duration_s == pytest.approx(duration_s, abs=1.01 * FRAME_S)
    assert [number_in(frame.jpeg) - first for frame in result.frames] == [round(frame.time_s * FPS) for frame in result.frames]
    assert facts.audio_start_s == pytest.approx(sound_from_s, abs=0.06)
    assert facts.audio_duration_s == pytest.approx(sound_s, abs=0.12)
    assert (facts.lost_video, facts.lost_audio) == ((), ())


@pytest.mark.parametrize(("kind", "start_s"), [*product(KINDS, [3600.0]), ("ts", 90_000.0), ("mkv", 86_400.0), ("mp4", 7.5)])
def test_a_live_dump_begins_when_its_first_picture_is_shown(tmp_path: Path, kind: str, start_s: float) -> None:
    result = decoded(write_clip(tmp_path / "clip", KINDS[kind], Part(start_s, 3.0, start_s, 3.0)))
    check(result, 3.0, 0.0, 3.0)
    assert result.facts.origin_s == pytest.approx(start_s, abs=2)  # a transport stream begins with its muxer's delay
    assert result.facts.problems == ()


@pytest.mark.parametrize(("kind", "late_s"), [*product(KINDS, [0.6, 3.0]), ("ts", 8.0), ("mkv", 30.0)])
def test_late_pictures_are_whole_and_the_sound_before_them_has_negative_times(tmp_path: Path, kind: str, late_s: float) -> None:
    result = decoded(write_clip(tmp_path / "clip", KINDS[kind], Part(late_s, 3.0, 0.0, 3.0 + late_s)))
    check(result, 3.0, -late_s, 3.0 + late_s)
    assert result.facts.problems == ()


@pytest.mark.parametrize(("kind", "late_s"), [("mp4", 1.0), ("mkv", 1.0), ("ts", 1.0), ("flv", 1.0), ("webm", 1.0)])
def test_late_sound_is_whole_and_begins_with_its_own_time(tmp_path: Path, kind: str, late_s: float) -> None:
    result = decoded(write_clip(tmp_path / "clip", KINDS[kind], Part(0.0, 3.0, late_s, 3.0 - late_s)))
    check(result, 3.0, late_s, 3.0 - late_s)
    assert result.facts.problems == ()


@pytest.mark.parametrize("kind", ["mp4", "mov"])
@pytest.mark.parametrize(("from_s", "seconds"), [(0.0, 3.0), (0.0, 2.0), (0.0, 0.4), (0.08, 2.0), (0.4, 2.0), (1.0, 1.0), (1.48, 0.2)])
def test_what_an_edit_list_trims_is_not_shown_and_not_lost(tmp_path: Path, kind: str, from_s: float, seconds: float) -> None:
    path = write_clip(tmp_path / "clip", KINDS[kind], Part(0.0, 4.0, 0.0, 4.0))
    result = decoded(trim_by_edit_list(path, from_s, seconds))
    check(result, seconds, 0.0, seconds, first=round(from_s * FPS))
    assert result.facts.frames_decoded == round(seconds * FPS)
    assert result.facts.problems == ()


GAPS_S = [10.5, 101.0, 3980.0]
PADDING_S = 0.06
"""A recording lasts until its sound ends, which fills its last frame of 1,024 or 1,152 samples."""


def check_joined(result: Decoded, gaps: list[float]) -> None:
    """Two seconds and two more, with the gaps closed and named."""
    facts, extra_s = result.facts, PADDING_S * (len(gaps) + 1)
    assert facts.duration_s == pytest.approx(2.0 * (len(gaps) + 1), abs=extra_s)
    assert facts.audio_duration_s == pytest.approx(2.0 * (len(gaps) + 1), abs=extra_s)
    for frame in result.frames:
        assert number_in(frame.jpeg) * FRAME_S == pytest.approx(frame.time_s, abs=extra_s)
    assert (facts.lost_video, facts.lost_audio) == ((), ())
    told = [problem for problem in facts.problems if "timestamps jump ahead by" in problem]
    assert len(told) == len(gaps)
    for gap_s, words in zip(gaps, told, strict=True):
        stated_s = float(words.partition("by ")[2].partition(" s")[0])
        assert stated_s == pytest.approx(gap_s, abs=0.15)
        assert words.endswith("the gap was closed")


@pytest.mark.parametrize(("kind", "gap_s"), list(product(["ts", "flv", "ps"], GAPS_S)))
def test_recordings_written_one_after_the_other_are_one_video_and_the_gap_is_named(tmp_path: Path, kind: str, gap_s: float) -> None:
    result = decoded(joined(tmp_path, kind, [20.0, 22.0 + gap_s]))
    check_joined(result, [gap_s])


@pytest.mark.parametrize("kind", ["ts", "flv", "ps"])
def test_every_gap_of_three_recordings_is_closed(tmp_path: Path, kind: str) -> None:
    check_joined(decoded(joined(tmp_path, kind, [20.0, 122.0, 524.0])), [100.0, 400.0])


def joined(folder: Path, kind: str, starts_s: list[float]) -> Path:
    """Recordings of two seconds, one file's bytes after another's."""
    path = folder / "joined"
    with path.open("wb") as output:
        for number, start_s in enumerate(starts_s):
            part = write_clip(folder / f"{number}", KINDS[kind], Part(start_s, 2.0, start_s, 2.0, first_number=2 * FPS * number))
            output.write(part.read_bytes()[13 if kind == "flv" and number else 0 :])  # an FLV file has one header
    return path


@pytest.mark.parametrize("container", ["matroska", "mp4", "mov", "nut"])
def test_a_recorded_screen_that_stands_still_for_minutes_is_as_long_as_it_was_recorded(tmp_path: Path, container: str) -> None:
    times_s = [0, 40, 80, *(120 + number / 25 for number in range(50)), 180]
    facts = decoded(make_clip(tmp_path / "screen", times_s, container=container)).facts
    assert facts.duration_s == pytest.approx(180, abs=0.1)
    assert (facts.repaired_stamps, facts.problems) == (0, ())

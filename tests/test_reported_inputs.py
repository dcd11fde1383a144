"""Inputs made after public bug reports: none is without a test of its right answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rows_of_videos import row_of
from rumiai_ray.ingest.entries import read_manifest

FACTS: dict[str, dict[str, Any]] = {
    "hold_text_6s.mp4": {"width_px": 480, "height_px": 640, "duration_s": 9.0, "frames_decoded": 61},
    "mirrored_hflip_matrix.mp4": {"rotation_deg": 0, "mirrored": True},
    "grid_4x3_tiles.heic": {"width_px": 2048, "height_px": 1536, "frames_decoded": 1},
    "trim_tail_elst.mp4": {"duration_s": 2.0, "frames_decoded": 50, "media_problems": []},
    "phase_inverted_tone.mp4": {"audio_layout": "stereo", "media_problems": []},
    "two_tracks_second_default.mkv": {"audio_streams": 2, "audio_stream": 1},
    "video_starts_3s_late.mkv": {"origin_s": 3.0, "duration_s": 3.0, "audio_duration_s": 6.0, "media_problems": []},
    "ts_jump_to_4000s.ts": {"duration_s": 6.0},
    "ts_jump_100s.ts": {"duration_s": 6.0},
    "transparent_text.png": {"frames_decoded": 1, "media_problems": []},
    "animated_3_frames.webp": {"frames_decoded": 3, "duration_s": 1.5, "media_problems": []},
}
"""What the row of `videos` says of each media file, by the right answer in `MANIFEST.tsv`."""
AUDIBLE_LUFS = {"phase_inverted_tone.mp4", "two_tracks_second_default.mkv"}


def _named(reported: Path) -> set[str]:
    lines = (reported / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {line.partition("\t")[0] for line in lines if line.strip()}


@pytest.mark.parametrize("name", FACTS)
def test_the_row_of_a_reported_file_gives_the_right_answer(tmp_path: Path, reported: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((reported / name).read_bytes())
    row = row_of(path)
    for column, answer in FACTS[name].items():
        assert row[column] == (pytest.approx(answer, abs=0.1) if isinstance(answer, float) else answer), column
    if name in AUDIBLE_LUFS:
        assert row["loudness_lufs"] > -30


def test_every_reported_manifest_has_its_entries_and_every_other_file_is_a_video(reported: Path) -> None:
    manifests = {name for name in _named(reported) if name.endswith((".csv", ".parquet"))}
    assert _named(reported) - manifests == set(FACTS)
    entries = {name: list(read_manifest(str(reported / name))) for name in manifests}
    spaced = entries.pop("spaces_around_cells.csv")
    assert [entry.input.startswith("https://") for entry in spaced] == [True, False]
    assert {name: len(found) for name, found in entries.items()} == dict.fromkeys(entries, 1)
    assert {entry.problem for found in (spaced, *entries.values()) for entry in found} == {None}


def test_every_reported_input_is_named_by_a_test(reported: Path) -> None:
    names = _named(reported)
    tests = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    assert names
    assert {name for name in names if f'{name}"' not in tests} == set()

"""A file without a video stream: what is said and heard is measured, and nothing is measured of pictures that were never there."""

from __future__ import annotations

import pytest

from rumiai_ray.frames.sampling import grid_fps
from rumiai_ray.insights.video import AnalysedVideo, Ending
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_video import derived, said, sound

SKIPPED = ("mediapipe", "yolo", "ocr", "emotion", "shots")
FROM_SOUND = {
    *("speech_coverage", "word_count", "spoken_call_to_action_count", "words_per_minute"),
    *("energy_level", "energy_variance", "energy_max", "silence_share", "pitch_scatter_ratio"),
}
"""Figures of `windows` that need no picture."""
ALWAYS = {"window_index", "name", "start_s", "end_s", "not_measured"}


def podcast(length_s: float = 10.0) -> AnalysedVideo:
    endings = {name: Ending("skipped") for name in SKIPPED} | {"whisper": Ending("ok"), "sound": Ending("ok")}
    tables = {**said(1.0, 3.0, "buy it now"), "audio_energy": sound(0.0, length_s, 0.5, pitch_hz=220.0)}
    return AnalysedVideo(length_s, None, None, (), (), 1 / grid_fps(length_s), endings, tables)


def test_windows_measure_speech_and_sound_and_leave_the_rest_null() -> None:
    rows = derived(podcast())["windows"]
    assert [row["name"] for row in rows] == ["hook", "middle_1", "middle_2", "middle_3", "closing", "video"]
    nullable = {field.name for field in TABLES_BY_NAME["windows"].columns} - ALWAYS
    for row in rows:
        assert {name for name in nullable if row[name] is not None} <= FROM_SOUND
        assert row["not_measured"] == [f"{name}: skipped" for name in ("mediapipe", "yolo", "ocr", "emotion", "shots")]
    whole = rows[-1]
    assert (whole["word_count"], whole["words_per_minute"], whole["speech_coverage"]) == (3, 18.0, pytest.approx(0.2))
    assert whole["energy_level"] == pytest.approx(0.5)


def test_every_second_has_its_words_and_no_pictures() -> None:
    rows = derived(podcast())["timeline"]
    assert len(rows) == 10
    assert [row["speech"] for row in rows] == ["", "buy it", "now", *[""] * 7]
    for name in ("people", "objects", "texts", "shot_index", "cuts", "dominant_emotion"):
        assert [row[name] for row in rows] == [None] * 10
    assert all(row["energy_level"] == pytest.approx(0.5) for row in rows)


def test_nothing_has_a_track_a_text_or_a_framing() -> None:
    tables = derived(podcast())
    assert (tables["tracks"], tables["text_spans"]) == ([], [])
    (framing,) = tables["person_framing"]
    assert {value for name, value in framing.items() if name != "not_measured"} == {None}
    assert {value for row in tables["person_framing_seconds"] for name, value in row.items() if name not in {"second", "end_s"}} == {None}


def test_a_box_of_a_file_without_pictures_is_an_error_and_no_share() -> None:
    with pytest.raises(ValueError, match="without a video stream"):
        podcast().area_share({"x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0})

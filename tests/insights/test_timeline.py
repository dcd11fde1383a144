"""The timeline: one row a second, everything side by side."""

from __future__ import annotations

import pytest

from synthetic_video import derived, emotion, face, gesture, said, shots, sound, text, thing, video


def test_a_second_shows_what_is_in_it() -> None:
    made = video(
        2.5,
        faces=[face(frame) for frame in range(5)],
        objects=[thing(0), thing(0, "dog", 1), thing(5, "dog")],
        texts=[row for frame in range(5) for row in (text(frame, "BELOW", y1=60.0), text(frame, "ABOVE", y1=10.0, index=1))],
        emotions=[emotion(0), emotion(1), emotion(2, "neutral")],
        gestures=[gesture(1), gesture(2)],
        audio_energy=sound(0.0, 1.0, 0.1, pitch_hz=200.0) + sound(1.0, 2.5, 0.0, silent=True),
        shots=shots(0.8, 2.5),
        **said(0.0, 1.5, "one two three"),
    )
    first, second, third = derived(made)["timeline"]
    assert (first["second"], first["end_s"], third["second"], third["end_s"]) == (0, 1.0, 2, 2.5)
    assert (first["shot_index"], first["cuts"], second["shot_index"], second["cuts"]) == (0, 1, 1, 0)
    assert (first["people"], first["face_visibility_rate"], first["shot_type"]) == (1, 1.0, "wide")
    assert (first["objects"], first["object_count"], second["objects"], third["objects"]) == (["dog", "person"], 2, ["dog"], [])
    assert (first["gestures"], second["gestures"]) == (["Victory"], [])
    assert (first["texts"], third["texts"]) == (["ABOVE", "BELOW"], [])
    assert (first["dominant_emotion"], first["happiness"], second["dominant_emotion"]) == ("happiness", pytest.approx(2 / 3), None)
    assert (first["speech"], second["speech"], third["speech"]) == ("one two", "three", "")
    assert (first["word_count"], second["speech_coverage"], third["speech_coverage"]) == (2, 0.5, 0.0)
    assert (first["energy_level"], first["loudness_dbfs"], first["pitch_hz"]) == (pytest.approx(0.1), pytest.approx(-20.0), 200.0)
    assert (second["energy_level"], second["loudness_dbfs"], second["silence_share"], second["pitch_hz"]) == (0.0, -90.0, 1.0, None)


def test_where_nobody_looked_the_second_is_null_and_not_empty() -> None:
    frames = tuple(range(5))
    made = video(
        2.0, seen=dict.fromkeys(("mediapipe", "yolo"), frames), without={"ocr": "failed", "whisper": "skipped", "sound": "skipped"}
    )
    first, second = derived(made)["timeline"]
    assert (first["objects"], first["gestures"], first["object_count"]) == ([], [], 0)
    assert {second[name] for name in ("objects", "gestures", "object_count", "people", "shot_type", "face_visibility_rate")} == {None}
    assert {first[name] for name in ("texts", "text_coverage", "speech", "word_count", "speech_coverage", "energy_level")} == {None}


def test_the_sound_of_a_second_is_only_its_own() -> None:
    made = video(2.0, audio_energy=sound(0.0, 1.0, 0.2) + sound(1.0, 2.0, 0.4))
    assert [row["energy_level"] for row in derived(made)["timeline"]] == pytest.approx([0.2, 0.4])
    outside = video(2.0, audio_energy=sound(1.0, 3.0, 0.2))
    assert [row["energy_level"] for row in derived(outside)["timeline"]] == [None, pytest.approx(0.2)]

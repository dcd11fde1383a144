"""Windows: half open, each thing counted once, null where nothing was measured. Every figure by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.insights.windows import layout
from synthetic_video import THRESHOLDS, derived, emotion, face, gaze, gesture, said, shots, sound, text, thing, video


def _windows(made: Any) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in derived(made)["windows"]}


@pytest.mark.parametrize(
    ("duration_s", "windows"),
    [
        (2.0, [("hook", 0, 2)]),
        (3.0, [("hook", 0, 3)]),
        (5.0, [("hook", 0, 3), ("closing", 3, 5)]),
        (6.0, [("hook", 0, 3), ("closing", 3, 6)]),
        (6.3, [("hook", 0, 3), ("closing", 3, 6.3)]),
        (7.0, [("hook", 0, 3), ("middle_1", 3, 3.5), ("middle_2", 3.5, 4), ("closing", 4, 7)]),
        (12.0, [("hook", 0, 3), ("middle_1", 3, 5), ("middle_2", 5, 7), ("middle_3", 7, 9), ("closing", 9, 12)]),
        (26.0, [("hook", 0, 3), *((f"middle_{at + 1}", 3 + 5 * at, 8 + 5 * at) for at in range(4)), ("closing", 23, 26)]),
        (56.0, [("hook", 0, 3), *((f"middle_{at + 1}", 3 + 10 * at, 13 + 10 * at) for at in range(5)), ("closing", 53, 56)]),
    ],
)
def test_hook_middle_and_closing_lie_where_they_should(duration_s: float, windows: list[tuple[str, float, float]]) -> None:
    *parts, whole = layout(duration_s, THRESHOLDS)
    assert [name for name, _, _ in parts] == [name for name, _, _ in windows]
    assert [edge for _, *edges in parts for edge in edges] == pytest.approx([edge for _, *edges in windows for edge in edges])
    assert whole == ("video", 0.0, duration_s)


@given(st.floats(0.01, 2000))
def test_the_windows_share_the_video_out_without_gap_or_overlap(duration_s: float) -> None:
    *parts, _ = layout(duration_s, THRESHOLDS)
    assert (parts[0][1], parts[-1][2]) == (0.0, duration_s)
    assert all(before[2] == after[1] for before, after in pairwise(parts))
    assert all(start_s < end_s for _, start_s, end_s in parts)


def test_what_happens_on_a_border_is_in_the_later_window_only() -> None:
    made = video(6.0, shots=shots(3.0, 6.0), **said(3.0, 4.0, "two words"))
    windows = _windows(made)
    assert (windows["hook"]["word_count"], windows["closing"]["word_count"], windows["video"]["word_count"]) == (0, 2, 2)
    assert (windows["hook"]["cuts_per_minute"], windows["closing"]["cuts_per_minute"]) == (0.0, 20.0)
    assert (windows["hook"]["shot_count"], windows["closing"]["shot_count"], windows["video"]["shot_count"]) == (1, 1, 2)


def test_lengths_of_shots_are_those_inside_the_window() -> None:
    hook = _windows(video(9.0, shots=shots(1.0, 4.0, 9.0)))["hook"]
    assert (hook["shot_count"], hook["shortest_shot_s"], hook["longest_shot_s"], hook["shot_duration_variance_s2"]) == (2, 1.0, 2.0, 0.25)
    whole = _windows(video(9.0, shots=shots(1.0, 4.0, 9.0)))["video"]
    assert (whole["shortest_shot_s"], whole["longest_shot_s"]) == (1.0, 5.0)
    assert whole["shot_duration_variance_s2"] == pytest.approx(8 / 3)
    assert whole["cuts_per_minute"] == pytest.approx(2 / 9 * 60)
    assert _windows(video(2.0))["hook"]["shot_duration_variance_s2"] == 0.0


def test_a_track_counts_once_in_a_window_however_often_it_is_seen() -> None:
    boxes = [thing(frame) for frame in range(30)] + [thing(frame, "dog", 1, x1=2.0, side=20.0) for frame in range(10)]
    windows = _windows(video(6.0, objects=boxes))
    assert (windows["hook"]["person_count"], windows["hook"]["object_count"]) == (1, 1)
    assert (windows["closing"]["person_count"], windows["closing"]["object_count"]) == (1, 0)
    assert (windows["video"]["person_count"], windows["video"]["object_count"]) == (1, 1)


def test_what_is_seen_once_counts_though_it_has_no_track() -> None:
    still = _windows(video(0.04, objects=[thing(0), thing(0, index=1, x1=0.0), thing(0, "dog", 2)]))["hook"]
    assert (still["person_count"], still["object_count"]) == (2, 1)
    glimpse = _windows(video(3.0, objects=[*(thing(frame) for frame in range(15)), thing(7, "dog", 1), thing(7, "car", 2)]))["hook"]
    assert (glimpse["person_count"], glimpse["object_count"]) == (1, 2)


def test_a_gesture_that_is_held_is_one_and_one_missed_frame_does_not_end_it() -> None:
    held = [gesture(frame) for frame in (1, 2, 4, 5)]
    again = [gesture(frame) for frame in (8, 9)]
    other = [gesture(frame, hand="right") for frame in (4, 5)]
    assert _windows(video(2.0, gestures=[*again, *other, *held]))["hook"]["gesture_count"] == 3
    assert _windows(video(2.0))["hook"]["gesture_count"] == 0


def test_speech_is_covered_by_its_stretches_and_overlap_counts_once() -> None:
    first, second = said(0.0, 1.0, "a b"), said(0.5, 2.0, "c d e", first=2)
    made = video(6.0, speech_segments=first["speech_segments"] + second["speech_segments"], words=first["words"] + second["words"])
    windows = _windows(made)
    assert windows["hook"]["speech_coverage"] == pytest.approx(2 / 3)
    assert (windows["hook"]["word_count"], windows["hook"]["words_per_minute"]) == (5, 100.0)
    assert (windows["closing"]["speech_coverage"], windows["closing"]["word_count"]) == (0.0, 0)


def test_talking_to_the_camera_takes_speech_and_a_look() -> None:
    looks = [gaze(frame, contact=frame < 10) for frame in range(15)]
    made = video(3.0, faces=[face(frame) for frame in range(15)], gaze=looks, **said(1.0, 3.0, "hello there"))
    hook = _windows(made)["hook"]
    assert hook["talk_to_camera_share"] == pytest.approx(5 / 15)
    assert hook["eye_contact_rate"] == pytest.approx(10 / 15)


def test_a_voice_without_a_face_talks_to_no_camera() -> None:
    hook = _windows(video(3.0, **said(0.0, 3.0, "hello there")))["hook"]
    assert (hook["talk_to_camera_share"], hook["speech_coverage"], hook["face_visibility_rate"]) == (0.0, 1.0, 0.0)


def test_texts_are_told_apart_by_their_words_and_captions_from_overlays() -> None:
    frames = tuple(range(0, 30, 5))
    texts = [row for frame in frames for row in (text(frame, "We bake bread", y1=80.0), text(frame, "FOLLOW", y1=5.0, index=1))]
    made = video(6.0, seen={"ocr": frames}, texts=texts, **said(0.0, 6.0, "we bake bread"))
    hook = _windows(made)["hook"]
    assert (hook["overlay_unique_count"], hook["has_captions"], hook["call_to_action_count"]) == (1, True, 1)
    assert hook["text_coverage"] == 1.0
    assert _windows(made)["video"]["text_coverage"] == 1.0


def test_expression_is_counted_in_frames_of_the_largest_face() -> None:
    shown = [emotion(0), emotion(1), emotion(2, "sadness"), emotion(3, "neutral"), emotion(0, "anger", index=1)]
    hook = _windows(video(3.0, emotions=shown))["hook"]
    assert (hook["dominant_emotion"], hook["emotional_valence"], hook["emotion_consistency"]) == (
        "happiness",
        pytest.approx(0.25),
        pytest.approx(0.5),
    )
    assert (hook["happiness_share"], hook["sadness_share"], hook["neutral_share"], hook["anger_share"]) == pytest.approx(
        (0.5, 0.25, 0.25, 0.0)
    )


def test_energy_is_that_of_the_window_s_own_sound() -> None:
    made = video(6.0, audio_energy=sound(0.0, 3.0, 0.1, pitch_hz=100.0) + sound(3.0, 6.0, 0.5, silent=True))
    windows = _windows(made)
    assert [windows["hook"][name] for name in ("energy_level", "energy_variance", "energy_max", "silence_share")] == pytest.approx(
        [0.1, 0, 0.1, 0]
    )
    whole = windows["video"]
    assert whole["energy_level"] == pytest.approx((0.13) ** 0.5)
    assert (whole["energy_variance"], whole["silence_share"]) == (pytest.approx(0.04), pytest.approx(0.5))
    assert (windows["hook"]["pitch_scatter_ratio"], windows["closing"]["pitch_scatter_ratio"]) == (0.0, None)


def test_a_stretch_of_sound_over_an_edge_belongs_to_the_window_that_holds_its_middle() -> None:
    quiet, bang = sound(-0.02, 2.98, 0.1), sound(2.98, 3.03, 0.9) + sound(3.03, 9.0, 0.2, silent=True)
    windows = _windows(video(9.0, audio_energy=quiet + bang))
    assert [windows["hook"][name] for name in ("energy_level", "energy_max", "silence_share")] == pytest.approx([0.1, 0.1, 0.0])
    assert [windows[name]["energy_max"] for name in ("middle_1", "middle_2", "video")] == [0.9, 0.2, 0.9]


def test_a_second_too_short_to_hold_the_middle_of_a_stretch_sounds_as_the_stretch_around_it() -> None:
    seconds = derived(video(2.01, audio_energy=sound(0.0, 1.95, 0.1) + sound(1.95, 2.0, 0.3) + sound(2.0, 2.05, 0.5)))["timeline"]
    assert [row["energy_level"] for row in seconds[1:]] == pytest.approx([((0.1**2 * 19 + 0.3**2) / 20) ** 0.5, 0.5])
    assert derived(video(2.01, audio_energy=sound(0.0, 2.0, 0.1)))["timeline"][2]["energy_level"] is None


def test_pitch_scatter_is_deviation_over_mean() -> None:
    made = video(2.0, audio_energy=sound(0.0, 1.0, 0.1, pitch_hz=100.0) + sound(1.0, 2.0, 0.1, pitch_hz=300.0))
    assert _windows(made)["hook"]["pitch_scatter_ratio"] == pytest.approx(0.5)


def test_gaze_varies_in_both_directions() -> None:
    made = video(
        1.0, faces=[face(frame) for frame in range(4)], gaze=[gaze(frame, yaw) for frame, yaw in enumerate([0.0, 10.0, 0.0, 10.0])]
    )
    assert _windows(made)["hook"]["gaze_variance"] == pytest.approx(25.0)
    assert _windows(video(1.0, faces=[face(0)], gaze=[gaze(0)]))["hook"]["gaze_variance"] is None


NEEDS = {
    "mediapipe": (
        "average_face_size",
        "face_visibility_rate",
        "eye_contact_rate",
        "gaze_variance",
        "gesture_count",
        "talk_to_camera_share",
    ),
    "yolo": ("person_count", "object_count"),
    "ocr": ("overlay_unique_count", "has_captions", "text_coverage", "call_to_action_count"),
    "whisper": ("speech_coverage", "word_count", "words_per_minute", "talk_to_camera_share", "overlay_unique_count", "has_captions"),
    "emotion": ("dominant_emotion", "emotional_valence", "emotion_consistency", "happiness_share"),
    "shots": ("shot_count", "shortest_shot_s", "longest_shot_s", "shot_duration_variance_s2", "cuts_per_minute"),
    "sound": ("energy_level", "energy_variance", "energy_max", "silence_share", "pitch_scatter_ratio"),
}


@pytest.mark.parametrize("model", NEEDS)
@pytest.mark.parametrize("status", ["failed", "skipped", "not asked"])
def test_what_a_model_did_not_measure_is_null_and_the_rest_is_not(model: str, status: str) -> None:
    full: dict[str, Any] = {
        "faces": [face(frame) for frame in range(10)], "gaze": [gaze(frame, frame) for frame in range(10)],
        "objects": [thing(frame) for frame in range(10)], "texts": [text(frame, "SALE") for frame in range(10)],
        "emotions": [emotion(frame) for frame in range(10)], "audio_energy": sound(0.0, 2.0, 0.1, pitch_hz=100.0), **said(0.0, 2.0, "yes"),
    }  # fmt: skip
    tables_of = {
        "mediapipe": ("faces", "gaze"), "yolo": ("objects",), "ocr": ("texts",), "emotion": ("emotions",), "sound": ("audio_energy",),
        "whisper": ("speech_segments", "words"), "shots": ("shots",),
    }  # fmt: skip
    for name in tables_of[model]:
        full[name] = []
    hook = _windows(video(2.0, without={model: status}, **full))["hook"]
    nulls = {name for name, value in hook.items() if value is None}
    assert nulls >= set(NEEDS[model])
    assert {name for names in NEEDS.values() for name in names if name not in NEEDS[model]} & nulls == set()
    assert hook["not_measured"] == [f"{model}: {status}"]


def test_a_model_that_found_nothing_has_measured_zeros() -> None:
    hook = _windows(video(2.0, without=dict.fromkeys(("mediapipe", "yolo", "ocr", "whisper", "emotion"), "empty")))["hook"]
    zeros = (
        "face_visibility_rate", "gesture_count", "person_count", "object_count", "overlay_unique_count", "text_coverage",
        "call_to_action_count", "speech_coverage", "word_count", "words_per_minute", "talk_to_camera_share", "cuts_per_minute",
    )  # fmt: skip
    assert {name: hook[name] for name in zeros} == dict.fromkeys(zeros, 0)
    assert hook["has_captions"] is False
    nothing = ("average_face_size", "eye_contact_rate", "gaze_variance", "dominant_emotion", "emotional_valence", "happiness_share")
    assert {hook[name] for name in nothing} == {None}

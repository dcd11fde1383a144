"""Person framing: every figure by hand, and nothing measured where nobody looked."""

from __future__ import annotations

from typing import Any

import pytest

from synthetic_video import derived, face, gaze, shots, thing, video

MEASURED_ON_FACES = (
    "face_frames", "face_visibility_rate", "gaze_frames", "eye_contact_rate", "average_face_size", "gaze_steadiness",
    "close_share", "medium_share", "wide_share", "none_share", "dominant_shot_type", "framing_progression", "framing_changes",
)  # fmt: skip


def _framing(made: Any, **changes: Any) -> dict[str, Any]:
    (row,) = derived(made, **changes)["person_framing"]
    return row


def test_a_face_in_fifteen_of_twenty_frames_is_visible_three_quarters_of_the_time() -> None:
    row = _framing(video(faces=[face(frame) for frame in range(15)]))
    assert (row["face_frames"], row["face_visibility_rate"]) == (20, 0.75)
    assert row["average_face_size"] == pytest.approx(0.04)
    assert (row["subject_count"], row["dominant_shot_type"]) == (1, "wide")
    assert (row["wide_share"], row["none_share"], row["close_share"], row["medium_share"]) == (0.75, 0.25, 0, 0)


def test_an_empty_stage_is_measured_and_a_face_s_figures_are_not() -> None:
    row = _framing(video(without={"mediapipe": "empty", "yolo": "empty"}))
    measured = ("subject_count", "face_visibility_rate", "person_visibility_rate", "gaze_frames", "framing_changes")
    assert [row[name] for name in measured] == [0, 0.0, 0.0, 0, 0]
    assert (row["none_share"], row["dominant_shot_type"], row["longest_absence_s"]) == (1.0, "none", 4.0)
    assert [row[name] for name in ("eye_contact_rate", "average_face_size", "gaze_steadiness")] == [None, None, None]
    assert row["not_measured"] == []


@pytest.mark.parametrize("status", ["failed", "skipped", "not asked"])
def test_without_mediapipe_nothing_of_faces_is_measured_and_persons_still_are(status: str) -> None:
    row = _framing(video(without={"mediapipe": status}, objects=[thing(frame) for frame in range(20)]))
    assert {row[name] for name in MEASURED_ON_FACES if name != "framing_progression"} == {None}
    assert row["framing_progression"] is None
    assert (row["subject_count"], row["person_visibility_rate"], row["longest_absence_s"]) == (1, 1.0, 0.0)
    assert row["not_measured"] == [f"mediapipe: {status}"]


def test_without_anybody_who_looks_nothing_is_measured() -> None:
    row = _framing(video(without={"mediapipe": "failed", "yolo": "not asked"}))
    assert {row[name] for name in ("subject_count", "person_visibility_rate", "longest_absence_s", "person_frames")} == {None}


def test_a_degraded_model_is_measured_over_the_frames_it_answered_for() -> None:
    made = video(without={"mediapipe": "degraded"}, seen={"mediapipe": tuple(range(8))}, faces=[face(frame) for frame in range(4)])
    row = _framing(made)
    assert (row["face_frames"], row["face_visibility_rate"]) == (8, pytest.approx(0.5))


def test_the_largest_face_counts_whatever_its_number() -> None:
    faces = [row for frame in range(20) for row in (face(frame, 10.0, 0, x1=5), face(frame, 30.0, 1))]
    looks = [row for frame in range(20) for row in (gaze(frame, contact=False), gaze(frame, index=1))]
    row = _framing(video(faces=faces, gaze=looks))
    assert row["average_face_size"] == pytest.approx(0.09)
    assert (row["eye_contact_rate"], row["dominant_shot_type"], row["subject_count"]) == (1.0, "medium", 2)


def test_a_box_that_leaves_the_picture_is_no_larger_than_the_picture() -> None:
    row = _framing(video(faces=[face(frame, 500.0, x1=-200.0, y1=-200.0) for frame in range(20)]))
    assert (row["average_face_size"], row["close_share"]) == (1.0, 1.0)


def test_eye_contact_is_a_share_of_the_looks_and_shut_eyes_are_no_look() -> None:
    looks = [gaze(0), gaze(1), gaze(2, contact=False), gaze(3, None)]
    row = _framing(video(faces=[face(frame) for frame in range(20)], gaze=looks))
    assert row["gaze_frames"] == 3
    assert row["eye_contact_rate"] == pytest.approx(2 / 3)


def test_gaze_is_steady_where_it_turns_little_from_frame_to_frame() -> None:
    faces = [face(frame) for frame in range(5)]
    row = _framing(video(1.0, faces=faces, gaze=[gaze(frame, yaw) for frame, yaw in enumerate([0.0, 4.0, 8.0, 20.0, 21.0])]))
    assert row["gaze_steadiness"] == pytest.approx(0.75)


def test_a_cut_is_no_turn_of_the_head() -> None:
    faces = [face(frame) for frame in range(10)]
    looks = [gaze(frame, 0.0 if frame < 5 else 40.0) for frame in range(10)]
    assert _framing(video(2.0, faces=faces, gaze=looks, shots=shots(1.0, 2.0)))["gaze_steadiness"] == 1.0
    assert _framing(video(2.0, faces=faces, gaze=looks))["gaze_steadiness"] == pytest.approx(8 / 9)


def test_one_wrong_double_is_no_second_subject() -> None:
    faces = [face(frame) for frame in range(20)]
    assert _framing(video(faces=[*faces, face(3, index=1, x1=0.0)]))["subject_count"] == 1
    doubled = [face(frame, index=1, x1=0.0) for frame in range(4)]
    assert _framing(video(faces=[*faces, *doubled]))["subject_count"] == 2


def test_faces_and_persons_of_the_same_people_are_not_added_up() -> None:
    row = _framing(video(faces=[face(frame) for frame in range(20)], objects=[thing(frame) for frame in range(20)]))
    assert row["subject_count"] == 1


def test_a_dog_is_no_subject() -> None:
    row = _framing(video(objects=[thing(frame, "dog") for frame in range(20)]))
    assert (row["subject_count"], row["person_visibility_rate"]) == (0, 0.0)


def test_progression_and_changes_follow_the_seconds() -> None:
    sides = [60.0] * 5 + [30.0] * 10 + [60.0] * 5
    row = _framing(video(faces=[face(frame, side) for frame, side in enumerate(sides)]))
    assert row["framing_progression"] == [
        {"shot_type": "close", "start_s": 0.0, "end_s": 1.0},
        {"shot_type": "medium", "start_s": 1.0, "end_s": 3.0},
        {"shot_type": "close", "start_s": 3.0, "end_s": 4.0},
    ]
    assert row["framing_changes"] == 2


def test_a_second_nobody_looked_at_is_in_no_run_and_no_change() -> None:
    frames = (*range(5), *range(10, 20))
    made = video(seen={"mediapipe": frames, "yolo": frames}, faces=[face(frame) for frame in frames])
    rows = derived(made)
    assert rows["person_framing_seconds"][1]["shot_type"] is None
    assert rows["person_framing_seconds"][1]["face_visibility_rate"] is None
    assert [(run["start_s"], run["end_s"]) for run in rows["person_framing"][0]["framing_progression"]] == [(0.0, 1.0), (2.0, 4.0)]
    assert rows["person_framing"][0]["framing_changes"] == 0


def test_the_longest_absence_lasts_until_somebody_is_shown() -> None:
    there = [face(frame) for frame in range(20) if not 5 <= frame < 10]
    assert _framing(video(faces=there))["longest_absence_s"] == pytest.approx(1.0)
    assert _framing(video(faces=[face(19)]))["longest_absence_s"] == pytest.approx(3.8)
    assert _framing(video(faces=[face(frame) for frame in range(20)]))["longest_absence_s"] == 0.0


def test_seconds_are_half_open_and_the_last_may_be_short() -> None:
    rows = derived(video(1.4, faces=[face(5)]))["person_framing_seconds"]
    assert [(row["second"], row["end_s"], row["face_frames"]) for row in rows] == [(0, 1.0, 5), (1, 1.4, 2)]
    assert [row["face_visibility_rate"] for row in rows] == [0.0, 0.5]


def test_a_still_has_one_second() -> None:
    rows = derived(video(0.04, faces=[face(0)]))
    assert [(row["second"], row["end_s"]) for row in rows["person_framing_seconds"]] == [(0, 0.04)]
    assert rows["person_framing"][0]["face_visibility_rate"] == 1.0

"""What counts: two frames, a held frame, the only frame of a shot, or confidence and size; and what a window rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rumiai_ray.insights.windows import layout
from synthetic_video import FPS, THRESHOLDS, derived, emotion, face, gaze, gesture, pose, said, shots, sound, text, thing, video

DURATION_S = 9.0
FRAMES = tuple(range(round(DURATION_S * FPS)))
DOUBTFUL: dict[str, Any] = {"confidence": 0.31}


def _windows(made: Any) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in derived(made)["windows"]}


def _person(frame: int, index: int = 0, **changes: Any) -> dict[str, Any]:
    return thing(frame, index=index, x1=0.0 if index else 40.0, side=20.0) | changes


def test_a_doubtful_second_box_in_one_of_sixty_frames_is_no_second_person() -> None:
    made = video(12.0, objects=[*(_person(frame) for frame in range(60)), _person(17, 1, **DOUBTFUL)])
    tables = derived(made)
    assert {row["person_count"] for row in tables["windows"]} == {1}
    assert {row["people"] for row in tables["timeline"]} == {1}
    assert {row["object_count"] for row in tables["timeline"]} == {1}


@pytest.mark.parametrize(
    ("boxes", "count"),
    [
        ([_person(3, **DOUBTFUL)], 0),
        ([_person(3, **DOUBTFUL), _person(4, **DOUBTFUL)], 1),
        ([_person(3)], 1),
        ([thing(3, side=4.0)], 0),
        ([thing(3, side=4.0), thing(4, side=4.0)], 1),
    ],
    ids=["doubtful", "doubtful_twice", "sure_and_large", "sure_and_tiny", "tiny_twice"],
)
def test_a_single_sighting_counts_by_confidence_and_size_and_two_always(boxes: list[dict[str, Any]], count: int) -> None:
    made = video(3.0, objects=boxes)
    assert _windows(made)["video"]["person_count"] == count
    (framing,) = derived(made)["person_framing"]
    assert framing["subject_count"] == count
    assert (framing["longest_absence_s"] == 3.0) is (count == 0)


def test_in_a_still_and_in_a_shot_with_one_look_a_doubtful_box_counts() -> None:
    assert _windows(video(0.04, objects=[_person(0, **DOUBTFUL)]))["hook"]["person_count"] == 1
    seen = (0, 7, 14)
    made = video(3.0, objects=[_person(7, **DOUBTFUL)], seen={"yolo": seen}, shots=shots(1.0, 2.0, 3.0))
    assert _windows(made)["hook"]["person_count"] == 1
    held = video(4.0, times_s=(0.0, 2.0, 2.2, 2.4), objects=[_person(0, **DOUBTFUL)])
    assert _windows(held)["video"]["person_count"] == 1


def test_a_tiny_face_in_one_frame_is_no_face() -> None:
    rows = derived(video(3.0, faces=[face(4, 5.0)]))
    assert rows["person_framing"][0]["face_visibility_rate"] == 0.0
    rows = derived(video(3.0, faces=[face(4, 5.0), face(5, 5.0)]))
    assert rows["person_framing"][0]["face_visibility_rate"] == pytest.approx(2 / 15)


def test_a_phantom_pose_in_one_frame_of_an_empty_clip_is_nobody() -> None:
    tables = derived(video(4.0, poses=[pose(10)]))
    (row,) = tables["person_framing"]
    assert (row["person_visibility_rate"], row["longest_absence_s"], row["none_share"]) == (0.0, 4.0, 1.0)
    assert {second["shot_size"] for second in tables["timeline"]} == {"none"}


ONE_LOOK_A_SHOT: dict[str, Any] = {"seen": {"mediapipe": (0, 10), "yolo": ()}, "shots": shots(1.0, 4.0)}


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        ({"poses": [pose(10), pose(11, x1=30.0)]}, True),
        ({"poses": [pose(10), pose(11, x1=-300.0)]}, False),
        ({"poses": [pose(10), pose(12)]}, False),
        ({"poses": [pose(9), pose(10)], "shots": shots(2.0, 4.0)}, False),
        ({"poses": [pose(10)], "faces": [face(10)]}, True),
        ({"poses": [pose(10)], "objects": [_person(10)]}, True),
        ({"poses": [pose(10)], "objects": [_person(10, **DOUBTFUL)]}, False),
        ({"poses": [pose(10)], "objects": [thing(10, "dog")]}, False),
        ({"poses": [pose(10)], **ONE_LOOK_A_SHOT}, True),
    ],
    ids=["again", "again_far_away", "a_look_between", "a_cut_between", "face", "person", "doubtful_person", "dog", "one_look_a_shot"],
)
def test_a_pose_counts_that_is_seen_again_or_belongs_to_somebody_who_counts(rows: dict[str, Any], *, counts: bool) -> None:
    (framing,) = derived(video(4.0, **rows))["person_framing"]
    assert (framing["full_size_share"] > 0) is counts
    assert (framing["none_share"] < 1) is counts


def test_a_pose_counts_in_a_still_and_in_a_held_frame() -> None:
    assert derived(video(0.04, poses=[pose(0)]))["person_framing"][0]["person_visibility_rate"] == 1.0
    held = video(4.0, times_s=(0.0, 2.0, 2.2, 2.4), poses=[pose(0)])
    assert derived(held)["person_framing"][0]["person_visibility_rate"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ({"emotions": [emotion(4, side=5.0)]}, 0),
        ({"emotions": [emotion(4, side=5.0)], "faces": [face(4, 5.0)]}, 0),
        ({"emotions": [emotion(4, side=5.0)], "faces": [face(4, 5.0), face(5, 5.0)]}, 1),
        ({"emotions": [emotion(4, side=5.0), emotion(5, side=5.0)]}, 2),
        ({"emotions": [emotion(4)]}, 1),
        ({"emotions": [emotion(4) | {"face_confidence": 0.31}]}, 0),
    ],
    ids=["tiny", "tiny_for_both", "a_face_that_counts", "tiny_twice", "large", "doubtful"],
)
def test_an_expression_counts_where_its_face_does(rows: dict[str, Any], count: int) -> None:
    hook = _windows(video(3.0, **rows))["hook"]
    assert (hook["expression_frames"], hook["sadness_share"]) == (count, 0.0 if count else None)


def test_the_expression_of_the_largest_face_that_counts_is_taken() -> None:
    beside = [emotion(frame, "sadness", index=int(frame == 4), side=6.0, x1=10.0) for frame in range(15)]
    hook = _windows(video(3.0, emotions=[emotion(4, side=7.0), *beside]))["hook"]
    assert (hook["sadness_share"], hook["expression_frames"]) == (1.0, 15)


def test_a_doubtful_gesture_takes_two_frames_and_ends_at_a_cut() -> None:
    assert _windows(video(3.0, gestures=[gesture(4, confidence=0.4)]))["hook"]["gesture_count"] == 0
    assert _windows(video(3.0, gestures=[gesture(4, confidence=0.4), gesture(5, confidence=0.4)]))["hook"]["gesture_count"] == 1
    assert _windows(video(3.0, gestures=[gesture(4)]))["hook"]["gesture_count"] == 1
    over = [gesture(frame) for frame in range(3, 7)]
    assert _windows(video(3.0, gestures=over, shots=shots(1.0, 3.0)))["hook"]["gesture_count"] == 2


def test_a_doubtful_text_takes_two_frames() -> None:
    assert _windows(video(3.0, texts=[text(4, "lll", confidence=0.5)]))["hook"]["overlay_unique_count"] == 0
    assert _windows(video(3.0, texts=[text(4, "SALE", confidence=0.9)]))["hook"]["overlay_unique_count"] == 1
    assert _windows(video(3.0, texts=[text(frame, "SALE", confidence=0.5) for frame in (4, 5)]))["hook"]["overlay_unique_count"] == 1


def test_a_doubtful_text_is_no_surer_for_what_is_behind_a_cut() -> None:
    for behind in (0.5, 0.9):
        made = video(
            DURATION_S, texts=[text(14, "SALE", confidence=0.5), text(15, "SALE", confidence=behind)], shots=shots(3.0, DURATION_S)
        )
        windows = _windows(made)
        assert windows["hook"]["overlay_unique_count"] == 0
        assert windows["middle_1"]["overlay_unique_count"] == (behind == 0.9)


def test_a_share_of_few_frames_carries_its_number() -> None:
    made = video(3.0, faces=[face(4)], gaze=[gaze(4)], emotions=[emotion(4, "sadness")], objects=[thing(4)], texts=[text(4, "SALE")])
    hook = _windows(made)["hook"]
    assert (hook["sadness_share"], hook["expression_frames"]) == (1.0, 1)
    assert (hook["eye_contact_rate"], hook["gaze_frames"]) == (1.0, 1)
    assert (hook["face_frames"], hook["object_frames"], hook["text_frames"]) == (15, 15, 15)
    tables = derived(made)
    assert [row["expression_frames"] for row in tables["timeline"]] == [1, 0, 0]
    assert [row["gaze_frames"] for row in tables["person_framing_seconds"]] == [1, 0, 0]


def test_a_caption_first_seen_after_the_hook_is_not_in_the_hook() -> None:
    looks = tuple(range(1, 45, 5))  # 0.2 s, 1.2 s, …
    cut_s = 3.2
    texts = [text(frame, "FOLLOW ME") for frame in range(16, 45, 5)]
    made = video(DURATION_S, seen={"ocr": looks}, texts=texts, shots=shots(cut_s, DURATION_S))
    (span,) = derived(made)["text_spans"]
    assert span["start_s"] == cut_s
    windows = _windows(made)
    assert (windows["hook"]["overlay_unique_count"], windows["hook"]["text_coverage"]) == (0, 0.0)
    assert windows["closing"]["overlay_unique_count"] == 1


def test_a_span_ends_at_a_cut_and_a_text_that_stays_over_a_cut_is_one_span() -> None:
    looks = tuple(range(0, 45, 5))
    made = video(DURATION_S, seen={"ocr": looks}, texts=[text(frame, "SALE") for frame in (0, 5)], shots=shots(1.6, DURATION_S))
    (span,) = derived(made)["text_spans"]
    assert (span["start_s"], span["end_s"], span["seen_until_s"]) == (0.0, 1.6, 1.2)
    made = video(DURATION_S, seen={"ocr": looks}, texts=[text(frame, "SALE") for frame in (0, 5, 10)], shots=shots(1.6, DURATION_S))
    (span,) = derived(made)["text_spans"]
    assert (span["start_s"], span["end_s"]) == (0.0, 3.0)


def test_a_window_counts_what_its_own_shots_say_of_a_text() -> None:
    first = [text(frame, "LINK IN BIO") for frame in range(15)]
    then = [text(frame, "LINK 1N BIO") for frame in range(15, 45)]
    windows = _windows(video(DURATION_S, texts=[*first, *then], shots=shots(3.0, DURATION_S)))
    assert (windows["hook"]["call_to_action_count"], windows["closing"]["call_to_action_count"]) == (1, 0)


def test_a_window_no_frame_of_which_was_looked_at_counts_nothing_and_not_zero() -> None:
    seen = dict.fromkeys(("mediapipe", "yolo", "ocr", "emotion"), tuple(range(10)))
    closing = _windows(video(DURATION_S, seen=seen))["closing"]
    unknown = (
        "person_count",
        "object_count",
        "gesture_count",
        "overlay_unique_count",
        "has_captions",
        "call_to_action_count",
        "text_coverage",
    )
    assert {closing[name] for name in unknown} == {None}
    assert (closing["face_frames"], closing["text_frames"]) == (0, 0)


def _overlays_and_captions(made: Any) -> dict[str, tuple[int, bool]]:
    return {name: (row["overlay_unique_count"], row["has_captions"]) for name, row in _windows(made).items()}


def test_a_text_that_is_spoken_only_after_a_cut_is_no_caption_before_it() -> None:
    made: dict[str, Any] = {"texts": [text(frame, "FOLLOW FOR MORE") for frame in FRAMES], "shots": shots(3.0, DURATION_S)}
    spoken = _overlays_and_captions(video(DURATION_S, **made, **said(7.0, 8.0, "follow for more")))
    assert spoken["hook"] == _overlays_and_captions(video(DURATION_S, **made))["hook"] == (1, False)
    assert spoken["closing"] == (0, True)
    soon = _overlays_and_captions(video(DURATION_S, **made, **said(3.0, 3.4, "follow for more")))
    assert (soon["hook"], soon["middle_1"]) == ((1, False), (0, True))
    (span,) = derived(video(DURATION_S, **made, **said(7.0, 8.0, "follow for more")))["text_spans"]
    assert (span["kind"], span["speech_overlap"]) == ("caption", 1.0)


def test_a_caption_held_over_a_cut_in_mid_sentence_is_judged_on_either_side_by_the_words_said_there() -> None:
    made: dict[str, Any] = {"texts": [text(frame, "we bake bread daily") for frame in range(10, 20)], "shots": shots(3.0, DURATION_S)}
    halves = _overlays_and_captions(video(DURATION_S, **made, **said(2.0, 4.0, "we bake bread daily")))
    assert (halves["hook"], halves["middle_1"], halves["video"]) == ((0, True), (0, True), (0, True))
    most = _overlays_and_captions(video(DURATION_S, **made, **said(2.0, 3.3, "we bake bread daily")))
    assert (most["hook"], most["middle_1"], most["video"]) == ((0, True), (1, False), (0, True))


@pytest.mark.parametrize("cuts_s", [(), (1.0, 2.0), (0.8, 1.6, 2.4), (0.6, 1.2, 1.8, 2.4)])
def test_a_sentence_that_stays_over_quick_cuts_is_one_caption(cuts_s: tuple[float, ...]) -> None:
    sentence = "we bake fresh bread every day"
    made: dict[str, Any] = {"texts": [text(frame, sentence) for frame in range(15)], "shots": shots(*cuts_s, 3.0)}
    found = _overlays_and_captions(video(3.0, **made, **said(0.0, 3.0, sentence)))
    assert set(found.values()) == {(0, True)}
    silent = _overlays_and_captions(video(3.0, **made))
    assert set(silent.values()) == {(1, False)}


def test_speech_before_the_first_frame_and_after_the_last_is_that_of_the_outer_shots() -> None:
    made = video(3.0, texts=[text(frame, "hi") for frame in range(15)], **said(-0.4, -0.1, "hi"))
    assert _overlays_and_captions(made)["hook"] == (0, True)


INSIDE, OUTSIDE = ("SALE TODAY", "follow me", "we bake"), ("10 % OFF", "follow me", "SALE TODAY", "buy this", "we bake")
SPOKEN = ("we bake bread", "follow me and buy this", "sale today")


@st.composite
def _rows(draw: st.DrawFn, frames: list[int], texts: tuple[str, ...]) -> dict[str, Any]:
    some = draw(st.lists(st.sampled_from(frames), max_size=12, unique=True)) if frames else []
    made: dict[str, Any] = {name: [] for name in ("faces", "gaze", "objects", "texts", "emotions", "gestures")}
    for frame in sorted(some):
        made["faces"].append(face(frame, draw(st.floats(1, 60))))
        made["gaze"].append(gaze(frame, draw(st.floats(-30, 30)), contact=draw(st.booleans())))
        made["objects"].append(thing(frame, draw(st.sampled_from(["person", "dog"])), x1=draw(st.floats(0, 60))) | DOUBTFUL)
        made["texts"].append(text(frame, draw(st.sampled_from(texts)), confidence=draw(st.sampled_from([0.2, 0.5, 0.9]))))
        made["emotions"].append(emotion(frame, draw(st.sampled_from(["happiness", "sadness"]))))
        made["gestures"].append(gesture(frame, confidence=draw(st.sampled_from([0.3, 0.9]))))
    return made


@settings(
    max_examples=60, deadline=None, phases=(Phase.generate,), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.data())
def test_no_figure_of_a_window_depends_on_what_is_outside_its_shots_and_times(data: st.DataObject) -> None:
    cuts_s = sorted(data.draw(st.sets(st.integers(1, 89), min_size=1, max_size=4)))
    edges_s = [0.0, *(cut / 10 for cut in cuts_s), DURATION_S]
    looks = data.draw(st.sampled_from([1, 3, 5]))
    window = data.draw(st.sampled_from(["hook", "middle_1", "closing"]))
    seen = dict.fromkeys(("mediapipe", "yolo", "ocr", "emotion"), FRAMES[::looks])
    blank = video(DURATION_S, seen=seen, shots=shots(*edges_s[1:]))
    start_s, end_s = next((start_s, end_s) for name, start_s, end_s in layout(DURATION_S, THRESHOLDS) if name == window)
    from_s = max(edge_s for edge_s in edges_s if edge_s <= start_s)
    to_s = min(edge_s for edge_s in edges_s if edge_s >= end_s)
    inside = [frame for frame in seen["ocr"] if from_s - 1e-9 <= frame / FPS < to_s - 1e-9]
    outside = [frame for frame in seen["ocr"] if frame not in inside]
    own, others = data.draw(_rows(inside, INSIDE)), data.draw(_rows(outside, OUTSIDE))
    held = data.draw(st.sampled_from(SPOKEN))  # on the screen throughout, and spoken in the window or not
    for rows, frames in ((own, inside), (others, outside)):
        rows["texts"] += [text(frame, held, y1=5.0, index=1) for frame in frames]
    own |= said(start_s, end_s, data.draw(st.sampled_from(SPOKEN)))
    for first, (since_s, until_s) in ((10, (0.0, from_s)), (20, (to_s, DURATION_S))):
        if since_s < until_s:
            more = said(since_s, until_s, data.draw(st.sampled_from(SPOKEN)), first)
            others |= {name: [*others.get(name, []), *rows] for name, rows in more.items()}
    grid_s = -data.draw(st.integers(0, 49)) / 1000  # stretches of sound need not begin at a window's edge; their middles place them
    for row in sound(grid_s, DURATION_S, 0.0):
        is_own = (0.0 if window == "hook" else start_s) <= (row["start_s"] + row["end_s"]) / 2 < end_s
        before_first_frame = window == "hook" and row["start_s"] < 0
        if is_own or before_first_frame:
            own.setdefault("audio_energy", []).append(row | {"rms": 0.1, "pitch_hz": 200.0})
        else:
            others.setdefault("audio_energy", []).append(row | {"rms": 0.5, "is_silent": True})
    both = {name: [*own.get(name, []), *others.get(name, [])] for name in {*own, *others}}
    alone, among_others = (_windows(replace(blank, tables={**blank.tables, **rows}))[window] for rows in (own, both))
    assert {name: alone[name] for name in alone if alone[name] != pytest.approx(among_others[name])} == {}


def test_two_hands_alike_in_one_frame_are_one_frame_of_evidence() -> None:
    doubtful = gesture(4, confidence=0.4)
    alone, alike = ([doubtful], [doubtful, doubtful | {"hand_index": 1}])
    counts = [derived(video(gestures=rows))["windows"][0]["gesture_count"] for rows in (alone, alike)]
    assert counts == [0, 0]


def test_a_word_that_begins_before_the_first_frame_is_in_the_hook() -> None:
    rows = derived(video(**said(-0.02, 0.3, "hi")))["windows"]
    assert [row["word_count"] for row in rows if row["name"] in {"hook", "video"}] == [1, 1]


def test_a_closing_of_one_frame_is_part_of_the_hook() -> None:
    assert layout(3.04, THRESHOLDS) == [("hook", 0.0, 3.04), ("video", 0.0, 3.04)]


def test_words_of_a_script_without_spaces_stand_without_spaces() -> None:
    rows = derived(video(**said(0.0, 0.9, "你 好 吗")))["timeline"]
    assert rows[0]["speech"] == "你好吗"

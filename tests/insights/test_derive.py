"""What holds for any video: ranges as the schema has them, and figures that do not depend on how rows are ordered."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rumiai_ray.insights.video import INPUTS, AnalysedVideo
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_video import FPS, derived, emotion, face, gaze, gesture, said, shots, sound, text, thing, video

if TYPE_CHECKING:
    import random

TEXTS = ("SALE TODAY", "follow me", "we bake bread", "SALE T0DAY", "…")
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def videos(draw: st.DrawFn) -> AnalysedVideo:
    """Any video of up to eight seconds, any models of which did not end well."""
    duration_s = draw(st.floats(0.04, 8.0))
    count = max(1, round(duration_s * FPS))
    frame = st.integers(0, count - 1)
    some = draw(st.lists(st.tuples(frame, st.floats(0, 120), st.floats(-30, 90), st.floats(-60, 60), st.booleans()), max_size=25))
    by_frame = {number: (side, x1, yaw, contact) for number, side, x1, yaw, contact in some}
    cuts_s = sorted(set(draw(st.lists(st.floats(0.02, duration_s, exclude_max=True), max_size=3))))
    without = draw(
        st.dictionaries(st.sampled_from(INPUTS), st.sampled_from(["empty", "degraded", "failed", "skipped", "not asked"]), max_size=3)
    )
    gone = {model for model, status in without.items() if status != "degraded"}
    tables: dict[str, Any] = {}
    if "mediapipe" not in gone:
        tables["faces"] = [face(number, side, x1=x1) for number, (side, x1, _, _) in by_frame.items()]
        tables["gaze"] = [gaze(number, yaw, contact=contact) for number, (_, _, yaw, contact) in by_frame.items()]
        tables["gestures"] = [gesture(number) for number in by_frame if number % 3]
    if "yolo" not in gone:
        tables["objects"] = [
            row
            for number, (side, x1, _, _) in by_frame.items()
            for row in (thing(number, side=side, x1=x1), thing(number, "dog", 1, x1=x1 / 2, side=10.0))
        ]
    if "ocr" not in gone:
        tables["texts"] = [text(number, draw(st.sampled_from(TEXTS)), y1=draw(st.floats(0, 90))) for number in by_frame]
    if "emotion" not in gone:
        tables["emotions"] = [emotion(number, draw(st.sampled_from(["happiness", "sadness", "neutral"]))) for number in by_frame]
    if "whisper" not in gone and draw(st.booleans()):
        tables |= said(draw(st.floats(-0.5, duration_s)), duration_s + 0.5, "we bake bread daily")
    if "sound" not in gone:
        tables["audio_energy"] = sound(-0.02, duration_s + 0.1, draw(st.floats(0, 1)), pitch_hz=draw(st.none() | st.floats(75, 600)))
    tables["shots"] = [] if "shots" in gone else shots(*cuts_s, duration_s)
    return video(duration_s, without=without, **tables)


@FEW
@given(videos())
def test_every_figure_lies_in_the_range_its_schema_states(made: AnalysedVideo) -> None:
    for name, rows in derived(made).items():
        for field in TABLES_BY_NAME[name].columns:
            stated = re.fullmatch(r"(-?[\d.]+)\.\.(-?[\d.]+)?.*", (field.metadata or {}).get(b"range", b"").decode())
            if stated is None:
                continue
            low, high = float(stated[1]), float(stated[2] or "inf")
            for value in (row[field.name] for row in rows):
                assert value is None or low - 1e-9 <= value <= high + 1e-6, f"{name}.{field.name} = {value}"


@FEW
@given(videos(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(made: AnalysedVideo, chance: random.Random) -> None:
    shuffled = {name: chance.sample(list(rows), len(rows)) for name, rows in made.tables.items()}
    assert derived(replace(made, tables=shuffled)) == derived(made)


@FEW
@given(videos())
def test_what_is_counted_in_the_parts_is_counted_in_the_whole(made: AnalysedVideo) -> None:
    *parts, whole = derived(made)["windows"]
    if whole["word_count"] is not None:
        assert sum(row["word_count"] for row in parts) == whole["word_count"]
    if whole["cuts_per_minute"] is not None:
        lengths_s = [row["end_s"] - row["start_s"] for row in (*parts, whole)]
        cuts = [row["cuts_per_minute"] * length_s / 60 for row, length_s in zip((*parts, whole), lengths_s, strict=True)]
        assert abs(sum(cuts[:-1]) - cuts[-1]) < 1e-6
    for name in ("person_count", "object_count", "gesture_count", "overlay_unique_count"):
        if whole[name] is not None:
            assert max(row[name] for row in parts) <= whole[name] <= sum(row[name] for row in parts)


@FEW
@given(videos())
def test_one_more_face_never_makes_faces_less_visible(made: AnalysedVideo) -> None:
    if not made.ran("mediapipe"):
        return
    (before,) = derived(made)["person_framing"]
    faces = [*made.tables.get("faces", []), face(0, index=9)]
    (after,) = derived(replace(made, tables={**made.tables, "faces": faces}))["person_framing"]
    assert after["face_visibility_rate"] >= before["face_visibility_rate"]
    assert after["longest_absence_s"] <= before["longest_absence_s"]
    assert after["subject_count"] >= min(before["subject_count"], 1)


@FEW
@given(videos())
def test_shot_types_share_the_frames_out(made: AnalysedVideo) -> None:
    (row,) = derived(made)["person_framing"]
    shares = [row[f"{name}_share"] for name in ("close", "medium", "wide", "none")]
    assert shares == [None] * 4 or abs(sum(shares) - 1) < 1e-9


@FEW
@given(videos())
def test_a_track_stays_in_its_shot_and_has_every_box_it_counts(made: AnalysedVideo) -> None:
    tracks = derived(made)["tracks"]
    assert [row["track_id"] for row in tracks] == list(range(len(tracks)))
    for row in tracks:
        assert row["sightings"] > 1
        assert made.shot_at(row["first_seen_s"]) == made.shot_at(row["last_seen_s"]) == row["shot_index"]
